"""Induction: what counts as copying, and as looking there, computed again token by token."""

from __future__ import annotations

import math

import pytest
import torch

from lmlab.data.repeats import RepeatStream
from lmlab.models.ablation import ablate
from lmlab.models.induction import copying, followers, induction_scores, look_back_scores
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer, TransformerConfig

CONFIG = TransformerConfig(vocab_size=9, max_seq_len=24, d_model=16, n_layers=2, n_heads=2, d_ff=16)
IDS = torch.randint(9, (4, 20), generator=torch.Generator().manual_seed(3))


def test_followers_are_the_places_after_the_same_token() -> None:
    found = followers(IDS)
    for b, row in enumerate(IDS.tolist()):
        for t in range(20):
            assert found[b, t].nonzero().flatten().tolist() == [s + 1 for s in range(t) if row[s] == row[t]]


def test_scores_are_shares_of_attention_counted_one_by_one() -> None:
    model = Transformer(CONFIG, seed=1)
    model(IDS, trace=(trace := Trace()))
    there: list[float] = []
    back: list[float] = []
    for b, row in enumerate(IDS.tolist()):
        for t in range(1, 20):
            weights = trace.attention[1][b, 0, t]
            back.append(float(weights[t - 1]))
            earlier = [s for s in range(t) if row[s] == row[t]]
            if earlier:
                there.append(sum(float(weights[s + 1]) for s in earlier))
    assert float(induction_scores(model, IDS)[1, 0]) == pytest.approx(sum(there) / len(there), abs=1e-5)
    assert float(look_back_scores(model, IDS)[1, 0]) == pytest.approx(sum(back) / len(back), abs=1e-5)


def test_copying_counts_only_what_can_be_known() -> None:
    model = ablate(Transformer(CONFIG, seed=1), "mlp")
    log_probs = model.log_probs(IDS[:, :-1])
    right: list[bool] = []
    surprise: list[float] = []
    for b, row in enumerate(IDS.tolist()):
        for t in range(19):
            if row[t] in row[:t]:
                right.append(int(log_probs[b, t].argmax()) == row[t + 1])
                surprise.append(-float(log_probs[b, t, row[t + 1]]))
    measured = copying(model, IDS)
    assert measured.accuracy == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert measured.loss == pytest.approx(sum(surprise) / len(surprise), abs=1e-5)
    with pytest.raises(ValueError, match="nothing to copy: repeat something"):
        copying(model, torch.arange(8)[None])


def test_rows_repeat_a_fresh_piece_of_distinct_tokens() -> None:
    stream = RepeatStream(V=32, T=48, B=16, shortest=8, longest=24, seed=4)
    rows, batch = stream.rows(), next(stream)
    assert torch.equal(batch.inputs, rows[:, :-1])
    assert torch.equal(batch.targets, rows[:, 1:])
    lengths = set()
    for row in rows.tolist():
        n = row.index(row[0], 1)
        lengths.add(n)
        assert 8 <= n <= 24
        assert len(set(row[:n])) == n
        assert row == [row[i % n] for i in range(49)]
    assert len(lengths) > 5, "a fixed distance would be a way to copy without looking"
    assert not torch.equal(next(stream).inputs, batch.inputs)
    again = RepeatStream(V=32, T=48, B=16, shortest=8, longest=24, seed=4)
    again.load_state({**again.state(), "position": 1})
    other = RepeatStream(V=32, T=48, B=16, shortest=8, longest=24, seed=4)
    next(other)
    assert torch.equal(next(again).inputs, next(other).inputs)
    with pytest.raises(ValueError, match="does not fit V=8"):
        RepeatStream(V=8, T=48, B=1, shortest=8, longest=24)


def test_a_head_that_looks_anywhere_scores_little() -> None:
    rows = RepeatStream(V=32, T=48, B=64, shortest=8, longest=24, seed=0).rows()
    scores = induction_scores(Transformer(TransformerConfig.tiny(vocab_size=32), seed=0), rows)
    assert float(scores.max()) < 0.15
    assert math.isclose(float(followers(rows).any(-1).float().mean()), 2 / 3, abs_tol=0.1)
