"""TrainingTimeline in JupyterLab: scrubbed by keyboard without the kernel, every bar what that snapshot says."""

from __future__ import annotations

import pytest

from tests.browser.samples import SETUP

BARS = """(root) => Object.fromEntries([...root.querySelectorAll("text[data-word]")]
  .map((e) => [e.dataset.word, +e.dataset.p]))"""
FRAME = """async (root) => {
  const stage = root.querySelector('[role=group]'), said = () => root.querySelector('h4 span').textContent, took = [];
  for (const key of ["ArrowRight", "ArrowLeft", "ArrowRight", "ArrowLeft"]) {
    const before = said(), t = performance.now();
    stage.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
    if (said() === before) throw new Error("the picture did not follow at once");
    took.push(performance.now() - t);
  }
  return took;
}"""

STEPS = ["50", "200", "600", "1,200", "2,000", "3,500"]
# keeps every sentence that the readout says from now on
SENTENCES = """root => {
  const read = root.querySelector("[role=status]");
  root.said = [];
  new MutationObserver(() => root.said.push(read.textContent)).observe(read, {childList: true, subtree: true});
}"""


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.TrainingTimeline()\nw"])


def test_it_is_scrubbed_by_keyboard_and_shows_each_snapshots_own_numbers(page):
    w = page.widget("TrainingTimeline")
    stage = w.root.get_by_role("group", name="snapshots of a training")
    stage.focus()
    w.press("Home")
    w.expect_readout("At step 50 ")
    w.press("ArrowRight", "ArrowRight")
    w.expect_readout("At step 600 ")
    rows = page.ask("[[w, p[2]] for w, t, p in w.view['rows']]")
    shown = w.root.evaluate(BARS)
    assert {word: shown[word] for word, _ in rows} == pytest.approx(dict(rows), abs=1e-6)
    model, prompt = "w.snapshots[2].model", "w.prompt"
    assert shown["·panicked"] == pytest.approx(
        page.ask(f"float({model}.next_log_probs({prompt}).exp()[{model}.tokenizer.encode(' panicked')[0]])"), abs=1e-6
    )
    page.expect("w.at", 2)
    took = w.root.evaluate(FRAME)
    print(f"scrubbed in {max(took):.1f} ms at most")
    assert max(took) < 200
    w.press("t", "ArrowDown")
    page.expect("w.head", 1)
    w.press("t", "End")
    w.expect_readout("At step 3,500 ")


def test_play_walks_through_all_and_stops(page):
    w = page.widget("TrainingTimeline")
    w.root.get_by_role("group", name="snapshots of a training").focus()
    page.page.emulate_media(reduced_motion="no-preference")
    w.root.evaluate(SENTENCES)  # a look now and then would miss some on a busy machine
    w.press("Home", "Space")
    w.expect_readout("At step 3,500 ")
    said = w.root.evaluate("root => root.said")
    assert [step for step in STEPS if any(s.startswith(f"At step {step} ") for s in said)] == STEPS, said
    w.root.get_by_role("button", name="Play").wait_for()
    page.page.emulate_media(reduced_motion="reduce")
    page.expect("w.wait().sentence.startswith('At step 3,500')", True)
    assert w.photograph("training_timeline") <= 1080
