"""The harness itself, on a tiny widget that nobody else's work can break: it must see, act, measure, object, forget."""

import pytest

from tests.browser.glyphs import missing_glyphs
from tests.browser.tiny_widget import SHOW


@pytest.fixture(scope="module")
def tiny(shared_notebook):
    return shared_notebook(SHOW)


def test_a_typed_prompt_reaches_the_kernel_and_comes_back(tiny):
    widget = tiny.widget("Tiny")
    said = widget.readout_after(lambda: widget.type_prompt("股票🦜"))
    assert said == "股票🦜 has 3 characters at " + f"{tiny.ask('tiny.bits')} bits."
    assert tiny.ask("tiny.prompt") == "股票🦜"


def test_the_mouse_drags_a_slider(tiny):
    widget = tiny.widget("Tiny")
    for value in (1, 8, 3):
        assert widget.drag_slider("bits", value) == value
        widget.expect_readout(f"at {value} bits")
        assert tiny.ask("tiny.bits") == value


def test_arrow_keys_move_a_slider_inside_jupyterlab(tiny):
    widget = tiny.widget("Tiny")
    widget.control("bits").focus()
    before = tiny.ask("tiny.bits")
    widget.readout_after(lambda: widget.press("ArrowRight"))
    assert tiny.ask("tiny.bits") == before + 1


def test_tab_reaches_every_control_once_and_leaves(tiny):
    widget = tiny.widget("Tiny")
    assert widget.focusable() == ["prompt", "bits"]
    assert widget.tab_through() == ["prompt", "bits"]


def test_code_moves_the_page(tiny):
    widget = tiny.widget("Tiny")
    tiny.execute("tiny.prompt = 'from Python'")
    widget.expect_readout("from Python has 11 characters")


def test_the_wire_is_weighed(tiny):
    """One row of about 200 bytes and a sentence: over 200 bytes, far under what JSON of an image would be."""
    widget = tiny.widget("Tiny")
    received = tiny.bytes_during(lambda: widget.readout_after(lambda: widget.enter_prompt("weigh this")))
    assert 200 < received < 8_000


def test_cells_are_read_and_added(tiny):
    assert "Tiny" in tiny.text(2)
    assert tiny.add_cell("print(6 * 7)\n'and this'") == "42\n'and this'"


def test_the_theme_is_followed_and_put_back(tiny):
    background = "() => getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()"
    light = tiny.page.evaluate(background)
    tiny.theme("dark")
    assert tiny.page.evaluate(background) != light
    tiny.theme("light")
    assert tiny.page.evaluate(background) == light


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (600, 800)])
def test_photographs_at_the_sizes_of_the_design(tiny, size):
    tiny.resize(*size)
    photograph = tiny.screenshot(f"harness_{size[0]}")
    assert photograph.read_bytes()[16:24] == size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")


def test_emoji_and_chinese_have_glyphs_and_the_check_can_tell(tiny):
    assert missing_glyphs(tiny.page) == []
    assert missing_glyphs(tiny.page, "a\u0378股\u0379") == ["\u0378", "\u0379"]


def test_jupyterlab_with_its_side_panels_too(notebook):
    lab = notebook(SHOW, route="lab")
    widget = lab.widget("Tiny")
    assert "lab" in lab.page.url
    widget.readout_after(lambda: widget.enter_prompt("elsewhere"))


def test_a_failing_cell_fails_the_test_with_its_traceback(notebook):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook(["1 / 0", "print('never')"])


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.error('ouch')", "console error: ouch"),
        ("setTimeout(() => { throw new Error('late') })", "uncaught error: late"),
        ("fetch('http://cdn.jsdelivr.net/x.js').catch(() => 0)", "request to another machine"),
        ("fetch('http://cdn.jsdelivr.net/x.js').catch(() => 0)", "ERR_NAME_NOT_RESOLVED"),
        ("fetch('/api/contents/absent.txt?content=0')", "answer 404"),
        ("setTimeout(() => alert('boo'))", "dialog: boo"),
    ],
)
def test_an_unhealthy_page_is_noticed(tiny, script, complaint):
    tiny.page.evaluate(f"() => {{ {script} }}")
    tiny.page.wait_for_timeout(300)
    assert any(complaint in fault for fault in tiny.faults.found), tiny.faults.found
    tiny.faults.found.clear()


def test_the_next_module_finds_no_trace(tiny, desk):
    tiny.theme("dark")
    tiny.resize(600)
    tiny.execute("left = 1")
    tiny.page.evaluate("() => { window.__pwned = 1; console.error('ouch'); }")
    assert [fault.split(" (")[0] for fault in desk.clear()] == ["console error: ouch", "text ran as code"]
    assert desk.clear() == []
    assert tiny.page.locator("[data-lmlab]").count() == 0
    assert tiny.page.viewport_size == {"width": 1280, "height": 800}
    assert tiny.page.evaluate("() => document.body.dataset.jpThemeLight") == "true"
    assert tiny.ask("[name for name in ('left', 'tiny', 'Tiny') if name in globals()]") == []
    widgets = "__import__('ipywidgets').widgets.widget._instances.values()"
    assert tiny.ask(f"'Tiny' in [type(widget).__name__ for widget in {widgets}]") is False
