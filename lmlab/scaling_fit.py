"""How a power law is fitted: sums of powers to positive numbers, by a descent on many fits at once.

The model is log y = log(floor + sum over k of exp(c_k - e_k z_k)), z_k being log x_k less its mean. A row of theta is
(log floor, c_1, e_1, ...), without the first where the floor is given. Residuals of log y count by Huber's loss.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

HUBER = 1e-3  # residuals of log loss beyond this count linearly; Hoffmann et al. 2022, appendix D.3


def fit_logs(
    x: Array, y: Array, starts: Array, *, floor: float | None = None, huber: float = HUBER
) -> tuple[Array, Array]:
    """The best of what `descend` finds from all starts, and the means of log x that its coefficients refer to."""
    found, costs = descend(x, y, starts, np.ones((len(starts), len(y))), floor, huber, 20)
    ahead = found[np.argsort(costs)[:12]]  # the rest are on their way to worse places, or to the same
    found, costs = descend(x, y, ahead, np.ones((len(ahead), len(y))), floor, huber)
    return found[int(np.argmin(costs))], np.log(x).mean(1)


def descend(
    x: Array, y: Array, theta: Array, weights: Array, floor: float | None, huber: float, steps: int = 150
) -> tuple[Array, Array]:
    """Levenberg and Marquardt's descent from each row of theta; returns theta and the cost of each."""
    z, target = np.log(x) - np.log(x).mean(1, keepdims=True), np.log(y)
    damping = np.full(len(theta), 1e-2)
    cost, gradient, hessian = _linearized(theta, z, target, weights, floor, huber)
    for _ in range(steps):
        diagonal = np.einsum("sii->si", hessian)
        damped = hessian + (damping[:, None] * diagonal + 1e-12)[:, :, None] * np.eye(theta.shape[1])
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        tried = theta - np.clip(step, -2, 2)
        new_cost, new_gradient, new_hessian = _linearized(tried, z, target, weights, floor, huber)
        better = new_cost < cost
        theta = np.where(better[:, None], tried, theta)
        gradient = np.where(better[:, None], new_gradient, gradient)
        hessian = np.where(better[:, None, None], new_hessian, hessian)
        cost = np.where(better, new_cost, cost)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-9, 1e9)
    return theta, cost


def _linearized(
    theta: Array, z: Array, target: Array, weights: Array, floor: float | None, huber: float
) -> tuple[Array, Array, Array]:
    """Of each row of theta Huber's cost, its gradient, and the Hessian by Gauss and Newton."""
    first = np.full(len(theta), math.log(floor)) if floor is not None else theta[:, 0]
    rest = theta if floor is not None else theta[:, 1:]
    exponents = rest[:, 1::2]
    terms = [np.broadcast_to(first[:, None], (len(theta), len(target)))]
    terms += [rest[:, 2 * k, None] - exponents[:, k, None] * z[k] for k in range(len(z))]
    logs = np.stack(terms, 1).clip(-60, 60)
    top = logs.max(1, keepdims=True)
    parts = np.exp(logs - top)
    total = parts.sum(1, keepdims=True)
    residual = (top + np.log(total))[:, 0] - target
    shares = parts / total
    columns = [] if floor is not None else [shares[:, 0]]
    for k in range(len(z)):
        columns += [shares[:, k + 1], -shares[:, k + 1] * z[k]]
    jacobian = np.stack(columns, -1)
    size = np.abs(residual)
    cost = np.where(size <= huber, residual**2 / 2, huber * (size - huber / 2) if huber < math.inf else 0.0)
    pull = weights * np.minimum(1.0, huber / np.maximum(size, 1e-300))
    weighted = jacobian * pull[..., None]
    gradient = np.einsum("srp,sr->sp", weighted, residual)
    return (weights * cost).sum(1), gradient, np.einsum("srp,srq->spq", weighted, jacobian)
