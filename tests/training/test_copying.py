"""Copying from random weights: the plateau, the jump, the control that fails, and the heads that do it."""

from __future__ import annotations

import math

import pytest

from lmlab.models.head_start import look_back
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.training.copying import COPIER, STEPS, CopyTrial, V

GUESS = 1 / V


def test_it_begins_with_random_weights_and_knows_nothing() -> None:
    """No head start: the weights are those that `Transformer` draws from the seed, the MLP apart."""
    trial = CopyTrial(seed=7, steps=10)
    config = trial.model.config
    fresh = dict(Transformer(config, seed=7).named_parameters())
    assert all((weight == fresh[name]).all() for name, weight in trial.model.named_parameters())
    assert not any("mlp" in name for name, _ in trial.model.named_parameters())
    first = trial.points[0]
    assert first.step == 0
    assert first.accuracy < 3 * GUESS
    assert first.loss == pytest.approx(math.log(V), rel=0.05)
    with pytest.raises(ValueError, match="starts looking back"):
        look_back(Transformer(TransformerConfig(vocab_size=V, d_model=32, n_layers=2, n_heads=2), seed=0), 0)


def test_a_trial_stopped_at_once_and_gone_on_with_is_the_same_trial() -> None:
    stopped, whole = CopyTrial(seed=1, steps=20), CopyTrial(seed=1, steps=20)
    stopped.advance(20, keep_on=lambda: stopped.state.step < 3)
    assert stopped.points[-1].step == 3
    while not stopped.is_over:
        stopped.advance()
    whole.advance(20)
    assert stopped.points[-1] == whole.points[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5])
def test_two_layers_learn_to_copy_all_at_once_and_one_layer_does_not(seed: int) -> None:
    two, one = CopyTrial(2, seed=seed), CopyTrial(1, seed=seed)
    for trial in (two, one):
        while not trial.is_over:
            trial.advance()
    curve = {p.step: p.accuracy for p in two.points}
    assert two.points[-1].step == STEPS
    assert curve[100] < 0.14, "the plateau"
    assert curve[STEPS] > 0.95, "and the jump"
    plateau = max(step for step, accuracy in curve.items() if accuracy < 0.14)
    learned = min(step for step, accuracy in curve.items() if accuracy > 0.95)
    assert learned - plateau <= 100
    assert two.points[-1].loss < 0.3 < math.log(V)
    assert two.points[-1].induction > 0.8
    assert all(p.accuracy < 0.25 for p in one.points), "one layer fails"

    whole, copiers = two.points[-1].accuracy, two.copiers()
    assert copiers
    assert all(layer == 1 for layer, _ in copiers), "what looks for the same token needs what layer 0 wrote down"
    assert two.accuracy_without(*copiers) < 0.1, "without the heads that look there, it guesses"
    back = two.looks_back()
    assert back[0] == 0
    control = (0, 1 - back[1])
    assert two.accuracy_without(back) < 0.8 * whole, "the other half of the circuit"
    assert two.accuracy_without(control) > 0.9 * whole, "the head beside it is a control: nothing is lost"
    assert float(two.scores()[1].max()) > COPIER
