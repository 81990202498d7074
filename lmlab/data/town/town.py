"""The town: all families of text in their proportions, drawn at random and known exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from lmlab.data.town import verdicts
from lmlab.data.town.build import alt, ref
from lmlab.data.town.grammar import Grammar, Live
from lmlab.data.town.letters import email, facts, story
from lmlab.data.town.news import DIALECTS, news
from lmlab.data.town.nodes import END, Draw, Emit, Fn, Lit, Node, Say, split_words
from lmlab.data.town.questions import how_to, question_answer, question_list, role
from lmlab.data.town.reasoning import arithmetic, code, logic, pairs, translation


@dataclass(frozen=True)
class Family:
    """A kind of document: its share of the town's words (END counted) and the mean length of a document in words."""

    name: str
    share: float
    mean_words: float
    build: Callable[[str], Node]


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("pairs", 0.14, 60.0, pairs),
        Family("facts", 0.19, 21.3, facts),
        Family("arithmetic", 0.15, 29.1, arithmetic),
        Family("question_list", 0.10, 32.9, question_list),
        Family("question_answer", 0.06, 23.2, question_answer),
        Family("how_to", 0.07, 20.1, how_to),
        Family("role", 0.03, 22.5, role),
        Family("news", 0.06, 16.7, news),
        Family("email", 0.03, 39.1, email),
        Family("code", 0.03, 19.2, code),
        Family("logic", 0.10, 26.6, logic),
        Family("story", 0.02, 31.2, story),
        Family("translation", 0.02, 14.0, translation),
    )
}


class Town:
    """The language of Quillbury in one of two dialects, all of it or some families.

    `families` keeps the proportions among those that are chosen. Raises ValueError for unknown names.
    """

    def __init__(self, dialect: str = "worried", families: Sequence[str] | None = None) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"The town has no dialect {dialect!r}; it speaks {' and '.join(map(repr, DIALECTS))}.")
        names = list(FAMILIES) if families is None else list(dict.fromkeys(families))
        unknown = [name for name in names if name not in FAMILIES]
        if unknown or not names:
            given = ", ".join(map(repr, unknown)) or "an empty list"
            raise ValueError(f"Unknown families: {given}. The town's families are {', '.join(FAMILIES)}.")
        self.dialect = dialect
        self.families: tuple[str, ...] = tuple(names)
        weights = [FAMILIES[name].share / FAMILIES[name].mean_words for name in names]
        self.probabilities = {name: w / sum(weights) for name, w in zip(names, weights, strict=True)}
        rules: dict[str, Node] = {name: FAMILIES[name].build(dialect) for name in names}
        self.grammar = Grammar(
            {"document": alt(*(ref(name) for name in names), weights=list(self.probabilities.values())), **rules}
        )
        self._start = self.grammar.live()

    def sample(self, n: int, seed: int = 0) -> list[str]:
        """n documents. The first of them do not depend on n."""
        rng = Random(seed)
        return [self.grammar.sample(rng) for _ in range(n)]

    def live(self) -> Live:
        """What is known before the first word."""
        return self._start

    def after(self, words: Iterable[str]) -> Live | None:
        """What is known after these words, or None where the town never says them."""
        live: Live | None = self._start
        for word in words:
            live = live.after(word) if live else None
        return live

    def log_prob(self, document: str) -> float:
        """The natural log of the probability of a whole document; -inf where the town never says it."""
        live: Live | None = self._start
        total = 0.0
        for word in (*split_words(document), END):
            assert live is not None
            probability = live.words().get(word, 0.0)
            if probability == 0.0:
                return -math.inf
            total += math.log(probability)
            live = live.after(word)
        return total

    def next_words(self, text: str) -> dict[str, float]:
        """What may come after a text, likeliest first; "" is the end. Empty where the town never says the text."""
        return verdicts.next_words(self, text)

    def can_say(self, text: str) -> bool:
        """Whether some document begins with this text, which may end inside a word."""
        return verdicts.first_impossible(self, text) is None

    def first_impossible(self, text: str) -> int | None:
        """The index of the first word (pre-token) that cannot stand there; None where all of them can."""
        return verdicts.first_impossible(self, text)

    def judge(self, prompt: str, continuation: str) -> verdicts.Verdict:
        """Whether vocabulary, grammar or plausibility stands against a continuation of a prompt."""
        return verdicts.judge(self, prompt, continuation)

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word (pre-token) that the town has."""
        return terminals(self.grammar)


def terminals(grammar: Grammar) -> frozenset[str]:
    """Every word that a grammar may say, found from its rules and the values of its variables."""
    nodes = list(grammar.nodes())
    domains: dict[str, set[object]] = {}
    for here in nodes:
        if isinstance(here, Draw):
            domains.setdefault(here.name, set()).update(here.values)
    found: set[str] = set()
    for here in nodes:
        if isinstance(here, Lit):
            found.update(here.words({}))  # type: ignore[arg-type]
        elif isinstance(here, Fn):
            found.update(word for text in here.vocabulary for word in split_words(text))
        elif isinstance(here, Say):
            values = domains[here.name]
            fitting = [v for v in values if here.attribute is None or hasattr(v, here.attribute)]
            found.update(word for value in fitting for word in split_words(here.text_of(value)))
        else:
            assert not isinstance(here, Emit)
    return frozenset(found)
