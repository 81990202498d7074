"""Anything as tokens: pictures and moves go in and out, the floor is the process's own entropy, and it is learned."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from lmlab.data.any_tokens import (
    N_BINS,
    N_CODES,
    AnyVocabulary,
    Codebook,
    SceneStream,
    from_bin,
    lake_codebook,
    patchify,
    to_bin,
)
from lmlab.data.lake import MOVES, THINGS, WIND, bin_entropy, mirrored, move_to, nearest_cell, picture, pictures, scenes
from lmlab.training.any_token import AnyTokenTrial, flight, floor, greedy, landing, losses

WORDS = AnyVocabulary()


def test_a_picture_is_cut_and_put_together_again() -> None:
    image = picture(scenes(1, seed=3)[0].sky, seed=1)
    patches = patchify(image[None])[0]
    assert patches.shape == (16, 108)
    for cell in range(16):  # by slices, not by einops
        row, column = 6 * (cell // 4), 6 * (cell % 4)
        assert torch.equal(patches[cell], image[row : row + 6, column : column + 6].flatten())


def test_the_codebook_finds_every_kind_of_patch_and_nothing_else() -> None:
    """Seven skies and their reflections: fourteen kinds, found by k-means in noise; a kind is a code."""
    found: dict[tuple[int, bool], set[int]] = {}
    there = scenes(150, seed=17)
    rows = WORDS.rows(there, seed=17)
    for scene, row in zip(there, rows.tolist(), strict=True):
        for cell, token in enumerate(row[1:17]):
            kind = (scene.sky[cell], False) if cell < 8 else (scene.sky[mirrored(cell)], True)
            found.setdefault(kind, set()).add(token)
    assert len(found) == N_CODES
    assert all(len(tokens) == 1 for tokens in found.values())
    assert len(set.union(*found.values())) == N_CODES
    clean = patchify(pictures([scene.sky for scene in there]))
    codes = lake_codebook().encode(clean)
    assert float((lake_codebook().decode(codes) - clean).abs().max()) < 0.1
    with pytest.raises(ValueError, match="9 codes cannot be found in 4 patches"):
        Codebook.fit(torch.rand(4, 3), 9)


def test_moves_go_through_bins_and_come_back_within_half_of_one() -> None:
    values = torch.linspace(-1, 1, 997).tolist()
    assert all(abs(from_bin(to_bin(v)) - v) <= 1 / N_BINS + 1e-9 for v in values)
    assert [to_bin(-7.0), to_bin(7.0)] == [0, N_BINS - 1]
    scene = scenes(1, seed=5)[0]
    tokens = WORDS.moves(scene.moves)
    places = flight(tokens)
    assert places is not None
    assert places[-1] == pytest.approx([sum(m[i] for m in scene.moves) for i in (0, 1)], abs=MOVES / N_BINS)
    assert landing(tokens) == scene.sky.index(scene.goal + 1)
    assert landing([WORDS.END, *tokens[1:]]) is None


def test_a_row_says_what_is_in_it() -> None:
    scene = scenes(1, seed=8)[0]
    row = WORDS.rows([scene], seed=0)[0].tolist()
    assert len(row) == WORDS.row
    assert " ".join(map(WORDS.name, row[17:21])) == f"fly to the {THINGS[scene.goal]}"
    assert [WORDS.kind(token) for token in row] == ["end", *["patch"] * 16, *["word"] * 4, *["move"] * 6, "end"]
    assert max(row) < WORDS.V
    assert WORDS.name(WORDS.first["move"]) == "−1.00"


def test_the_floor_is_the_entropy_of_the_process() -> None:
    skies = set()
    for cells in itertools.combinations(range(8), 3):
        for things in itertools.permutations(range(1, 7), 3):
            sky = [0] * 8
            for cell, thing in zip(cells, things, strict=True):
                sky[cell] = thing
            skies.add(tuple(sky))
    assert floor().patches == pytest.approx(math.log(len(skies)) / 16)
    assert floor().words == pytest.approx(math.log(3) / 4)
    # a narrow bin is as good as a density: the entropy of a normal, less the logarithm of the bin's width
    means = [value for cell in range(8) for value in move_to(cell)]
    width = 2 / N_BINS
    density = math.log(WIND * math.sqrt(2 * math.pi * math.e) / width) + (width / WIND) ** 2 / 24  # Sheppard 1898
    assert floor().moves == pytest.approx(density, abs=1e-4)
    drawn = torch.distributions.Normal(means[0], WIND).sample((20_000,))
    counts = torch.tensor([to_bin(v) for v in drawn.tolist()]).bincount().double()
    shares = counts[counts > 0] / counts.sum()
    assert float(-(shares * shares.log()).sum()) == pytest.approx(bin_entropy(means[0], N_BINS), abs=0.02)
    assert floor().all * 27 == pytest.approx(floor().patches * 16 + floor().words * 4 + floor().moves * 6)


def test_skies_goals_and_flights_are_as_said() -> None:
    there = scenes(400, seed=2)
    assert all(sorted(one.sky)[:5] == [0] * 5 and len(set(one.sky)) == 4 for one in there)
    assert all(one.goal + 1 in one.sky for one in there)
    ends = [nearest_cell(*(sum(m[i] for m in one.moves) for i in (0, 1))) for one in there]
    assert [one.sky[cell] for one, cell in zip(there, ends, strict=True)] == [one.goal + 1 for one in there]
    image = picture(there[0].sky)
    lit = image[12:].flip(0) - image[:12] * 0.55  # what is added by the water is one color
    assert float(lit.flatten(0, 1).std(0).max()) < 1e-6


def test_batches_follow_from_seed_and_place() -> None:
    first, again = SceneStream(B=3, seed=4), SceneStream(B=3, seed=4)
    batch = first.next()
    assert batch.inputs.shape == batch.targets.shape == (3, 27)
    second = first.next()
    again.load_state({**again.state(), "position": 1})
    assert torch.equal(again.next().inputs, second.inputs)
    assert not torch.equal(batch.inputs, second.inputs)


def test_a_measurement_is_that_of_whole_rows() -> None:
    trial = AnyTokenTrial(seed=1, steps=2)
    trial.advance(2)
    rows = WORDS.rows(scenes(3, seed=9), seed=9)
    log_probs = trial.model.log_probs(rows[:, :-1])
    nats = [[-float(log_probs[b, t, rows[b, t + 1]]) for t in range(27)] for b in range(3)]
    found = losses(trial.model, rows)
    assert found.moves == pytest.approx(sum(sum(row[20:26]) for row in nats) / 18, rel=1e-5)
    assert found.patches == pytest.approx(sum(sum(row[:16]) for row in nats) / 48, rel=1e-5)
    written = greedy(trial.model, rows[:1, :5], 2)[0].tolist()
    assert written[0] == int(trial.model.log_probs(rows[:1, :5])[0, -1].argmax())
    assert trial.points[0].losses.all == pytest.approx(math.log(WORDS.V), rel=0.2)


@pytest.mark.slow
def test_one_model_learns_reflections_and_instructions() -> None:
    trial = AnyTokenTrial(seed=3)
    end = trial.advance(200)
    assert end.completed > 0.9, "chance: one in 6,720"
    assert end.followed > 0.6, "chance: one in three things, one in eight cells"
    assert floor().all - 0.03 < end.losses.all < floor().all + 0.08
