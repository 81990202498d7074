"""How well a model knows the town: its loss beside the floor, and its answers, family by family.

Run it as `python -m lmlab.data.town.measure assets/models/town`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from lmlab.data.town.floors import surprise
from lmlab.data.town.probes import Probe, probes
from lmlab.data.town.town import Town
from lmlab.models.language_model import LanguageModel
from lmlab.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Measure:
    """Of one family: loss and the truth's own loss on the same documents, both in nats a token; answers right."""

    family: str
    loss: float
    truth_loss: float
    gap_error: float  # standard error of loss - truth_loss
    accuracy: float  # of greedy answers
    n_documents: int

    @property
    def gap(self) -> float:
        return self.loss - self.truth_loss


def document_nats(model: LanguageModel, tok: Tokenizer, documents: Sequence[str]) -> list[tuple[float, int]]:
    """(-log p in nats, tokens) of whole documents from BOS, EOS included."""
    assert tok.bos_id is not None
    ids = [[tok.bos_id, *tok.encode(document), tok.bos_id] for document in documents]
    by_length: dict[int, list[int]] = defaultdict(list)
    for i, row in enumerate(ids):
        by_length[len(row)].append(i)
    found: list[tuple[float, int]] = [(0.0, 0)] * len(ids)
    for length, places in by_length.items():
        for start in range(0, len(places), 32):
            chunk = places[start : start + 32]
            batch = torch.tensor([ids[i] for i in chunk])
            log_probs = model.log_probs(batch[:, :-1])
            nats = -log_probs.gather(2, batch[:, 1:, None])[..., 0].double().sum(1)
            for i, value in zip(chunk, nats.tolist(), strict=True):
                found[i] = (value, length - 1)
    return found


def answers(model: LanguageModel, tok: Tokenizer, asked: Iterable[Probe]) -> dict[str, float]:
    """The share of probes, by family, whose answer is what the model would say greedily, token by token."""
    right: dict[str, list[bool]] = defaultdict(list)
    for probe in asked:
        start = [] if tok.bos_id is None else [tok.bos_id]
        ids, wanted = torch.tensor([start + tok.encode(probe.prompt)]), tok.encode(probe.answer)
        log_probs, state = model.next_log_probs(ids)
        good = int(log_probs[0].argmax()) == wanted[0]
        for before, token in pairwise(wanted):
            if good:
                log_probs, state = model.next_log_probs(torch.tensor([[before]]), state)
                good = int(log_probs[0].argmax()) == token
        right[probe.family].append(good)
    return {family: sum(row) / len(row) for family, row in right.items()}


def measure(
    model: LanguageModel, tok: Tokenizer, town: Town | None = None, *, n: int = 100, seed: int = 1
) -> dict[str, Measure]:
    """Every family of the town on n fresh documents and n probes, and the whole town under "all"."""
    town = town or Town()
    accuracy = answers(model, tok, probes(town, n, seed))
    found: dict[str, Measure] = {}
    lengths: dict[str, float] = {}
    for name in town.families:
        documents = Town(town.dialect, (name,)).sample(n, seed)
        mine = document_nats(model, tok, documents)
        truth = [surprise(town, document)[0] for document in documents]
        tokens = sum(t for _, t in mine)
        gaps = [nats - own for (nats, _), own in zip(mine, truth, strict=True)]
        mean = sum(gaps) / n
        error = math.sqrt(sum((g - mean) ** 2 for g in gaps) / max(n - 1, 1) / n) * n / tokens
        loss = sum(nats for nats, _ in mine) / tokens
        found[name] = Measure(name, loss, sum(truth) / tokens, error, accuracy[name], n)
        lengths[name] = tokens / n
    found["all"] = _together(town, found, lengths)
    if "held_out_people" in accuracy:
        nothing = math.nan
        held_out = accuracy["held_out_people"]
        found["held_out_people"] = Measure("held_out_people", nothing, nothing, nothing, held_out, n)
    return found


def _together(town: Town, found: dict[str, Measure], lengths: dict[str, float]) -> Measure:
    share = {name: p * lengths[name] for name, p in town.probabilities.items()}
    total = sum(share.values())
    share = {name: s / total for name, s in share.items()}
    return Measure(
        "all",
        loss=sum(share[m] * found[m].loss for m in share),
        truth_loss=sum(share[m] * found[m].truth_loss for m in share),
        gap_error=math.sqrt(sum((share[m] * found[m].gap_error) ** 2 for m in share)),
        accuracy=sum(found[m].accuracy for m in share) / len(share),
        n_documents=sum(found[m].n_documents for m in share),
    )


def table(measures: dict[str, Measure]) -> str:
    """The measures as lines of text, losses in nats a token."""
    lines = [f"{'family':16} {'loss':>7} {'truth':>7} {'gap':>7} {'error':>7} {'right':>6}"]
    for m in measures.values():
        numbers = " ".join(f"{x:7.4f}" for x in (m.loss, m.truth_loss, m.gap, m.gap_error))
        lines.append(f"{m.family:16} {numbers} {m.accuracy:6.1%}")
    return "\n".join(lines)


def main() -> None:
    """`python -m lmlab.data.town.measure FOLDER`: the table for one model."""
    from lmlab.models.load import load_model
    from lmlab.tokenizer.load import load_tokenizer

    parser = argparse.ArgumentParser(description="Measure a model's loss and answers on the town, family by family.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=100, help="documents and probes a family")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", default="worried")
    given = parser.parse_args()
    model, tok = load_model(given.folder), load_tokenizer(given.folder)
    measures = measure(model, tok, Town(given.dialect), n=given.documents, seed=given.seed)
    sys.stdout.write(table(measures) + "\n")


if __name__ == "__main__":
    main()
