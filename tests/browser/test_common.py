"""What every widget owes: independence, a keyboard, text that stays text, a sentence for any prompt, both themes,
every size of screen, and few bytes. Three instances of each on one page."""

from __future__ import annotations

import pytest

import lmlab.widgets
from lmlab.widgets._base import LabWidget
from lmlab.widgets._figure import FigureWidget
from tests.browser.lab_page import Lab
from tests.browser.samples import SAMPLES, SETUP
from tests.browser.widget import Widget

HOSTILE = (
    "<img src=x onerror=window.__pwned=1>",
    "</div><script>window.__pwned=1</script>",
    '<button data-commandlinker-command="notebook:run-all-cells">here</button>',
    "<b>bold</b> %{x} <a href='javascript:window.__pwned=1'>link</a>",
)
ODD = (
    "",
    "👩‍👩‍👧 panicked 🦜",
    "股票市場崩盤，投資者",
    " ",
    "a\u202eb",
    ("the stock market crashed and investors panicked . " * 40)[:2000],
)


def kinds() -> list[str]:
    """The public names of lmlab.widgets that are widgets."""
    public = {name: getattr(lmlab.widgets, name) for name in dir(lmlab.widgets) if not name.startswith("_")}
    return sorted(
        n for n, c in public.items() if isinstance(c, type) and issubclass(c, LabWidget) and c is not LabWidget
    )


def test_every_widget_has_a_sample():
    assert sorted(SAMPLES) == kinds()


@pytest.fixture(scope="module", params=list(SAMPLES))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def models(shared_notebook) -> Lab:
    """The models that all kinds show, made once."""
    return shared_notebook([SETUP])


@pytest.fixture(scope="module")
def opened(kind, models):
    """Three instances of a kind alone on the page, and the bytes that came over the wire until they stood there."""

    def lay_out():
        for cell in SAMPLES[kind].cells():
            models.add_cell(cell, timeout=90)
        for i in range(3):
            models.widget(kind, i)

    received = models.bytes_during(lay_out)
    print(f"{kind}: {received:,} bytes for three at first paint")
    yield models, received
    while len(models.cells()) > 1:
        models.delete_last_cell()
    models.execute("for w in (w0, w1, w2):\n    w.close()")
    models.put_back()
    found = models.take_faults()
    assert not found, f"{kind}: the page was not healthy:\n" + "\n".join(found)


@pytest.fixture(scope="module")
def page(opened) -> Lab:
    return opened[0]


@pytest.fixture(scope="module")
def first_paint(opened) -> int:
    return opened[1]


# A test acts on the first with its hands, on the second from code; nobody touches the third.
AS_MADE = """
for w in (w0, w1, w2):
    w.reset()
w0.refresh()
for w in (w0, w1, w2):
    w.wait()
"""


@pytest.fixture(scope="module")
def moved(opened) -> set[str]:
    """Not empty where a test has acted on the instances since their cells made them."""
    return set()


@pytest.fixture
def shown(kind, page, moved) -> list[Widget]:
    """The instances as their cells made them, to look at, and none in the middle of being read."""
    page.page.evaluate("() => document.activeElement.blur()")
    if moved:
        page.execute(AS_MADE)
        moved.clear()
    widgets = [page.widget(kind, i) for i in range(3)]
    page.agree(*widgets, names=("w0", "w1", "w2"))
    return widgets


@pytest.fixture
def three(kind, shown, moved) -> list[Widget]:
    """The same, to act on. Tests that only look stand first: to put three back takes longer than most of them."""
    moved.add(kind)
    return shown


def agree(page: Lab, widget: Widget, index: int) -> str:
    return page.agree(widget, names=(f"w{index}",))


def move(widget: Widget, kind: str) -> None:
    sample = SAMPLES[kind]
    if isinstance(sample.value, str):
        widget.enter_prompt(sample.value, name=sample.name)
    else:
        widget.drag_slider(sample.name, sample.value)
    if sample.button:
        widget.root.get_by_role("button", name=sample.button).click()


# ------------------------------------------------------------ as they stand there


def test_three_on_a_page_are_light(kind, page, first_paint):
    """Front-end included, three of a kind are well under what a whole lab may cost; plotly.js comes once a page."""
    runtime = 1_500_000 if issubclass(getattr(lmlab.widgets, kind), FigureWidget) else 0
    assert 0 < first_paint < runtime + 300_000


def test_names_and_questions_are_never_code(page, shown):
    """The third instance carries markup in the name of its model, its choices or its question."""
    assert "<img src=x onerror" in everything_shown(shown[2]) or "<b>" in everything_shown(shown[2])
    assert shown[2].root.locator("img, script, [onerror]").count() == 0
    assert page.page.evaluate("() => window.__pwned === undefined")


def test_tab_walks_through_every_control_and_out(shown):
    there = shown[0].focusable()
    assert all(there), f"a control without a name: {there}"
    assert shown[0].tab_through() == there


# ------------------------------------------------------------ sizes and themes


def overflow(widget: Widget) -> float:
    """Pixels by which anything drawn sticks out of the widget's right edge, scrollable parts aside."""
    return widget.root.evaluate(
        """(root) => {
          const edge = root.getBoundingClientRect().right;
          const scrolls = (e) => { for (; e !== root; e = e.parentElement)
            if (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)) return true; return false; };
          return Math.max(0, ...[...root.querySelectorAll("*")].filter((e) => e.getClientRects().length && !scrolls(e))
            .map((e) => e.getBoundingClientRect().right - edge));
        }"""
    )


def smallest_text(widget: Widget) -> float:
    """The smallest size, in pixels, of any visible text."""
    return widget.root.evaluate(
        """(root) => {
          const sizes = [];
          const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const e = walk.currentNode.parentElement, style = getComputedStyle(e);
            if (walk.currentNode.data.trim() && e.getClientRects().length && style.visibility === "visible")
              sizes.push(parseFloat(style.fontSize));
          }
          return Math.min(...sizes);
        }"""
    )


def test_the_theme_is_followed(page, shown):
    for theme in ("light", "dark"):
        page.theme(theme)
        paper, ground = shown[0].root.evaluate(
            """(root) => [getComputedStyle(root).backgroundColor, (() => {
                 const probe = document.body.appendChild(document.createElement("i"));
                 probe.style.background = "var(--jp-layout-color0)";
                 const color = getComputedStyle(probe).backgroundColor; probe.remove(); return color; })()]"""
        )
        assert paper == ground, theme
    page.theme("light")


def test_nothing_sticks_out_at_any_width(page, shown):
    out, small = {}, {}
    for width, height in ((600, 800), (1920, 1080), (1280, 800)):
        page.resize(width, height)
        page.page.wait_for_timeout(100)
        out[width] = max(overflow(widget) for widget in shown)
        small[width] = min(smallest_text(widget) for widget in shown)
    assert max(out.values()) <= 1, out
    assert min(small.values()) >= 12.9, small


def test_on_a_projector(kind, page, shown):
    page.resize(1920, 1080)
    page.execute("w0.presenter = True")
    widget = shown[0]
    page.page.wait_for_function("(root) => root.classList.contains('present')", arg=widget.root.element_handle())
    page.page.wait_for_timeout(100)
    small, out = smallest_text(widget), overflow(widget)
    page.execute("w0.presenter = False")
    page.resize(1280, 800)
    assert small >= 27.9
    assert out <= 1


# ------------------------------------------------------------ three at once


def test_three_instances_answer_each_for_itself(kind, page, three):
    before = [widget.readout() for widget in three]
    three[0].readout_after(lambda: move(three[0], kind))
    agree(page, three[0], 0)
    assert [three[1].readout(), three[2].readout()] == before[1:]
    assert three[0].error() == three[1].error() == three[2].error() == ""


def test_shown_twice_both_answer(kind, page, three):
    page.add_cell("w0")
    again = page.widget(kind, 3)
    again.readout_after(lambda: move(three[0], kind))
    page.agree(again, three[0], names=("w0", "w0"))  # at one moment: the slider's last values may be under way
    page.delete_last_cell()


def test_a_trait_set_in_code_moves_the_page(kind, page, three):
    sample = SAMPLES[kind]
    three[1].readout_after(lambda: page.execute(f"w1.{sample.trait} = {sample.value!r}"))
    agree(page, three[1], 1)


# ------------------------------------------------------------ keyboard


def test_arrow_keys_stay_in_the_picture(page, three):
    """In JupyterLab's command mode arrow keys choose cells, unless the focused element says otherwise."""
    cell = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    three[0].root.locator(".lm-picture :is([tabindex='0'], input)").first.focus()
    before = page.page.evaluate(cell)
    three[0].press("ArrowDown", "ArrowRight", "Home", "End", "PageUp")
    assert page.page.evaluate(cell) == before
    assert three[0].root.evaluate("(root) => root.contains(document.activeElement)")


# ------------------------------------------------------------ any text


def test_text_is_never_code(kind, page, three):
    widget = three[0]
    if not SAMPLES[kind].text:
        return takes_no_text(widget)
    for text in HOSTILE:
        widget.enter_prompt(text, name=SAMPLES[kind].text)
        agree(page, widget, 0)
        assert text in everything_shown(widget)
        injected = "img, script, a, [onerror], [data-commandlinker-command]"
        assert widget.root.locator(injected).count() == 0
        assert page.page.evaluate("() => window.__pwned === undefined")
        assert widget.error() == ""


def takes_no_text(widget: Widget) -> None:
    assert widget.root.locator("textarea, input:not([type]), input[type=text]").count() == 0


def everything_shown(widget: Widget) -> str:
    """All text of the widget and of its text boxes; a space made visible counts as a space."""
    shown = widget.root.evaluate(
        "(root) => root.textContent + [...root.querySelectorAll('input, textarea')].map((e) => e.value).join(' ')"
    )
    return str(shown).replace("·", " ")


def test_any_prompt_gets_a_sentence(kind, page, three):
    widget = three[0]
    if not SAMPLES[kind].text:
        return takes_no_text(widget)
    for text in ODD:
        widget.enter_prompt(text, name=SAMPLES[kind].text)
        page.page.wait_for_function(
            "([box, text]) => box.value === text", arg=[widget.control(SAMPLES[kind].text).element_handle(), text]
        )
        assert agree(page, widget, 0)
        assert widget.error() == ""
