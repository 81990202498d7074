"""GenerationTree: a text written token by token, with every fork kept: step, branch, rewind, edit.

The state of each place is a value that the tree holds, so going back is free and two branches live side by side.
The probability of a path is the product of its tokens'; the leaves are texts of which none begins with another, so
their probabilities may be added.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets

from lmlab.sampling import Sampler
from lmlab.text_model import TextModel
from lmlab.text_model.tree import TextTree
from lmlab.widgets._base import Control, LabWidget, View
from lmlab.widgets._style import Span, Spans, bold, count, model_name, mono, number, percent, spans, token_name, you

MODELS = 4
CANDIDATES = 6
FACTORS = 6  # of a product are written out
MOST = 600  # branches of one tree
MOST_TYPED = 50  # tokens written by hand at once


@dataclasses.dataclass(frozen=True)
class Twig:
    """One token of the tree: its probability after its path, and the product of the path under each model."""

    parent: int
    text: str
    p: float
    shown: str
    products: tuple[float, ...]
    products_shown: tuple[str, ...]
    typed: bool
    closed: bool = False  # what it began counts no more


@dataclasses.dataclass(frozen=True)
class Next:
    """A token that may follow the chosen place; ``branch`` is its branch where it has one."""

    text: str
    id: int
    p: float
    shown: str
    branch: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationTreeView(View):
    """``twigs`` in the order of their growth, the prompt first; ``at`` is the chosen one; ``nexts`` may follow it."""

    models: tuple[str, ...]
    twigs: tuple[Twig, ...]
    at: int
    nexts: tuple[Next, ...]
    ended: bool


def generation_tree_view(tree: TextTree, at: int, temperature: float, closed: Sequence[int] = ()) -> GenerationTreeView:
    """What GenerationTree shows of a tree of which some branches are ``closed``: pure."""
    names = tuple(model.name for model in tree.models)
    twigs = tuple(dataclasses.replace(_twig(tree, i), closed=i in closed) for i in range(len(tree.branches)))
    leaves = open_leaves(tree, closed)
    rows = [[tree.text(i), *twigs[i].products_shown] for i in leaves]
    root = tree.prompt.split(" ")
    ended = tree.ended(at) or not set(closed).isdisjoint(tree.path(at))
    return GenerationTreeView(
        question="What could it have written instead?",
        about=f"GenerationTree · {count(len(names), 'model')} · cpu",
        readout=_readout(tree, twigs, at, closed),
        foot=spans(
            mono("next_log_probs(ids (B, T = 1), state) → (B, V), state"),
            f" · {count(len(twigs) - 1, 'token')} read once each · ",
            "greedy" if temperature == 0 else f"temperature {number(temperature)} for drawing; numbers at 1",
        ),
        labels={
            "edit": f"Instead of “{twigs[at].text.strip('·')}”, write" if at else "Write on by hand",
            "prompt": "Prompt (empty: the start of a document)" if not tree.prompt else "Prompt",
        },
        table=[["continuation", *names], *rows],
        models=names,
        twigs=(dataclasses.replace(twigs[0], text=" ".join(root[-2:]) or "start"), *twigs[1:]),
        at=at,
        nexts=() if ended else _nexts(tree, at),
        ended=ended,
    )


def open_leaves(tree: TextTree, closed: Sequence[int]) -> list[int]:
    """The leaves that no closed branch leads to."""
    return [i for i in tree.leaves() if set(closed).isdisjoint(tree.path(i))]


def _twig(tree: TextTree, i: int) -> Twig:
    branch, tok = tree.branches[i], tree.models[0].tokenizer
    text = token_name(tok.token_text(branch.id), tok.specials) if i else ""
    products = tuple(map(math.exp, branch.totals))
    p = math.exp(branch.log_probs[0])
    return Twig(branch.parent, text, p, percent(p), products, tuple(map(percent, products)), branch.typed)


def _nexts(tree: TextTree, at: int) -> tuple[Next, ...]:
    after, tok = tree.after(at), tree.models[0].tokenizer
    best = after.sort(descending=True, stable=True)
    branch = {tree.branches[child].id: child for child in tree.children[at]}
    found = []
    for log_prob, i in zip(best.values[:CANDIDATES].tolist(), best.indices[:CANDIDATES].tolist(), strict=True):
        if log_prob > -math.inf:
            p = math.exp(log_prob)
            found.append(Next(token_name(tok.token_text(i), tok.specials), i, p, percent(p), branch.get(i, -1)))
    return tuple(found)


def _readout(tree: TextTree, twigs: Sequence[Twig], at: int, closed: Sequence[int]) -> Spans:
    path, said = tree.path(at), list[str | Span]()
    if path:
        factors = " × ".join(twigs[i].shown for i in path) if len(path) <= FACTORS else f"{len(path)} factors"
        text = "".join(twigs[i].text for i in path).replace("·", " ").strip()
        said += [you(text) if twigs[at].typed else mono(text or twigs[at].text), ": "]
        said += [f"{factors} = " if len(path) > 1 else "", bold(twigs[at].products_shown[0])]
        bits = -tree.branches[at].totals[0] / math.log(2)
        said += [f", {number(bits)} bits" if math.isfinite(bits) else ", never", ". "]
        for j in range(1, len(tree.models)):
            said += [
                model_name(j, tree.models[j].name),
                " gives the same path ",
                bold(twigs[at].products_shown[j]),
                ". ",
            ]
    if len(twigs) == 1:
        return spans("Nothing is written yet: press Step, or choose a word below the tree.")
    cut = [i for i in closed if set(closed).isdisjoint(tree.path(twigs[i].parent))]
    if cut:
        gone = percent(sum(twigs[i].products[0] for i in cut))
        what = f"{len(cut)} closed branches take" if len(cut) > 1 else "The closed branch takes"
        said += [f"{what} away ", bold(gone), ". "]
    leaves = open_leaves(tree, closed)
    mass = sum(twigs[i].products[0] for i in leaves)
    noun = "leaf holds" if len(leaves) == 1 else "leaves hold"
    still = f"{len(leaves)} open {noun} " if cut else f"{len(leaves)} {noun} "
    said += [still, bold(percent(min(1.0, mass))), " of all that "]
    return spans(*said, model_name(0, tree.models[0].name), " could write here.")


class GenerationTree(LabWidget):
    """A tree of continuations of one prompt, written by the first model; further models score the same paths.

    ``width`` of the likeliest next tokens begin the tree, each gone on with greedily to ``depth`` tokens. ``step()``,
    ``rewind()``, ``branch = id`` and ``edit = text`` do in code what the buttons do; ``node`` is the chosen place.
    Branches in ``closed`` stay in sight and count no more, until something is written in them.
    """

    kind = "generation_tree"
    parts = ("words",)
    controls = ("prompt", "temperature", "edit", "forward", "back")
    inputs = ("node", "closed")

    prompt = traitlets.Unicode("the stock market crashed and investors").tag(
        sync=True, control=Control("text", "Prompt", wide=True)
    )
    temperature = traitlets.Float(1.0, min=0.0, max=2.0).tag(
        sync=True, control=Control("slider", "Temperature", min=0, max=2, step=0.05, secondary=True)
    )
    edit = traitlets.Unicode().tag(
        sync=True, control=Control("text", "Write on by hand", live=False, placeholder="then press Enter")
    )
    forward = traitlets.Unicode().tag(sync=True, control=Control("button", "Step", main=True))
    back = traitlets.Unicode().tag(sync=True, control=Control("button", "Rewind"))
    node = traitlets.Int(0, min=0, help="the chosen place; 0 is the prompt").tag(sync=True)
    closed: traitlets.List[int] = traitlets.List(traitlets.Int(), help="branches that count no more").tag(sync=True)
    branch = traitlets.Int(-1, help="set to a token's id: go on with it from the chosen place").tag(sync=True)

    def __init__(self, *models: TextModel, width: int = 3, depth: int = 3, seed: int = 0, **traits: Any) -> None:
        if not 1 <= len(models) <= MODELS or not all(hasattr(m, "next_log_probs") for m in models):
            raise ValueError(
                f"GenerationTree takes 1 to {MODELS} text models, the first of which writes, and got {len(models)}. "
                'Try GenerationTree(lab.load("town")).'
            )
        self._models, self._seed = models, seed
        self._width, self._depth = width, depth
        self._tree: TextTree | None = None
        self._drawn = 0
        super().__init__(**traits)
        self.observe(self._on_branch, names="branch")
        self.observe(self._on_edit, names="edit")

    @property
    def tree(self) -> TextTree:
        """The tree of the present prompt; a new one where the prompt has changed."""
        given = self.prompt[:-1] if self.prompt.endswith(" ") else self.prompt
        if self._tree is None or self._tree.prompt != given:
            self._tree, self._drawn = TextTree(self._models, given), 0
            for id_ in self._tree.after(0).topk(min(self._width, self._models[0].vocab_size)).indices.tolist():
                at = self._tree.grow(0, id_)
                for _ in range(self._depth - 1):
                    at = self._tree.step(at, Sampler(0), torch.Generator())
            self.closed, self.node = [], 1 if len(self._tree.branches) > 1 else 0
        return self._tree

    def step(self) -> None:
        """Draw one token after the chosen place, and go there."""
        self._room()
        generator = torch.Generator().manual_seed(self._seed + self._drawn)
        at = self.tree.step(self.node, Sampler(self.temperature), generator)
        self._drawn += 1
        self._go(at)

    def rewind(self) -> None:
        """Back by one token. What was written stays in the tree."""
        self._go(max(0, self.tree.branches[self.node].parent), written=False)

    def clicked(self, name: str) -> None:
        self.step() if name == "forward" else self.rewind()

    def reset(self) -> None:
        self._tree, self.closed = None, []
        super().reset()
        self.refresh()

    def compute(self) -> GenerationTreeView:
        tree = self.tree
        closed = [i for i in self.closed if 0 < i < len(tree.branches)]
        return generation_tree_view(tree, min(self.node, len(tree.branches) - 1), self.temperature, closed)

    def _go(self, at: int, *, written: bool = True) -> None:
        if written:
            self.closed = [i for i in self.closed if i not in self.tree.path(at)]
        if at == self.node:
            self.refresh()
        self.node = at

    def _room(self) -> None:
        if len(self.tree.branches) >= MOST:
            raise ValueError(f"This tree has {MOST} tokens, as many as are drawn here: press r to begin anew.")

    def _on_branch(self, change: dict[str, Any]) -> None:
        if change["new"] >= 0:
            self._room()
            at = self.tree.grow(self.node, change["new"])
            self.branch = -1
            self._go(at)

    def _on_edit(self, change: dict[str, Any]) -> None:
        """What was typed takes the place of the chosen token, as a branch of its own; the old one stays."""
        typed, tree = change["new"], self.tree
        if not typed.strip():
            return
        self._room()
        at = max(0, tree.branches[self.node].parent)
        before = tree.prompt + tree.text(at)
        spaced = typed if not typed[0].isalnum() or not before or before[-1].isspace() else " " + typed
        ids = tree.models[0].tokenizer.encode(spaced)
        if len(ids) > MOST_TYPED:
            raise ValueError(f"You wrote {len(ids):,} tokens and at most {MOST_TYPED} go in at once: shorten it.")
        for id_ in ids:
            at = tree.grow(at, id_, typed=True)
        self.edit = ""
        self._go(at)
