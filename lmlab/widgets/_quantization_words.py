"""What QuantizationBins says: the sentences of its readout and its footnote."""

from __future__ import annotations

from lmlab.widgets._held_out import HeldOut
from lmlab.widgets._style import NARROW, Span, Spans, bold, mono, number, ordinal, spans
from lmlab.widgets._weights import LayerWeights, Result

_DID = {
    "minmax": "Min-max spaces its {n} levels evenly from {low} to {high}, the outermost weights.",
    "absmax": "Absmax spaces its {n} levels evenly from {low} to {high}, the largest magnitude.",
    "mse": "MSE spaces its {n} levels evenly from {low} to {high} and clips what lies outside.",
    "kmeans": "K-means puts its {n} levels, {low} to {high}, where the weights are.",
    "nf4": "NF4 puts its 16 levels, {low} to {high}, where a normal distribution has its weights.",
}
_WORDS = {2: "two", 4: "four", 8: "eight"}


def in_words(n: int) -> str:
    """ "four" for 4; from 16 on digits read better."""
    return _WORDS.get(n, str(n))


def shown_error(error: float) -> str:
    """A mean squared error: three digits after the point, small ones to two significant digits."""
    if error == 0 or error >= 0.01:
        return number(error, 0 if error == 0 else 2 if error >= 0.995 else 3)
    return f"{error:.2g}" if error < 1e-4 else f"{error:.{3 if error >= 0.00995 else 4 if error >= 0.000995 else 5}f}"


def first_sentence(result: Result, bits: int, method: str, held: int) -> list[str | Span]:
    """What a method did, or where the level in hand is."""
    if method == "hand":
        if not 0 <= held < len(result.levels):
            return [f"Your {2**bits} levels are set by hand. "]
        return [f"Your {ordinal(held + 1)} level is at ", bold(number(result.levels[held])), ". "]
    low, high = (number(result.levels[i]) for i in (0, -1))
    return [_DID[method].format(n=in_words(2**bits), low=low, high=high) + " "]


def error_said(error: float, best: float, bits: int, method: str) -> list[str | Span]:
    """The error, and how far it is above the least that so many levels allow."""
    said: list[str | Span] = ["The mean squared error is ", bold(shown_error(error))]
    levels = f"{in_words(2**bits)} levels"
    if method == "kmeans":
        return [*said, f": no other {levels} for these weights do better (Lloyd–Max). "]
    over = error / best if best > 0 else 1.0
    if over > 2:
        how = f"{number(over, 1 if over < 100 else 0)} times that of the best {levels}, Lloyd–Max ({shown_error(best)})"
    elif over < 0.995:
        how = f"less than k-means reaches ({shown_error(best)})"
    else:
        how = f"{round(100 * (over - 1))}{NARROW}% above the best {levels}, Lloyd–Max ({shown_error(best)})"
    zero = "; zeroing all weights would cost 1.00" if error >= 0.9 else ""
    return [*said, f", {how}{zero}. "]


def loss_said(before: float | None, after: float | None, text: HeldOut | None) -> list[str | Span]:
    """What became of the model."""
    if before is None or after is None or text is None:
        return ["There is no text to measure the loss on: give one as text=…"]
    if abs(after - before) < 0.0005:
        return ["The model’s loss stays at ", bold(f"{number(after, 3)} nats per token"), "."]
    verb = "rises" if after > before else "falls"
    return [f"The model’s loss {verb} from {number(before, 3)} to ", bold(f"{number(after, 3)} nats per token"), "."]


def footnote(layer: LayerWeights, bits: int, group: str, text: HeldOut | None) -> Spans:
    """Shapes, spread, and what the loss was measured on."""
    rows, cols = layer.shape
    unit = "" if group == "all" else " · levels in units of each group’s spread, averaged over the groups"
    source = f" · loss on {text.source}" if text else ""
    if text and text.floor is not None:
        source += f", floor {text.floor:.3f}"
    shapes = f"W ({rows}, {cols}) → codes ({rows}, {cols}) uint{bits} + levels ({2**bits},)"
    return spans(mono(shapes), f" · spread {layer.spread:.3g}{unit}{source}")
