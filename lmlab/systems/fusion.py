"""Fused kernels: the same numbers with fewer trips to the slow memory.

Lecture: "memory traffic is the bottleneck; fuse many small operations into one kernel; flash attention is an example".
A processor computes on what lies in its small fast memory (a GPU's shared memory, a CPU's cache) and fetches that from
a large slow one. Both are played here: a `SlowMemory` holds whole tensors and hands out copies of rows, each counted,
and every function computes from such copies alone. Attention is done twice: *naive*, three kernels that write all
T × S scores down and read them back, and *tiled*, one kernel that sees a tile of them at a time.

Sources: Milakov & Gimelshein 2018, arXiv 1805.02867 (the softmax that never sees its whole row); Dao et al. 2022, arXiv
2205.14135 (FlashAttention: tiles, traffic); Dao 2023, arXiv 2307.08691 (its loop order: queries outside, keys inside).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Move:
    """One trip between the memories: in which `step`, "read" or "write", of which tensor, how many bytes."""

    step: str
    kind: str
    tensor: str
    n_bytes: int


@dataclass(frozen=True)
class Counted:
    """A result and every trip between the memories that it took."""

    output: Tensor
    moves: tuple[Move, ...]

    @property
    def read_bytes(self) -> int:
        """Bytes copied from the slow memory to the fast one."""
        return sum(move.n_bytes for move in self.moves if move.kind == "read")

    @property
    def written_bytes(self) -> int:
        """Bytes copied back."""
        return sum(move.n_bytes for move in self.moves if move.kind == "write")

    @property
    def moved_bytes(self) -> int:
        """Both together."""
        return self.read_bytes + self.written_bytes


@dataclass(frozen=True)
class TileStep:
    """What tiled attention holds after one tile of scores; T and S are the tile's `queries` and `keys`.

    `weights` (B, H, T, S): exp(score − row_max), not yet divided by the sum. `row_max`, `row_sum`, `rescale` (B, H, T):
    the largest score so far; the sum of the weights so far, relative to that maximum; and the factor, at most 1, by
    which what was summed before this tile was multiplied since the maximum grew (0 at a row's first tile, where there
    was nothing). `output` (B, H, T, E): the result if the keys ended here. `moved_bytes`: all trips so far.
    """

    queries: range
    keys: range
    weights: Tensor
    row_max: Tensor
    row_sum: Tensor
    rescale: Tensor
    output: Tensor
    moved_bytes: int


class SlowMemory:
    """The large, far memory: whole tensors lie here, copies of their rows come and go, and each trip is counted.

    Rows are those of the last but one axis. What lies here from the beginning cost nothing to put.
    """

    def __init__(self, **tensors: Tensor) -> None:
        self._tensors = tensors
        self.moves: list[Move] = []
        self.moved_bytes = 0
        self.step = ""

    def make(self, name: str, *, like: Tensor) -> None:
        """Room for a tensor that will be written row by row."""
        self._tensors[name] = torch.empty_like(like)

    def read(self, name: str, rows: range | None = None) -> Tensor:
        """A copy of these rows (all, by default) in the fast memory."""
        return self._count("read", name, self._rows(name, rows).clone())

    def write(self, name: str, values: Tensor, rows: range | None = None) -> None:
        """Put rows back; where there is no such tensor yet, `values` are all of it."""
        if name not in self._tensors:
            self._tensors[name] = values.clone()
        else:
            self._rows(name, rows).copy_(values)
        self._count("write", name, values)

    def result(self, name: str) -> Counted:
        """The tensor that was computed, and the trips."""
        return Counted(self._tensors[name], tuple(self.moves))

    def _rows(self, name: str, rows: range | None) -> Tensor:
        whole = self._tensors[name]
        return whole if rows is None else whole[..., rows.start : rows.stop, :]

    def _count(self, kind: str, name: str, moved: Tensor) -> Tensor:
        n_bytes = moved.numel() * moved.element_size()
        self.moves.append(Move(self.step, kind, name, n_bytes))
        self.moved_bytes += n_bytes
        return moved


# ---------------------------------------------------------------- attention


def naive_attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = True) -> Counted:
    """softmax(q kᵀ / √E) v in three kernels: scores, softmax, product; each reads and writes the slow memory.

    q (B, H, T, E), k and v (B, H, S, E) to (B, H, T, E). Scores and weights are written in q's dtype, as torch's own
    three calls do, and each operand is read once, which flatters it: a real product of matrices reads tiles again.
    Causal: the queries are the last T of S positions, and each sees itself and what came before.
    """
    _check(q, k, v, causal)
    T, S = q.shape[-2], k.shape[-2]
    memory = SlowMemory(q=q, k=k, v=v)
    memory.step = "scores"
    scores = _scores(memory.read("q"), memory.read("k"))
    memory.write("scores", scores.to(q.dtype))
    memory.step = "softmax"
    scores = memory.read("scores").to(_wide(q))
    if causal:
        scores = _masked(scores, range(T), range(S), S - T)
    memory.write("weights", scores.softmax(-1).to(q.dtype))
    memory.step = "product"
    weights = memory.read("weights").to(_wide(q))
    memory.write("output", (weights @ memory.read("v").to(_wide(q))).to(q.dtype))
    return memory.result("output")


def tiled_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    q_tile: int = 64,
    k_tile: int = 64,
    on_step: Callable[[TileStep], None] | None = None,
) -> Counted:
    """The same numbers in one kernel: tiles of q_tile × k_tile scores, none of them ever written down.

    q (B, H, T, E), k and v (B, H, S, E) to (B, H, T, E). For a tile of queries, keys and values stream past. Three
    things are carried from tile to tile: the largest score m of each row so far, the sum l of exp(score − m), and the
    values weighted by exp(score − m). Where a tile brings a larger score, both sums are multiplied by exp(old m −
    new m): the *rescale*. At the end the one is divided by the other. Tiles that are masked from corner to corner are
    not read. Sums are float32 for bf16 and fp16 inputs. `on_step` is handed every `TileStep`.
    """
    _check(q, k, v, causal)
    _check_tile("q_tile", q_tile)
    _check_tile("k_tile", k_tile)
    T, S, wide = q.shape[-2], k.shape[-2], _wide(q)
    memory = SlowMemory(q=q, k=k, v=v)
    memory.make("output", like=q)
    memory.step = "fused"
    for queries in _tiles(T, q_tile):
        q_rows = memory.read("q", queries)
        row_max = q_rows.new_full(q_rows.shape[:-1], -math.inf, dtype=wide)
        row_sum, mixed = torch.zeros_like(row_max), torch.zeros_like(q_rows, dtype=wide)
        for keys in _tiles(S, k_tile):
            if causal and keys.start > queries[-1] + S - T:
                break  # the whole tile, and all that follow, lie in the future of these queries
            scores = _scores(q_rows, memory.read("k", keys))
            if causal:
                scores = _masked(scores, queries, keys, S - T)
            new_max = torch.maximum(row_max, scores.amax(-1))
            weights, rescale = (scores - new_max[..., None]).exp(), (row_max - new_max).exp()
            row_sum = rescale * row_sum + weights.sum(-1)
            mixed = rescale[..., None] * mixed + weights @ memory.read("v", keys).to(wide)
            row_max = new_max
            if on_step is not None:
                so_far = mixed / row_sum[..., None]
                on_step(TileStep(queries, keys, weights, row_max, row_sum, rescale, so_far, memory.moved_bytes))
        memory.write("output", (mixed / row_sum[..., None]).to(q.dtype), queries)
    return memory.result("output")


def naive_attention_bytes(T: int, S: int, E: int, *, n_heads: int = 1, itemsize: int = 4) -> int:
    """Bytes that `naive_attention` moves: q, k, v and the output once, and T × S numbers four times.

    >>> naive_attention_bytes(1024, 1024, 64) / 1e6
    17.825792
    """
    return n_heads * itemsize * (2 * T * E + 2 * S * E + 4 * T * S)


def tiled_attention_bytes(
    T: int, S: int, E: int, *, q_tile: int, k_tile: int, causal: bool = True, n_heads: int = 1, itemsize: int = 4
) -> int:
    """Bytes that `tiled_attention` moves: queries and output once, keys and values once for each tile of queries.

    Not causal that is 2 T E + 2 S E ⌈T / q_tile⌉ numbers. A fast memory of M numbers holds tiles of about M / 4E rows,
    which makes it 8 T S E² / M: the Θ(T² E² / M) of Dao et al. 2022, theorem 2. Causal it tends to half.

    >>> tiled_attention_bytes(1024, 1024, 64, q_tile=128, k_tile=128, causal=False) / 1e6
    4.718592
    """
    rows = 0  # of k, and as many of v
    for start in range(0, T, q_tile):
        seen = min(start + q_tile, T) + S - T if causal else S
        rows += min(S, math.ceil(seen / k_tile) * k_tile)
    return n_heads * itemsize * E * (2 * T + 2 * rows)


def tile_memory_bytes(q_tile: int, k_tile: int, E: int, *, itemsize: int = 2) -> int:
    """The fast memory that a tile needs: rows of q, k and v as stored, and scores and output in float32."""
    return itemsize * E * (q_tile + 2 * k_tile) + 4 * (q_tile * k_tile + q_tile * E)


# ---------------------------------------------------------------- the simplest example


def scale_shift_gelu(x: Tensor, w: Tensor, b: Tensor, *, fused: bool, tile: int = 64) -> Counted:
    """gelu(x w + b), as three kernels or as one; x (T, D), w and b (D), the result (T, D).

    Unfused, T × D numbers make six trips (each kernel reads and writes them), fused two, in tiles of `tile` rows: for
    the same multiplications a third of the traffic.
    """
    if x.dim() != 2 or w.shape != x.shape[1:] or b.shape != w.shape:
        raise ValueError(
            f"scale_shift_gelu takes x (T, D) and w, b (D), not {tuple(x.shape)}, {tuple(w.shape)}, {tuple(b.shape)}."
        )
    _check_tile("tile", tile)
    memory = SlowMemory(x=x, w=w[None], b=b[None])
    if fused:
        memory.make("output", like=x)
        memory.step = "fused"
        scale, shift = memory.read("w"), memory.read("b")
        for rows in _tiles(x.shape[0], tile):
            memory.write("output", F.gelu(memory.read("x", rows) * scale + shift), rows)
        return memory.result("output")
    memory.step = "scale"
    memory.write("scaled", memory.read("x") * memory.read("w"))
    memory.step = "shift"
    memory.write("shifted", memory.read("scaled") + memory.read("b"))
    memory.step = "gelu"
    memory.write("output", F.gelu(memory.read("shifted")))
    return memory.result("output")


# ---------------------------------------------------------------- inside


def _wide(x: Tensor) -> torch.dtype:
    """The dtype of sums: float32, or float64 where the inputs are that."""
    return torch.promote_types(x.dtype, torch.float32)


def _scores(q: Tensor, k: Tensor) -> Tensor:
    wide = _wide(q)
    return (q.to(wide) @ k.to(wide).transpose(-1, -2)) / math.sqrt(q.shape[-1])


def _masked(scores: Tensor, queries: range, keys: range, before: int) -> Tensor:
    """Scores of these rows and columns with −∞ in the future; `before` keys precede the first query."""
    rows = torch.arange(queries.start, queries.stop, device=scores.device)[:, None] + before
    columns = torch.arange(keys.start, keys.stop, device=scores.device)
    return scores.masked_fill(columns > rows, -math.inf)


def _tiles(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def _check(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> None:
    alike = q.dim() == k.dim() == 4 and k.shape == v.shape and q.shape[:2] == k.shape[:2] and q.shape[3] == k.shape[3]
    if not alike or 0 in (*q.shape, *k.shape):
        raise ValueError(
            "Attention takes q (B, H, T, E) and k, v (B, H, S, E), none of them empty, not "
            f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}; shared heads are repeated first."
        )
    if not q.dtype == k.dtype == v.dtype or not q.is_floating_point():
        raise ValueError(f"q, k and v share one floating dtype, not {q.dtype}, {k.dtype}, {v.dtype}.")
    if causal and q.shape[2] > k.shape[2]:
        raise ValueError(
            f"Causal attention with T = {q.shape[2]} queries needs at least as many keys, not S = {k.shape[2]}: "
            "the queries are the last T of S positions. Try causal=False."
        )


def _check_tile(name: str, size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"{name} is a number of rows from 1, not {size!r}.")
