"""Text to learn from: the town's, or a student's own file or folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from lmlab.data.text_files import read_documents
from lmlab.data.town.town import Town
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.user_folder import cache_folder


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents, in order. `notes` say what was done to a file to read it."""

    documents: tuple[str, ...]
    name: str = "corpus"
    notes: tuple[str, ...] = ()
    _ids: dict[int, tuple[Tokenizer, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not any(self.documents):
            raise ValueError(f"Corpus {self.name!r} has no text: there is nothing to learn from.")

    def __repr__(self) -> str:
        n_characters = sum(map(len, self.documents))
        return f"Corpus({self.name!r}, {len(self.documents):,} documents, {n_characters:,} characters)"

    @cached_property
    def text(self) -> str:
        """All documents, one after another, with a line break between."""
        return "\n".join(self.documents)

    def split(self, validation: float = 0.1, *, seed: int = 0) -> tuple[Corpus, Corpus]:
        """(training, validation). Equal documents fall on the same side, so that no text stands on both."""
        if not 0 < validation < 1:
            raise ValueError(f"validation is a share between 0 and 1, got {validation}.")
        texts = list(dict.fromkeys(self.documents))
        if len(texts) < 2:
            raise ValueError("A corpus of one document cannot be split; give one with several (blank lines cut).")
        n_held = min(max(1, round(validation * len(texts))), len(texts) - 1)
        held = set(Random(seed).sample(texts, n_held))
        train = tuple(text for text in self.documents if text not in held)
        rest = tuple(text for text in self.documents if text in held)
        return Corpus(train, f"{self.name} (training)"), Corpus(rest, f"{self.name} (validation)")

    def ids(self, tok: Tokenizer) -> Tensor:
        """(T,) ids of all documents, BOS before each and one at the end (none where the tokenizer has none)."""
        kept = self._ids.get(id(tok))
        if kept is None or kept[0] is not tok:
            bos = [] if tok.bos_id is None else [tok.bos_id]
            flat: list[int] = []
            for document in self.documents:
                flat += bos
                flat += tok.encode(document)
            kept = self._ids[id(tok)] = (tok, torch.tensor(flat + bos, dtype=torch.int64))
        return kept[1]


def corpus(
    name_or_path: str | os.PathLike[str] = "town",
    *,
    documents: int = 20_000,
    seed: int = 0,
    dialect: str = "worried",
    families: Sequence[str] | None = None,
    text: str | None = None,
) -> Corpus:
    """The town's text ("town"), or the documents of a file or folder, or a `text` whose paragraphs are documents.

    "shakespeare" is 38 plays, a speech a document, once `lmlab fetch shakespeare` has brought them. `documents`,
    `seed`, `dialect` and `families` concern the town alone. Raises ValueError or FileNotFoundError, in one sentence,
    for what cannot be read as text.
    """
    if text is not None:
        return Corpus(tuple(part for part in text.split("\n\n") if part.strip()), "text")
    if name_or_path == "town":
        if isinstance(documents, bool) or not isinstance(documents, int) or documents < 1:
            raise ValueError(f"documents must be a whole number of at least 1, got {documents!r}.")
        town = Town(dialect, families)
        return Corpus(tuple(town.sample(documents, seed)), "town")
    path = _plays() if name_or_path == "shakespeare" else Path(name_or_path)
    found, notes = read_documents(path)
    return Corpus(tuple(found), path.name, tuple(notes))


def _plays() -> Path:
    fetched, own = cache_folder() / "shakespeare", Path("shakespeare")
    if fetched.is_dir() or own.exists():
        return fetched if fetched.is_dir() else own
    raise FileNotFoundError(
        "Shakespeare's plays are not on this machine: fetch them in a terminal (2 MB), `lmlab fetch shakespeare`."
    )
