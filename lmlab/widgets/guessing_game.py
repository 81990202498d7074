"""GuessingGame: guess the next character of a text, and compare your bits a character with each model's.

Shannon's experiment of 1951. The keys pressed are the whole state, so any moment of a game can be had again; the
text itself stays in the kernel until its characters are found.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import traitlets

from lmlab.data.corpus import Corpus, corpus
from lmlab.data.guessing_game import GIVE_UP, Game, alphabet_of, play, shannon_bounds
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, spans, visible, you

TEXTS, SHORTEST, LONGEST = 12, 40, 90  # how many texts, and how many characters each has
WORDS = 3  # given at the beginning
ROUNDS = 6  # the last class of the histogram holds all that took longer


@dataclasses.dataclass(frozen=True)
class Player:
    """A model, or the truth, on the characters found so far: bits a character, None where there is nothing yet."""

    name: str
    bits: float | None
    characters: int
    truth: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuessingGameView(View):
    """``found`` are (character, guesses, keys tried before, bits of each player's token that ends here or None);
    ``lower`` and ``upper`` Shannon's bounds (None before the first character); ``evenly`` is log2 of the alphabet."""

    number: int
    given: str
    found: tuple[tuple[str, int, str], ...]
    tried: str
    left: int
    lower: float | None
    upper: float | None
    evenly: float
    players: tuple[Player, ...]
    rounds: tuple[int, ...]


def token_bits(model: TextModel, text: str) -> list[tuple[int, float]]:
    """For each token of the text the place where it ends, and its surprise in bits given all before it."""
    ends = [end for _, end in model.tokenizer.offsets(text)]
    scores = model.score(text)[-len(ends) :]
    return [(end, -one.log_prob / math.log(2)) for end, one in zip(ends, scores, strict=True)]


def bits_between(tokens: Sequence[tuple[int, float]], start: int, end: int) -> tuple[float | None, int]:
    """(bits a character, characters) of the tokens that lie wholly within text[start:end].

    A token's bits are those of all its characters together, so that the sum over a text is that of its exact
    probability; within a token nothing is said about single characters.
    """
    before = max((place for place, _ in tokens if place <= start), default=0)
    inside = [(place, bits) for place, bits in tokens if before < place <= end]
    if not inside:
        return None, 0
    characters = inside[-1][0] - before
    return math.fsum(bits for _, bits in inside) / characters, characters


def first_words(text: str, words: int = WORDS) -> int:
    """Where the given beginning ends: after so many words, before the space."""
    place = 0
    for _ in range(words):
        place = text.index(" ", place + 1)
    return place


def texts_of(source: Corpus | Sequence[str]) -> tuple[str, ...]:
    """The texts to play: single lines of a fair length, each once. Raises ValueError where there is none."""
    documents = source.documents if isinstance(source, Corpus) else source
    lines = (document.split("\n")[0].strip() for document in documents)
    fit = [line for line in dict.fromkeys(lines) if SHORTEST <= len(line) <= LONGEST and line.count(" ") > WORDS]
    if not fit:
        raise ValueError(
            f"No text has a first line of {SHORTEST} to {LONGEST} characters and more than {WORDS} words: "
            'give other texts, or lab.corpus("town").'
        )
    return tuple(fit[:TEXTS])


def guessing_game_view(
    game: Game,
    models: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    alphabet: str,
    *,
    text_number: int,
    n_texts: int,
    has_truth: bool = False,
) -> GuessingGameView:
    """What GuessingGame shows at one moment: pure. ``models`` are names with their ``token_bits`` of this text, the
    truth behind them where there is one."""
    lower, upper = shannon_bounds(game.ranks) if game.found else (None, None)
    measured = [(name, *bits_between(tokens, game.start, game.place)) for name, tokens in models]
    players = tuple(Player(*one, truth=has_truth and i == len(measured)) for i, one in enumerate(measured, 1))
    evenly = math.log2(len(alphabet))
    rounds = tuple(sum(rank == i for rank in game.ranks) for i in range(1, ROUNDS))
    rows = [["you", "–" if upper is None else f"{number(lower or 0)} to {number(upper)}"]]
    rows += [[player.name, _shown(player.bits)] for player in players]
    return GuessingGameView(
        question="How well do you know this language?",
        about=f"GuessingGame · text {text_number} of {n_texts} · {len(alphabet)} characters",
        readout=_readout(game, players, lower, upper, evenly),
        foot=spans(
            "Shannon 1951 · capitals count as their letters · who gives up is taken to try the rest of the alphabet",
            " · a model’s bits: −log2 of its tokens’ probability over their characters, finished tokens only",
        ),
        labels={"text:value": f"{text_number} of {n_texts}"},
        table=[["bits a character", ""], *rows],
        number=text_number,
        given=visible(game.text[: game.start]).replace("·", " "),
        found=tuple((visible(one.character), one.rank, visible(one.tried) if one.tried else "") for one in game.found),
        tried=visible(game.tried) if game.tried else "",
        left=len(game.text) - game.place,
        lower=lower,
        upper=upper,
        evenly=evenly,
        players=players,
        rounds=(*rounds, len(game.found) - sum(rounds)),
    )


def _shown(bits: float | None) -> str:
    return "–" if bits is None else number(bits)


def _readout(game: Game, players: Sequence[Player], lower: float | None, upper: float | None, evenly: float) -> Spans:
    said: list[str | Span] = []
    if game.refused:
        said += [you(visible(game.refused)), " occurs in none of these texts and costs nothing. "]
    elif game.tried:
        said += ["Not ", you(visible(game.tried[-1])), f". {count(len(game.tried), 'guess', 'guesses')} wrong here. "]
    elif game.found:
        last = game.found[-1]
        said += ["It was " if last.shown else "Yes: ", mono(visible(last.character)), ", at guess "]
        said += [bold(f"{last.rank}"), ". "]
    if upper is None or lower is None:
        said += ["Guess what comes after ", mono(game.text[: game.start]), ": any key is a guess. "]
        return spans(*said, "All characters alike would cost ", bold(f"{number(evenly)} bits"), " each.")
    said += ["After ", bold(count(len(game.found), "character")), " you need ", bold(number(lower)), " to "]
    said += [bold(number(upper)), " bits a character"]
    known = [(i, player) for i, player in enumerate(players) if player.bits is not None]
    for i, player in known:
        said += ["; ", bold("truth") if player.truth else model_name(i, player.name), " ", bold(_shown(player.bits))]
    said += ["." if not game.finished else ". That was the whole text: take the next one."]
    return spans(*said)


class GuessingGame(LabWidget):
    """Shannon's game on texts drawn afresh: your bits a character beside each model's.

    ``models`` are up to four text models, ``truth`` one that is exact; ``texts`` a corpus or a list of texts, of
    which the first lines are played (without them, fresh ones from the town). ``pressed`` are the keys pressed in the
    text of this number: ``"1:th "``; Enter, as a line break in it, gives up on a character.
    """

    kind = "guessing_game"
    controls = ("text", "show")
    inputs = ("pressed",)

    text = traitlets.Int(1, min=1).tag(sync=True, control=Control("slider", "Text", min=1, max=TEXTS))
    show = traitlets.Unicode().tag(control=Control("button", "Show me this one", local=True))
    pressed = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        *models: TextModel,
        truth: TextModel | None = None,
        texts: Corpus | Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        if len(models) > 4 or not all(isinstance(model, TextModel) for model in models):
            raise ValueError('GuessingGame plays against up to four text models: try GuessingGame(lab.load("town")).')
        if isinstance(texts, str):
            raise ValueError("texts is a list of texts, or a corpus: put the text into brackets.")
        source = corpus("town", documents=400, seed=1951) if texts is None else texts
        self._texts, self._has_truth = texts_of(source), truth is not None
        self._models = models if truth is None else (*models, truth)
        self._alphabet = alphabet_of(source.documents if isinstance(source, Corpus) else source)
        self._tokens: dict[int, list[tuple[str, list[tuple[int, float]]]]] = {}
        super().__init__(options={"text": {"max": len(self._texts)}}, **traits)

    def clicked(self, name: str) -> None:
        mine = f"{self.text}:"
        self.pressed = (self.pressed if self.pressed.startswith(mine) else mine) + GIVE_UP

    def reset(self) -> None:
        self.pressed = ""
        super().reset()

    def compute(self) -> GuessingGameView:
        at = min(self.text, len(self._texts))
        text = self._texts[at - 1]
        if at not in self._tokens:
            self._tokens[at] = [(model.name, token_bits(model, text)) for model in self._models]
        mine, _, keys = self.pressed.partition(":")
        mine_alone = keys if mine == str(at) else ""  # keys of another text are another game
        game = play(text, mine_alone.replace("\r", GIVE_UP), start=first_words(text), alphabet=self._alphabet)
        return guessing_game_view(
            game, self._tokens[at], self._alphabet, text_number=at, n_texts=len(self._texts), has_truth=self._has_truth
        )
