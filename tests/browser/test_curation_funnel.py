"""CurationFunnel in JupyterLab: a turned threshold moves the flow to counts that are made again here."""

from __future__ import annotations

import random

import pytest

import lmlab as lab
from lmlab.data.curation import STAGES, Thresholds, curate, measured_crawl

SETUP = "import lmlab as lab"
BARS = """root => ({good: [...root.querySelectorAll("[data-good]")].map(r => +r.dataset.good),
  bad: [...root.querySelectorAll("[data-bad]")].map(r => +r.dataset.bad),
  heights: [...root.querySelectorAll("[data-good], [data-bad]")].map(r => +r.getAttribute("height"))})"""
BITS = "root => [...root.querySelectorAll('[data-bits]')].map(c => [+c.dataset.bits, +c.getAttribute('cy')])"
KINDS = "root => [...root.querySelectorAll('li[data-kind]')].map(li => li.dataset.kind)"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook([SETUP, "w = lab.widgets.CurationFunnel()\nw"])


def drawn_as(w, limits: Thresholds) -> None:
    funnel = curate(measured_crawl(), limits)
    left = [range(1_200), *(funnel.after[stage] for stage in STAGES)]
    good = [sum(funnel.pages[i].good for i in one) for one in left]
    bars = w.root.evaluate(BARS)
    assert bars["good"] == good
    assert bars["bad"] == [len(one) - n for one, n in zip(left, good, strict=True)]
    tall = bars["heights"][0] / bars["good"][0]
    drawn = [n for pair in zip(bars["good"], bars["bad"], strict=True) for n in pair]
    assert bars["heights"] == pytest.approx([tall * n for n in drawn], abs=0.1)


def test_a_threshold_dragged_at_random(page):
    w = page.widget("CurationFunnel")
    page.execute("w.reset()")
    drawn_as(w, Thresholds())
    quality = w.drag_slider("Least quality", random.choice((0.6, 0.8, 0.9)))
    page.expect("w.quality", pytest.approx(quality))
    w.expect_readout(f"{len(curate(measured_crawl(), Thresholds(quality=quality)).kept):,} of 1,200 pages")
    drawn_as(w, Thresholds(quality=quality))


def test_the_losses_are_the_stored_ones_and_say_when_they_are_of_other_thresholds(page):
    w = page.widget("CurationFunnel")
    page.execute("w.reset()")
    w.expect_readout("Trained on all")
    stored = list(lab.stored_curation().values())[:-1]
    points = w.root.evaluate(BITS)
    assert [bits for bits, _ in points] == pytest.approx([loss.mean for loss in stored])
    order = sorted(range(7), key=lambda i: -points[i][0])
    assert order == sorted(range(7), key=lambda i: points[i][1]), "the higher the loss, the higher the point"
    page.execute("w.english = 0.3")
    page.page.wait_for_function(
        "() => document.querySelector('[data-lmlab=CurationFunnel]').innerText.includes('not at these')"
    )


def test_keys_alone_list_what_a_filter_dropped(page):
    w = page.widget("CurationFunnel")
    page.execute("w.reset()")
    w.expect_readout("1,200 pages")
    w.root.get_by_role("option", name="crawl:").focus()
    w.press("ArrowRight")
    w.expect_readout("address: 1,116 pages")
    w.press("Enter")
    page.expect("w.stage", "url")
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('li[data-kind]')].every(li => li.dataset.kind === 'bad address')"
    )
    assert w.root.evaluate(KINDS) == ["bad address"] * 6
    assert "on the blocklist" in w.text()
    w.press("End", "Enter")
    page.expect("w.stage", "quality")
    w.press("r")
    page.expect("w.stage", "rules")


def test_photographs(page):
    w = page.widget("CurationFunnel")
    page.execute("w.reset()")
    w.expect_readout("Trained on all")
    assert w.photograph("curation_funnel") < 1080, "a projector does not scroll"
