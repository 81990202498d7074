"""PositionWeights: what each network's places count, by another path; and what attention alone can do."""

from __future__ import annotations

import math
import random
from itertools import islice

import pytest
import torch

from lmlab.widgets import PositionWeights, _rare_word
from lmlab.widgets._rare_word import (
    ATTENTION,
    LINEAR,
    PLACES,
    RARE,
    RELU,
    SMALL,
    WIDTH,
    WORDS,
    never_at,
    placements,
    sentences,
    trained,
    units_on,
    weights,
)


def drawn(n: int, where: str = "anywhere") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(random.randrange(10**9))
    words, places = placements(n, generator, where=where)
    return sentences(words, places, generator), words, places


def attention_by_hand(ids: torch.Tensor) -> torch.Tensor:
    """Embed, add the place, normalize, then q·k / √E of the last position against all, softmax over the eight words."""
    model = trained()[ATTENTION]
    block = model.blocks[0]
    x = model.embedding.weight[ids] + model.position.table.weight[: ids.shape[1]]
    x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * block.attention_norm.weight
    q, k = x[:, -1] @ block.attention.query.weight.T, x @ block.attention.key.weight.T
    scores = torch.einsum("be,bse->bs", q, k) / math.sqrt(WIDTH)
    return scores[:, :PLACES].softmax(-1).detach()


def test_attention_is_what_the_formula_gives():
    ids, _, _ = drawn(40)
    torch.testing.assert_close(weights(ATTENTION, ids), attention_by_hand(ids), atol=1e-5, rtol=0)


def test_attention_follows_the_word_in_at_least_95_of_100_placements():
    ids, _, places = drawn(200)
    assert (attention_by_hand(ids).argmax(-1) == places).sum() >= 190
    found = _rare_word.measured()
    assert found[ATTENTION].follows >= 190
    assert found[LINEAR].follows <= 60
    assert found[RELU].follows <= 100


def test_a_matrix_is_the_same_for_every_sentence_and_relus_are_not():
    """The lecture says that an MLP's weights are fixed. Exact for one matrix; a ReLU MLP gates by its input, too."""
    ids, _, _ = drawn(200)  # of thirty the spread would be below the bound once in a thousand draws
    fixed, gated = weights(LINEAR, ids), weights(RELU, ids)
    assert torch.equal(fixed, fixed[:1].expand_as(fixed))
    assert gated.std(0).min() > 0.005
    assert len({units_on(row[None]) for row in ids}) > 3
    for w in (fixed, gated):
        torch.testing.assert_close(w.sum(-1), torch.ones(200))


def test_reach_is_the_slope_of_the_winning_score():
    """By small steps along each of the embedding's axes, in float64."""
    ids, _, _ = drawn(1)
    network, step = trained()[RELU].double(), 1e-9  # so short that no ReLU bends within it
    try:
        x = network.embedding(ids).detach()
        best = int(network.from_embeddings(x)[0, -1].argmax())
        slope = torch.zeros(PLACES, WIDTH, dtype=torch.float64)
        for place in range(PLACES):
            for axis in range(WIDTH):
                up, down = x.clone(), x.clone()
                up[0, place, axis] += step
                down[0, place, axis] -= step
                change = network.from_embeddings(up) - network.from_embeddings(down)
                slope[place, axis] = change[0, -1, best] / (2 * step)
    finally:
        network.float()
    by_hand = slope.norm(dim=-1) / slope.norm(dim=-1).sum()
    torch.testing.assert_close(weights(RELU, ids)[0].double(), by_hand.detach(), atol=1e-3, rtol=0)


def test_what_one_place_has_learned_the_flat_network_does_not_know_at_another():
    for where, least, most in (("trained", 0.95, 1.0), ("never", 0.95, 1.0)):
        ids, words, _ = drawn(200, where)
        named = {
            name: float((net(ids)[:, -1].argmax(-1) == len(SMALL) + words).float().mean())
            for name, net in trained().items()
        }
        assert least <= named[ATTENTION] <= most
        if where == "trained":
            assert min(named.values()) >= 0.95
        else:
            assert named[LINEAR] <= 0.05
            assert named[RELU] <= 0.5


def test_in_training_no_word_stands_at_its_place_of_absence():
    seen = 0
    for batch in islice(_rare_word._Sentences(), 60):
        for row, target in zip(batch.inputs.tolist(), batch.targets[:, -1].tolist(), strict=True):
            rare = [(WORDS[i], p) for p, i in enumerate(row[:PLACES]) if i >= len(SMALL)]
            assert [word for word, _ in rare] == ([] if WORDS[target] == "none" else [WORDS[target]])
            assert all(p != never_at(RARE.index(word)) for word, p in rare)
            seen += len(rare)
    assert seen > 3_000


def test_the_widget_moves_the_word_and_says_who_follows():
    w = PositionWeights()
    place = never_at(RARE.index("comet"))
    w.word, w.place = "comet", place + 1
    assert w.shown.tokens[place] == "comet"
    assert w.shown.place == w.shown.never == place
    assert (
        f"gives comet, at place {place + 1}, over 95\u202f% of its weight; flat, one matrix gives it under 20\u202f%"
        in w.sentence
    )
    assert "never stood here: attention says comet" in w.sentence
    assert [row.right for row in w.shown.rows][:2] == [True, False]
    before = w.shown.tokens
    w.clicked("again")
    assert w.shown.tokens != before
    assert w.shown.tokens[place] == "comet"
    w.reset()
    assert (w.word, w.place) == ("goose", 2)
    assert len(repr(w)) <= 110


def test_what_is_no_rare_word_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="'market' is not one of the rare words: use one of goose"):
        PositionWeights(word="market")
    with pytest.raises(ValueError, match="whole number"):
        PositionWeights(seed=-1)


def test_rare_words_of_ones_own_are_other_names_for_the_same():
    ours, own = PositionWeights(place=5), PositionWeights(place=5, words=["Quillbury", "bell"])
    assert own.word == "Quillbury"
    assert own.shown.tokens == tuple("Quillbury" if t == "goose" else t for t in ours.shown.tokens)
    assert own.shown.rows[0].weights == ours.shown.rows[0].weights
    for words in (["the"], ["a", "b"], ["x", "x"], [""], list("bcdefghijklmn")):
        with pytest.raises(ValueError, match="up to 12 different rare words"):
            PositionWeights(words=words)
