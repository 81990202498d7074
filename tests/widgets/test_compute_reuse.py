"""ComputeReuse: what is kept, what is computed again, and that both ways agree, by counting and by other paths."""

from __future__ import annotations

import random

import pytest
import torch

import lmlab as lab
from lmlab.widgets import ComputeReuse
from lmlab.widgets.compute_reuse import MOST, edit, generation_cost, moved, stream


def small(T: int = 64, seed: int = 0) -> lab.Transformer:
    config = lab.TransformerConfig(vocab_size=40, max_seq_len=T, d_model=16, n_layers=3, n_heads=2)
    if T > 64:  # a long text through as little as possible
        config = lab.TransformerConfig(vocab_size=40, max_seq_len=T, d_model=4, n_layers=1, n_heads=1)
    return lab.Transformer(config, seed=seed)


class Counted:
    """Counts the positions that pass through a model."""

    def __init__(self, model: lab.Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n, hidden = 0, model.hidden

        def counting(ids: torch.Tensor, **kwargs: object) -> torch.Tensor:
            self.n += ids.shape[1]
            return hidden(ids, **kwargs)

        monkeypatch.setattr(model, "hidden", counting)


def test_the_lectures_numbers(monkeypatch: pytest.MonkeyPatch):
    """Only the prefix before the change is reusable; writing 1,024 tokens costs 1,024 positions, not 524,800."""
    assert generation_cost(1024, cached=False) == 524_800 == sum(range(1, 1025))
    assert generation_cost(1024, cached=True) == 1_024
    assert generation_cost(1024, cached=False) / generation_cost(1024, cached=True) == 512.5
    model = small(T=1024)
    counted = Counted(model, monkeypatch)
    state, ids = None, torch.tensor([[7]])
    for _ in range(1024):
        row, state = model.next_log_probs(ids, state)
        ids = row.argmax(-1, keepdim=True)
    assert counted.n == generation_cost(1024, cached=True)
    counted.n, text = 0, torch.tensor([[7]])
    for _ in range(40):
        row, _ = model.next_log_probs(text)
        text = torch.cat((text, row.argmax(-1, keepdim=True)), 1)
    assert counted.n == generation_cost(40, cached=False)


@pytest.mark.parametrize("seed", range(5))
def test_any_edit_keeps_what_stands_before_it(seed: int, monkeypatch: pytest.MonkeyPatch):
    draw = random.Random(seed)
    model = small(seed=seed)
    n = draw.randint(2, 40)
    old, place = [draw.randrange(40) for _ in range(n)], draw.randrange(1, n)
    word = [draw.randrange(40) for _ in range(draw.choice((1, 1, 3)))]
    counted = Counted(model, monkeypatch)
    found = edit(model, old, place, word)
    length = n - 1 + len(word)
    assert counted.n == place + (length - place) + length  # the cache is made, continued, and compared with a full pass
    assert found.kept == place
    assert found.computed == length - place
    assert found.error < 1e-5
    assert found.cache_bytes == 2 * 3 * 16 * 4 * length  # K and V, L, D, four bytes a number


def test_nothing_moves_before_the_change_and_at_the_bottom_only_the_word_does():
    model = small()
    old = [3, 1, 4, 1, 5, 9, 2, 6]
    new = [3, 1, 4, 8, 5, 9, 2, 6]
    by_layer = moved(stream(model, old), stream(model, new))
    assert by_layer.shape == (4, 8)
    assert bool((by_layer[:, :3] == 0).all())
    assert (by_layer[0] > 0).tolist() == [t == 3 for t in range(8)]
    assert bool((by_layer[1:, 3:] > 0).all())
    a, b = model.embedding.weight[torch.tensor([1, 8])]
    assert by_layer[0, 3].item() == pytest.approx(((b - a).norm() / a.norm()).item(), rel=1e-5)
    bidirectional = (model(torch.tensor([old]), causal=False) - model(torch.tensor([new]), causal=False)).abs()
    assert float(bidirectional[0, 0].max()) > 0  # without the causal mask nothing could be kept


def test_the_widget_says_what_it_kept(random_model: lab.TextModel):
    w = ComputeReuse(random_model, prompt="the stock market crashed and investors panicked")
    tokens = [random_model.tokenizer.token_text(int(i)) for i in random_model.ids(w.prompt)]
    for place in (1, 4, len(tokens) - 1):
        w.place, w.word = place, "goose"
        written = random_model.tokenizer.encode(" goose" if place > 1 else "goose")
        length = len(tokens) - 1 + len(written)
        assert (w.shown.place, w.shown.kept, len(w.shown.tokens)) == (place, place, length)
        assert f"{place} position" in w.sentence
        assert f"{length - place} computed again" in w.sentence
        assert "agree within 0.00001" in w.sentence
    w.T = 100
    assert "100 positions with a cache and 5,050 without, 50.5 times more" in w.sentence
    assert len(repr(w)) <= 110


def test_a_long_prompt_is_read_from_its_end_and_an_empty_one_invites(random_model: lab.TextModel):
    w = ComputeReuse(random_model, prompt="the stock market crashed " * 400)
    assert "the last 23 are read" in w.shown.labels["prompt"]
    assert w.shown.last == MOST - 1
    w.place = 10_000
    assert w.shown.place == MOST - 1
    w.prompt = ""
    assert w.sentence.startswith("There is no word to change yet")
    w.prompt, w.word = "👩‍👩‍👧", "<img src=x onerror=alert(1)>"
    assert "agree" in w.sentence
    w.word = ""
    assert "stays" in w.sentence


def test_a_model_without_a_cache_is_refused(trigram: lab.TextModel):
    with pytest.raises(ValueError, match="got a NGram, which has none"):
        ComputeReuse(trigram)
