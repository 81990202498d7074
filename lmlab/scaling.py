"""How good will it be before it is trained: power laws, the loss as a surface over size and data, and its valleys.

Lecture: "it scales". C is 6 n_params n_tokens FLOPs, logarithms are natural, losses are nats a token. A law is worth
what it says about a run that it has not seen, so every fit can be drawn again from resampled runs (the bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmlab.scaling_fit import HUBER, Array, descend, fit_logs

Numbers = Sequence[float]

PF_DAY = 1e15 * 86_400  # FLOPs of a machine that does 10^15 a second, in a day: Kaplan's unit of compute


@dataclass(frozen=True)
class PowerLaw:
    """y(x) = floor + (scale / x) ** exponent. A negative exponent grows."""

    scale: float
    exponent: float
    floor: float = 0.0

    def at(self, x: float) -> float:
        return self.floor + (self.scale / x) ** self.exponent


@dataclass(frozen=True)
class Optimum:
    """The best use of a budget: the size, the data and the loss."""

    n_params: float
    n_tokens: float
    loss: float

    @property
    def tokens_per_param(self) -> float:
        return self.n_tokens / self.n_params


@dataclass(frozen=True)
class LossSurface:
    """L(n_params, n_tokens) = floor + a / n_params ** alpha + b / n_tokens ** beta; E, A, B in the papers.

    Source: Hoffmann et al. 2022, arXiv 2203.15556, equation 2.
    """

    floor: float
    a: float
    b: float
    alpha: float
    beta: float

    def loss(self, n_params: float, n_tokens: float) -> float:
        """Nats a token of a model of n_params after n_tokens."""
        return self.floor + self.a / n_params**self.alpha + self.b / n_tokens**self.beta

    def at(self, flops: float, n_params: float) -> float:
        """The loss where a model of n_params spends the whole budget: a curve of equal FLOPs."""
        return self.loss(n_params, flops / (6 * n_params))

    @property
    def exponent(self) -> float:
        """How the best size grows: n_params ~ flops ** exponent."""
        return self.beta / (self.alpha + self.beta)

    def optimum(self, flops: float) -> Optimum:
        """Where the surface is lowest on the curve 6 n_params n_tokens = flops, in closed form.

        There both terms fall equally fast: alpha a / n_params ** alpha = beta b / n_tokens ** beta.
        """
        if not 0 < flops < math.inf:
            raise ValueError(f"A budget is a positive number of FLOPs, such as 1e21, not {flops!r}.")
        balance = (self.alpha * self.a / (self.beta * self.b)) ** (1 / (self.alpha + self.beta))
        n_params = balance * (flops / 6) ** self.exponent
        return Optimum(n_params, flops / 6 / n_params, self.at(flops, n_params))


# Kaplan et al. 2020, arXiv 2001.08361, equations 1.1 to 1.3; n_params without embeddings, each law with the other
# quantities unlimited. Their optimum is n_params ~ C ** 0.73, section 6.1.
KAPLAN_PARAMS = PowerLaw(8.8e13, 0.076)
KAPLAN_TOKENS = PowerLaw(5.4e13, 0.095)
KAPLAN_FLOPS = PowerLaw(3.1e8 * PF_DAY, 0.050)
# Hoffmann et al. 2022, appendix D.3: the constants as printed.
HOFFMANN = LossSurface(floor=1.69, a=406.4, b=410.7, alpha=0.34, beta=0.28)
# Besiroglu et al. 2024, arXiv 2404.10102: the same fit to the same runs, read from the figures, without its mistakes.
BESIROGLU = LossSurface(floor=1.8172, a=482.01, b=2085.43, alpha=0.3478, beta=0.3658)
SURFACES = {"Hoffmann 2022": HOFFMANN, "Besiroglu 2024": BESIROGLU}


# ---------------------------------------------------------------- fits


def fit_power_law(xs: Numbers, ys: Numbers, *, floor: float | None = 0.0) -> PowerLaw:
    """The power law nearest to the points in log space, by least squares.

    `floor`: what y falls towards, where it is known (the entropy of the town); None fits it too.
    Raises ValueError for fewer points than numbers to find, and for points at or below the floor.
    """
    x, y = _positive("xs", xs), _positive("ys", ys)
    _enough(x, y, 2 if floor is not None else 3)
    if floor is None:
        spread = np.log(y).min() - np.linspace(0.02, 3, 24)
        starts = np.array([[low, 0.0, e] for low in spread for e in (0.05, 0.3, 1.0)])
        theta, log_x = fit_logs(x[None], y, starts, huber=math.inf)
        low, c, e = theta
        return PowerLaw(math.exp((c + e * log_x[0]) / e), e, math.exp(low))
    if y.min() <= floor:
        raise ValueError(f"A point of {y.min():.4g} is not above the floor of {floor:.4g}: no power law reaches it.")
    slope, offset = np.polyfit(np.log(x), np.log(y - floor), 1)
    return PowerLaw(math.exp(float(-offset / slope)), float(-slope), floor)


def fit_surface(n_params: Numbers, n_tokens: Numbers, losses: Numbers, *, floor: float | None = None) -> LossSurface:
    """The surface nearest to the runs: Huber's loss on log loss, the best of many starts.

    `floor` is kept where it is given. Raises ValueError for fewer runs than constants.
    """
    x, y = _runs(n_params, n_tokens, losses, floor)
    return _surface(*fit_logs(x, y, _starts(y, floor), floor=floor), floor)


def bootstrap_surfaces(
    n_params: Numbers,
    n_tokens: Numbers,
    losses: Numbers,
    *,
    floor: float | None = None,
    n: int = 200,
    seed: int = 0,
) -> list[LossSurface]:
    """The surface fitted again to n samples of the runs, drawn with replacement: how much the fit owes to chance."""
    x, y = _runs(n_params, n_tokens, losses, floor)
    best, _ = fit_logs(x, y, _starts(y, floor), floor=floor)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(y), np.full(len(y), 1 / len(y)), size=n).astype(float)
    found, center = descend(x, y, np.repeat(best[None], n, 0), weights, floor, HUBER)[0], np.log(x).mean(1)
    return [_surface(theta, center, floor) for theta in found]


def interval(values: Numbers, share: float = 0.9) -> tuple[float, float]:
    """The middle `share` of the values."""
    low, high = np.quantile(np.asarray(values, float), [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


# ---------------------------------------------------------------- valleys of equal FLOPs


@dataclass(frozen=True)
class Valley:
    """loss(n) = loss + curvature (ln n - ln n_params)²: the parabola of one budget, and its lowest point."""

    n_params: float
    loss: float
    curvature: float

    def at(self, n_params: float) -> float:
        return self.loss + self.curvature * math.log(n_params / self.n_params) ** 2


def fit_valley(n_params: Numbers, losses: Numbers) -> Valley:
    """A parabola in ln n_params by least squares. Hoffmann et al. 2022, approach 2.

    Raises ValueError where it opens downwards or its lowest point is outside the sizes that were trained: then these
    runs do not say where the best size is.
    """
    x, y = _positive("n_params", n_params), _positive("losses", losses)
    _enough(x, y, 3)
    valley = _valley(np.log(x), y)
    if valley is None:
        raise ValueError(
            "The losses of these sizes bend downwards, so there is no best size: train sizes further apart."
        )
    lowest = float(x[y.argmin()])  # the parabola's own and the measured one: both must have a higher loss on each side
    if not x.min() < min(lowest, valley.n_params) <= max(lowest, valley.n_params) < x.max():
        side, way = ("smallest", "smaller") if min(lowest, valley.n_params) <= x.min() else ("largest", "larger")
        raise ValueError(
            f"The lowest loss is at the edge, at the {side} size of {x.min() if way == 'smaller' else x.max():,.0f} "
            f"parameters: train {way} ones before you say which is best."
        )
    return valley


def bootstrap_valleys(n_params: Numbers, losses: Numbers, *, n: int = 200, seed: int = 0) -> list[Valley]:
    """The valley fitted again, n times, to the parabola plus residuals drawn with replacement.

    Those that would be refused are left out, so the list may be shorter than n.
    """
    x, y = np.log(_positive("n_params", n_params)), _positive("losses", losses)
    valley = fit_valley(n_params, losses)
    smooth = np.array([valley.at(float(size)) for size in np.exp(x)])
    # Three numbers were fitted, which makes residuals smaller than the noise was.
    residuals = (y - smooth) * math.sqrt(len(y) / max(len(y) - 3, 1))
    rng = np.random.default_rng(seed)
    drawn = (_valley(x, smooth + rng.choice(residuals, len(y))) for _ in range(n))
    return [v for v in drawn if v is not None and x.min() < math.log(v.n_params) < x.max()]


def _valley(x: Array, y: Array) -> Valley | None:
    middle = x.mean()
    curvature, slope, offset = np.polyfit(x - middle, y, 2)
    at = -slope / (2 * curvature) if curvature > 0 else math.inf
    if abs(at) > 50:
        return None
    return Valley(math.exp(middle + at), float(offset - curvature * at**2), float(curvature))


# ---------------------------------------------------------------- beginnings, and what may not be fitted


def _starts(y: Array, floor: float | None) -> Array:
    lows = (None,) if floor is not None else tuple(np.log(y.min()) - np.array([0.02, 0.2, 0.7, 2.0]))
    above = math.log(max(float(np.median(y)) - (floor or 0.5 * float(y.min())), 1e-3))
    heights, slopes = (above - 1.5, above - 0.3), (0.15, 0.4, 1.0)
    rows = [
        [low, c, e, d, f] for low in lows for c in heights for e in slopes for d in heights for f in slopes
    ]  # fmt: skip
    return np.array([row[1:] if floor is not None else row for row in rows], float)


def _surface(theta: Array, center: Array, floor: float | None) -> LossSurface:
    low = floor if floor is not None else math.exp(theta[0])
    c, alpha, d, beta = (float(v) for v in theta[-4:])
    a, b = math.exp(c + alpha * center[0]), math.exp(d + beta * center[1])
    return LossSurface(floor=low, a=a, b=b, alpha=alpha, beta=beta)


def _runs(n_params: Numbers, n_tokens: Numbers, losses: Numbers, floor: float | None) -> tuple[Array, Array]:
    n, d, y = _positive("n_params", n_params), _positive("n_tokens", n_tokens), _positive("losses", losses)
    _enough(n, y, 5 if floor is None else 4)
    _enough(d, y, 5 if floor is None else 4)
    return np.stack([n, d]), y


def _positive(name: str, values: Numbers) -> Array:
    found = np.asarray(values, float)
    if found.ndim != 1 or not np.all(np.isfinite(found) & (found > 0)):
        raise ValueError(f"{name} must be positive, finite numbers, not {values!r}.")
    return found


def _enough(x: Array, y: Array, least: int) -> None:
    if len(x) != len(y):
        raise ValueError(f"There are {len(x)} sizes and {len(y)} losses: give one loss for each run.")
    if len(np.unique(x)) < least:
        raise ValueError(f"This fit needs at least {least} different sizes, and there are {len(np.unique(x))}.")
