"""The labs as a student meets them: Run All in JupyterLab, a guess, an exercise wrong, endless, rude and right."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.lab_page import Lab
from tests.browser.widget import PICTURES

LABS = sorted((Path(__file__).parents[2] / "labs").glob("*.ipynb"))
# Every notebook is run by nbval and every widget driven by tests of its own; together in JupyterLab, these each time:
# a tour, the first lab, one with long pictures, one that trains, one with processes of its own. `make by-hand` has all.
ALWAYS = ("00", "02", "07", "09", "15")


def each_lab():
    """All labs, most of them by hand."""
    for path in LABS:
        yield pytest.param(path, id=path.stem, marks=() if path.stem[:2] in ALWAYS else pytest.mark.by_hand)


@pytest.fixture(scope="module", params=each_lab())
def lab(request, context, jupyterlab):
    """A copy of the lab, run from top to bottom; healthy from its first request to its last."""
    shutil.copy(request.param, jupyterlab.notebooks / request.param.name)
    page = Lab(context, jupyterlab, request.param.name, route="lab")
    yield page.run_all(timeout=240)
    assert page.faults.found == []
    page.close()


def photograph(lab: Lab, name: str) -> None:
    if not PICTURES:
        return
    lab.page.evaluate("() => { document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; }")
    lab.screenshot(f"{name}_{Path(lab.name).stem}")


def test_every_widget_is_drawn_and_says_a_sentence(lab):
    sources = "\n".join(cell["source"] for cell in lab.cells())
    for kind in dict.fromkeys(re.findall(r"lab\.widgets\.(\w+)\(", sources)):
        widget = lab.widget(kind)
        widget.root.scroll_into_view_if_needed()
        assert widget.readout()
        assert widget.error() == ""
    roots = lab.page.locator("[data-lmlab]")
    outputs = [output.get("data", {}) for cell in lab.cells() for output in cell["outputs"]]
    shown = [data for data in outputs if "application/vnd.jupyter.widget-view+json" in data]
    assert roots.count() == len(shown) >= len(set(re.findall(r"lab\.widgets\.(\w+)\(", sources)))
    for size in ((1280, 800), (1920, 1080)):
        lab.resize(*size)
        photograph(lab, f"lab_{size[0]}")
    lab.theme("dark")
    photograph(lab, "lab_dark")
    lab.theme("light")
    lab.resize(1280, 800)


def test_prose_is_read_in_short_lines(lab):
    widths = lab.page.locator(".jp-MarkdownOutput > p").evaluate_all(
        "(all) => all.map((p) => p.getBoundingClientRect().width / parseFloat(getComputedStyle(p).fontSize))"
    )
    assert widths
    assert max(widths) <= 62  # 44 em of the lead, which is set larger


def test_a_guess_is_kept_beside_the_answer(lab):
    widget = lab.widget("Prediction")
    choices = widget.root.get_by_role("radio")
    handle = choices.first if choices.count() else widget.control("your guess")
    handle.focus()
    handle.press("Space" if choices.count() else "PageUp")
    handle.press("Enter")
    widget.expect_readout("You said")
    assert re.match(r"\d+ of \d+ exercises passed, 1 predictions? made", lab.ask("repr(lab.progress())"))
    widget.press("r")
    widget.expect_readout("no guess yet")


ANSWERS = {
    "start_here.likeliest": (
        "lambda probs: next(iter(probs))",
        "lambda probs: [None for _ in iter(int, 1)]",
        "lambda probs: exit()",
        "lambda probs: max(probs, key=probs.get)",
    ),
    "next_word.softmax": (
        "lambda logits: logits.exp() / logits.exp().sum()",
        "lambda logits: [None for _ in iter(int, 1)]",
        "lambda logits: quit()",
        "lambda logits: logits.softmax(-1)",
    ),
}


def test_an_exercise_answers_at_once_whatever_is_handed_in(lab):
    first = next(cell["source"] for cell in lab.cells() if "lab.check(" in cell["source"])
    exercise = "start_here.likeliest" if "start_here" in first else "next_word.softmax"
    wrong, endless, rude, right = ANSWERS[exercise]
    assert "checks passed" in lab.add_cell(f'lab.check("{exercise}", {wrong})')
    card = lab.page.locator(".jp-OutputArea-output", has_text="Stuck?").last
    expect(card).to_contain_text("✕")
    assert "was stopped" in lab.add_cell(f'lab.check("{exercise}", {endless}, seconds=1)')
    assert "yours called exit()" in lab.add_cell(f'lab.check("{exercise}", {rude})')
    said = lab.add_cell(f'lab.check("{exercise}", {right})')
    assert re.match(r"(\d) of \1 checks passed", said), said
    assert "hint 1 of 3" in lab.add_cell(f'lab.hint("{exercise}")')
    assert lab.ask("1 + 1") == 2
