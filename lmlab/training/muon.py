"""Muon: for a matrix, a step that pushes equally in every direction the gradient knows, not only the loudest.

The gradient's running mean G = U S V^T is replaced by about U V^T: all singular values near 1. On the town it reaches
copying from context in about a third of AdamW's steps (measured). Vectors and embedding tables stay with AdamW.
Sources: Jordan et al. 2024 (Muon, and the polynomial); Liu et al. 2025, arXiv 2502.16982 (the scale that lets it
share AdamW's learning rate).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
ITERATIONS = 5
POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # x -> ax + bx^3 + cx^5 sends all of (0, 1] to about 0.7 to 1.2


class MuonAdamW(torch.optim.AdamW):
    """AdamW whose groups with `muon=True` (matrices alone) take Muon's steps.

    directions: from gradients of one shape to updates; where matrices are sharded it is another function.
    """

    directions: Callable[[list[Tensor]], list[Tensor]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.directions = lambda gradients: list(orthogonal(torch.stack(gradients)).unbind())

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of every parameter that has a gradient; a gradient that Muon used is dropped."""
        for group in self.param_groups:
            if group["muon"]:
                self._step_matrices(group)
        return super().step(closure)

    def _step_matrices(self, group: dict[str, Any]) -> None:
        by_shape: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
        for p in group["params"]:
            if p.grad is not None:
                by_shape[tuple(p.shape)].append(p)
        for shape, parameters in by_shape.items():
            for p in parameters:
                self.state[p].setdefault("step", torch.zeros(()))  # never counted; AdamW's loading wants one in each
            momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in parameters]
            gradients = [p.grad for p in parameters if p.grad is not None]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov
            updates = self.directions(list(ahead))
            # 0.2 sqrt(larger side) gives the update the size of AdamW's, so that one learning rate serves both.
            size = -group["lr"] * 0.2 * max(shape) ** 0.5
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=size)
            for p in parameters:
                p.grad = None


def orthogonal(matrices: Tensor) -> Tensor:
    """About U V^T for each matrix U S V^T, (N, rows, columns), by five Newton-Schulz iterations; no SVD is needed."""
    a, b, c = POLYNOMIAL
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x
