"""SkillCurves: every point is a measurement of that snapshot; what counts as learned is read from the curve."""

from __future__ import annotations

import pytest

import lmlab as lab
from lmlab.data.town.measure import measure
from lmlab.training.skills import Skill, skills
from lmlab.widgets import SkillCurves
from lmlab.widgets._style import plain
from lmlab.widgets.skill_curves import learned_at, skill_view
from tests.widgets.test_induction_heads import without_themed_colors

STEPS, LABELS = [50, 600, 3500], ["step 50", "step 600", "step 3,500"]
CURVES = {
    "facts": [Skill("facts", 2.0, 0.5, 0.1), Skill("facts", 0.6, 0.5, 0.95), Skill("facts", 0.5, 0.5, 1.0)],
    "arithmetic": [Skill("arithmetic", 2.0, 0.4, 0.0), Skill("arithmetic", 0.7, 0.4, 0.5),
                   Skill("arithmetic", 0.45, 0.4, 0.97)],
}  # fmt: skip


def view(**more):
    return skill_view(STEPS, LABELS, CURVES, **{"show": "right", "learned": 90, "n": 8, "name": "test", **more})


def test_learned_means_from_then_on() -> None:
    assert learned_at(STEPS, CURVES["facts"], 0.9) == 600
    assert learned_at(STEPS, CURVES["arithmetic"], 0.9) == 3500
    assert learned_at(STEPS, CURVES["arithmetic"], 0.99) is None
    assert learned_at([1, 2, 3], [Skill("a", 1, 1, r) for r in (1.0, 0.2, 1.0)], 0.9) == 3


def test_the_sentence_names_what_came_first_and_what_never_came() -> None:
    said = plain(view().readout)
    assert "facts by step 600, arithmetic by step 3,500. At the end arithmetic is farthest from its floor" in said
    assert "0.050 nats per token." in said
    assert "facts by step 3,500, arithmetic not yet. " in plain(view(learned=98).readout)


@pytest.mark.parametrize("show", ["right", "gap"])
def test_the_figure_holds_every_measurement_and_plotly_accepts_it(show: str) -> None:
    import plotly.graph_objects as go

    figure = view(show=show).figure
    go.Figure(without_themed_colors(figure))
    for line, found in zip(figure["data"], CURVES.values(), strict=True):
        assert line["x"] == STEPS
        assert line["y"] == pytest.approx([100 * s.right if show == "right" else s.gap for s in found])


def test_skills_agree_with_the_towns_own_measure() -> None:
    """The same families, other documents: both see a model that knows its facts."""
    town = lab.load("town")
    mine = skills(town, ["facts", "news"], n=12)
    theirs = measure(town.model, town.tokenizer, lab.Town("worried", ["facts", "news"]), n=12)
    for family, skill in mine.items():
        assert skill.right == theirs[family].accuracy == 1.0
        assert abs(skill.gap) < 0.1
        assert abs(skill.loss - theirs[family].loss) < 0.4


def test_snapshots_of_the_shipped_model_learn_facts_before_arithmetic() -> None:
    w = SkillCurves(families=["facts", "arithmetic"], n=6)
    facts, arithmetic = (learned_at(w.steps, w.curves[f], 0.9) for f in ("facts", "arithmetic"))
    assert w.steps == [50, 200, 600, 1200, 2000, 3500]
    assert facts is not None
    assert arithmetic is None or facts < arithmetic
    drawn = w.shown.figure["data"][0]["y"]
    w.show = "gap"
    gaps = w.shown.figure["data"][0]["y"]
    assert drawn == pytest.approx([100 * s.right for s in w.curves["facts"]])
    assert gaps == pytest.approx([s.gap for s in w.curves["facts"]])
    assert gaps[0] > 10 * max(gaps[-1], 0.01)
    before = w.sentence
    w.learned = 10
    assert w.sentence != before
    assert repr(w).startswith("SkillCurves: At least 10")


def test_what_cannot_be_measured_is_refused(random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="one to four names"):
        SkillCurves(random_model, families=["facts"] * 5)
    with pytest.raises(ValueError, match="a whole number of documents"):
        SkillCurves(random_model, n=0)
    with pytest.raises(ValueError, match="Unknown families: chess"):
        SkillCurves(random_model, families=["chess"])
