"""The sentences of FusedAttention."""

from __future__ import annotations

from collections.abc import Sequence

from lmlab.systems.fusion import TileStep
from lmlab.systems.roofline import Placed, Roof
from lmlab.widgets._style import NARROW, Span, Spans, bold, count, mono, n_bytes, number, percent, spans
from lmlab.widgets._tile_walk import TileWalk

EQUAL = 1e-5


def walk_said(walk: TileWalk, at: int, tokens: Sequence[str], long: tuple[int, int, int], length: int) -> Spans:
    """What has happened after `at` tiles, and what both ways move for `length` tokens."""
    T, _ = walk.shape
    n = len(walk.steps)
    if at == 0:
        side = -(-T // walk.tile)
        future = side * side - n
        said: list[str | Span] = [
            bold(count(n, "tile")), f" of {side * side:,} to compute; ", bold(f"{future:,}" if future else "none"),
            f" {'lies' if future < 2 else 'lie'} wholly in the future and {'is' if future < 2 else 'are'} never read. ",
            "Press Play, or an arrow key. ",
        ]  # fmt: skip
    elif at < n:
        said = _step_said(walk.steps[at - 1], at, n, tokens)
    else:
        worst = walk.finished[-1] or 0.0
        same = f"by less than {number(EQUAL, 5)}" if worst < EQUAL else f"by {worst:.1e}"
        said = [
            *(["The one row is done, and differs"] if T == 1 else ["All ", bold(f"{T} rows"), " are done, and differ"]),
            " from naive attention ", bold(same), ". Moved: ",
            bold(n_bytes(walk.tiled.moved_bytes)), "; naive ", bold(n_bytes(walk.naive.moved_bytes)), ". ",
        ]  # fmt: skip
    return spans(*said, *_long_said(long, length))


def _step_said(step: TileStep, at: int, n: int, tokens: Sequence[str]) -> list[str | Span]:
    """A row of the tile whose maximum rose, if any did: the one whose past is nearest to being halved."""
    rescale, first = step.rescale[0, 0], step.keys.start == 0
    said: list[str | Span] = [f"Tile {at} of {n}. "]
    if first:
        rows = "This row sees" if len(step.queries) == 1 else "These rows see"
        return [*said, f"{rows} the first keys: the largest score and the sum begin here, and nothing is rescaled. "]
    row = int((rescale - 0.5).abs().add((rescale == 1).float()).argmin())
    if rescale[row] == 1:
        return [*said, "No row finds a larger score than it had: nothing is rescaled. "]
    return [
        *said, mono(tokens[step.queries[row]]), " finds a larger score, ", bold(number(float(step.row_max[0, 0, row]))),
        ": its sums so far are multiplied by ", bold(number(float(rescale[row]), 3)), ". ",
    ]  # fmt: skip


def _long_said(long: tuple[int, int, int], length: int) -> list[str | Span]:
    naive, tiled, _ = long
    end = " naive." if tiled < naive else " naive: too small a tile."
    return [f"For {count(length, 'token')}: ", bold(n_bytes(tiled)), " tiled, ", bold(n_bytes(naive)), end]


def roof_said(roof: Roof, placed: Sequence[Placed]) -> Spans:
    """The ridge, and attention on both sides of it; what was measured comes after what is arithmetic."""
    named = {p.work.name: p for p in placed}
    naive, fused = named["attention, naive"], named["attention, fused"]
    said: list[str | Span] = [
        "Naive attention does ", bold(f"{number(naive.work.intensity, 0)} FLOPs for each byte"), ", fused ",
        bold(number(fused.work.intensity, 0)), ": the same arithmetic, with ",
        f"{number(naive.work.n_bytes / fused.work.n_bytes, 1)} times less traffic. ",
    ]  # fmt: skip
    if naive.measured is None or fused.measured is None:
        shares = [percent(p.attainable / roof.peak_flops) for p in (naive, fused)]
        return spans(
            *said, f"An {roof.name} needs ", bold(number(roof.ridge, 0)), " to be busy: it can reach ",
            bold(shares[0]), " and ", bold(shares[1]), " of its peak.",
        )  # fmt: skip
    faster = fused.measured / naive.measured
    return spans(
        *said, "This machine needs ", bold(number(roof.ridge, 0)), " to be busy; run just now, fused was ",
        bold(f"{number(faster, 1)} times"), " as fast as naive.",
    )  # fmt: skip


def kernels_said(walk: TileWalk, tile_bytes: int) -> str:
    """What each kernel of the naive way moves, and the fast memory that a tile takes."""
    moved = (
        f"{name} {n_bytes(sum(m.n_bytes for m in walk.naive.moves if m.step == name))}"
        for name in ("scores", "softmax", "product")
    )
    return f"naive: {', '.join(moved)} · one tile takes {n_bytes(tile_bytes)} of fast memory"


def kernel_said(placed: Placed, roof: Roof) -> tuple[str, tuple[str, str], Spans]:
    """A kernel's intensity, its speed in long and in short, and a sentence."""
    intensity = placed.work.intensity
    shown = number(intensity, 2 if intensity < 10 else 0)
    can, does = speed(placed.attainable), None if placed.measured is None else speed(placed.measured)
    waits = intensity < roof.ridge
    side = "left of the ridge: it waits for memory" if waits else "right of the ridge: arithmetic is its limit"
    said: list[str | Span] = [
        bold(placed.work.name), ": ", bold(shown), f" FLOPs for each byte, {side}. Attainable {can}FLOP/s, ",
        f"{percent(placed.attainable / roof.peak_flops)} of the peak", f"; measured {does}FLOP/s." if does else ".",
    ]  # fmt: skip
    return shown, (f"{does} of {can}" if does else can, does or can), spans(*said)


def speed(flops: float) -> str:
    """FLOP/s with the unit's prefix last: ``3.4 T``, ``96 G``."""
    scale, prefix = (1e12, "T") if flops >= 999.5e9 else (1e9, "G") if flops >= 999.5e6 else (1e6, "M")
    return f"{number(flops / scale, 1 if flops / scale < 9.95 else 0)}{NARROW}{prefix}"


def foot_said(walk: TileWalk, roof: Roof, show: str, where: str) -> Spans:
    """Shapes and sources."""
    T, E = walk.shape
    if show != "tiles":
        return spans(
            f"roof: {roof.source} · attainable = min(peak, FLOPs per byte × bandwidth) · Williams et al. 2009 · "
            "attention of H 2, T 2,048, E 64 · each operand counted as moved once"
        )
    return spans(
        mono("q (T,E) · k (S,E) → scores, a tile at a time → m, l (T) → output (T,E)"),
        f" · {where}, T = S = {T}, E {E}, float32 · m: largest score so far, l: sum of exp(score − m) · "
        "Milakov & Gimelshein 2018, Dao et al. 2022",
    )
