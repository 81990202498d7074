"""TrainingTimeline: for every snapshot exactly what that snapshot says, where it looks, and what it writes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import lmlab as lab
from lmlab.training.optimizer import OptimizerSettings
from lmlab.widgets import TrainingTimeline
from lmlab.widgets._snapshots import snapshots_of
from lmlab.widgets._style import percent
from tests.widgets.test_training_monitor import training


@pytest.fixture(scope="module")
def three(tokenizer: lab.Tokenizer) -> list[lab.TextModel]:
    config = lab.TransformerConfig.tiny(vocab_size=tokenizer.vocab_size)
    return [lab.TextModel(lab.Transformer(config, seed=i), tokenizer, name=f"step {10**i}") for i in (2, 0, 1)]


def pattern(w: TrainingTimeline, k: int, layer: int, head: int) -> np.ndarray:
    """One head of one snapshot as the page reads it, (T, T)."""
    T, data = len(w.view["tokens"]), np.frombuffer(w.patterns, np.uint8)
    size = T * (T + 1) // 2
    start = ((k * w.view["n_layers"] + layer) * w.view["n_heads"] + head) * size
    full = np.zeros((T, T))
    full[np.tril_indices(T)] = data[start : start + size] / 255
    return full


def test_snapshots_stand_in_the_order_of_their_steps(three: list[lab.TextModel]) -> None:
    assert [s.label for s in snapshots_of(three, "It")] == ["step 1", "step 10", "step 100"]


def test_every_probability_is_the_snapshots_own(three: list[lab.TextModel], tokenizer: lab.Tokenizer) -> None:
    w = TrainingTimeline(*three, prompt="the stock market", truth=None)
    by_step = sorted(three, key=lambda m: int(m.name.split()[1]))
    assert w.view["rows"]
    for word, truth, probabilities in w.view["rows"]:
        assert truth == -1
        (id_,) = [i for i in range(tokenizer.vocab_size) if w_name(tokenizer, i) == word][:1]
        for model, p in zip(by_step, probabilities, strict=True):
            assert p == pytest.approx(math.exp(float(model.next_log_probs("the stock market")[id_])), rel=1e-5)
    best = by_step[2].next("the stock market", k=1)[0]
    assert "step 100" in w.sentence
    assert percent(math.exp(best.log_prob)) in w.sentence
    for model, text in zip(by_step, w.view["texts"], strict=True):
        sampler = lab.Sampler(temperature=0.8)
        assert text == model.generate("the stock market", 24, sampler=sampler, seed=0).text


def w_name(tokenizer: lab.Tokenizer, i: int) -> str:
    from lmlab.widgets._style import token_name, visible

    names = {id_: name for name, id_ in tokenizer.specials.items()}
    return token_name(names[i], names.values()) if i in names else visible(tokenizer.token_text(i))


def test_attention_travels_as_bytes_of_every_head(three: list[lab.TextModel]) -> None:
    w = TrainingTimeline(*three, prompt="the stock market crashed", truth=None)
    by_step = sorted(three, key=lambda m: int(m.name.split()[1]))
    for k, model in enumerate(by_step):
        trace = model.trace("the stock market crashed")
        for layer in range(len(trace.attention)):
            for head in range(trace.attention[0].shape[1]):
                exact = trace.attention[layer][0, head].detach().numpy()
                assert np.abs(pattern(w, k, layer, head) - exact).max() <= 0.5 / 255 + 1e-6
    assert w.view["tokens"][0] == "⟨start⟩"


def test_scrubbing_sends_no_arrays_and_asks_no_model(
    three: list[lab.TextModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    w = TrainingTimeline(*three, prompt="the stock", truth=None)
    sent = []
    w.observe(lambda change: sent.append(change.name), names="patterns")
    monkeypatch.setattr("lmlab.widgets.training_timeline.timeline_view", lambda *_: pytest.fail("asked again"))
    w.at = 0
    w.wait()
    assert "step 1 " in w.sentence
    assert sent == []


def test_the_towns_truth_stands_beside_it() -> None:
    w = TrainingTimeline(lab.load("town"), prompt="The stock market crashed and investors")
    rows = {word: (truth, p[0]) for word, truth, p in w.view["rows"]}
    assert rows["·panicked"][0] == pytest.approx(0.6, abs=0.02)
    assert abs(rows["·panicked"][1] - rows["·panicked"][0]) < 0.1
    w.prompt = "golfing golfing"
    w.wait()
    assert "The town never says this" in w.sentence
    assert {truth for _, truth, _ in w.view["rows"]} == {-1.0}


def test_a_long_prompt_shows_its_last_tokens(three: list[lab.TextModel]) -> None:
    w = TrainingTimeline(*three, prompt="the stock market crashed and " * 8, truth=None)
    assert len(w.view["tokens"]) == 32
    assert w.view["cropped"] > 0
    exact = sorted(three, key=lambda m: len(m.name))[0].trace("the stock market crashed and " * 8).attention[0][0, 0]
    assert np.abs(pattern(w, 0, 0, 0) - exact[-32:, -32:].tril().detach().numpy()).max() < 0.003


def test_counts_have_no_attention_and_an_empty_prompt_works(trigram: lab.TextModel, three: list[lab.TextModel]) -> None:
    w = TrainingTimeline(trigram, three[0], prompt="", truth=None)
    assert (w.view["n_layers"], len(w.patterns)) == (0, 0)
    assert "the likeliest next token" in w.sentence


def test_a_runs_folder_gives_its_snapshots(tmp_path, tokenizer: lab.Tokenizer) -> None:
    run = training(tokenizer, steps=6, folder=tmp_path / "run", snapshots=[2, 4], settings=OptimizerSettings(lr=0.01))
    run.start().wait()
    w = TrainingTimeline(tmp_path / "run", prompt="the", truth=None)
    assert w.view["steps"] == ["step 2", "step 4"]
    first, second = (s.model.next_log_probs("the") for s in w.snapshots)
    assert not torch.equal(first, second)


def test_what_cannot_be_shown_is_refused(three: list[lab.TextModel]) -> None:
    with pytest.raises(ValueError, match="1 to 12 snapshots and got 13"):
        TrainingTimeline(*three * 4, three[0])
    with pytest.raises(ValueError, match="one tokenizer; these have different ones"):
        TrainingTimeline(three[0], lab.load("town"))
    with pytest.raises(ValueError, match="is not known"):
        TrainingTimeline(three[0], truth="city")


def test_models_trained_just_now_leave_no_digits_in_the_notebook(three: list[lab.TextModel]) -> None:
    w = TrainingTimeline(*three, prompt="the stock\nmarket", truth=None, fresh=True)
    assert repr(w) == "TrainingTimeline: 3 snapshots after “the stock↵market”"
    assert "%" not in w._repr_mimebundle_()[0]["text/html"]
    assert "%" in w.sentence
