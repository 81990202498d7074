"""Attention: where every head of a transformer looks, for any prompt.

One forward pass keeps all patterns in the kernel. The page receives small thumbnails of all heads, and the
chosen head in full as half-precision numbers, the lower triangle alone: 0.26 MB for 512 tokens.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import traitlets

from lmlab.models.trace import Trace
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, mono, number, percent, spans, token_name

LONGEST = 512  # tokens that are read and shown; a longer prompt is cropped from the left
THUMBNAIL = 24  # cells on the side of a thumbnail


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionView(View):
    """``tokens`` (T) as shown; ``low`` and ``high`` the values at the ends of the color scale.

    ``pattern`` holds float16 rows 0 … T−1 of the chosen head, row t with t + 1 values; ``thumbs`` one byte a cell
    for L·H heads of ``side`` × ``side`` cells, 255 being the largest value.
    """

    tokens: tuple[str, ...]
    n_layers: int
    n_heads: int
    head: str
    low: float
    high: float
    side: int
    query: int
    best: int
    pattern: bytes
    thumbs: bytes


def chosen_pattern(trace: Trace, layer: int, head: int, *, show: str, values: str) -> torch.Tensor:
    """The (T, T) matrix on screen: one head or the layer's mean, after the softmax or the scores before it."""
    kept = trace.attention if values == "softmax" else trace.scores
    heads = kept[layer][0].float()
    return heads.mean(0) if show == "average" else heads[head]


def lower_triangle(pattern: torch.Tensor) -> bytes:
    """Rows of a causal (T, T) matrix without the masked future, one after the other, as float16."""
    rows, columns = torch.tril_indices(*pattern.shape)
    return pattern[rows, columns].half().numpy().tobytes()


def thumbnails(trace: Trace) -> tuple[bytes, int]:
    """All heads, softmax, as bytes: pooled by maximum to at most 24 × 24 cells, so that no bright cell is lost."""
    patterns = torch.cat([layer[0] for layer in trace.attention]).float()  # (L·H, T, T)
    if patterns.shape[-1] > THUMBNAIL:
        patterns = F.adaptive_max_pool2d(patterns[None], THUMBNAIL)[0]
    cells = (patterns.clamp(0, 1) * 255).round().to(torch.uint8)
    return cells.numpy().astype(np.uint8).tobytes(), patterns.shape[-1]


def entropy_bits(row: torch.Tensor) -> float:
    """How spread a row of attention is: 0 bits looks at one token, log₂ T at all T alike."""
    p = row[row > 0].double()
    return max(0.0, float(-(p * p.log2()).sum()))


def attention_view(
    model: TextModel, trace: Trace, prompt: str, *, layer: int, head: int, query: int, show: str, values: str
) -> AttentionView:
    """What Attention shows for one prompt and one head: pure."""
    pattern = chosen_pattern(trace, layer, head, show=show, values=values)
    T = len(pattern)
    row = query if 0 <= query < T else T - 1
    tokens = token_labels(model, prompt, T)
    weights = chosen_pattern(trace, layer, head, show=show, values="softmax")[row, : row + 1]
    best = int(weights.argmax())
    seen = pattern[torch.isfinite(pattern) & torch.ones_like(pattern, dtype=torch.bool).tril()]
    thumbs, side = thumbnails(trace)
    L, H = len(trace.attention), trace.attention[0].shape[1]
    E = getattr(getattr(model.model, "config", None), "head_width", 0)
    where = f"Layer {layer}, " + ("mean of all heads" if show == "average" else f"head {head}")
    cropped = model.n_cropped(prompt) + max(0, len(model.ids(prompt)) - T)
    return AttentionView(
        question="When the model reads a word, where does each head look?",
        about=f"Attention · {model.name} · cpu",
        readout=_readout(where, tokens, row, weights, pattern, values),
        foot=spans(
            mono("q (B,H,T,E) · k (B,H,S,E) → softmax(qkᵀ/√E) (B,H,T,S)"),
            f" · B 1, H {H}, T = S = {T}, E {E} · rows sum to {percent(1)} · hatched = masked, not zero",
        ),
        labels={
            "prompt": f"Prompt ({count(T, 'token')}"
            + (f"; {cropped:,} cropped from its beginning)" if cropped else ")")
        },
        table=[
            ["token", "attention"],
            *([tokens[i], percent(float(weights[i]))] for i in weights.topk(min(8, row + 1)).indices),
        ],
        tokens=tokens,
        n_layers=L,
        n_heads=H,
        head=where,
        low=0.0 if values == "softmax" else float(seen.min()),
        high=1.0 if values == "softmax" else max(float(seen.max()), float(seen.min()) + 1e-6),
        side=side,
        query=row,
        best=best,
        pattern=lower_triangle(pattern),
        thumbs=thumbs,
    )


def token_labels(model: TextModel, prompt: str, T: int) -> tuple[str, ...]:
    """The last T tokens of the prompt as labels; the beginning of the text is ``⟨start⟩``."""
    tokenizer, ids = model.tokenizer, model.ids(prompt)[-T:].tolist()
    names = {id_: name for name, id_ in tokenizer.specials.items()}
    shown = (token_name(names[i], names.values()) if i in names else token_name(tokenizer.token_text(i)) for i in ids)
    return tuple("⟨start⟩" if i == tokenizer.bos_id else label for i, label in zip(ids, shown, strict=True))


def _readout(
    where: str, tokens: tuple[str, ...], row: int, weights: torch.Tensor, pattern: torch.Tensor, values: str
) -> Spans:
    best = int(weights.argmax())
    said: list[str | Span] = [f"{where}: "]
    last = "the last " if row == len(tokens) - 1 and len(tokens) > 1 else ""
    earlier = [i for i in range(row) if tokens[i] == tokens[row]]
    place = "itself" if best == row else ""
    if not place:
        place = f", {row - best} back" if row - best > 1 else ", the token before it"
        if earlier and best - 1 in earlier:
            place = (
                ", the token that followed it the last time"
                if best - 1 == earlier[-1]
                else ", which followed it before"
            )
    target: list[str | Span] = ["itself"] if best == row else [mono(tokens[best]), place]
    said += [
        last,
        mono(tokens[row]),
        " gives ",
        bold(percent(float(weights[best]))),
        " of its attention to ",
        *target,
        ". ",
    ]
    if values == "scores":
        said += ["Its score there is ", bold(number(float(pattern[row, best]))), " before the softmax. "]
    said += ["Entropy ", bold(f"{number(entropy_bits(weights))} bits")]
    said += [f" of a possible {number(math.log2(row + 1))}." if row else "."]
    return spans(*said)


class Attention(LabWidget):
    """All heads of a transformer on one prompt: thumbnails, one head in full, and links between tokens.

    ``layer`` and ``head`` choose the head, ``query`` the token that looks (−1 is the last one).
    """

    kind = "attention"
    parts = ("triangle",)
    controls = ("prompt", "show", "values", "threshold")
    inputs = ("layer", "head", "query")

    prompt = traitlets.Unicode("the stock market crashed and investors panicked because the stock market").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    show = traitlets.Enum(("head", "average"), "head").tag(
        sync=True, control=Control("segments", "Show", options=(("head", "one head"), ("average", "layer average")))
    )
    values = traitlets.Enum(("softmax", "scores"), "softmax").tag(
        sync=True,
        control=Control("segments", "Values", options=(("softmax", "after softmax"), ("scores", "scores before"))),
    )
    threshold = traitlets.Int(2, min=0, max=50).tag(
        sync=True, control=Control("slider", "Links above", min=0, max=50, suffix="\u202f%", secondary=True, local=True)
    )
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    query = traitlets.Int(-1).tag(sync=True)
    pattern = traitlets.Bytes().tag(sync=True)
    thumbs = traitlets.Bytes().tag(sync=True)

    def __init__(self, model: TextModel, **traits: Any) -> None:
        config = getattr(getattr(model, "model", None), "config", None)
        if config is None or not hasattr(config, "n_heads"):
            name = getattr(model, "name", repr(model))
            raise ValueError(f'{name} has no attention to look at. Try Attention(lab.load("town")).')
        self._model, self._shape = model, (config.n_layers, config.n_heads)
        self.heavy = heavy(model)
        self._traced: tuple[str, Trace] | None = None
        super().__init__(**traits)

    @traitlets.validate("layer", "head")
    def _inside(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        limit = self._shape[0 if name == "layer" else 1]
        if not 0 <= value < limit:
            raise traitlets.TraitError(f"{self._model.name} has {name}s 0 to {limit - 1}; {name} {value} is not there.")
        return value

    @traitlets.observe("prompt")
    def _new_text(self, _: Any) -> None:
        self.query = -1  # the last token of another text

    def trace(self, prompt: str) -> Trace:
        """The forward pass of a prompt's last tokens, as many as the picture shows, computed once."""
        if self._traced is None or self._traced[0] != prompt:
            full = self._model.trace(prompt, last=LONGEST)  # all of a long one would fill the memory: L H T² numbers
            kept = Trace()
            kept.attention = [layer.cpu() for layer in full.attention]
            kept.scores = [layer.cpu() for layer in full.scores]
            self._traced = (prompt, kept)
        return self._traced[1]

    def compute(self) -> AttentionView:
        prompt = self.prompt  # read once: the page may change it while this cell computes
        return attention_view(
            self._model, self.trace(prompt), prompt,
            layer=self.layer, head=self.head, query=self.query, show=self.show, values=self.values,
        )  # fmt: skip

    def publish(self, view: View) -> None:
        """Patterns travel as traits of their own: what did not change is not sent again."""
        assert isinstance(view, AttentionView)
        self.pattern, self.thumbs = view.pattern, view.thumbs
        super().publish(dataclasses.replace(view, pattern=b"", thumbs=b""))
