"""AnyToken in JupyterLab: a sky drawn by mouse and keyboard becomes ids, and the page shows what the model writes."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.data.any_tokens import AnyVocabulary, lake_codebook, patchify
from lmlab.data.lake import THINGS, picture
from lmlab.training.any_token import AnyTokenTrial, floor, greedy
from tests.browser.small_projector import nothing_collides

STEPS, SEED = 90, 4
IDS = "(root) => [...root.querySelectorAll('.tok')].map((e) => [Number(e.dataset.id), e.dataset.by])"
BARS = "(root) => [...root.querySelectorAll('[data-loss]')].map((e) => Number(e.dataset.loss))"
FLOORS = "(root) => [...root.querySelectorAll('[data-floor]')].map((e) => Number(e.dataset.floor))"


@pytest.fixture(scope="module")
def page(shared_notebook):
    return shared_notebook(["import lmlab as lab", f"w = lab.widgets.AnyToken(steps={STEPS}, seed={SEED})\nw"])


@pytest.fixture(scope="module")
def trial() -> AnyTokenTrial:
    alone = AnyTokenTrial(seed=SEED, steps=STEPS)
    while not alone.is_over:
        alone.advance(20)
    return alone


def written(trial: AnyTokenTrial, sky: list[int], goal: str) -> list[int]:
    """The row by full passes without a cache: the sky's nearest codes, the water, the words, the moves."""
    words = AnyVocabulary()
    codes = lake_codebook().encode(patchify(picture(tuple(sky))[None]))[:, :8] + 1
    ids = torch.cat([torch.tensor([[words.END]]), codes], 1)
    ids = torch.cat([ids, greedy(trial.model, ids, 8), torch.tensor([words.words(THINGS.index(goal))])], 1)
    return torch.cat([ids, greedy(trial.model, ids, 6)], 1)[0].tolist()[1:]


def test_a_press_trains_it_and_the_losses_are_the_trials(page, trial):
    w = page.widget("AnyToken")
    w.expect_readout("Press Train")
    w.root.get_by_role("button", name="Train").focus()
    w.press("Enter")
    page.expect("w.trial.points[-1].step", STEPS, seconds=90)
    page.execute("w.wait()")
    page.agree(w, names=("w",))
    end = trial.points[-1].losses
    assert w.root.evaluate(BARS) == pytest.approx([end.patches, end.words, end.moves, end.all], abs=1e-3)
    assert w.root.evaluate(FLOORS) == pytest.approx(
        [floor().patches, floor().words, floor().moves, floor().all], abs=1e-6
    )


def test_a_sky_drawn_at_random_is_read_and_written_on(page, trial):
    w, sky = page.widget("AnyToken"), page.ask("w.sky")
    for cell in random.sample(range(8), 2):
        before = list(sky)
        presses = random.randint(1, 3)
        square = w.root.locator(f"[data-cell='{cell}']")
        for _ in range(presses):
            square.click()
            sky[cell] = (sky[cell] + 1) % 7
            page.expect("w.sky", sky)
        assert sky != before
    w.root.locator("[data-cell='0']").focus()
    w.press("ArrowRight", "ArrowDown", "Enter")  # square 5, by keyboard
    sky[5] = (sky[5] + 1) % 7
    page.expect("w.sky", sky)
    goal = random.choice(THINGS)
    w.control("Fly to the").select_option(goal)
    page.expect("w.goal", goal)
    word = AnyVocabulary().words(THINGS.index(goal))[-1]
    w.root.locator(f".tok[data-id='{word}']").first.wait_for()  # the kernel knows the goal before it has answered
    page.agree(w, names=("w",))
    shown = w.root.evaluate(IDS)
    assert [i for i, _ in shown] == written(trial, sky, goal)
    assert "".join(by[0] for _, by in shown) == "y" * 8 + "m" * 8 + "y" * 4 + "m" * 6


def test_a_token_is_said_by_keyboard(page):
    w = page.widget("AnyToken")
    w.root.locator(".tok").first.focus()
    w.press("End", "ArrowLeft")
    w.expect_readout("Token 25: id")
    w.press("Home")
    w.expect_readout("at row 0, column 0, given; the model expected it with")
    w.root.get_by_role("button", name="Stop").focus()
    w.expect_readout("nats a token, the floor is")


def test_photographs(page):
    w = page.widget("AnyToken")
    page.execute("w._steps = 200; w.sky = [0, 2, 0, 4, 6, 0, 5, 0]; w.goal = 'balloon'; w.train().wait()")
    page.agree(w, names=("w",))
    assert page.ask("w.trial.points[-1].completed") > 0.9
    assert w.photograph("any_token") <= 1080
    assert nothing_collides(w) == []
