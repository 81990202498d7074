"""The step: AdamW against its formula, the rate against its shape, and settings that cannot train."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from lmlab.training.optimizer import OptimizerSettings, learning_rate, make_optimizer
from tests.training.stand_ins import small_model


def test_adamw_takes_the_step_that_the_paper_writes_down() -> None:
    torch.manual_seed(3)
    layer = torch.nn.Linear(3, 2)
    settings = OptimizerSettings(lr=0.1, betas=(0.8, 0.9), weight_decay=0.5, eps=1e-6)
    optimizer = make_optimizer(layer, settings)
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    means = {"w": (0.0, 0.0), "b": (0.0, 0.0)}
    for t in range(1, 6):
        gradients = {"w": torch.randn(2, 3), "b": torch.randn(2)}
        layer.weight.grad, layer.bias.grad = gradients["w"].clone(), gradients["b"].clone()
        optimizer.step()
        updates = {}
        for name, gradient in gradients.items():
            m = 0.8 * means[name][0] + 0.2 * gradient.double()
            v = 0.9 * means[name][1] + 0.1 * gradient.double() ** 2
            means[name] = (m, v)
            updates[name] = (m / (1 - 0.8**t)) / ((v / (1 - 0.9**t)).sqrt() + 1e-6)
        weight = weight * (1 - 0.1 * 0.5) - 0.1 * updates["w"]  # the decay does not pass through the moments
        bias = bias - 0.1 * updates["b"]  # and leaves biases alone
    assert torch.allclose(layer.weight.double(), weight, atol=1e-5)
    assert torch.allclose(layer.bias.double(), bias, atol=1e-5)


def test_every_parameter_is_in_one_group_and_only_matrices_decay() -> None:
    model = small_model()
    groups = make_optimizer(model, OptimizerSettings()).param_groups
    listed = [p for group in groups for p in group["params"]]
    assert {id(p) for p in listed} == {id(p) for p in model.parameters()}
    assert len(listed) == len(set(map(id, listed)))
    for group in groups:
        assert all((p.dim() >= 2) == (group["weight_decay"] > 0) for p in group["params"])


def test_the_rate_warms_up_in_a_line_and_falls_along_half_a_cosine() -> None:
    settings = OptimizerSettings(lr=0.4, warmup=4, final_lr=0.1)
    rates = [learning_rate(s, 104, settings) for s in range(104)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4] == pytest.approx(0.4)
    assert rates[-1] == pytest.approx(0.04)
    middle = 4 + 33
    assert rates[middle] == pytest.approx(0.04 + 0.36 * 0.5 * (1 + math.cos(math.pi * 33 / 99)))
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))


def test_wsd_stays_at_the_peak_and_then_falls_in_a_line() -> None:
    settings = OptimizerSettings(lr=1.0, warmup=2, schedule="wsd", decay_fraction=0.5)
    rates = [learning_rate(s, 22, settings) for s in range(22)]
    assert rates[1:12] == [1.0] * 11
    assert rates[11:] == pytest.approx([1 - n / 10 for n in range(11)])


def test_a_short_run_warms_up_for_a_tenth_of_its_steps() -> None:
    assert learning_rate(2, 30, OptimizerSettings(lr=1.0)) == 1.0
    assert learning_rate(2, 3_000, OptimizerSettings(lr=1.0)) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lr": 0}, "lr"),
        ({"lr": -1e-3}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"lr": "fast"}, "lr"),
        ({"lr": True}, "lr"),
        ({"lr": 1e30}, "lr"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"betas": (0.9,)}, "betas"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"lr": 1.0, "weight_decay": 2.0}, "weight_decay"),
        ({"clip": 0.0}, "clip"),
        ({"warmup": -1}, "warmup"),
        ({"warmup": 1.5}, "warmup"),
        ({"schedule": "steps"}, "schedule"),
        ({"final_lr": 2}, "final_lr"),
        ({"decay_fraction": -0.1}, "decay_fraction"),
        ({"eps": 0}, "eps"),
    ],
)
def test_a_setting_that_cannot_train_is_refused_by_name_in_one_sentence(changes: dict, named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} is .*\.$") as error:
        OptimizerSettings(**changes)
    assert "\n" not in str(error.value)


def test_counts_are_not_trained() -> None:
    with pytest.raises(ValueError, match="fitted, not trained"):
        make_optimizer(torch.nn.Identity(), OptimizerSettings())
