"""Text to ids and back.

A `Tokenizer` knows the bytes of every id, the order in which pairs were merged, how text is cut before merging,
and the special tokens.  Every format that we read (`load_tokenizer`) becomes this one form.
"""

from __future__ import annotations

import codecs
import operator
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from lmlab.tokenizer.known_ids import ChunkIds, PieceIds
from lmlab.tokenizer.merging import merge
from lmlab.tokenizer.split import splitter
from lmlab.tokenizer.unicode_text import checked_characters

#: More characters than this are not encoded in one call: a slip of the clipboard must not hang the notebook.
MAX_TEXT_CHARACTERS = 8_000_000

#: Whole chunks of text are remembered after this many characters. To look one up is faster than to look up its
#: pieces, but to remember it costs as much as to encode it five times: it pays where text goes on and on.
REMEMBER_CHUNKS_FROM = 8_000_000

# Bytes that a vocabulary may lack: control characters, and those that begin no assigned character of UTF-8. SmolLM2,
# whose bytes were learned from a corpus as its other tokens were, lacks 21 of them.
_RARE_BYTES = frozenset({*range(9), 11, 12, *range(14, 32), 127, 0xC0, 0xC1, 0xF1, 0xF2, *range(0xF5, 256)})

# Beginning-of-sequence tokens of the published families, the first that is in the vocabulary wins.
_BOS_NAMES = ("<|endoftext|>", "<|begin_of_text|>", "<s>")


class Tokenizer:
    """Byte-level byte-pair encoding: any text becomes ids, and the ids become exactly that text again."""

    def __init__(
        self,
        *,
        token_bytes: Sequence[bytes],
        ranks: Mapping[bytes, int],
        split: str,
        specials: Mapping[str, int],
        normalizer: Literal["NFC"] | None = None,
    ) -> None:
        """`token_bytes[id]` is what an id stands for; `ranks[token]` orders the merges (lowest first).

        The rank of a token need not be its id; tokens of one byte need none.  `split` is a pattern or the name of one
        ("gpt2").  `specials` maps names such as "<|endoftext|>" to ids, whose bytes are those of the name.  With
        `normalizer="NFC"` accents are composed first (as Qwen does); then decoding gives the composed text.
        """
        self._bytes = list(token_bytes)
        self._splitter = splitter(split)
        self.split = self._splitter.pattern
        self.normalizer = normalizer
        self.specials = dict(specials)
        special_ids = set(self.specials.values())
        self._ids = {token: n for n, token in enumerate(self._bytes) if n not in special_ids}
        self.ranks = {token: rank for token, rank in ranks.items() if len(token) > 1}
        for name, n in self.specials.items():
            if not 0 <= n < len(self._bytes) or self._bytes[n] != name.encode("utf-8"):
                raise ValueError(f"the special token {name!r} has the id {n}, but token_bytes[{n}] is not its name")
            if (other := self._ids.get(name.encode("utf-8"))) is not None:
                raise ValueError(f"the special token {name!r} is also the ordinary token {other}; give it another name")
        #: Bytes for which there is no token: they are left out of a text, as tokenizers does, with a warning.
        self.unsayable = bytes(byte for byte in range(256) if bytes([byte]) not in self._ids)
        missing = [byte for byte in self.unsayable if byte not in _RARE_BYTES]
        if missing:
            raise ValueError(f"the vocabulary has no token for byte {missing[0]} (and {len(missing) - 1} others)")
        self._special_pattern = re.compile(
            "(" + "|".join(re.escape(name) for name in sorted(self.specials, key=len, reverse=True)) + ")"
        )
        self._piece_ids = PieceIds(self._ids, self.ranks, self.unsayable)
        self._chunk_ids = ChunkIds(self._splitter, self._piece_ids)
        self._n_seen = 0  # characters encoded so far, counted until the chunks are remembered too

    @property
    def vocab_size(self) -> int:
        """V: how many ids there are, specials included."""
        return len(self._bytes)

    @property
    def bos_id(self) -> int | None:
        """The id that begins every text ("<|endoftext|>" in our own tokenizers), None where there is none."""
        return next((self.specials[name] for name in _BOS_NAMES if name in self.specials), None)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The ids of `text`.  What looks like a special token is plain text unless `allow_special` is set.

        A lone surrogate (half of a UTF-16 pair, no character) becomes U+FFFD with a warning, and a control character
        that the vocabulary lacks is left out with one.  ValueError over `MAX_TEXT_CHARACTERS`.
        """
        text = self._checked_text(text)
        if not allow_special or not self.specials:
            return self._encode_plain(text)
        ids: list[int] = []
        for n, part in enumerate(self._special_pattern.split(text)):
            ids += [self.specials[part]] if n % 2 else self._encode_plain(part)
        return ids

    def _encode_plain(self, text: str) -> list[int]:
        if self._n_seen < REMEMBER_CHUNKS_FROM:
            self._n_seen += len(text)
            return list(chain.from_iterable(map(self._piece_ids.__getitem__, self._splitter.pieces(text))))
        head, *tail = self._splitter.chunks(text)
        ids = list(chain.from_iterable(map(self._piece_ids.__getitem__, self._splitter.pieces(head))))
        ids += chain.from_iterable(map(self._chunk_ids.__getitem__, tail))
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD.  ValueError names an id that does not exist."""
        return b"".join([self._bytes[n] for n in self._checked_ids(ids)]).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """The bytes that `id` stands for."""
        return self._bytes[self._checked_id(id)]

    def token_text(self, id: int) -> str:
        """What `id` says, for display: its text, and bytes of an incomplete character in hex, like ⟨F0⟩."""
        return self.token_bytes(id).decode("utf-8", "lmlab-hex")

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """For each id of `encode(text)` the characters it touches: text[start:end].

        Tokens that hold parts of one character (an emoji in four bytes) all point at that character.
        """
        ids = self.encode(text)
        characters = enumerate(self._checked_text(text))
        owner = [n for n, character in characters for _ in character.encode("utf-8").translate(None, self.unsayable)]
        spans, at = [], 0
        for n in ids:
            end = at + len(self._bytes[n])
            spans.append((owner[at], owner[end - 1] + 1))
            at = end
        return spans

    def merge_pairs(self) -> list[tuple[bytes, bytes]]:
        """The two parts of every merged token, in the order of merging."""
        pairs = []
        for token, rank in sorted(self.ranks.items(), key=operator.itemgetter(1)):
            left, right = merge(token, self.ranks, below=rank)
            pairs.append((left, right))
        return pairs

    def stream(self) -> StreamDecoder:
        """A decoder for ids that come one by one."""
        return StreamDecoder(self.token_bytes)

    def save(self, path: str | Path) -> Path:
        """Write a tokenizer.json that Hugging Face's tokenizers opens too; `path` is the file or its folder."""
        from lmlab.tokenizer.save import save_tokenizer

        return save_tokenizer(self, path)

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"Tokenizer(V={self.vocab_size}, merges={len(self.ranks)}, specials={len(self.specials)})"

    def _checked_text(self, text: str) -> str:
        if isinstance(text, str) and len(text) > MAX_TEXT_CHARACTERS:
            raise ValueError(
                f"the text has {len(text):,} characters and at most {MAX_TEXT_CHARACTERS:,} are encoded at once; "
                "encode it in parts, for example one document at a time"
            )
        text = checked_characters(text)
        if self.normalizer is not None:
            text = unicodedata.normalize(self.normalizer, text)
        if self.unsayable and len(data := text.encode("utf-8")) != (left := len(data.translate(None, self.unsayable))):
            warnings.warn(
                f"{len(data) - left} bytes of this text have no token in this vocabulary and are left out", stacklevel=3
            )
        return text

    def _checked_ids(self, ids: Iterable[int]) -> list[int]:
        listed = ids.tolist() if hasattr(ids, "tolist") else ids
        if not isinstance(listed, Iterable) or isinstance(listed, (str, bytes)):
            raise ValueError(f"decode takes a list of ids, given {ids!r}")
        return [self._checked_id(n) for n in listed]

    def _checked_id(self, given: Any) -> int:
        if type(given) is int and 0 <= given < len(self._bytes):
            return given
        value = given.item() if hasattr(given, "item") and not isinstance(given, bool) else given
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ValueError(f"id {value!r} is a {type(value).__name__}; ids are whole numbers")
        n = operator.index(value)
        if not 0 <= n < len(self._bytes):
            raise ValueError(f"id {n} is not in the vocabulary; ids go from 0 to {len(self._bytes) - 1}")
        return n


class StreamDecoder:
    """Decodes ids one by one and holds back bytes until the character that they begin is complete."""

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, id: int) -> str:
        """The text that is certain now; empty while a character is incomplete."""
        return self._decoder.decode(self._token_bytes(id))

    def flush(self) -> str:
        """What was held back at the end (U+FFFD for an incomplete character); the decoder can be used again."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def _in_hex(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"⟨{byte:02X}⟩" for byte in error.object[error.start : error.end]), error.end


codecs.register_error("lmlab-hex", _in_hex)
