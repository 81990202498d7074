"""FusedAttention: one head of a live model, tile by tile: what is held, what is forgotten, and how many bytes it costs.

The whole walk is in the page, so that scrubbing asks nobody for the picture; the sentence follows from the kernel.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import traitlets

from lmlab.models.transformer import Transformer
from lmlab.systems.fusion import naive_attention_bytes, tile_memory_bytes, tiled_attention_bytes
from lmlab.systems.roofline import GPU_ROOFS, Placed, Roof, measured_roofline, placed_under
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._fused_words import foot_said, kernel_said, kernels_said, roof_said, walk_said
from lmlab.widgets._style import Spans, count, n_bytes
from lmlab.widgets._tile_walk import TileWalk, head_qkv, packed, tile_walk
from lmlab.widgets.attention import token_labels

MOST = 24  # tokens on screen
LARGEST = 32  # rows of a tile
SHEET = "H100"
Bytes = tuple[int, str]
TileShown = tuple[int, int, int, int, Bytes, float, float | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FusedAttentionView(View):
    """What the page draws; a quantity of bytes comes with its text.

    `steps` holds, for each tile, its rows and columns (first, and the one after the last), the bytes moved so far, how
    far its rows are from naive attention, and how far all finished rows are (None before the first). `moved` and `long`
    are naive and tiled, for the prompt and for `length` tokens. `roof` is name, FLOP/s, bytes/s, ridge, whether it was
    measured; `placed` the kernels under it: name, FLOPs per byte, attainable and measured FLOP/s, the texts of both
    (long and short), and a sentence.
    """

    tokens: tuple[str, ...]
    tile: int
    width: int
    at: int
    steps: tuple[TileShown, ...]
    kernels: str
    moved: tuple[Bytes, Bytes]
    long: tuple[Bytes, Bytes]
    roof: tuple[str, float, float, float, bool]
    placed: tuple[tuple[str, float, float, float | None, str, tuple[str, str], Spans], ...]
    log: bytes


def fused_attention_view(
    walk: TileWalk, tokens: tuple[str, ...], *, name: str, where: str, step: int, length: int, show: str,
    n_cropped: int = 0, roofs: tuple[Roof, tuple[Placed, ...]] | None = None,
) -> FusedAttentionView:  # fmt: skip
    """What FusedAttention shows of one head's walk: pure. `roofs`: what was measured here, else a data sheet's."""
    T, E = walk.shape
    tile, at = walk.tile, min(step, len(walk.steps))
    roof, placed = roofs or (GPU_ROOFS[SHEET], placed_under(GPU_ROOFS[SHEET]))
    long = (
        naive_attention_bytes(length, length, E),
        tiled_attention_bytes(length, length, E, q_tile=tile, k_tile=tile),
        tile_memory_bytes(tile, tile, E, itemsize=4),
    )
    said = walk_said(walk, at, tokens, long, length) if show == "tiles" else roof_said(roof, placed)
    crop = f"; {n_cropped:,} before them not read here" if n_cropped else ""
    return FusedAttentionView(
        question="Can attention be computed without ever holding its matrix?"
        if show == "tiles"
        else "Which kernels wait for memory?",
        about=f"FusedAttention · {name} · cpu",
        readout=said,
        foot=foot_said(walk, roof, show, where),
        labels={
            "prompt": f"Prompt ({count(T, 'token')}{crop})",
            "tile:value": f"{tile} × {tile}",
            "length:value": f"{length:,}",
        },
        table=_table(walk, long, length, roof, placed, show),
        tokens=tokens, tile=tile, width=E, at=at, steps=_steps(walk), kernels=kernels_said(walk, long[2]),
        moved=(_shown(walk.naive.moved_bytes), _shown(walk.tiled.moved_bytes)),
        long=(_shown(long[0]), _shown(long[1])),
        roof=(roof.name, roof.peak_flops, roof.bandwidth, roof.ridge, roofs is not None),
        placed=tuple(
            (p.work.name, p.work.intensity, p.attainable, p.measured, *kernel_said(p, roof)) for p in placed
        ),
        log=packed(walk),
    )  # fmt: skip


def _shown(n: int) -> Bytes:
    return n, n_bytes(n)


def _steps(walk: TileWalk) -> tuple[TileShown, ...]:
    return tuple(
        (s.queries.start, s.queries.stop, s.keys.start, s.keys.stop, _shown(s.moved_bytes), off, finished)
        for s, off, finished in zip(walk.steps, walk.off, walk.finished, strict=True)
    )


def _table(
    walk: TileWalk, long: tuple[int, int, int], length: int, roof: Roof, placed: tuple[Placed, ...], show: str
) -> list[list[str]]:
    if show == "tiles":
        T, _ = walk.shape
        rows = ((f"{T} tokens", walk.naive.moved_bytes, walk.tiled.moved_bytes), (f"{length:,} tokens", *long[:2]))
        return [["bytes moved", "naive", "tiled"], *([name, f"{a:,}", f"{b:,}"] for name, a, b in rows)]
    share = ([p.work.name, f"{p.work.intensity:.3g}", f"{100 * p.attainable / roof.peak_flops:.2g} %"] for p in placed)
    return [["kernel", "FLOPs per byte", "of the peak, at most"], *share]


class FusedAttention(LabWidget):
    """One head of a transformer, in tiles with a running softmax, beside the naive way; and the machine's roofline.

    The last layer is shown first. `tile` is the number of rows and columns of a tile, `step` how many tiles are done,
    `length` the number of tokens for which bytes are counted besides. `show` is "tiles" or "roofline", whose button
    measures this machine.
    """

    kind = "fused_attention"
    parts = ("words", "roofline")
    controls = ("prompt", "layer", "head", "tile", "show", "play", "step", "length", "measure")

    prompt = traitlets.Unicode("the stock market crashed and investors panicked because the stock market").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    layer = traitlets.Int(0).tag(sync=True, control=Control("slider", "Layer", secondary=True))
    head = traitlets.Int(0).tag(sync=True, control=Control("slider", "Head", secondary=True))
    tile = traitlets.Int(4, min=1, max=LARGEST).tag(sync=True, control=Control("slider", "Tile", min=1, max=LARGEST))
    show = traitlets.Enum(("tiles", "roofline"), "tiles").tag(
        sync=True, control=Control("segments", "Show", options=(("tiles", "tile by tile"), ("roofline", "roofline")))
    )
    play = traitlets.Bool().tag(sync=True, control=Control("button", "▶ Play", main=True))
    step = traitlets.Int(0, min=0).tag(sync=True, control=Control("slider", "Tiles done", min=0, max=1))
    length = traitlets.Int(4096, min=32, max=32_768).tag(
        sync=True,
        control=Control("slider", "And for a text of T tokens", min=256, max=16_384, step=256, secondary=True),
    )
    measure = traitlets.Bool().tag(sync=True, control=Control("button", "Measure this machine", main=True))
    _log = traitlets.Bytes().tag(sync=True)

    def __init__(self, model: TextModel, **traits: Any) -> None:
        if not isinstance(getattr(model, "model", None), Transformer):
            kind = type(getattr(model, "model", model)).__name__
            raise ValueError(
                f"FusedAttention looks into a head of a transformer and got a {kind}, which has none. "
                'Try FusedAttention(lab.load("town")).'
            )
        self._model, self.heavy = model, heavy(model)
        self._network: Transformer = model.model  # type: ignore[assignment]
        config = self._network.config
        self._limits = {"layer": config.n_layers, "head": config.n_heads}
        self._roofs: tuple[Roof, tuple[Placed, ...]] | None = None
        traits.setdefault("layer", config.n_layers - 1)
        super().__init__(options={name: {"max": n - 1} for name, n in self._limits.items()}, **traits)

    @traitlets.validate("layer", "head")
    def _inside(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        if not 0 <= value < self._limits[name]:
            has = f"{self._model.name} has {name}s 0 to {self._limits[name] - 1}"
            raise traitlets.TraitError(f"{has}; {name} {value} is not there.")
        return int(value)

    @traitlets.observe("prompt", "tile")
    def _new_walk(self, _: Any) -> None:
        if self._ready:
            self.step = 0

    def clicked(self, name: str) -> None:
        """Measure this machine: a second or a few, on a thread of its own."""
        with self._gate:
            if name != "measure" or self._worker is not None:
                return
            self._worker = threading.Thread(target=self._measure, name="lmlab roofline", daemon=True)
            self._worker.start()

    def _measure(self) -> None:
        self._busy = True
        try:
            self._roofs = measured_roofline()
        except Exception as error:
            self._raised = error
            self._fail(error)
        finally:
            self._busy = False
            with self._gate:
                self._worker = None
        if self._raised is None:
            self._request()

    def reset(self) -> None:
        """Back to what the cell made; what was measured stays measured."""
        step = self._initial["step"]
        with self.hold_trait_notifications():
            super().reset()
        self.step = step

    def compute(self) -> FusedAttentionView:
        prompt, tile = self.prompt, self.tile
        everything = self._model.ids(prompt)
        ids = everything[-MOST:]
        key = (prompt, self.layer, self.head)
        qkv = self.remember(key, lambda: head_qkv(self._network, ids, self.layer, self.head))
        where = f"layer {self.layer}, head {self.head}"
        return fused_attention_view(
            tile_walk(*qkv, tile), token_labels(self._model, prompt, len(ids)), name=self._model.name, where=where,
            step=self.step, length=self.length, show=self.show, n_cropped=len(everything) - len(ids),
            roofs=self._roofs,
        )  # fmt: skip

    @property
    def roofs(self) -> tuple[Roof, tuple[Placed, ...]]:
        """The roof on screen and the kernels under it: this machine's once it was measured, else a data sheet's."""
        return self._roofs or (GPU_ROOFS[SHEET], placed_under(GPU_ROOFS[SHEET]))

    def publish(self, view: View) -> None:
        """The walk travels as a trait of its own: scrubbing does not send it again."""
        assert isinstance(view, FusedAttentionView)
        self._log = view.log
        super().publish(dataclasses.replace(view, log=b""))
