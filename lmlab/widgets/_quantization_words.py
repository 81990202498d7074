"""What QuantizationBins says: the sentences of its readout and its footnote."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lmlab.training.held_out_loss import HeldOut
from lmlab.widgets._style import NARROW, Span, Spans, bold, mono, number, ordinal, spans
from lmlab.widgets._weights import LayerWeights

_DID = {
    "minmax": "Min-max spaces its {n} levels evenly{of} from {low} to {high}, the outermost weights.",
    "absmax": "Absmax spaces its {n} levels evenly{of} from {low} to {high}, the largest magnitude.",
    "integer": "Integer levels are whole steps{of}: {n} from {low} to {high}, and zero is one of them.",
    "mse": "MSE spaces its {n} levels evenly{of} from {low} to {high}, and clips what lies outside.",
    "kmeans": "K-means puts its {n} levels{of}, from {low} to {high}, where the weights are.",
    "nf4": "NF4 puts its 16 levels{of}, from {low} to {high}, where a normal distribution has its weights.",
}
_WORDS = {2: "two", 4: "four", 8: "eight"}


def in_words(n: int) -> str:
    """4 is "four"; from 16 on digits read better."""
    return _WORDS.get(n, str(n))


def shown_error(error: float) -> str:
    """A mean squared error: three digits after the point, small ones to two significant digits."""
    if error >= 0.01:
        return number(error, 1 if error >= 9.95 else 2 if error >= 0.995 else 3)
    return "0" if error <= 0 else number(error, 1 - math.floor(math.log10(error)))


def first_sentence(levels: Sequence[float], bits: int, method: str, held: int, *, grouped: bool) -> list[str | Span]:
    """What a method did, or where the level in hand is."""
    if method == "hand":
        if not 0 <= held < len(levels):
            return [f"Your {2**bits} levels are set by hand. "]
        return [f"Your {ordinal(held + 1)} level is at ", bold(number(levels[held])), ". "]
    low, high = (number(levels[i]) for i in (0, -1))
    of = " in each group, on average" if grouped else ""
    return [_DID[method].format(n=in_words(2**bits), of=of, low=low, high=high) + " "]


def error_said(error: float, best: float, bits: int, method: str, *, grouped: bool) -> list[str | Span]:
    """The error, and how far it is above the least that so many levels allow."""
    said: list[str | Span] = ["The mean squared error is ", bold(shown_error(error))]
    levels = f"{in_words(2**bits)} levels"
    if method == "kmeans" and grouped:
        return [*said, f", the least that {levels} reach when all groups share them. "]
    if method == "kmeans":
        return [*said, f": no other {levels} for these weights do better (Lloyd–Max). "]
    over = error / best if best > 0 else 1.0
    that = f"the best {levels}, Lloyd–Max ({shown_error(best)})"
    if over > 2:
        how = f"{number(over, 1 if over < 100 else 0)} times that of {that}"
    elif over < 0.995:
        how = f"less than k-means reaches ({shown_error(best)})"
    elif over < 1.005:
        how = f"as little as that of the best {levels}, Lloyd–Max"
    else:
        how = f"{round(100 * (over - 1))}{NARROW}% above {that}"
    zero = "; zeroing all weights would cost 1.00" if error >= 0.9 else ""
    return [*said, f", {how}{zero}. "]


def loss_said(before: float | None, after: float | None, text: HeldOut | None, *, every: bool) -> list[str | Span]:
    """What became of the model."""
    if before is None or after is None or text is None:
        if text is not None:
            return ["The model’s loss with these weights is being measured…"]
        return ["There is no text to measure the loss on: give one as text=…"]
    now = bold(f"{number(after, 3)} nats per token")
    model = "The model’s loss, all layers quantized," if every else "The model’s loss"
    if abs(after - before) < 0.0005:
        return [f"{model} stays at ", now, "."]
    verb = "rises" if after > before else "falls"
    return [f"{model} {verb} from {number(before, 3)} to ", now, "."]


def rival_said(loss: float | None, rival: float | None) -> list[str | Span]:
    """Whether levels set by hand beat those of k-means where it counts, in the model's loss."""
    if loss is None or rival is None:
        return []
    against = f" With k-means’ levels it is {number(rival, 3)}"
    if abs(loss - rival) < 0.0005:
        return [against, ": a draw."]
    return [against, ": ", bold("yours win"), "."] if loss < rival else [against, ": k-means is still ahead."]


def footnote(layer: LayerWeights, bits: int, group: str, text: HeldOut | None) -> Spans:
    """Shapes, spread, and what the loss was measured on."""
    rows, cols = layer.shape
    unit = "" if group == "all" else " · levels averaged over groups"
    source = f" · loss on {text.source}" if text else ""
    if text and text.floor is not None:
        source += f", floor {text.floor:.3f}"
    shapes = f"W ({rows}, {cols}) → codes ({rows}, {cols}) uint{bits} + " + (
        f"levels ({2**bits},)" if group == "all" else "a scale for each group"
    )
    return spans(mono(shapes), f" · spread {layer.spread:.3g}{unit}{source}")
