"""RewardModelFit in JupyterLab: trained by its button on the labels of another widget on the page."""

from __future__ import annotations

import pytest

SETUP = """import lmlab as lab
labels = lab.widgets.PreferenceLabels(annotated=200)"""
DOTS = """root => [...root.querySelectorAll(".scatterlayer .trace")].map(t => t.querySelectorAll(".point").length)"""
DRAWN = """([root, done]) => Number(root.querySelector("[data-drawn]")?.dataset.drawn) >= done"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "labels", "w = lab.widgets.RewardModelFit(labels)\nw"])


def drawn(page, w) -> None:
    page.page.wait_for_function(DRAWN, arg=[w.root.element_handle(), page.ask("w._done")])


def test_train_by_the_button_on_the_labels_of_another_widget(page):
    w, labels = page.widget("RewardModelFit"), page.widget("PreferenceLabels")
    w.expect_readout("200 labels to learn from")
    w.root.get_by_role("button", name="Train").click()
    page.expect("w.is_training or w.fit is not None", True)
    page.expect("w.fit is not None and w.fit.is_over and not w.is_training", True, seconds=90)
    w.expect_readout("After 120 steps on 200 labels")
    page.agree(w)
    assert page.ask("w.tau") >= 0.8
    drawn(page, w)
    assert w.root.evaluate(DOTS)[:3] == [128, 16, 16]
    labels.root.locator(".lm-picture [role=group]").focus()
    labels.press("ArrowLeft")
    w.expect_readout("There are 201 labels now: press Train again")
    page.execute("labels.reset()")
    w.expect_readout("wrong")
    assert "now" not in w.readout()


def test_keys_walk_the_dots(page):
    w = page.widget("RewardModelFit")
    w.root.locator(".lm-picture [role=img]").focus()
    w.press("ArrowRight")
    w.expect_readout("reward")
    w.press("Escape")
    page.page.evaluate("() => document.activeElement.blur()")


def test_photographs(page):
    w = page.widget("RewardModelFit")
    page.execute("w.fit and w.fit.is_over or w.train(); w.wait()")
    page.agree(w)
    drawn(page, w)
    assert w.photograph("reward_model_fit") < 1080, "a projector does not scroll"
    w.lab.resize(1024, 768)
    w.present()
    w.screenshot("reward_model_fit_presenter_1024")
    w.present(False)
    w.lab.resize(1280, 800)
    page.execute("w.reset()")
    w.expect_readout("200 labels to learn from")
    w.screenshot("reward_model_fit_start")
