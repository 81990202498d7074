"""Muon: its step is the gradient with all singular values made equal, as the SVD says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmlab.training.checkpoint import read_checkpoint, write_checkpoint
from lmlab.training.loop import train
from lmlab.training.muon import orthogonal
from lmlab.training.objectives import next_token
from lmlab.training.optimizer import OptimizerSettings, make_optimizer
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, same_bits, small_model, weights

MUON = OptimizerSettings(optimizer="muon", lr=1e-2)


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12)])
def test_every_direction_of_the_gradient_counts_about_the_same(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    gradients = torch.randn(3, *shape) @ torch.diag(torch.logspace(0, -1, shape[1]))
    made = orthogonal(gradients)
    for gradient, step in zip(gradients, made, strict=True):
        u, _, vh = torch.linalg.svd(gradient, full_matrices=False)
        sizes = torch.linalg.svdvals(step)
        assert float(sizes.min()) > 0.3
        assert float(sizes.max()) < 1.3
        assert torch.allclose(u.T @ step @ vh.T, torch.diag(torch.diagonal(u.T @ step @ vh.T)), atol=1e-4)


def test_only_matrices_inside_the_model_move_so() -> None:
    model = small_model()
    groups = {group["muon"]: group["params"] for group in make_optimizer(model, MUON).param_groups if group["muon"]}
    names = {id(p): name for name, p in model.named_parameters()}
    moved = {names[id(p)] for p in groups[True]}
    inside = {name for name, p in model.named_parameters() if p.dim() == 2 and not name.startswith(("emb", "unemb"))}
    assert moved == inside
    assert len(moved) == 14


def test_its_first_step_is_the_rate_times_the_orthogonal_gradient() -> None:
    torch.manual_seed(2)
    layer = torch.nn.Linear(6, 4, bias=False)
    before, gradient = layer.weight.detach().clone(), torch.randn(4, 6)
    settings = OptimizerSettings(optimizer="muon", lr=0.1, weight_decay=0.5)
    optimizer = make_optimizer(layer, settings)
    layer.weight.grad = gradient.clone()
    optimizer.step()
    expected = before * (1 - 0.1 * 0.5) - 0.1 * 0.2 * 6**0.5 * orthogonal(gradient[None])[0]
    assert torch.allclose(layer.weight, expected, atol=1e-5)


def test_it_learns_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole = TrainState.begin(small_model(), steps=40, settings=MUON)
    losses: list[float] = []
    train(whole, CountingStream(), next_token, 40, lambda _, point: losses.append(point.loss))
    assert sum(losses[-5:]) < sum(losses[:5]) - 2.0

    half, stream = TrainState.begin(small_model(), steps=40, settings=MUON), CountingStream()
    train(half, stream, next_token, 20)
    write_checkpoint(tmp_path / "half", half, stream)
    again, fresh = TrainState.begin(small_model(3), steps=40, settings=MUON), CountingStream()
    read_checkpoint(tmp_path / "half", again, fresh)
    train(again, fresh, next_token, 40)
    assert same_bits(weights(whole.model), weights(again.model))
