"""Counting models against counting by hand."""

from __future__ import annotations

import math
import time
from collections import Counter

import pytest
import torch

from lmlab.models.bigram import NeuralBigram
from lmlab.models.counts import SequenceCounts
from lmlab.models.ngram import NGram
from tests.models.models_under_test import random_ids

V = 7


def counted(stream: list[int], n: int) -> Counter:
    """All n-grams of a stream, by a loop."""
    return Counter(tuple(stream[i : i + n]) for i in range(len(stream) - n + 1))


def followers(stream: list[int], context: tuple[int, ...]) -> Counter:
    n = len(context)
    return Counter(stream[i + n] for i in range(len(stream) - n) if tuple(stream[i : i + n]) == context)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_probabilities_are_shares_of_counts(n: int):
    stream = random_ids(300, seed=n, vocab_size=V).tolist()
    model = NGram.fit(torch.tensor(stream), n=n, vocab_size=V)
    text = random_ids(40, seed=20 + n, vocab_size=V).tolist()
    rows = model.log_probs(torch.tensor([text]))[0].exp()
    for t in range(len(text)):
        context = tuple(text[max(0, t - n + 2) : t + 1]) if n > 1 else ()
        while not (found := followers(stream, context)):
            context = context[1:]  # back off to the longest context that was seen
        expected = [found[v] / found.total() for v in range(V)]
        assert rows[t].tolist() == pytest.approx(expected, abs=1e-6)


def test_never_seen_is_minus_infinity_and_never_nan():
    model = NGram.fit([0, 1, 0, 1, 2, 0], n=2, vocab_size=5)
    row, _ = model.next_log_probs(torch.tensor([[0]]))
    assert row[0].tolist() == [-math.inf, 0.0, -math.inf, -math.inf, -math.inf]
    silent, _ = model.with_smoothing("none").next_log_probs(torch.tensor([[4]]))
    assert silent[0].tolist() == [-math.inf] * 5
    backed_off, _ = model.next_log_probs(torch.tensor([[4]]))
    assert backed_off[0].exp().tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6, 0, 0])


def test_add_k_adds_k_to_every_count():
    stream = random_ids(200, seed=5, vocab_size=V).tolist()
    model = NGram.fit(stream, n=3, vocab_size=V, smoothing="add-k", k=0.3)
    for context in [(0, 1), (3, 3), (6, 2)]:
        found = followers(stream, context)
        expected = [(found[v] + 0.3) / (found.total() + 0.3 * V) for v in range(V)]
        row, _ = model.next_log_probs(torch.tensor([context]))
        assert row[0].exp().tolist() == pytest.approx(expected, abs=1e-6)


def test_interpolation_is_witten_bells_recursion():
    stream = random_ids(60, seed=6, vocab_size=V).tolist()
    model = NGram.fit(stream, n=4, vocab_size=V, smoothing="interpolated")

    def by_hand(context: tuple[int, ...], v: int) -> float:
        shorter = by_hand(context[1:], v) if context else 1 / V
        found = followers(stream, context)
        if not found:
            return shorter
        return (found[v] + len(found) * shorter) / (found.total() + len(found))

    for context in [(0, 1, 2), (3, 3, 3), tuple(stream[10:13]), tuple(stream[20:23])]:
        row, _ = model.next_log_probs(torch.tensor([context]))
        assert row[0].exp().tolist() == pytest.approx([by_hand(context, v) for v in range(V)], abs=1e-6)


def test_the_evidence_is_the_counts_behind_each_context():
    stream = random_ids(200, seed=8, vocab_size=V).tolist()
    for smoothing in ("backoff", "none", "add-k", "interpolated"):
        model = NGram.fit(stream, n=3, vocab_size=V, smoothing=smoothing)
        prefix = [5, 0, *stream[30:32]]
        evidence = model.explain(prefix)
        assert [piece.context for piece in evidence] == [tuple(stream[30:32]), (stream[31],), ()]
        for piece in evidence:
            found = followers(stream, piece.context)
            assert dict(piece.continuations) == dict(found)
            assert piece.total == found.total()
            counts = [count for _, count in piece.continuations]
            assert counts == sorted(counts, reverse=True)
        row, _ = model.next_log_probs(torch.tensor([prefix]))
        rest = 1 - sum(piece.weight for piece in evidence)
        mixed = [
            sum(piece.weight * dict(piece.continuations).get(v, 0) / piece.total for piece in evidence) + rest / V
            for v in range(V)
        ]
        assert row[0].exp().tolist() == pytest.approx(mixed, abs=1e-6)


def test_the_lectures_half():
    """Stock market crashed, once; stock market rallied, once: P(crashed | stock market) = 1/2."""
    the, stock, market, crashed, rallied, and_ = range(6)
    stream = [the, stock, market, crashed, and_, the, stock, market, rallied]
    row, _ = NGram.fit(stream, n=3, vocab_size=6).next_log_probs(torch.tensor([[the, stock, market]]))
    assert row[0, crashed].exp() == row[0, rallied].exp() == 0.5


def test_a_short_text_is_predicted_from_what_there_is():
    stream = random_ids(100, seed=9, vocab_size=V).tolist()
    row, state = NGram.fit(stream, n=4, vocab_size=V).next_log_probs(torch.tensor([[2]]))
    found = followers(stream, (2,))
    assert row[0].exp().tolist() == pytest.approx([found[v] / found.total() for v in range(V)], abs=1e-6)
    assert state.tolist() == [[2]]


def test_millions_of_tokens_are_counted_in_seconds_and_asked_in_milliseconds():
    stream = (torch.rand(2_000_000, generator=torch.Generator().manual_seed(0)) ** 3 * 2048).long()
    start = time.process_time()
    model = NGram.fit(stream, n=3, vocab_size=2048)
    assert time.process_time() - start < 12  # about one; the rest is a busy machine
    start = time.process_time()
    for place in range(50):
        model.next_log_probs(stream[None, place : place + 5])
    assert (time.process_time() - start) / 50 < 0.02


@pytest.mark.parametrize("smoothing", ["none", "add-k", "interpolated", "backoff"])
def test_scoring_a_text_is_picking_from_its_rows(smoothing: str):
    model = NGram.fit(random_ids(80, seed=11, vocab_size=V), n=4, vocab_size=V, smoothing=smoothing, k=0.2)
    texts = torch.stack([random_ids(30, seed=seed, vocab_size=V) for seed in (12, 13)])
    for n in range(1, 5):
        cut = model.shorter(n)
        rows = cut.log_probs(texts)[:, :-1]
        picked = rows.gather(-1, texts[:, 1:, None])[..., 0]
        assert cut.log_probs_of(texts).exp().tolist() == [pytest.approx(row.exp().tolist(), abs=1e-6) for row in picked]


def test_counts_cut_short_are_those_of_a_shorter_model():
    stream = random_ids(200, seed=14, vocab_size=V)
    model = NGram.fit(stream, n=5, vocab_size=V, smoothing="interpolated")
    text = random_ids(20, seed=15, vocab_size=V)[None]
    for n in range(1, 6):
        fresh = NGram.fit(stream, n=n, vocab_size=V, smoothing="interpolated")
        assert torch.equal(model.shorter(n).log_probs(text), fresh.log_probs(text))
    for n in (0, 6, True, 2.0):
        with pytest.raises(ValueError, match="from 1 to 5"):
            model.shorter(n)


def test_a_network_of_one_table_learns_the_counts():
    """The loss of a bigram trained by gradient descent meets that of the counted one, which no table can beat."""
    stream = random_ids(4000, seed=16, vocab_size=30)
    stream = torch.where(
        torch.rand(4000, generator=torch.Generator().manual_seed(1)) < 0.7, (stream * 7 + 3) % 30, stream
    )
    now, then = stream[:-1], stream[1:]
    counted = -NGram.fit(stream, n=2, vocab_size=30, smoothing="none").log_probs_of(stream[None]).mean()
    net = NeuralBigram(30)
    start = torch.nn.functional.cross_entropy(net(now), then)
    assert start.item() == pytest.approx(math.log(30))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(now), then)
        loss.backward()
        optimizer.step()
    assert 0 <= loss.item() - counted.item() < 0.01
    assert torch.allclose(net.log_probs(now[None])[0], net(now).log_softmax(-1))
    with pytest.raises(ValueError, match="V from 1 to 20,000"):
        NeuralBigram(0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n counts tokens"),
        ({"n": 4}, "at least 4 ids"),
        ({"vocab_size": 2}, "Id 2 is outside"),
        ({"smoothing": "magic"}, "'interpolated'"),
        ({"k": -1.0}, "k must be a positive number"),
        ({"k": float("nan")}, "k must be a positive number"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments: dict, words: str):
    with pytest.raises(ValueError, match=words):
        NGram.fit([0, 1, 2], **{"n": 2, "vocab_size": 3, **arguments})


# ---------------------------------------------------------------- whole texts


def test_whole_beginnings_are_counted():
    generator = torch.Generator().manual_seed(3)
    documents = [random_ids(1 + i % 5, seed=i, vocab_size=3).tolist() for i in range(400)]
    model = SequenceCounts.fit(documents, vocab_size=3)
    for _ in range(50):
        length = int(torch.randint(0, 4, (), generator=generator))
        prefix = torch.randint(0, 3, (length,), generator=generator).tolist()
        beginning = [document for document in documents if document[:length] == prefix]
        assert model.count(prefix) == len(beginning)
        if length:
            row, _ = model.next_log_probs(torch.tensor([prefix]))
            found = Counter(document[length] for document in beginning if len(document) > length)
            expected = [found[v] / max(1, found.total()) for v in range(3)]
            assert row[0].exp().tolist() == pytest.approx(expected, abs=1e-6)


def test_a_stream_is_cut_where_documents_begin():
    stream = torch.tensor([0, 5, 6, 0, 5, 7, 0, 5, 6])
    model = SequenceCounts.fit(stream, vocab_size=8, bos_id=0)
    row, _ = model.next_log_probs(torch.tensor([[0, 5]]))
    assert row[0].exp().tolist() == pytest.approx([0, 0, 0, 0, 0, 0, 2 / 3, 1 / 3])
    ended, _ = model.next_log_probs(torch.tensor([[0, 5, 7]]))
    assert ended[0].exp()[0] == 1  # the BOS of the next document is the end of this one


@pytest.mark.parametrize(
    ("documents", "bos_id", "words"),
    [
        ([], None, "no documents"),
        (torch.tensor([0, 1]), None, "needs bos_id"),
        ([[9]], None, "Id 9"),
        ([[]], None, "no"),
    ],
)
def test_nothing_to_count_is_refused(documents: object, bos_id: int | None, words: str):
    with pytest.raises(ValueError, match=words):
        SequenceCounts.fit(documents, vocab_size=3, bos_id=bos_id)  # type: ignore[arg-type]
