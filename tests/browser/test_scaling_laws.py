"""ScalingLaws in JupyterLab: a guess by mouse and by keyboard, what was reached, and a run that trains live."""

from __future__ import annotations

import random

import pytest

import lmlab as lab

SETUP = "import lmlab as lab"
DRAWN = """(root) => Object.fromEntries(root.querySelector('[role=img]').data
  .filter(t => t.name && !t.xaxis).map(t => [t.name, t.x.map((x, i) => [x, t.y[i]])]))"""
PLACE = """([root, y]) => { const el = root.querySelector('[role=img]'), {xaxis: X, yaxis: Y} = el._fullLayout,
  box = el.getBoundingClientRect(), mark = el.data.find(t => t.name === 'your guess');
  return [box.left + X._offset + X.d2p(mark.x[0]), box.top + Y._offset + Y.d2p(y ?? mark.y[0])]; }"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    opened = shared_notebook([SETUP, "w = lab.widgets.ScalingLaws()\nw"])
    opened.page.wait_for_function("() => document.querySelector('[data-lmlab=ScalingLaws] .main-svg')")
    return opened


def redrawn(page, w) -> None:
    """Wait until the page has drawn the kernel's last answer."""
    page.page.wait_for_function(
        "([root, done]) => +root.querySelector('[role=img]').dataset.drawn >= done",
        arg=[w.root.element_handle(), page.ask("w._done")],
    )


def test_the_mark_is_dragged_to_a_random_height(page):
    w = page.widget("ScalingLaws")
    page.execute("w.reset()")
    redrawn(page, w)
    goal = random.uniform(0.15, 1.1)
    root = w.root.element_handle()
    root.scroll_into_view_if_needed()
    x, y = page.page.evaluate(PLACE, [root, None])
    _, to = page.page.evaluate(PLACE, [root, goal])
    mouse = page.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 3, (y + to) / 2)
    mouse.move(x - 2, to, steps=4)
    mouse.up()
    page.expect("w.guess", pytest.approx(goal, rel=0.03, abs=0.011))
    sentence = page.agree(w)
    guess = page.ask("w.guess")
    assert "You say" in sentence
    assert f"{guess:.2f} above the floor" in sentence
    mouse.move(x + 2, y)  # let go: it no longer follows
    page.page.wait_for_timeout(300)
    assert page.ask("w.guess") == guess
    ((_, shown),) = w.root.evaluate(DRAWN)["your guess"]
    assert shown == guess


def test_a_guess_by_keyboard_is_kept_beside_what_was_reached(page):
    w, steps = page.widget("ScalingLaws"), random.randint(2, 9)
    page.execute("w.reset()")
    slider = w.control("Your guess, nats above the floor")
    slider.focus()
    for _ in range(steps):
        slider.press("ArrowRight")
    w.expect_readout(f"You say 0.0{steps} above the floor")
    assert w.root.evaluate(DRAWN)["the held-out run"] == []
    w.root.get_by_role("button", name="Lock in and reveal").focus()
    w.press("Enter")
    held_out = lab.held_out_runs()[0]
    w.expect_readout(f"trained, it is {held_out.loss - held_out.floor:.2f}")
    assert f"you said 0.0{steps} above the floor" in w.readout()
    redrawn(page, w)
    ((flops, gap),) = w.root.evaluate(DRAWN)["the held-out run"]
    assert (flops, gap) == (pytest.approx(held_out.flops), pytest.approx(held_out.loss - held_out.floor, abs=1e-3))


def test_points_are_the_stored_runs(page):
    w = page.widget("ScalingLaws")
    shown = w.root.evaluate(DRAWN)["a run"]
    runs = lab.stored_sweep()
    assert [x for x, _ in shown] == pytest.approx([run.flops for run in runs])
    assert [y for _, y in shown] == pytest.approx([run.loss - run.floor for run in runs], abs=1e-3)


def test_a_width_chosen_at_random_trains_live_and_adds_its_point(page):
    w, width = page.widget("ScalingLaws"), random.choice(("8", "16", "24"))
    page.execute("w.reset()")
    w.root.get_by_role("radio", name=width, exact=True).check()
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    w.expect_readout("Training live")
    assert page.ask("1 + 1") == 2, "the kernel is free meanwhile"
    page.expect("w.is_training", False, seconds=120)
    w.expect_readout("Your live run ended")
    assert page.ask("w.points[-1].d_model") == int(width)
    redrawn(page, w)
    ((flops, gap),) = w.root.evaluate(DRAWN)["live"]
    assert flops == pytest.approx(1e10, rel=0.03)
    assert gap == pytest.approx(page.ask("w.points[-1].loss - w.points[-1].floor"), abs=2e-3)


def test_photographs(page):
    w = page.widget("ScalingLaws")
    page.execute("w.reset(); w.guess = 0.4; w.reveal()")
    w.expect_readout("you said 0.40")
    assert w.photograph("scaling_laws") <= 1080
