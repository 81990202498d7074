"""What a tokenizer has encoded before: words come again and again, so their ids are looked up, not computed.

Two dictionaries that fill themselves.  They stay correct when two threads use them at once (at worst something is
computed twice), keep no long pieces, and are emptied when they are full.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from lmlab.tokenizer.merging import merge
from lmlab.tokenizer.split import Splitter

#: Entries a dictionary holds at most, about 25 MB of them.
MAX_ENTRIES = 1 << 17
#: Longer pieces are computed each time.
MAX_CHARACTERS = 64


class KnownIds(dict[str, tuple[int, ...]]):
    """Ids by text, with the limits above."""

    def keep(self, text: str, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Remember the ids of `text`, unless it is too long, and give them back."""
        if len(text) <= MAX_CHARACTERS:
            if len(self) >= MAX_ENTRIES:
                self.clear()
            self[text] = ids
        return ids


class PieceIds(KnownIds):
    """The ids of a pre-token, merged when it is first asked for; bytes that are `unsayable` are left out before."""

    def __init__(self, ids: Mapping[bytes, int], ranks: Mapping[bytes, int], unsayable: bytes = b"") -> None:
        super().__init__()
        self._id_of, self._ranks, self._unsayable = ids.__getitem__, ranks, unsayable

    def __missing__(self, piece: str) -> tuple[int, ...]:
        data = piece.encode("utf-8").translate(None, self._unsayable)
        if data in self._ranks:
            return self.keep(piece, (self._id_of(data),))
        return self.keep(piece, tuple(map(self._id_of, merge(data, self._ranks))))


class ChunkIds(KnownIds):
    """The ids of a chunk of text with a space in front of it (see `Splitter.chunks`), from those of its pieces."""

    def __init__(self, splitter: Splitter, piece_ids: PieceIds) -> None:
        super().__init__()
        self._pieces, self._ids_of = splitter.pieces, piece_ids.__getitem__

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        ids = chain.from_iterable(map(self._ids_of, self._pieces(" " + chunk)))
        return self.keep(chunk, tuple(ids))
