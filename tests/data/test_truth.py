"""The truth over tokens, against plain enumeration of a small language, for tokens that cut words in pieces."""

import math
from random import Random

import pytest
import torch

from lmlab.data.town import Town
from lmlab.data.town.floors import floors, surprise
from lmlab.data.town.reasoning import TABLE_SIZES
from lmlab.data.town.tables import QUILLISH
from lmlab.data.town.truth import TownTruth
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from tests.data.small_grammar import every_document, small_grammar


@pytest.fixture(scope="module", params=[264, 272, 285], ids=["bytes", "pieces", "larger pieces"])
def tok(request):
    text = "\n".join(every_document())
    return train_bpe(text, vocab_size=request.param, specials=RESERVED_SPECIALS)[0]


@pytest.fixture(scope="module")
def town_tok():
    return train_bpe("\n".join(Town().sample(3000, 0)), vocab_size=1200, specials=RESERVED_SPECIALS)[0]


def enumerated(tok, prefix: list[int]) -> torch.Tensor:
    """(V,) next-token probabilities after BOS and a prefix, from the list of all documents."""
    mass = torch.zeros(tok.vocab_size, dtype=torch.float64)
    for document, p in every_document().items():
        ids = [*tok.encode(document), tok.bos_id]
        if ids[: len(prefix)] == prefix:
            mass[ids[len(prefix)]] += p
    return mass / mass.sum()


def test_it_equals_enumeration_after_a_thousand_prefixes_many_inside_a_word(tok):
    truth, rng = TownTruth(tok, small_grammar()), Random(0)
    documents = [tok.encode(document) for document in every_document()]
    n_inside = 0
    for _ in range(340):
        ids = rng.choice(documents)
        prefix = ids[: rng.randrange(len(ids) + 1)]
        row, _ = truth.next_log_probs(torch.tensor([[tok.bos_id, *prefix]]))
        assert torch.allclose(row[0].double().exp(), enumerated(tok, prefix), atol=1e-6)
        exact = truth.probabilities([tok.bos_id, *prefix])
        expected = {i: p for i, p in enumerate(enumerated(tok, prefix).tolist()) if p > 0}
        assert exact.keys() == expected.keys()
        assert all(abs(exact[i] - expected[i]) < 1e-9 for i in exact)
        assert abs(sum(exact.values()) - 1) < 1e-9
        n_inside += not any(
            document.startswith(tok.decode(prefix) + c) for document in every_document() for c in " \n.!"
        )
    assert n_inside > 60


def test_a_word_that_begins_another_may_end_or_go_on(tok):
    """After "the car" only "cart" fits; after "is big" the end of the word and "bigger" both do."""
    truth = TownTruth(tok, small_grammar())
    ids = [tok.bos_id, *tok.encode("the cart is big")]
    p = truth.probabilities(ids)
    assert len(p) >= 2
    assert math.isclose(sum(p.values()), 1.0)


def test_after_the_end_a_new_document_begins(tok):
    truth = TownTruth(tok, small_grammar())
    document = next(iter(every_document()))
    again = truth.probabilities([tok.bos_id, *tok.encode(document), tok.bos_id])
    assert again == pytest.approx(truth.probabilities([tok.bos_id]))
    assert truth.probabilities([tok.bos_id, tok.bos_id]) == {}  # there is no empty document


def test_what_cannot_be_said_is_minus_infinity_for_all_and_never_nan(town_tok):
    truth = TownTruth(town_tok)
    row, _ = truth.next_log_probs(torch.tensor([[town_tok.bos_id, *town_tok.encode("the stock market 恐慌")]]))
    assert torch.isinf(row).all()
    assert (row < 0).all()


def test_incremental_equals_full_and_a_state_is_a_value(town_tok):
    truth, fresh = TownTruth(town_tok), TownTruth(town_tok)
    for document in Town().sample(12, 6):
        ids = torch.tensor([[town_tok.bos_id, *town_tok.encode(document)][:40]])
        full = truth.log_probs(ids)
        assert full.shape == (1, ids.shape[1], town_tok.vocab_size)
        assert full.dtype == torch.float32
        assert torch.allclose(full.exp().sum(-1), torch.ones(1, ids.shape[1]), atol=1e-5)
        at = ids.shape[1] // 2
        _, state = fresh.next_log_probs(ids[:, :at])
        for _ in range(2):
            rest, _ = fresh.next_log_probs(ids[:, at:], state)
            assert torch.equal(rest, full[:, -1])


def test_its_tokens_carry_the_probability_of_the_document(town_tok):
    truth, town = TownTruth(town_tok), Town()
    for document in town.sample(15, 9):
        ids = torch.tensor([[town_tok.bos_id, *town_tok.encode(document), town_tok.bos_id]])
        log_probs = truth.log_probs(ids[:, :-1])
        assert math.isclose(float(log_probs.gather(2, ids[:, 1:, None]).sum()), town.log_prob(document), rel_tol=1e-4)


@pytest.mark.parametrize("n_documents", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_the_mean_surprise_is_the_entropy_within_three_standard_errors(n_documents):
    town = Town()
    both = [surprise(town, document) for document in town.sample(n_documents, 12)]
    differences = [nats - entropy for nats, entropy in both]
    n, mean = len(both), sum(differences) / len(both)
    error = math.sqrt(sum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    assert abs(mean) < 3 * error


def test_the_floor_of_pairs_is_the_closed_form(town_tok):
    """Which size, then the keys and values without replacement, then which pair each further line asks for."""
    only = Town(families=["pairs"])
    found = floors(town_tok, only, n=200)
    nats = sum(
        p * (-math.log(p) + 2 * sum(math.log(len(QUILLISH) - i) for i in range(n)) + (20 - n) * math.log(n))
        for n, p in TABLE_SIZES.items()
    )
    floor = found["pairs"]
    assert abs(floor.nats_per_token - nats / floor.tokens_per_document) < 4 * floor.standard_error
    assert floor.standard_error < 0.05
    assert found["all"].nats_per_token == pytest.approx(floor.nats_per_token)


def test_a_tokenizer_without_bos_is_refused():
    with pytest.raises(ValueError, match="endoftext"):
        TownTruth(train_bpe("a b c a b", vocab_size=257)[0])
