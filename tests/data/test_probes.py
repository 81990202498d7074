"""The probes ask what the town answers."""

import math

import pytest
import torch

from lmlab.data.town import FAMILIES, Town
from lmlab.data.town.measure import answers, measure
from lmlab.data.town.nodes import split_words
from lmlab.data.town.probes import probes
from lmlab.data.town.truth import TownTruth
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe


@pytest.mark.parametrize("dialect", ["worried", "bargain-hunting"])
def test_the_answer_is_what_the_town_says_likeliest(dialect):
    town = Town(dialect)
    asked = probes(town, 6, 3)
    assert {p.family for p in asked} == {*FAMILIES, "held_out_people"}
    for probe in asked:
        assert probe.answer in probe.options
        assert len(set(probe.options)) == len(probe.options) >= 2
        likely = town.next_words(probe.prompt)
        if probe.family == "held_out_people":
            assert likely == {}  # never asked in the town, though every fact about them is told
        elif probe.family == "question_list":
            assert next(iter(likely)) == probe.answer
        else:
            best = max(likely, key=likely.get)
            assert best == split_words(probe.answer)[0], probe
            assert likely[best] > 0.99 or probe.family == "news"


def test_probes_depend_on_the_seed_alone():
    assert probes(n=5, seed=2) == probes(n=5, seed=2) != probes(n=5, seed=3)


class Uniform:
    """Knows nothing."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def log_probs(self, ids):
        return torch.full((*ids.shape, self.vocab_size), -math.log(self.vocab_size))

    def next_log_probs(self, ids, state=None):
        return self.log_probs(ids)[:, -1], None


def test_the_truth_has_no_gap_and_all_answers_and_the_ignorant_neither():
    town = Town(families=["news", "translation", "question_answer"])
    tok, _ = train_bpe("\n".join(town.sample(2000, 0)), vocab_size=500, specials=RESERVED_SPECIALS)
    found = measure(TownTruth(tok, town), tok, town, n=5)
    assert set(found) == {*town.families, "all", "held_out_people"}
    for name in (*town.families, "all"):
        assert abs(found[name].gap) < 1e-5
        assert found[name].accuracy == 1.0
    ignorant = measure(Uniform(tok.vocab_size), tok, town, n=5)
    assert ignorant["all"].loss == pytest.approx(math.log(tok.vocab_size))
    assert answers(Uniform(tok.vocab_size), tok, probes(town, 5))["translation"] == 0.0
