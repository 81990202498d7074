"""ToolUse in JupyterLab: what a random sum becomes, token by token, against the product or sum computed here."""

from __future__ import annotations

import random
import re

import pytest

from tests.browser.small_projector import nothing_collides

SETUP = "import lmlab as lab"
LINES = """root => [...root.querySelectorAll('[data-by][style*="min-height"]')].map(row =>
    [row.dataset.by, [...row.querySelectorAll('[role=option]')].map(e => e.firstChild.textContent).join('')])"""
HATCHED = "root => [...root.querySelectorAll('[role=option]')].map(e => e.style.background.includes('repeating'))"
GIVEN = "root => [...root.querySelectorAll('span[data-given]')].map(e => Number(e.dataset.given))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.ToolUse()\nw"])


def test_host_and_model_write_what_was_typed_and_what_it_comes_to(page):
    w = page.widget("ToolUse")
    a, b = random.randrange(100, 1000), random.randrange(100, 1000)
    w.enter_prompt(f"{a} + {b}", name="sum")
    page.expect("w.sum", f"{a} + {b}")
    page.agree(w)
    for host, label, more in (("right", "computes", 0), ("wrong", "adds 7", 7)):
        w.root.get_by_role("radio", name=label).check(force=True)
        page.expect("w.host", host)
        page.agree(w)
        lines = w.root.evaluate(LINES)
        assert lines[0] == ["you", f"⟨begin⟩{a}+{b}="]
        call = lines[1][1].removeprefix("⟨call⟩").removesuffix("⟨result⟩")
        read = re.fullmatch(r"(\d+)\+(\d+)", call)  # a model may copy a digit wrong, or ask for no sum
        reply = str(sum(map(int, read.groups())) + more) if read else "?"
        assert lines[2] == ["host", f"{reply}<|end|>"] or lines[2][1].startswith(reply)
        mine = [by == "model" for by in page.ask("[t.by for t in w.transcript.tokens]")]
        assert w.root.evaluate(HATCHED) == [not m for m in mine]
        given = page.ask("[2.718281828459045 ** t.log_prob for t in w.transcript.tokens[1:]]")
        assert w.root.evaluate(GIVEN) == pytest.approx(given, abs=1e-3)


def test_keys_walk_from_line_to_line(page):
    w = page.widget("ToolUse")
    w.root.locator("[role=option][tabindex='0']").first.focus()
    w.press("Home")
    w.expect_readout("was written by you")
    w.press("End")
    w.press("ArrowRight")
    w.expect_readout("⟨call⟩ was written by the model")
    w.press("ArrowDown")
    w.expect_readout("was written by the host")
    page.execute("w.reset()")


def test_what_is_no_sum_is_refused_in_words(page):
    w = page.widget("ToolUse")
    w.enter_prompt("🦜", name="sum")
    page.expect("w.sum", "🦜")
    page.agree(w)
    w.enter_prompt("7" * 60, name="sum")
    w.expect_readout("Only the end of your text fits")
    page.execute("w.reset()")


def test_photographs(page):
    w = page.widget("ToolUse")
    page.page.evaluate("() => document.activeElement.blur()")
    page.agree(w)
    assert w.photograph("tool_use") < 1080, "a projector does not scroll"
    assert nothing_collides(w) == []
