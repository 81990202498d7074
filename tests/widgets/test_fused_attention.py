"""FusedAttention: its tiles against the whole softmax of the model's own trace, its bytes against the formulas."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
import traitlets

import lmlab as lab
from lmlab.widgets import FusedAttention
from lmlab.widgets.fused_attention import LARGEST, MOST


def scores_and_values(model: lab.TextModel, prompt: str, layer: int, head: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (T, S) before the softmax as the model's trace keeps them, and values (S, E) from the layer's weights."""
    trace = model.trace(prompt, last=MOST)
    block, config = model.model.blocks[layer], model.model.config
    v = block.attention.value(block.attention_norm(trace.residual[layer]))[0]
    shared = head // (config.n_heads // (config.n_kv_heads or config.n_heads))
    E = config.head_width
    return trace.scores[layer][0, head].double(), v[:, shared * E : (shared + 1) * E].double().detach()


def unpacked(w: FusedAttention) -> list[dict[str, np.ndarray]]:
    """The log that the page receives, step by step."""
    numbers, at, found = np.frombuffer(w._log, dtype="<f4"), 0, []
    for a, b, c, d, *_ in w.shown.steps:
        t, s, here = b - a, d - c, {}
        for name, shape in (("max", (t,)), ("sum", (t,)), ("rescale", (t,)), ("weights", (t, s)),
                            ("output", (t, w.shown.width))):  # fmt: skip
            n = math.prod(shape)
            here[name], at = numbers[at : at + n].reshape(shape).astype(float), at + n
        found.append(here)
    assert at == len(numbers)
    return found


def test_every_tile_is_a_piece_of_the_models_softmax(random_model: lab.TextModel) -> None:
    draw = random.Random()
    words = "the stock market crashed and investors panicked because of a goose".split()
    for _ in range(3):
        layer, head, tile = draw.randrange(4), draw.randrange(4), draw.randrange(1, 9)
        prompt = " ".join(draw.choices(words, k=draw.randrange(1, 12)))
        w = FusedAttention(random_model, prompt=prompt, layer=layer, head=head, tile=tile)
        scores, values = scores_and_values(random_model, prompt, layer, head)
        T = len(scores)
        assert len(w.shown.tokens) == T
        old = np.full(0, 0.0)
        for (a, b, c, d, *_), here in zip(w.shown.steps, unpacked(w), strict=True):
            part = scores[a:b, :d]
            top = part.amax(1, keepdim=True)
            assert here["max"] == pytest.approx(top[:, 0].numpy(), abs=1e-4)
            assert here["sum"] == pytest.approx((part - top).exp().sum(1).numpy(), rel=1e-4)
            assert here["weights"] == pytest.approx((part - top).exp()[:, c:].numpy(), abs=1e-4)
            assert here["output"] == pytest.approx((part.softmax(1) @ values[:d]).numpy(), abs=1e-4)
            expected = np.zeros(b - a) if c == 0 else np.exp(old - here["max"])
            assert here["rescale"] == pytest.approx(expected, abs=1e-4)
            old = here["max"]
        seen = {(a, c) for a, _, c, *_ in w.shown.steps}
        all_tiles = {(a, c) for a in range(0, T, tile) for c in range(0, T, tile)}
        assert seen == {(a, c) for a, c in all_tiles if scores[a : a + tile, c : c + tile].isfinite().any()}


def test_the_end_equals_naive_and_its_bytes_the_formulas(random_model: lab.TextModel) -> None:
    w = FusedAttention(random_model, tile=5)
    T, E = len(w.shown.tokens), w.shown.width
    w.step = len(w.shown.steps)
    assert f"All {T} rows are done, and differ from naive attention by less than 0.00001" in w.sentence
    assert 0 < w.shown.steps[-1][6] < 1e-5
    assert max(off for *_, off, _ in w.shown.steps) > 1e-3, "a row in hand is not done"
    naive, tiled = (n for n, _ in w.shown.moved)
    assert naive == 4 * (4 * T * E + 4 * T * T)
    bands = range(0, T, 5)
    assert tiled == 4 * E * (2 * T + 2 * sum(min(T, (i + 1) * 5) for i in range(len(bands))))
    assert [n for n, _ in w.shown.long] == [
        4 * (4 * 4096 * E + 4 * 4096**2),
        4 * E * (2 * 4096 + 2 * sum(min(4096, start + 5) for start in range(0, 4096, 5))),
    ]


def test_finished_rows_alone_are_compared(random_model: lab.TextModel) -> None:
    w = FusedAttention(random_model, tile=4)
    done = [finished for *_, finished in w.shown.steps]
    assert done[0] is not None
    w.tile = 3
    rows = [a for a, *_ in w.shown.steps]
    first_of_second = rows.index(3)
    assert w.shown.steps[first_of_second][6] == w.shown.steps[first_of_second - 1][6], "its rows are still in hand"


def test_small_tiles_move_more_than_naive_and_large_ones_less(random_model: lab.TextModel) -> None:
    """Causal, tiled moves about 2 · (T²/2) E / tile numbers and naive 4 T²: equal at tile = E / 4."""
    w = FusedAttention(random_model, length=16_384)
    ratio = {}
    for tile in (2, w.shown.width // 4, 32):
        w.tile = tile
        (naive, _), (tiled, _) = w.shown.long
        ratio[tile] = tiled / naive
        assert ("too small a tile" in w.sentence) == (tiled >= naive)
    assert ratio[2] > 1 > ratio[32]
    assert ratio[w.shown.width // 4] == pytest.approx(1, abs=0.02)


def test_sentences_follow_the_steps(random_model: lab.TextModel) -> None:
    w = FusedAttention(random_model, tile=4, prompt="the stock market crashed and investors panicked")
    n, side = len(w.shown.steps), -(-len(w.shown.tokens) // 4)
    assert f"{n} tiles of {side**2} to compute; {side**2 - n} lie wholly in the future" in w.sentence
    log = unpacked(w)
    for i, (a, _, c, *_) in enumerate(w.shown.steps[:-1], 1):
        w.step = i
        rescale = log[i - 1]["rescale"]
        if c == 0:
            assert "nothing is rescaled" in w.sentence
        elif (rescale == 1).all():
            assert "No row finds a larger score" in w.sentence
        else:
            row = min(range(len(rescale)), key=lambda r: abs(rescale[r] - 0.5) + (rescale[r] == 1))
            assert f"{w.shown.tokens[a + row]} finds a larger score" in w.sentence
            assert f"multiplied by {rescale[row]:.3f}" in w.sentence
    assert repr(w) == repr(FusedAttention(random_model, tile=4, prompt=w.prompt, step=w.step))
    w.prompt = "the mayor"
    assert w.step == 0, "another text begins anew"


def test_one_tile_or_none_in_the_future_is_said_in_the_singular(random_model: lab.TextModel) -> None:
    w = FusedAttention(random_model, prompt="the mayor")
    w.tile = len(w.shown.tokens) - 1
    assert "3 tiles of 4 to compute; 1 lies wholly in the future and is never read." in w.sentence
    w.tile += 1
    assert "1 tile of 1 to compute; none lies wholly in the future and is never read." in w.sentence


def test_scrubbing_sends_no_walk_again(random_model: lab.TextModel) -> None:
    w = FusedAttention(random_model)
    sent: list[str] = []
    w.observe(lambda change: sent.append(change["name"]), names=["_log", "view"])
    w.step = 3
    assert set(sent) == {"view"}


def test_the_roofline_is_a_data_sheets_until_it_is_measured(random_model: lab.TextModel, monkeypatch) -> None:
    from lmlab.systems.roofline import Placed, Roof, kernels
    from lmlab.widgets import fused_attention

    w = FusedAttention(random_model, show="roofline")
    assert w.shown.roof[0] == "H100"
    assert w.shown.roof[3] == pytest.approx(989.5 / 3.35)
    assert "needs 295 to be busy: it can reach 11\u202f% and 79\u202f%" in w.sentence
    roof = Roof("this machine", 5e10, 1e10, 4, "a test")
    mine = tuple(Placed(work, roof.attainable(work.intensity), 1e8 * (i + 1)) for i, work in enumerate(kernels()))
    monkeypatch.setattr(fused_attention, "measured_roofline", lambda: (roof, mine))
    w._press("measure")
    w.wait()
    assert w.shown.roof[3] == 5
    assert [p[3] for p in w.shown.placed] == [1e8 * (i + 1) for i in range(8)]
    assert "This machine needs 5 to be busy; run just now, fused was 1.1 times as fast as naive" in w.sentence
    assert "16 FLOPs for each byte, fused 116: the same arithmetic" in repr(w)
    assert "This machine" not in repr(w), "a repr is the same on every machine"
    w.show = "tiles"
    assert w.sentence == FusedAttention(random_model).sentence


@pytest.mark.parametrize("prompt", ["", "😀", "日本語", "\x00\u202e", "x" * 3_000])
def test_any_prompt_has_a_picture(random_model: lab.TextModel, prompt: str) -> None:
    w = FusedAttention(random_model, prompt=prompt, tile=LARGEST, step=10**6)
    assert 1 <= len(w.shown.tokens) <= MOST
    assert ("rows are done" if len(w.shown.tokens) > 1 else "The one row is done") in w.sentence
    assert len(w.shown.steps) == 1


def test_what_has_no_head_is_refused_in_a_sentence(trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    with pytest.raises(ValueError, match="got a NGram, which has none"):
        FusedAttention(trigram)
    with pytest.raises(traitlets.TraitError, match="layers 0 to 3; layer 4 is not there"):
        FusedAttention(random_model, layer=4)
    bare = lab.TextModel(lab.ablate(random_model.model, "attention"), random_model.tokenizer, name="bare")
    with pytest.raises(ValueError, match="it was taken out"):
        FusedAttention(bare)


def test_heads_that_share_keys_read_the_shared_ones(tokenizer: lab.Tokenizer) -> None:
    config = lab.TransformerConfig(
        vocab_size=tokenizer.vocab_size, max_seq_len=64, d_model=48, n_layers=2, n_heads=6, n_kv_heads=2, d_ff=64
    )
    model = lab.TextModel(lab.Transformer(config, seed=1), tokenizer, name="shared")
    w = FusedAttention(model, prompt="the stock market crashed", layer=1, head=4, tile=3)
    scores, values = scores_and_values(model, w.prompt, 1, 4)
    expected = (scores.softmax(1) @ values)[w.shown.steps[-1][0] :]
    assert unpacked(w)[-1]["output"] == pytest.approx(expected.numpy(), abs=1e-4)
