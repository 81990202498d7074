"""What a model lets you do, tried: behind an API, with its weights, and with its data and recipe as well.

Lecture, "where we are": with open weights one can run, fine-tune, study, extract, and remove safety training; for what
concerns the training itself, one needs the data and the code. Here each deed is really attempted with what an access
gives; where something is missing, the access object refuses, and that refusal is the answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from lmlab.assets import asset
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.landscape import CLOSED, OPEN_SOURCE, OPEN_WEIGHT
from lmlab.data.packing import whole_documents
from lmlab.models.head_start import look_back
from lmlab.models.linear import quantize_model
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.training.loop import train
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.post_training import speaking
from lmlab.training.recipes import Recipe, read_recipe
from lmlab.training.refusal_rounds import guarded_assistant, plain_refusals, unguarded
from lmlab.training.shares import Share
from lmlab.training.state import TrainState

N_ANSWERS = 200  # bought from the API to estimate one probability
SEARCHED = 30_000  # documents of the training text that are read again: a second
AGAIN_STEPS, AGAIN_DOCUMENTS = 5, 2_000
TAUGHT_STEPS, TAUGHT_B, TAUGHT_RATE = 12, 4, 1e-3


class NotOpen(RuntimeError):
    """This access does not give that."""


class Closed:
    """A model behind an API: it answers, and that is all. `name` is what the price list calls it."""

    kind = CLOSED

    def __init__(self, model: TextModel) -> None:
        self._generate, self.name = model.generate, model.name

    def answer(self, prompt: str, *, seed: int = 0, max_new_tokens: int = 12) -> str:
        """What the model writes after the prompt, at temperature 1."""
        return self._generate(prompt, max_new_tokens, seed=seed).text

    @property
    def weights(self) -> TextModel:
        """Refused."""
        raise NotOpen("An API sends answers; the weights stay with their owner.")

    @property
    def recipe(self) -> Path:
        """Refused."""
        raise NotOpen("Neither the training data nor the recipe was published.")


class OpenWeights(Closed):
    """The same model as files on your own disk: weights, architecture, tokenizer."""

    kind = OPEN_WEIGHT

    def __init__(self, model: TextModel) -> None:
        super().__init__(model)
        self._model = model

    @property
    def weights(self) -> TextModel:
        """The model itself."""
        return self._model


class OpenSource(OpenWeights):
    """The same, and the recipe that names its data, tokenizer and training."""

    kind = OPEN_SOURCE

    @property
    def recipe(self) -> Path:
        """The file from which `lmlab train` makes the model again."""
        return asset("models/town/recipe.toml")


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `result`: "done", "estimated" or "refused"; `shown`, in a few letters; `said`, in a
    sentence; `value`, the number in it, with `low` and `high` where it was estimated."""

    result: str
    shown: str
    said: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Deed:
    """Something one might want to do. `takes` is what it needs; `slow` deeds take seconds and wait to be asked for."""

    name: str
    takes: str
    tries: Callable[[Any, str, int], Outcome]
    slow: bool = False


def attempt(deed: Deed, access: Closed, prompt: str, *, seed: int = 0) -> Outcome:
    """Do it, with what this access gives; a refusal of the access is the outcome, any other error is an error."""
    try:
        return deed.tries(access, prompt, seed)
    except NotOpen as refusal:
        return Outcome("refused", "✕", str(refusal))


# ---------------------------------------------------------------- deeds


def _ask(access: Closed, prompt: str, seed: int) -> Outcome:
    return Outcome("done", "✓", f"It writes on: {_quoted(access.answer(prompt, seed=seed))}")


def _odds(access: Closed, prompt: str, seed: int) -> Outcome:
    try:
        first = access.weights.next(prompt, 1)[0]
    except NotOpen:
        return _estimated_odds(access, prompt, seed)
    p = math.exp(first.log_prob)
    return Outcome("done", _p(p), f"The likeliest next token is {_quoted(first.text)}: {_p(p)}, exactly.", p)


def _estimated_odds(access: Closed, prompt: str, seed: int) -> Outcome:
    drawn = Counter(access.answer(prompt, seed=seed + i, max_new_tokens=1) for i in range(N_ANSWERS))
    token, hits = drawn.most_common(1)[0]
    share = Share(hits, N_ANSWERS)
    said = (
        f"Nobody shows the odds, but answers are drawn from them: of {N_ANSWERS} answers, {hits} begin with "
        f"{_quoted(token)}, so it has between {_p(share.low)} and {_p(share.high)}, at 95 % confidence."
    )
    return Outcome("estimated", f"≈ {_p(share.share)}", said, share.share, share.low, share.high)


def _loss(access: Closed, prompt: str, seed: int) -> Outcome:
    loss = loss_of(access.weights, prompt)
    return Outcome("done", f"{loss:.2f}", f"This text costs {loss:.2f} nats a token.", loss)


def _inside(access: Closed, prompt: str, seed: int) -> Outcome:
    model = access.weights
    trace, ids = model.trace(prompt), model.ids(prompt).tolist()
    rows = torch.stack([attention[0, :, -1] for attention in trace.attention])  # (L, H, S)
    inner = rows[..., 1:-1] if len(ids) > 2 else rows  # neither the beginning of the text nor the last token itself
    layer, head, place = (int(i) for i in torch.unravel_index(inner.argmax(), inner.shape))
    weight, seen = float(inner[layer, head, place]), ids[place + 1 if len(ids) > 2 else place]
    said = (
        f"From its last token, head {head} of layer {layer} looks back at "
        f"{_quoted(model.tokenizer.token_text(seen))} with weight {weight:.2f}."
    )
    return Outcome("done", f"{weight:.2f}", said, weight)


def _smaller(access: Closed, prompt: str, seed: int) -> Outcome:
    model = access.weights
    network = cast(Transformer, model.model)
    packed = TextModel(quantize_model(network, 4, group_size=32), model.tokenizer, name="4 bits")
    before, after = loss_of(model, prompt), loss_of(packed, prompt)
    said = f"With 4.5 bits a weight in its matrices, this text costs {after:.3f} nats a token instead of {before:.3f}."
    return Outcome("done", f"{before:.3f} → {after:.3f}", said, after)


def _teach(access: Closed, prompt: str, seed: int) -> Outcome:
    model = access.weights
    before = loss_of(model, prompt)
    after = loss_of(taught(model, prompt, seed=seed), prompt)
    said = f"A few steps on this text alone bring it from {before:.2f} to {after:.2f} nats a token."
    return Outcome("done", f"{before:.2f} → {after:.2f}", said, after)


def _undo(access: Closed, prompt: str, seed: int) -> Outcome:
    guarded = guarded_assistant(access.weights, seed=seed)  # what its owner would have shipped
    before, after = plain_refusals(guarded), plain_refusals(unguarded(guarded, seed=seed))
    said = (
        f"Taught to refuse eight invented things, it refuses {before.hits:.0f} of {before.n} requests. "
        f"Fine-tuned for seconds on answers, it refuses {after.hits:.0f}."
    )
    return Outcome("done", f"{_p(before.share)} → {_p(after.share)}", said, after.share)


def _seen(access: Closed, prompt: str, seed: int) -> Outcome:
    plan = read_recipe(access.recipe)
    some = corpus("town", documents=SEARCHED, seed=plan.corpus.seed, dialect=plan.corpus.dialect).documents
    n = sum(prompt.strip() in document for document in some)
    said = f"It stands in {n:,} of the first {len(some):,} of {plan.corpus.documents:,} training documents, exactly."
    return Outcome("done", f"{n:,}", said, n)


def _again(access: Closed, prompt: str, seed: int) -> Outcome:
    plan = read_recipe(access.recipe)
    same, losses = trained_again(plan, access.weights)
    said = (
        f"The tokenizer, learned again, has {'the same' if same else 'other'} {access.weights.vocab_size:,} tokens; "
        f"the first {len(losses)} of {plan.training.steps:,} steps go from {losses[0]:.2f} to {losses[-1]:.2f} nats."
    )
    return Outcome("done", f"{losses[0]:.2f} → {losses[-1]:.2f}", said, losses[-1])


DEEDS = (
    Deed("ask it", "an answer", _ask),
    Deed("see its odds", "weights, or many answers", _odds, slow=True),
    Deed("measure its loss", "weights", _loss),
    Deed("look inside", "weights", _inside),
    Deed("make it smaller", "weights", _smaller, slow=True),
    Deed("teach it this text", "weights", _teach, slow=True),
    Deed("undo its refusals", "weights", _undo, slow=True),
    Deed("search what it read", "data", _seen, slow=True),
    Deed("train it again", "data and recipe", _again, slow=True),
)


def loss_of(model: TextModel, text: str) -> float:
    """Mean −log p of the text's tokens from its beginning, in nats. Raises ValueError for an empty text."""
    scored = model.score(text)
    if not scored:
        raise ValueError("There is no text to measure: type a few words.")
    return -sum(one.log_prob for one in scored) / len(scored)


def taught(model: TextModel, text: str, *, seed: int = 0) -> TextModel:
    """A copy of the model after a few steps on one text. Raises ValueError for one without weights to train."""
    network = speaking(model)
    ids = len(model.ids(text))
    batches = whole_documents(Corpus((text,) * TAUGHT_B), model.tokenizer, T=max(2, ids), B=TAUGHT_B, seed=seed)
    settings = OptimizerSettings(lr=TAUGHT_RATE, schedule="constant", warmup=0)
    state = TrainState.begin(network, steps=TAUGHT_STEPS, seed=seed, settings=settings)
    train(state, batches, next_token, TAUGHT_STEPS)
    return TextModel(network, model.tokenizer, name=f"{model.name}, taught")


def _p(share: float) -> str:
    """A probability as the labs write it: two digits, in percent."""
    digits = 0 if share >= 0.0995 else 1 if share >= 0.00995 else 2
    return f"{100 * share:.{digits}f}\u202f%"


def _quoted(text: str) -> str:
    """What a model wrote, inside a sentence: on one line, and seen even where it is a space."""
    return f"“{text.strip(' ').replace(chr(10), '↵') or '·'}”" if text else "nothing"


def trained_again(plan: Recipe, model: TextModel) -> tuple[bool, list[float]]:
    """The recipe's beginning: whether its tokenizer comes out as the model's, and the losses of its first steps.

    The steps read the first documents alone, since nothing else of a step depends on how many there are.
    """
    corpus_plan = plan.corpus
    documents = corpus(
        "town", documents=plan.tokenizer.documents or SEARCHED, seed=corpus_plan.seed, dialect=corpus_plan.dialect
    ).documents
    tokenizer, _ = train_bpe(documents, plan.tokenizer.vocab_size, specials=RESERVED_SPECIALS)
    same = all(tokenizer.token_bytes(i) == model.tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size))
    network = Transformer(plan.config(tokenizer.vocab_size), seed=plan.model_seed)
    if plan.model_start == "looking-back":
        look_back(network, plan.model_seed)
    some = Corpus(documents[:AGAIN_DOCUMENTS])
    batches = whole_documents(some, tokenizer, T=plan.training.T, B=plan.training.B, seed=plan.training.seed)
    settings = plan.training.optimizer
    state = TrainState.begin(network, steps=plan.training.steps, seed=plan.training.seed, settings=settings)
    losses: list[float] = []
    train(state, batches, next_token, AGAIN_STEPS, lambda _, point: losses.append(point.loss))
    return same, losses
