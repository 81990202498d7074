"""Attention: what the page receives is what the model computes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.widgets import Attention
from lmlab.widgets.attention import LONGEST, THUMBNAIL, entropy_bits


def unpacked(w: Attention) -> np.ndarray:
    """The (T, T) matrix that the page draws, from the bytes that it receives; the future is NaN."""
    T = len(w.shown.tokens)
    full = np.full((T, T), np.nan)
    full[np.tril_indices(T)] = np.frombuffer(w.pattern, dtype="<f2").astype(float)
    return full


def attention_by_hand(model: lab.TextModel, prompt: str, layer: int, head: int) -> np.ndarray:
    """softmax(q kᵀ / √E) of one head, from the layer's own weights and the residual stream that enters it."""
    trace = model.trace(prompt)
    block = model.model.blocks[layer]
    x = block.attention_norm(trace.residual[layer])
    q, k = block.attention.query(x), block.attention.key(x)
    T, E = x.shape[1], model.model.config.head_width
    q, k = (v.view(1, T, -1, E).transpose(1, 2) for v in (q, k))
    angles = torch.arange(T)[:, None] * 10000.0 ** (-torch.arange(0, E, 2) / E)
    cos, sin = angles.cos(), angles.sin()

    def turned(v: torch.Tensor) -> torch.Tensor:
        a, b = v[..., : E // 2], v[..., E // 2 :]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    scores = (turned(q) @ turned(k).transpose(2, 3))[0, head] / math.sqrt(E)
    scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -math.inf)
    return scores.softmax(-1).detach().numpy()


def test_the_chosen_head_is_the_softmax_of_its_scores(random_model: lab.TextModel) -> None:
    prompt = "the goose crashed and the mayor"
    w = Attention(random_model, prompt=prompt, layer=2, head=3)
    expected = attention_by_hand(random_model, prompt, 2, 3)
    drawn = unpacked(w)
    lower = np.tril_indices(len(drawn))
    assert np.abs(drawn - expected)[lower].max() < 1e-3
    assert np.abs(np.nansum(drawn, 1) - 1).max() < 2e-3
    assert np.isnan(drawn[0, 1])
    w.values = "scores"
    rows = np.where(np.isnan(unpacked(w)), -np.inf, unpacked(w))
    softmax = np.exp(rows - rows.max(1, keepdims=True))
    assert np.abs(softmax / softmax.sum(1, keepdims=True) - expected)[lower].max() < 4e-3


def test_the_layer_average_is_the_mean_over_heads(random_model: lab.TextModel) -> None:
    w = Attention(random_model, layer=1, show="average")
    heads = random_model.trace(w.prompt).attention[1][0].mean(0).numpy()
    assert np.nanmax(np.abs(unpacked(w) - np.where(np.isnan(unpacked(w)), np.nan, heads))) < 1e-3


def test_the_thumbnails_are_all_heads_in_order(random_model: lab.TextModel) -> None:
    w = Attention(random_model)
    side, T = w.shown.side, len(w.shown.tokens)
    cells = np.frombuffer(w.thumbs, dtype=np.uint8).reshape(16, side, side) / 255
    assert side == T
    for layer, head in ((0, 0), (1, 2), (3, 3)):
        expected = random_model.trace(w.prompt).attention[layer][0, head].numpy()
        assert np.abs(cells[layer * 4 + head] - expected).max() <= 0.5 / 255 + 1e-6


def test_the_readout_says_the_largest_share_and_the_entropy(random_model: lab.TextModel) -> None:
    w = Attention(random_model, query=5, layer=0, head=1)
    row = random_model.trace(w.prompt).attention[0][0, 1, 5, :6]
    assert w.shown.best == int(row.argmax())
    assert f"{100 * float(row.max()):.0f}" in w.sentence
    assert f"Entropy {entropy_bits(row):.2f} bits of a possible 2.58" in w.sentence  # log2(6)
    assert entropy_bits(torch.full((8,), 1 / 8)) == pytest.approx(3)
    assert entropy_bits(torch.tensor([1.0, 0.0])) == 0


def test_moving_the_token_that_looks_sends_no_pattern_again(random_model: lab.TextModel) -> None:
    w = Attention(random_model)
    sent: list[str] = []
    w.observe(lambda change: sent.append(change["name"]), names=["pattern", "thumbs", "view"])
    w.query = 3
    assert set(sent) == {"view"}
    assert len(str(w.view)) < 4_000, "a move of the query costs a few kilobytes"


def test_a_new_text_is_read_from_its_last_token(random_model: lab.TextModel) -> None:
    w = Attention(random_model, query=2)
    w.prompt = "the mayor went golfing"
    assert w.shown.query == len(w.shown.tokens) - 1


def test_512_tokens_are_shown_in_full_and_under_three_hundred_kilobytes(tokenizer: lab.Tokenizer) -> None:
    config = lab.TransformerConfig(
        vocab_size=tokenizer.vocab_size, max_seq_len=640, d_model=32, n_layers=2, n_heads=2, d_ff=64
    )
    model = lab.TextModel(lab.Transformer(config, seed=0), tokenizer, name="long")
    w = Attention(model, prompt="the stock market crashed. " * 300)
    assert len(w.shown.tokens) == LONGEST
    assert w.shown.side == THUMBNAIL
    assert len(w.pattern) + len(w.thumbs) < 300_000
    assert "cropped from its beginning" in w.shown.labels["prompt"]
    last = np.frombuffer(w.pattern, dtype=np.float16)[-LONGEST:].astype(float)
    assert last.sum() == pytest.approx(1, abs=0.01), "what is cropped was not read, so a row is whole"


@pytest.mark.parametrize("prompt", ["", "😀", "日本語", "\x00\u202e", "x" * 10_000])
def test_any_prompt_has_a_picture(random_model: lab.TextModel, prompt: str) -> None:
    w = Attention(random_model, prompt=prompt)
    assert w.shown.tokens
    assert "Entropy" in w.sentence
    assert len(w.pattern) == len(w.shown.tokens) * (len(w.shown.tokens) + 1)


def test_what_has_no_attention_is_refused_in_a_sentence(trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="trigram has no attention"):
        Attention(trigram)
    w = Attention(random_model)
    with pytest.raises(traitlets.TraitError, match="layers 0 to 3; layer 4 is not there"):
        w.layer = 4


def test_the_shipped_model_copies_by_two_layers_that_fit() -> None:
    """Lab 07: the numbers that it lets students predict, as orders and thresholds."""
    town = lab.load("town")
    prompt = "tortoise jik\nplums hauf\nbadger pim\ntortoise"
    ids = town.ids(prompt)[None]
    copy = lab.induction_scores(town.model, ids)
    head = int(copy[1].argmax())
    trace = town.trace(prompt)
    row = trace.attention[1][0, head, -1]
    assert town.next(prompt, k=1)[0].text == " jik"
    assert float(row[2]) == float(row.max()) > 0.5, "it looks at what followed the first tortoise"
    assert float(copy[1].max()) > 0.3 > float(copy[0].max())
    assert float(lab.look_back_scores(town.model, ids)[0].max()) > 0.4
    for heads in (layer[0, :, -1] for layer in trace.attention):
        mean_of_entropies = sum(map(entropy_bits, heads)) / len(heads)
        assert entropy_bits(heads.mean(0)) >= mean_of_entropies - 1e-6, "an average hides what is sure"
    recipe = lab.asset("models/town/recipe.toml").read_text(encoding="utf-8")
    assert 'start = "looking-back"' in recipe, "this circuit was given, not discovered, and the lab says so"
    w = Attention(town, prompt=prompt, layer=1, head=head)
    assert "·jik" in w.sentence
    assert "the token that followed it the last time" in w.sentence
    silent = lab.without_heads(town.model, [(1, h) for h in range(4)])
    without = lab.TextModel(silent, town.tokenizer, name="without layer 1")
    assert without.log_prob(" jik", given=prompt) < town.log_prob(" jik", given=prompt) - 1
