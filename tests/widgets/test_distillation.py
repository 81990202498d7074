"""Distillation: curves are the trials', bars the models' own probabilities, and the page says which is nearer."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
import torch

from lmlab.data.town.truth import TownTruth
from lmlab.text_model import TextModel, load
from lmlab.training.distillation_study import DistillationTrial, KLPoint, StoredKL
from lmlab.widgets import Distillation
from lmlab.widgets.distillation import Bar, distillation_view

RUNS = {
    "soft": (KLPoint(0, 6.0, 6.1), KLPoint(10, 2.0, 1.9)),
    "hard": (KLPoint(0, 6.0, 6.1), KLPoint(10, 3.25, 3.0)),
}
BARS = (
    Bar("sold", {"truth": 0.15, "teacher": 0.14, "soft": 0.12, "hard": 0.4}),
    Bar("<b>%{x}</b>", {"truth": 0.2, "teacher": 0.21, "soft": 0.1, "hard": 0.0}),
)
STORED = {name: StoredKL(name, (value,) * 3) for name, value in (("hard", 2.6), ("soft", 1.5), ("fresh samples", 1.4))}


@pytest.fixture(scope="module")
def town() -> TextModel:
    return load("town")


def themed(value: object) -> object:
    if isinstance(value, str):
        return "#111" if value in ("m1", "m2", "m3", "m1-text", "m2-text", "ink", "ink-2", "quiet") else value
    if isinstance(value, dict):
        return {key: themed(item) for key, item in value.items()}
    return [themed(item) for item in value] if isinstance(value, list) else value


def test_the_figure_holds_the_points_the_bars_and_what_is_stored() -> None:
    view = distillation_view(RUNS, BARS, floor=0.009, stored=STORED, steps=10, over=True)
    go.Figure(themed(view.figure))
    soft, hard, kept = view.figure["data"][:3]
    assert (soft["x"], soft["y"], hard["y"]) == ([0, 10], [6.0, 2.0], [6.0, 3.25])
    assert dict(zip(kept["customdata"], kept["y"], strict=True)) == pytest.approx(
        {"hard": 2.6, "soft": 1.5, "fresh samples": 1.4}
    )
    bars = {trace["name"]: trace["x"] for trace in view.figure["data"][3:]}
    assert bars["hard"] == pytest.approx([40, 0])
    assert bars["truth"] == pytest.approx([15, 20])
    assert "<b>" not in view.figure["data"][3]["y"][1]
    assert view.figure["layout"]["shapes"][0]["y0"] == 0.009
    named = {note["text"]: (note["x"], note["y"]) for note in view.figure["layout"]["annotations"]}
    assert (named["<b>soft</b>"], named["<b>hard</b>"]) == ((10, 2.0), (10, 3.25))
    said = "".join(text for _, text in view.readout)
    assert "soft is 2.00 nats a token from the truth, hard 3.25; their teacher 0.009" in said
    assert "<b>%{x}</b> has 20\u202f%, teacher 21\u202f%, soft 10\u202f%, hard 0." in said


def test_it_trains_both_and_draws_what_they_measured(town: TextModel) -> None:
    w = Distillation(town, steps=4, seed=3)
    assert "Press Train" in w.sentence
    assert repr(w) == "Distillation: 4 steps each, τ = 1, seed 3: a soft and a hard student of town"
    w.temperature = 2.0
    w.clicked("start")
    w.wait()
    alone = DistillationTrial(town, "soft", temperature=2.0, seed=3, steps=4)
    for _ in range(4):
        alone.advance(1)
    assert w.shown.figure["data"][0]["y"] == pytest.approx([p.truth for p in alone.points], rel=1e-5)
    w.prompt = "The stock market rose and investors"
    ids = torch.tensor([[town.tokenizer.bos_id, *town.tokenizer.encode(w.prompt)]])
    for bar in [bar for bar in w.bars if bar.word.isalpha()]:
        token = town.tokenizer.encode(" " + bar.word)[0]
        assert bar.shares["teacher"] == pytest.approx(float(town.model.log_probs(ids)[0, -1, token].exp()), rel=1e-4)
        assert bar.shares["soft"] == pytest.approx(float(alone.model.log_probs(ids)[0, -1, token].exp()), rel=1e-3)
    truth = w.bars[0].shares["truth"]
    assert truth == max(bar.shares["truth"] for bar in w.bars) > 0.1
    w.seed = 4
    assert w.trials == {}


def test_any_prompt_gets_a_sentence(town: TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    w = Distillation(town, steps=2)
    for prompt in ("", "👩‍👩‍👧 株", "<b>", "the stock market " * 300):
        w.prompt = prompt
        assert w.bars
        assert not w._error
    assert "never says" in w.sentence
    read: list[int] = []
    whole = TownTruth.next_log_probs
    monkeypatch.setattr(TownTruth, "next_log_probs", lambda *asked: read.append(1) or whole(*asked))
    w.prompt = "🦜" * 10_000
    assert read == [], "what no model reads whole, the town does not say"
    n = 1 + len(town.tokenizer.encode(w.prompt)) - town.max_seq_len
    assert w.shown.labels["prompt"] == f"prompt ({n:,} tokens cropped)"
    assert "never says" in w.sentence


def test_what_it_cannot_use_is_refused(town: TextModel) -> None:
    with pytest.raises(ValueError, match="takes a text model of the town"):
        Distillation("town")
    with pytest.raises(ValueError, match="whole number from 1 to 1,000"):
        Distillation(town, steps=0)
