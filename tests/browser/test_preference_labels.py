"""PreferenceLabels in JupyterLab: labels by key and click, and none for a pair that is not on screen."""

from __future__ import annotations

import pytest

from tests.browser.small_projector import nothing_collides

SETUP = "import lmlab as lab"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.PreferenceLabels()\nw"])


def shown(w, side: str) -> str:
    return w.root.locator(f"[data-choice={side}] .mono").text_content()


def test_keys_and_clicks_label_the_pair_on_screen(page):
    w = page.widget("PreferenceLabels")
    stage = w.root.locator(".lm-picture [role=group]")
    for n, (key, side) in enumerate([("ArrowLeft", "left"), ("ArrowRight", "right"), ("ArrowLeft", "left")]):
        texts = {s: shown(w, s) for s in ("left", "right")}
        other = "right" if side == "left" else "left"
        stage.focus()
        w.press(key)
        w.expect_readout(f"You have labeled {n + 1} pair")
        assert page.ask("[w.labels[-1].chosen, w.labels[-1].rejected]") == [texts[side], texts[other]]
    stage.focus()
    w.press("ArrowDown")
    w.expect_readout("1 of them with neither")
    w.press(" ")
    w.expect_readout("2 of them with neither")
    w.press("u")
    w.expect_readout("labeled 4 pairs, 1 of them")
    w.root.get_by_role("button", name="Undo").click()
    w.expect_readout("You have labeled 3 pairs")
    right = shown(w, "right")
    w.root.locator("[data-choice=right]").click()
    w.expect_readout("You have labeled 4 pairs")
    assert page.ask("w.labels[-1].chosen") == right
    w.root.locator("[data-choice=neither]").click()
    page.expect("w.picks", ["left", "right", "left", "right", "neither"])


def test_keys_that_come_too_fast_label_nothing_unseen(page):
    """The kernel is busy: what is pressed while the next pair is on its way is no label."""
    w = page.widget("PreferenceLabels")
    page.execute("w.reset()")
    w.expect_readout("No label of yours yet")
    w.root.locator(".lm-picture [role=group]").focus()
    pressed = """(stage) => { for (let i = 0; i < 5; i++)
        stage.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft", bubbles: true, cancelable: true})); }"""
    w.root.locator(".lm-picture [role=group]").evaluate(pressed)
    w.expect_readout("You have labeled 1 pair")
    page.expect("w.picks", ["left"])


def test_the_comparison_waits_for_ten_labels(page):
    w = page.widget("PreferenceLabels")
    compare = w.root.get_by_role("button", name="Compare with the plan")
    page.execute("w.picks = ['left'] * 9")
    w.expect_readout("labeled 9 pairs")
    assert compare.is_disabled()
    w.root.locator(".lm-picture [role=group]").focus()
    w.press("ArrowRight")
    w.expect_readout("labeled 10 pairs")
    compare.click()
    w.expect_readout("You agree with the plan in")
    page.agree(w)
    assert w.root.get_by_text("What you prefer").is_visible()
    w.root.locator(".lm-picture [role=group]").focus()
    w.press("ArrowRight")
    w.expect_readout("labeled 11 pairs.")


def test_an_annotator_adds_labels(page):
    w = page.widget("PreferenceLabels")
    assert w.drag_slider("Labels by an annotator", 200) == 200
    w.expect_readout("an annotator adds 200 labels, 20 of them")
    assert page.ask("len(w.labels)") == page.ask("200 + len(w.picks) - w.picks.count('neither')")


def test_photographs(page):
    w = page.widget("PreferenceLabels")
    page.execute("w.reset(); w.picks = ['left', 'right'] * 6; w.compared = True")
    w.expect_readout("You agree with the plan in")
    assert w.photograph("preference_labels") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
    w.lab.resize(1024, 768)
    w.present()
    w.screenshot("preference_labels_presenter_1024")
    w.present(False)
    w.lab.resize(1280, 800)
    page.execute("w.reset()")
    w.screenshot("preference_labels_start")
