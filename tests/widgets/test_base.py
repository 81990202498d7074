"""What every widget promises: one view at a time, the latest wins, errors in words, a deterministic repr."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
import traitlets

from lmlab.widgets._base import Control, LabWidget, View, sentence_of, to_state
from lmlab.widgets._style import bold, spans


@dataclasses.dataclass(frozen=True, kw_only=True)
class SquareView(View):
    square: int


class Square(LabWidget):
    """Squares n; 13 is refused, 14 is a bug."""

    kind = "figure"  # any front-end will do: nothing is drawn here
    controls = ("n", "shade")
    n = traitlets.Int(2, min=0).tag(sync=True, control=Control("slider", "n", max=20))
    shade = traitlets.Int(0).tag(sync=True, control=Control("slider", "shade", local=True))
    computed = 0

    def compute(self) -> SquareView:
        self.computed += 1
        if self.n == 13:
            raise ValueError("13 was given; Square takes other numbers. Try 12.")
        if self.n == 14:
            raise KeyError("bug")
        return SquareView(
            question="How much?", about="Square", readout=spans("It is ", bold(f"{self.n**2}"), "."), square=self.n**2
        )


class SlowSquare(Square):
    slow = True
    running = most = 0
    gate = threading.Lock()

    def compute(self) -> SquareView:
        if self._ready:
            with self.gate:
                SlowSquare.running += 1
                SlowSquare.most = max(SlowSquare.most, SlowSquare.running)
            time.sleep(0.002)
            with self.gate:
                SlowSquare.running -= 1
        return super().compute()


def test_setting_a_trait_in_code_gives_a_new_view_and_a_new_sentence() -> None:
    w = Square()
    assert (w.shown.square, repr(w)) == (4, "Square: It is 4.")
    w.n = 12
    assert w.view["square"] == 144
    assert repr(w) == "Square: It is 144."


def test_a_local_control_asks_nothing_of_the_kernel() -> None:
    w = Square()
    before = w.computed
    w.shade = 7
    assert w.computed == before


def test_an_error_is_a_sentence_and_the_last_picture_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Square(n=3)
    with pytest.raises(ValueError, match="Try 12"):
        w.n = 13
    assert w.sentence == "13 was given; Square takes other numbers. Try 12."
    assert w.view["square"] == 9
    assert "Try 12" in w._repr_mimebundle_()[0]["text/html"]
    monkeypatch.delenv("LMLAB_STRICT")
    w.n = 14  # outside the tests a bug is shown and not raised
    assert w.sentence == "Square failed: KeyError: 'bug'"
    w.n = 5
    assert repr(w) == "Square: It is 25."


def test_two_hundred_requests_at_once_leave_the_last_and_never_run_side_by_side() -> None:
    w = SlowSquare()
    w.computed = 0
    for n in range(20, 220):
        w.n = n
    w.wait()
    assert w.shown.square == 219**2
    assert SlowSquare.most == 1
    assert w.computed < 200, "requests that were overtaken are not computed"


def test_an_error_on_the_worker_thread_is_raised_by_wait() -> None:
    w = SlowSquare()
    w.n = 13
    with pytest.raises(ValueError, match="13 was given"):
        w.wait()
    w.n = 6
    assert w.wait().shown.square == 36


def test_traits_may_be_set_from_many_threads() -> None:
    w = Square()
    threads = [threading.Thread(target=lambda k=k: setattr(w, "n", k)) for k in (3, 5, 7, 9, 11)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert w.shown.square == w.n**2


def test_reset_returns_to_the_state_that_the_cell_made() -> None:
    w = Square(n=9)
    w.n = 3
    w._clicks = [[1, "reset"]]  # as a press of the key arrives
    assert w.n == 9
    assert w.shown.square == 81


def test_the_repr_is_short_and_one_line() -> None:
    w = Square()
    w.shown = dataclasses.replace(w.shown, readout=spans("x\n" * 400))
    assert len(repr(w)) == 110
    assert "\n" not in repr(w)
    assert repr(w).endswith("…")


def test_the_bundle_has_a_widget_a_sentence_and_a_table() -> None:
    data, _ = Square()._repr_mimebundle_()
    assert set(data) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    assert data["text/html"] == "<p>It is <b>4</b>.</p>"


def test_widgets_of_one_class_share_nothing() -> None:
    a, b = Square(n=2), Square(n=3)
    a.n = 10
    assert (a.shown.square, b.shown.square) == (100, 9)
    assert a.model_id != b.model_id


def test_what_json_cannot_say_becomes_null() -> None:
    assert to_state({"a": (float("inf"), 1.5), "b": b"x"}) == {"a": [None, 1.5], "b": b"x"}
    assert sentence_of(RuntimeError("no"), "Square") == "Square failed: RuntimeError: no"


def test_ipywidgets_compose_with_it() -> None:
    from ipywidgets import HBox, IntSlider, link

    w, slider = Square(), IntSlider(value=1, max=20)
    link((w, "n"), (slider, "value"))
    slider.value = 8
    assert w.shown.square == 64
    assert len(HBox([w, slider]).children) == 2
