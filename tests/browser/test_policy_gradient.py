"""PolicyGradient in JupyterLab: bars are the kernel's policy, scrubbed without it, by keyboard and by hand."""

from __future__ import annotations

import pytest

from tests.browser.small_projector import nothing_collides

SETUP = "import lmlab as lab"
BARS = """root => Object.fromEntries([...root.querySelectorAll("[role=option]")].map(g =>
  [g.getAttribute("aria-label").split(":")[0], Number(g.querySelector("[data-policy]").dataset.policy)]))"""
WIDTHS = """root => [...root.querySelectorAll("[data-policy]")].map(r =>
  [Number(r.dataset.policy), Number(r.getAttribute("width"))])"""
AT_ONCE = """root => {
  const bar = root.querySelector("input[aria-label=Step]");
  const of = () => root.querySelectorAll("[data-policy]")[1].dataset.policy, before = of();
  bar.value = 60; bar.dispatchEvent(new Event("input"));
  return [before, of()].map(Number);
}"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.PolicyGradient()\nw"])


def bars_are_the_kernels(page, w) -> None:
    policy = page.ask("{k.replace(' ', '·'): v for k, v in w.policy.items()}")
    assert w.root.evaluate(BARS) == pytest.approx(policy, abs=1e-6)
    for p, width in w.root.evaluate(WIDTHS):
        assert width == pytest.approx(p * max(x for _, x in w.root.evaluate(WIDTHS)) / max(policy.values()), abs=0.2)


def test_a_step_is_drawn_before_the_kernel_answers(page):
    w = page.widget("PolicyGradient")
    w.expect_readout("Before any step")
    before, after = w.root.evaluate(AT_ONCE)
    assert before == pytest.approx(0.14)
    w.expect_readout("After 60 steps")
    page.expect("w.at", 60)
    assert after == pytest.approx(page.ask("w.policy[' celebrated']"), abs=1e-6)
    bars_are_the_kernels(page, w)


def test_price_baseline_and_samples_by_keyboard_alone(page):
    w = page.widget("PolicyGradient")
    w.control("Price of distance, β").focus()
    w.press("Home")
    w.expect_readout("where distance is free, the optimum says ·celebrated always")
    w.root.get_by_role("radio", name="exact").focus()
    w.press("ArrowRight", "ArrowRight")
    w.expect_readout("Without a baseline the estimate from 8 samples has variance")
    w.control("Baseline").select_option("leave-one-out")
    w.expect_readout("Leave-one-out leaves 8 samples a variance of")
    w.root.locator("[role=option]").first.focus()
    before = w.root.evaluate(BARS)
    w.press("d")
    page.expect("w.seed", 1)
    page.page.wait_for_timeout(200)
    assert w.root.evaluate(BARS) != before, "another draw, another path"
    bars_are_the_kernels(page, w)


def test_a_reward_is_changed_by_keys_and_by_hand(page):
    w = page.widget("PolicyGradient")
    page.execute("w.reset()")
    w.expect_readout("Before any step")
    w.root.locator("[role=option]").first.focus()
    w.press("ArrowDown", "ArrowRight", "Shift+ArrowLeft")
    page.expect("round(w.rewards[1], 2)", 1.09)
    page.expect("w.taste", "own")
    w.drag_handle(w.root.locator(".grip").first, dx=32)  # 96 pixels are six of reward
    page.expect("round(w.rewards[0], 1)", 1.0)
    w.root.locator("[role=option]").first.focus()
    w.press("End")
    assert w.root.locator("[role=option]:focus").get_attribute("aria-label").startswith("·yodeled: reward 0.80")
    w.expect_readout("·yodeled: reward 0.80, reference 2.0")
    w.press("r")
    page.expect("w.rewards[:2]", [-1.0, 1.0])


def test_play_goes_to_the_end_and_stops(page):
    w = page.widget("PolicyGradient")
    page.execute("w.reset()\nw.at = 96")
    w.expect_readout("After 96 steps")
    w.root.locator("[role=option]").first.focus()
    w.press("s")
    page.expect("w.at", 97)
    page.page.emulate_media(reduced_motion="no-preference")
    w.press("Space")
    w.expect_readout("After 100 steps")
    w.root.get_by_role("button", name="Play").wait_for()
    page.page.emulate_media(reduced_motion="reduce")
    w.root.get_by_role("button", name="Play").click()
    page.expect("w.at", 0)


def test_photographs(page):
    w = page.widget("PolicyGradient")
    page.execute("w.reset()\nw.samples, w.baseline, w.at = '8', 'leave-one-out', 40")
    w.expect_readout("After 40 steps")
    assert w.photograph("policy_gradient") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
    page.execute("w.samples = 'exact'")
    w.expect_readout("The gradient is exact")
    assert nothing_collides(w) == []
    w.lab.resize(1024, 768)
    w.present()
    w.screenshot("policy_gradient_presenter_1024")
    w.present(False)
    w.lab.resize(1280, 800)
