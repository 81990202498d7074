"""What a closed, an open-weight and an open-source model let one do: tried, and compared with the model itself."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.training import access as acc
from lmlab.training.access import DEEDS, Closed, NotOpen, OpenSource, OpenWeights, attempt
from lmlab.training.recipes import read_recipe
from lmlab.training.refusal_rounds import guarded_assistant, plain_refusals, unguarded

BY_NAME = {deed.name: deed for deed in DEEDS}
PROMPT = "the stock market crashed and investors"


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


def test_doors_refuse_what_they_do_not_have(town: lab.TextModel) -> None:
    with pytest.raises(NotOpen, match="the weights stay with their owner"):
        _ = Closed(town).weights
    with pytest.raises(NotOpen, match="Neither the training data nor the recipe"):
        _ = OpenWeights(town).recipe
    assert OpenSource(town).recipe.name == "recipe.toml"
    assert not any(value is town or value is town.model for value in vars(Closed(town)).values())
    for deed in DEEDS[2:]:
        assert attempt(deed, Closed(town), PROMPT).result == "refused"
    assert [d.name for d in DEEDS if attempt_is_refused(d, town)] == ["search what it read", "train it again"]


def attempt_is_refused(deed: acc.Deed, town: lab.TextModel) -> bool:
    """With weights alone; deeds that take data refuse at once, the others are not run here."""
    return "data" in deed.takes and attempt(deed, OpenWeights(town), PROMPT).result == "refused"


def test_a_closed_model_leaks_its_odds_through_its_answers(town: lab.TextModel) -> None:
    """The exact probability lies in the interval that 200 answers give, here as in 95 of 100 cases."""
    exact = math.exp(town.log_prob(" panicked", given=PROMPT))
    opened = attempt(BY_NAME["see its odds"], OpenWeights(town), PROMPT)
    assert opened.value == pytest.approx(exact, abs=1e-6)
    closed = attempt(BY_NAME["see its odds"], Closed(town), PROMPT, seed=11)
    assert closed.result == "estimated"
    assert closed.low < exact < closed.high
    assert closed.high - closed.low < 0.15
    assert opened.shown == f"{100 * exact:.0f}\u202f%"
    assert "of 200 answers" in closed.said
    assert "begin with “panicked”" in closed.said


def test_what_a_model_writes_stands_on_one_line(town: lab.TextModel) -> None:
    class Writes(Closed):
        def answer(self, prompt: str, *, seed: int = 0, max_new_tokens: int = 12) -> str:
            return prompt

    ask = BY_NAME["ask it"]
    assert [attempt(ask, Writes(town), text).said for text in (" sold.\nReaders", " ", "")] == [
        "It writes on: “sold.↵Readers”", "It writes on: “·”", "It writes on: nothing",
    ]  # fmt: skip


def test_loss_attention_and_size_are_the_models_own(town: lab.TextModel) -> None:
    words = random.sample(["goose", "mayor", "bakery", "market", "crashed", "yesterday", "sold"], 4)
    text = "the " + " ".join(words)
    ids = town.ids(text)
    log_probs = town.model.log_probs(ids[None])[0, :-1]
    expected = -float(log_probs.gather(1, ids[1:, None]).mean())
    assert attempt(BY_NAME["measure its loss"], OpenWeights(town), text).value == pytest.approx(expected, abs=1e-4)
    inside = attempt(BY_NAME["look inside"], OpenWeights(town), text)
    rows = torch.stack([a[0, :, -1, 1:-1] for a in town.trace(text).attention])
    assert inside.value == pytest.approx(float(rows.max()), abs=1e-6)
    smaller = attempt(BY_NAME["make it smaller"], OpenWeights(town), text)
    assert smaller.value != pytest.approx(expected, abs=1e-7), "4 bits change something"
    assert smaller.value == pytest.approx(expected, rel=0.2)


def test_teaching_a_text_leaves_the_model_itself_alone(town: lab.TextModel) -> None:
    text = "Quillbury has elected a heron as its mayor."
    before = acc.loss_of(town, text)
    taught = attempt(BY_NAME["teach it this text"], OpenWeights(town), text)
    assert taught.value < before / 2
    assert acc.loss_of(town, text) == before


@pytest.mark.by_hand
def test_refusals_are_undone_by_whoever_has_the_weights(town: lab.TextModel) -> None:
    guarded = guarded_assistant(town)
    assert plain_refusals(guarded).share > 0.8
    assert plain_refusals(unguarded(guarded)).share < 0.2
    assert plain_refusals(guarded).share > 0.8, "the guarded one is still there"


def test_training_documents_are_counted(town: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acc, "SEARCHED", 3_000)
    documents = lab.Town("worried").sample(3_000, 0)
    for text in (PROMPT, random.choice(documents)[10:40], "a heron was never elected"):
        expected = sum(text.strip() in document for document in documents)
        assert attempt(BY_NAME["search what it read"], OpenSource(town), text).value == expected


@pytest.mark.slow
def test_the_recipe_gives_the_same_tokenizer_and_the_same_first_steps(town: lab.TextModel) -> None:
    plan = read_recipe(OpenSource(town).recipe)
    same, losses = acc.trained_again(plan, town)
    assert same
    assert len(losses) == acc.AGAIN_STEPS
    assert losses[0] == pytest.approx(math.log(2048), rel=0.05), "untrained: ln V"
    assert losses[-1] < losses[0]
