"""ComputeReuse: change one word, and see which positions a transformer may keep and which it must compute again.

What stands left of the change cannot know of it, so its keys and values stay in the cache; everything from the change
on is computed anew. Both ways are computed here, and compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
import traitlets
from torch import Tensor

from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel
from lmlab.widgets._base import Control, LabWidget, View, heavy
from lmlab.widgets._style import Span, Spans, bold, count, mono, n_bytes, number, spans, token_name, visible, you

MOST = 24  # tokens on screen
LONGEST = 1024


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReuseView(View):
    """``tokens`` after the change at ``place``; the first ``kept`` positions come from the cache. ``changed[l][t]`` is
    by how much the residual stream below layer l (the last: after all) moved at position t, relative to its length."""

    tokens: tuple[str, ...]
    place: int
    kept: int
    last: int
    changed: tuple[tuple[float, ...], ...]
    rows: tuple[str, ...]
    T: int
    cached: int
    uncached: int


@dataclasses.dataclass(frozen=True)
class Edit:
    """Ids before and after a change at ``place``; what was kept and computed; how far both ways are apart."""

    old: list[int]
    new: list[int]
    place: int
    kept: int
    computed: int
    error: float
    cache_bytes: int


def generation_cost(T: int, *, cached: bool) -> int:
    """Token positions that pass through the model while it writes T tokens: T, or 1 + 2 + … + T without a cache.

    >>> generation_cost(1024, cached=False), generation_cost(1024, cached=True)
    (524800, 1024)
    """
    return T if cached else T * (T + 1) // 2


def edit(model: Transformer, old: list[int], place: int, word: list[int]) -> Edit:
    """Replace the token at ``place`` by ``word``, and read the new text with the old one's cache and without."""
    new = old[:place] + word + old[place + 1 :]
    prefix, rest = torch.tensor([new[:place]]), torch.tensor([new[place:]])
    _, kept = model.next_log_probs(prefix)
    with_cache, after = model.next_log_probs(rest, kept)
    without, _ = model.next_log_probs(torch.tensor([new]))
    error = float((with_cache - without).abs().max())
    return Edit(old, new, place, kept.length, after.length - kept.length, error, after.n_bytes)


def stream(model: Transformer, ids: list[int]) -> Tensor:
    """The residual stream at each height and position: (L + 1, T, D)."""
    trace = Trace()
    with torch.no_grad():
        model.hidden(torch.tensor([ids]).to(model.device), trace=trace)
    return torch.stack([x[0].float().cpu() for x in trace.residual])


def moved(before: Tensor, after: Tensor) -> Tensor:
    """How far each position's numbers moved at each height, relative to their length: two streams to (L + 1, T)."""
    n = min(before.shape[1], after.shape[1])
    before, after = before[:, :n], after[:, :n]
    return (after - before).norm(dim=-1) / before.norm(dim=-1).clamp(min=1e-12)


def reuse_view(
    model: TextModel, prompt: str, place: int, word: str, T: int, remember: Callable[[Any, Any], Any] | None = None
) -> ReuseView:
    """What ComputeReuse shows of one change: pure. ``remember(key, make)`` may know what ``make`` would work out."""
    remember = remember or (lambda _, make: make())
    assert isinstance(model.model, Transformer)
    tok = model.tokenizer
    edge, ids = ([] if tok.bos_id is None else [tok.bos_id]), tok.encode(prompt)
    old = edge + ids[-(MOST - 1) :]
    first = len(edge)
    cost = {"T": T, "cached": generation_cost(T, cached=True), "uncached": generation_cost(T, cached=False)}
    fixed: dict[str, Any] = {
        "question": "Change one word: what can be kept, and what is computed again?",
        "about": f"ComputeReuse · {model.name} · cpu",
        "labels": {"prompt": _label(len(ids), len(old) - first)},
        **cost,
    }
    name = lambda id_: token_name(tok.token_text(id_), tok.specials)  # noqa: E731
    if len(old) <= first:
        start = tuple(name(i) for i in old)
        return ReuseView(
            readout=spans("There is no word to change yet. Type a prompt. ", *_writing(T)),
            tokens=start, place=0, kept=0, last=0, changed=(), rows=(), **fixed,
        )  # fmt: skip
    place = max(first, min(place, len(old) - 1))
    glued = word if not prompt or place == first or not word or word[0] == " " else " " + word
    network, written = model.model, tok.encode(glued)[:8] or [old[place]]
    found = remember((*old, place, *written), lambda: edit(network, old, place, written))
    changed = moved(*(remember(tuple(ids), lambda ids=ids: stream(network, ids)) for ids in (old, found.new)))
    layers = [f"after layer {layer}" for layer in range(model.model.config.n_layers)]
    return ReuseView(
        readout=_readout(found, name(old[place]), tok.decode(found.new[place : place + _n(found)]).strip(), T),
        foot=_foot(found, model.model, changed),
        table=[["writing", "with a cache", "without"], [f"{T:,} tokens", f"{T:,}", f"{cost['uncached']:,}"]],
        tokens=tuple(name(i) for i in found.new), place=place, kept=found.kept, last=len(old) - 1,
        changed=tuple(tuple(row) for row in changed.tolist()), rows=("embedding", *layers), **fixed,
    )  # fmt: skip


def _n(found: Edit) -> int:
    """Tokens that now stand where one stood."""
    return len(found.new) - len(found.old) + 1


def _label(n: int, read: int) -> str:
    if n > read:
        return f"Prompt ({count(n, 'token')}; the last {read} are read)"
    return f"Prompt ({count(n, 'token')})" if n else "Prompt (empty: the start of a document)"


def _readout(found: Edit, before: str, after: str, T: int) -> Spans:
    same = found.old == found.new
    said: list[str | Span] = [mono(before), " stays; " if same else " becomes "]
    said += [] if same else [you(visible(after)), ": "]
    said += [bold(count(found.kept, "position")), " kept, ", bold(f"{found.computed:,}"), " computed again. "]
    if found.error <= 1e-5:
        said += ["The next word’s log-probabilities, with and without the cache, agree within 0.00001. "]
    elif found.error <= 1e-4:  # thirty layers of float32 add up in another order
        said += ["The next word’s log-probabilities, with and without the cache, agree within 0.0001, the rounding. "]
    else:
        said += [("bad", f"With and without the cache the next word differs by {found.error:.1e}. ")]
    return spans(*said, *_writing(T))


def _writing(T: int) -> list[str | Span]:
    without, ratio = generation_cost(T, cached=False), generation_cost(T, cached=False) / T
    said: list[str | Span] = ["Writing ", f"{count(T, 'token')} costs ", bold(f"{T:,}"), " positions with a cache and "]
    return [*said, bold(f"{without:,}"), f" without, {number(ratio, 1)} times more."]


def _foot(found: Edit, model: Transformer, changed: Tensor) -> Spans:
    config = model.config
    left = float(changed[:, : found.place].max()) if found.place else 0.0
    still = "exactly 0" if left == 0 else f"{left:.0e}"
    return spans(
        mono("K, V (B, K, S, E)"),
        f" · B 1, K {config.kv_heads}, S {len(found.new)}, E {config.head_width}, L {config.n_layers}: "
        f"{n_bytes(found.cache_bytes)} of cache · change left of the word: {still} · the cells: length of the "
        "difference, relative to the old vector · a flat MLP has no positions to keep: one matrix reads them all",
    )


class ComputeReuse(LabWidget):
    """A prompt, one word of it changed: which positions a transformer keeps in its cache, which it computes again.

    ``place`` counts tokens from the start of the document, which is 0; click a token or use the arrow keys to move
    it. ``word`` is written there. ``T`` is the number of tokens for the cost of writing.
    """

    kind = "compute_reuse"
    parts = ("cells",)
    controls = ("prompt", "place", "word", "T")

    prompt = traitlets.Unicode("the stock market crashed and investors panicked").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    place = traitlets.Int(5, min=0).tag(sync=True, control=Control("slider", "Change position", min=1, max=MOST - 1))
    word = traitlets.Unicode("or").tag(sync=True, control=Control("text", "and write there"))
    T = traitlets.Int(LONGEST, min=1, max=LONGEST).tag(
        sync=True, control=Control("slider", "Tokens to write", min=16, max=LONGEST, step=16, secondary=True)
    )

    def __init__(self, model: TextModel, **traits: Any) -> None:
        if not isinstance(getattr(model, "model", None), Transformer):
            kind = type(getattr(model, "model", model)).__name__
            raise ValueError(
                f"ComputeReuse looks into the cache of a transformer and got a {kind}, which has none. "
                'Try ComputeReuse(lab.load("town")).'
            )
        self._model, self.heavy = model, heavy(model)
        super().__init__(**traits)

    def compute(self) -> ReuseView:
        return reuse_view(self._model, self.prompt, self.place, self.word, self.T, self.remember)
