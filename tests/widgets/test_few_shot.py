"""FewShot shows what the experiment measures; it is asked in another thread, and what nobody waits for is dropped."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

import lmlab as lab
from lmlab.data.few_shot import MOST, few_shot_prompts, few_shot_task
from lmlab.training.few_shot import Answered, answered, copying_heads, copying_scores, option_log_probs, silenced
from lmlab.training.shares import Share
from lmlab.widgets import FewShot
from lmlab.widgets._few_shot_words import facts_of, said

PAIRS = few_shot_task("pairs")


@pytest.fixture(scope="module")
def town() -> lab.TextModel:
    return lab.load("town")


@pytest.fixture(scope="module")
def trigram(town: lab.TextModel) -> lab.TextModel:
    read = lab.corpus("town", documents=300, seed=0)
    counted = lab.NGram.fit(read.ids(town.tokenizer), n=3, vocab_size=town.vocab_size)
    return lab.TextModel(counted, town.tokenizer, name="trigram")


@pytest.fixture(scope="module")
def words() -> lab.TextModel:
    """A network of 32 words that has learned nothing."""
    config = lab.TransformerConfig(vocab_size=32, max_seq_len=49, d_model=16, n_layers=2, n_heads=2)
    known = lab.WordTokenizer([*PAIRS.sources, *PAIRS.targets])
    return lab.TextModel(lab.Transformer(config, seed=0), known, name="words")


@pytest.fixture
def w(town: lab.TextModel, trigram: lab.TextModel) -> FewShot:
    return FewShot(town, trigram, n=10)


def text(view: Any) -> str:
    return "".join(part for _, part in view.readout)


def test_curves_hold_what_the_models_answer(w: FewShot, town: lab.TextModel, trigram: lab.TextModel) -> None:
    view = w.shown
    assert [c.name for c in view.curves] == ["town", "trigram"]
    assert view.guess == 1 / 8
    assert view.done == 1
    for slot, model in enumerate((town, trigram)):
        for k in (0, 5, 8):
            by_hand = answered(model, few_shot_prompts(PAIRS, k, 10, seed=0)).right
            curve = view.curves[slot]
            assert (curve.right[k], curve.low[k], curve.high[k]) == (by_hand.share, by_hand.low, by_hand.high)
            assert w.measure(k)[model.name].right == by_hand
    assert len(view.table[1]) == MOST + 2
    assert "After 8 examples, of 10 new mappings: town 100\u202f% (72 to 100)" in text(view)
    assert repr(w) == "FewShot: from 8 examples town learns, trigram does not"


def test_a_case_is_one_of_the_prompts_with_each_models_probabilities(w: FewShot, trigram: lab.TextModel) -> None:
    prompt = few_shot_prompts(PAIRS, 3, 1, seed=0)[0]
    case = w.shown.cases[3]
    assert "".join(case.tokens).replace("·", " ").replace("↵", "\n") == prompt.text
    assert {o.text for o in case.options} <= set(prompt.options)
    (asked,) = [o for o in case.options if o.role == "shown"]
    assert asked.text == prompt.shown == prompt.answer
    expected = math.exp(trigram.log_prob(f" {asked.text}", given=prompt.text))
    assert asked.p[1] == pytest.approx(expected, rel=1e-4)
    assert case.best[0] == prompt.answer
    assert [o.p[0] for o in case.options] == sorted((o.p[0] for o in case.options), reverse=True)


def test_shuffled_labels_are_followed_and_said(w: FewShot) -> None:
    w.labels = "shuffled"
    w.wait()
    town = w.shown.curves[0]
    assert town.right[2:] == (0.0,) * 7
    assert town.shown[2:] == (1.0,) * 7
    assert "town says the shuffled label in 100\u202f%, the right one in 0; trigram" in w.sentence
    case = w.shown.cases[4]
    assert {o.role for o in case.options} >= {"shown", "right"}
    assert "town learns" in repr(w), "it does learn, what the prompt says"


def test_silent_heads_are_found_by_where_they_look(w: FewShot, town: lab.TextModel) -> None:
    w.silence = "copiers"
    w.wait()
    heads = copying_heads(copying_scores(town, few_shot_prompts(PAIRS, 8, 16, seed=1_000)))
    assert w.heads("town") == heads
    by_hand = answered(silenced(town, heads), few_shot_prompts(PAIRS, 8, 10, seed=0)).right.share
    assert w.shown.curves[0].right[8] == by_hand < 0.4
    listed = ", ".join(f"{layer}.{head}" for layer, head in heads)
    assert f"Without heads {listed} (look at what followed the question before) town is right in" in w.sentence
    assert "instead of 100\u202f%" in w.sentence
    assert "trigram" not in w.sentence, "it has no heads"
    w.silence = "best"
    w.wait()
    assert f"Without head {heads[0][0]}.{heads[0][1]} (looks at" in w.sentence
    w.silence = "others"
    w.wait()
    assert "(the control) town" in w.sentence
    assert repr(w) == "FewShot: from 8 examples town learns, trigram does not"


def test_a_prompt_of_ones_own_is_answered(w: FewShot, words: lab.TextModel, town: lab.TextModel) -> None:
    w.prompt = "goose => jik, cat => pim, goose"
    w.wait()
    own = w.shown.own
    assert (own.k, own.best[0]) == (2, "jik")
    assert "".join(own.tokens) == "goose·jik↵cat·pim↵goose"
    assert w.sentence.startswith("Yours: town answers jik, 100")
    w.prompt = ""
    w.wait()
    assert w.shown.own is None
    both = FewShot(town, words, n=10, prompt="walrus => jik, <b>cat</b> => pim, walrus =>")
    assert both.shown.own.best[1] == ""
    assert "words lacks a word of it" in both.sentence
    assert {o.words[1] for o in both.shown.own.options} == {"cannot read it"}


def test_what_is_no_prompt_is_said_in_a_sentence(w: FewShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LMLAB_STRICT", raising=False)
    for typed, says in (
        ("goose jik, cat", "'goose jik' is no example"),
        ("goose => jik", "must end without an answer"),
    ):
        w.prompt = typed
        w.wait()
        assert says in w.sentence
    w.reset()
    w.wait()
    assert "After 8 examples" in w.sentence
    assert (w.prompt, w.k) == ("", 3)


def test_models_without_heads_have_no_control_for_them(trigram: lab.TextModel) -> None:
    assert [c["name"] for c in FewShot(trigram, n=10)._controls] == ["prompt", "labels", "seed"]


def test_a_change_never_waits_for_the_models_and_the_last_one_wins(town: lab.TextModel, monkeypatch) -> None:
    w = FewShot(town, n=10)
    asked: list[Any] = []
    gate = threading.Event()

    def slow(model: lab.TextModel, prompts: Any) -> Any:
        asked.append(prompts)
        gate.wait(5)
        return Answered(Share(9.0, 10), None)

    monkeypatch.setattr("lmlab.widgets.few_shot.answered", slow)
    started = time.perf_counter()
    for seed in range(1, 9):
        w.seed = seed
    assert time.perf_counter() - started < 1
    gate.set()
    w.wait()
    last = [few_shot_prompts(PAIRS, k, 10, seed=8) for k in range(MOST + 1)]
    assert [prompts for prompts in asked if prompts in last] == last, "the last one is measured whole"
    assert len(asked) <= MOST + 1 + 2, "those between are dropped"
    assert w.shown.curves[0].right == (0.9,) * (MOST + 1)


def test_while_it_measures_it_shows_what_it_has(town: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    w = FewShot(town, n=10)
    frames: list[float] = []
    monkeypatch.setattr("lmlab.widgets.few_shot.FRAME", 0.0)
    publish = w.publish
    monkeypatch.setattr(w, "publish", lambda view: (frames.append(view.done), publish(view)))
    w.seed = 3
    w.wait()
    assert frames == [pytest.approx((k + 1) / 9) for k in range(9)]
    nothing = said(["town"], {}, None, asked="", labels="drawn", silence="none", heads=[()], whole=None, most=8)
    assert nothing == (("", "Measuring; the first numbers come soon."),)


def test_a_large_model_is_measured_behind_the_cells_back(town: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmlab.widgets.few_shot.LARGE", 1_000)
    started, hold = threading.Event(), threading.Event()

    def held(*_: Any) -> Answered:
        started.set()
        hold.wait(5)
        return Answered(Share(5.0, 10), None)

    monkeypatch.setattr("lmlab.widgets.few_shot.answered", held)
    w = FewShot(town, n=10)  # the cell ends at once
    assert repr(w) == "FewShot: 10 prompts at each k, not measured yet"
    assert started.wait(5)
    hold.set()
    w.wait()
    assert w.shown.done == 1
    assert w.shown.curves[0].right == (0.5,) * 9


def test_facts_do_not_hang_on_the_digits_of_one_machine() -> None:
    def row(*shares: float) -> list[Answered]:
        return [Answered(Share(100 * s, 100), None) for s in shares]

    names = ["a", "b", "c"]
    facts = "".join(t for _, t in facts_of(names, row(0.1, 0.12, 0.13), row(0.99, 0.97, 0.14), 8))
    assert facts == "from 8 examples a and b learn, c does not"
    same = "".join(t for _, t in facts_of(names, row(0.2, 0.1, 0.1), row(0.9, 0.8, 0.2), 8))
    assert same == facts
    assert "b learns a little" in "".join(t for _, t in facts_of(names, row(0.1, 0.1, 0.1), row(0.9, 0.45, 0.1), 8))


def test_what_it_cannot_compare_is_refused(town: lab.TextModel) -> None:
    for models in ((), (town,) * 5, ("town",)):
        with pytest.raises(ValueError, match="one to four text models"):
            FewShot(*models)
    for n in (9, 1_001, 20.0, True):
        with pytest.raises(ValueError, match="whole number of prompts from 10 to 1,000"):
            FewShot(town, n=n)
    with pytest.raises(ValueError, match="no task 'chess'; choose from pairs, capitals, french"):
        FewShot(town, task="chess")


def test_the_widgets_own_answers_are_complete(town: lab.TextModel) -> None:
    """A probability that is drawn is that of the whole word, also of one that a bound would have left unread."""
    prompt = few_shot_prompts(few_shot_task("capitals"), 1, 1)[0]
    scores = option_log_probs(town, [prompt])[0]
    for option, score in zip(prompt.options, scores, strict=True):
        assert score == pytest.approx(town.log_prob(f" {option}", given=prompt.text), abs=1e-4)


def test_a_task_of_the_world_is_counted_in_prompts(town: lab.TextModel) -> None:
    """Its mapping is one and the same: nothing about it is new."""
    w = FewShot(town, task="capitals", n=10)
    w.measure(MOST)
    said = text(w.wait().shown)
    assert "of 10 prompts: " in said
    assert "mapping" not in said + "".join(part for _, part in w.shown.foot)
