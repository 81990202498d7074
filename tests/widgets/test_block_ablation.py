"""BlockAblation: one part less, the same training; stored arms and live ones are the same recipe."""

from __future__ import annotations

import time

import plotly.graph_objects as go
import pytest
import torch
import torch.nn.functional as F

from lmlab.models.ablation import ablate
from lmlab.models.transformer import Transformer
from lmlab.training import ablation_study
from lmlab.training.ablation_study import ARMS, STEPS, AblationArm, counting_loss, stored_losses
from lmlab.widgets import BlockAblation
from lmlab.widgets.block_ablation import ablation_view
from tests.widgets.test_induction_heads import without_themed_colors


def final() -> dict[str, float]:
    return {arm: points[-1].loss for arm, points in stored_losses().items()}


def test_every_part_is_worth_something_and_the_order_is_what_the_lab_says() -> None:
    loss = final()
    assert set(loss) == set(ARMS)
    assert all(loss["whole"] < loss[arm] for arm in ARMS if arm != "whole")
    assert min(loss["residual"], loss["norm"]) > max(loss["attention"], loss["mlp"], loss["position"])
    assert loss["position"] < loss["attention"] < loss["mlp"]
    assert all([p.step for p in points] == list(range(0, STEPS + 1, 20)) for points in stored_losses().values())


def test_without_attention_it_is_no_better_than_counting_pairs() -> None:
    assert final()["attention"] == pytest.approx(counting_loss(), abs=0.1)
    assert final()["whole"] < counting_loss() - 0.25


def test_an_arm_begins_with_the_weights_of_the_whole_model_and_is_measured_on_other_text() -> None:
    arm = AblationArm("position", seed=3, steps=1)
    fresh = ablate(Transformer(arm.model.config, seed=3), "position")
    held_out = arm.held_out
    with torch.no_grad():
        logits = fresh(held_out[:, :-1])
    assert arm.points[0].loss == pytest.approx(
        float(F.cross_entropy(logits.transpose(1, 2), held_out[:, 1:])), abs=1e-4
    )
    text, tok, _ = ablation_study._reading()
    seen = {tuple(w) for w in text.ids(tok).unfold(0, 24, 1).tolist()}
    windows = held_out.unfold(1, 24, 24).flatten(0, 1).tolist()
    assert sum(tuple(w) in seen for w in windows) / len(windows) < 0.2, "held-out text was not read, formulas apart"
    with pytest.raises(ValueError, match="no arm 'brain'"):
        AblationArm("brain")


@pytest.mark.slow
def test_the_stored_run_comes_out_of_its_recipe_again() -> None:
    """Two rounds of one arm: the numbers of another machine differ in their last digits alone."""
    arm = AblationArm("attention")
    for stored in stored_losses()["attention"][1:3]:
        assert arm.advance().loss == pytest.approx(stored.loss, abs=0.05)


def named_final() -> dict[str, float]:
    names = {"whole": "whole", "mlp": "no MLP"}
    return {names.get(arm, f"no {arm}"): loss for arm, loss in final().items()}


def test_the_view_puts_the_live_arm_over_its_stored_bar() -> None:
    stored, live = stored_losses(), stored_losses()["norm"][:4]
    view = ablation_view("norm", live, stored, counted=2.5, seed=0, done=False)
    go.Figure(without_themed_colors(view.figure))
    bars, over = view.figure["data"][:2]
    assert dict(zip(bars["y"], bars["x"], strict=True)) == named_final()
    assert (over["y"], over["x"]) == (["no norm"], [live[-1].loss])
    grey, whole = view.figure["data"][2:4]  # one trace holds five lines, with a gap after each
    assert (grey["x"].count(None), whole["x"].count(None)) == (5, 1)
    end = [i - 1 for i, x in enumerate(grey["x"]) if x is None]
    assert {grey["text"][i]: grey["y"][i] for i in end} == {k: v for k, v in named_final().items() if k != "whole"}
    other = ablation_view("mlp", (), stored, counted=2.5, seed=1, done=False).figure["layout"]["datarevision"]
    assert other == ablation_view("norm", (), stored, counted=2.5, seed=0, done=False).figure["layout"]["datarevision"]
    assert other != view.figure["layout"]["datarevision"]  # else plotly would keep what it drew
    said = "".join(text for _, text in view.readout)
    assert said == f"Step 60 of 100: no norm {live[-1].loss:.2f} nats a token."
    done = ablation_view("norm", stored["norm"], stored, counted=2.5, seed=0, done=True)
    gap = final()["norm"] - final()["whole"]
    assert f"{gap:.2f} above the whole model" in "".join(text for _, text in done.readout)


def test_it_trains_stops_and_forgets() -> None:
    w = BlockAblation(part="norm")
    assert "Press Train" in w.sentence
    assert "without the norms" in w.sentence
    w.clicked("start")
    while w.arm is None or w.arm.state.step < 1:
        time.sleep(0.01)
    started = time.perf_counter()
    w.clicked("halt")
    assert time.perf_counter() - started < 2
    assert 1 <= w.arm.state.step < STEPS
    assert f"Step {w.arm.points[-1].step} of 100: no norm" in w.sentence
    assert repr(w) == "BlockAblation: 100 steps, no norm, seed 0"
    w.part = "mlp"
    assert w.arm is None
    assert "without the MLP" in w.sentence
    w.reset()
    assert w.part == "norm"


def test_a_finished_arm_says_what_the_part_was_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmlab.widgets.block_ablation.AblationArm", lambda part, seed: AblationArm(part, steps=2))
    w = BlockAblation(part="attention")
    w.train().wait()
    assert "No word sees another" in w.sentence
    assert f"a bigram that counts reaches {counting_loss():.2f}" in w.sentence
    assert f"{w.arm.points[-1].loss:.2f} nats a token" in w.sentence
    assert "far from its stored run" in repr(w)
