"""GGUF files: what the gguf library writes is read bit for bit; what a hostile hand writes costs a sentence."""

from __future__ import annotations

import os
import pickle
import resource
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmlab.formats.gguf import GGUFTensor, read_gguf
from lmlab.formats.gguf_blocks import BLOCKS, decode_blocks

ALIGNMENT = 32


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def field(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def entry(name: str | bytes, dims: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


ARCH = field("general.architecture", 8, text("llama"))
NUMBERS = struct.pack("<8f", *range(8)) + bytes(32) + struct.pack("<4f", *range(4))


def container(
    fields: tuple[bytes, ...] = (ARCH,),
    tensors: tuple[bytes, ...] = (entry("a", (4, 2), 0, 0), entry("b", (4,), 0, 64)),
    numbers: bytes = NUMBERS,
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    n_tensors: int | None = None,
    n_fields: int | None = None,
    alignment: int = ALIGNMENT,
) -> bytes:
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    head = magic + struct.pack("<IQQ", version, n_tensors, len(fields) if n_fields is None else n_fields)
    head += b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + numbers


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    return path


# ---------------------------------------------------------------- what is there


def test_what_the_library_writes_is_read(tmp_path: Path):
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_float32("llama.rope.freq_base", 77.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_string("general.name", "Ä 市場 🦦")
    writer.add_array("tokenizer.ggml.tokens", ["a", "", "Ġtown"])
    writer.add_array("scores", [1.5, -2.0])
    numbers = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)
    writer.add_tensor("first.weight", numbers)
    writer.add_tensor("second.weight", numbers[0].astype(np.float16))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    file = read_gguf(path)
    assert file.fields["llama.block_count"] == 3
    assert file.fields["llama.rope.freq_base"] == 77.0
    assert file.fields["tokenizer.ggml.add_bos_token"] is False
    assert file.fields["general.name"] == "Ä 市場 🦦"
    assert file.fields["tokenizer.ggml.tokens"] == ["a", "", "Ġtown"]
    assert file.fields["scores"] == [1.5, -2.0]
    assert torch.equal(file.read("first.weight"), torch.from_numpy(numbers))
    assert torch.equal(file.read("second.weight"), torch.from_numpy(numbers[0]).half().float())


def test_the_table_of_blocks_is_the_librarys():
    for number, (name, n_items, n_bytes) in BLOCKS.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (name, (n_items, n_bytes))


@pytest.mark.parametrize("name", [name for name, _, _ in BLOCKS.values()])
def test_dequantized_as_the_library_does_bit_for_bit(name: str):
    kind = gguf.GGMLQuantizationType[name]
    rng = np.random.default_rng(0)
    n_items, n_bytes = gguf.GGML_QUANT_SIZES[kind]
    if name in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"):
        raw = gguf.quantize(rng.standard_normal((40, 512)).astype(np.float32) ** 3, kind).view(np.uint8)
    else:  # the library reads these kinds and writes none: random bits, with scales that are numbers
        raw = rng.integers(0, 256, (40, n_bytes * 512 // n_items), dtype=np.uint8)
        place = np.arange(raw.shape[1]) % n_bytes
        raw[:, (place < 4) | (place >= n_bytes - 4)] = 60  # where the scales of all these kinds stand
    expected = gguf.dequantize(raw, kind).reshape(-1)
    found = decode_blocks(torch.from_numpy(raw.reshape(-1).copy()), name).numpy()
    assert np.array_equal(found.view(np.uint32), np.ascontiguousarray(expected).view(np.uint32))


def test_more_blocks_than_one_chunk(tmp_path: Path):
    raw = np.random.default_rng(1).integers(0, 256, (40_000, 20), dtype=np.uint8)
    raw[:, [1, 3]] = 60  # halves near one
    found = decode_blocks(torch.from_numpy(raw.reshape(-1)), "Q4_1").numpy()
    assert np.array_equal(found, gguf.dequantize(raw, gguf.GGMLQuantizationType.Q4_1).reshape(-1))


def test_the_smallest_file_is_read(tmp_path: Path):
    file = read_gguf(written(tmp_path, container()))
    assert file.tensors["a"] == GGUFTensor("F32", (2, 4), 160, 32)
    assert file.read("a").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert file.read("b").tolist() == [0, 1, 2, 3]


def test_other_alignments_are_kept(tmp_path: Path):
    for alignment in (1, 8, 4096):
        fields = (ARCH, field("general.alignment", 4, struct.pack("<I", alignment)))
        tensors = (entry("a", (8,), 0, 0),)
        file = read_gguf(written(tmp_path, container(fields, tensors, NUMBERS[:32], alignment=alignment)))
        assert file.read("a").tolist() == list(range(8))


# ---------------------------------------------------------------- hostile hands

HUGE = 1 << 60
U32, STRING, LIST = 4, 8, 9


def alignment_of(value: bytes, kind: int = U32) -> bytes:
    return container((ARCH, field("general.alignment", kind, value)))


HOSTILE: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "empty": (b"", "is empty"),
    "bad magic": (container(magic=b"GGML"), "no GGUF file"),
    "HTML": (b"<!DOCTYPE html><html>Not found</html>", "no GGUF file"),
    "a pickle": (lambda: pickle.dumps({"a": 1}), "pickle"),
    "version 1": (container(version=1), "version 1"),
    "version of the future": (container(version=4), "version 4"),
    "big-endian": (container(version=3 << 24), "big-endian"),
    "2^60 tensors": (container(n_tensors=HUGE), r"1,152,921,504,606,846,976 tensors"),
    "2^64 - 1 fields": (container(n_fields=2**64 - 1), "fields"),
    "more tensors than there are": (container(n_tensors=3), "is '', which no program writes"),
    "a key of 2^60 bytes": (container((struct.pack("<Q", HUGE) + b"abc",)), "claims 1,152,921,504,606,846,976 bytes"),
    "a text of 2^60 bytes": (container((field("a", STRING, struct.pack("<Q", HUGE)),)), "claims"),
    "a text past the end": (container((field("a", STRING, struct.pack("<Q", 5000)),)), "ends inside"),
    "a list of 2^60 texts": (container((field("a", LIST, struct.pack("<IQ", STRING, HUGE)),)), "items in 'a'"),
    "a list of 2^60 numbers": (container((field("a", LIST, struct.pack("<IQ", 0, HUGE)),)), "items in 'a'"),
    "a text in a list past the end": (
        container((field("a", LIST, struct.pack("<IQQ", STRING, 1, HUGE)),), numbers=bytes(99)),
        "claims|ends inside",
    ),
    "a list of lists": (container((field("a", LIST, struct.pack("<IQ", LIST, 1)),)), "list of lists"),
    "a field of unknown type": (container((field("a", 99, b"12345678"),)), "type 99"),
    "a list of unknown type": (container((field("a", LIST, struct.pack("<IQ", 77, 1) + b"1"),)), "type 77"),
    "a key that is no UTF-8": (container((field(b"\xff\xfe", 0, b"1"),)), "not UTF-8"),
    "a text that is no UTF-8": (container((field("a", STRING, text(b"\xc3(")),)), "not UTF-8"),
    "a text in a list that is no UTF-8": (
        container((field("a", LIST, struct.pack("<IQ", STRING, 2) + text("ok") + text(b"\xff")),)),
        "not UTF-8",
    ),
    "a name that is no UTF-8": (container(tensors=(entry(b"\xff", (4,), 0, 0),)), "not UTF-8"),
    "a key twice": (container((ARCH, ARCH)), "'general.architecture' twice"),
    "a tensor twice": (container(tensors=(entry("a", (4,), 0, 0), entry("a", (4,), 0, 32))), "'a' twice"),
    "no dimensions": (container(tensors=(entry("a", (), 0, 0),)), "0 dimensions"),
    "2^32 - 1 dimensions": (container(tensors=(text("a") + struct.pack("<I", 2**32 - 1),)), "4,294|4294967295"),
    "an empty tensor": (container(tensors=(entry("a", (0, 4), 0, 0),)), "shape"),
    "2^60 numbers": (container(tensors=(entry("a", (HUGE,), 0, 0),)), "claims"),
    "sizes that overflow 64 bits": (container(tensors=(entry("a", (2**32, 2**32, 4), 0, 0),)), "claims"),
    "half a block": (container(tensors=(entry("a", (33,), 3, 0),)), "blocks of 32"),
    "a tensor of unknown type": (container(tensors=(entry("a", (4,), 4, 0),)), "type 4"),
    "an offset past the end": (container(tensors=(entry("a", (4,), 0, 9600),)), "claims 16 bytes from byte"),
    "an offset of 2^64 - 32": (container(tensors=(entry("a", (4,), 0, 2**64 - 32),)), "claims"),
    "an offset between": (container(tensors=(entry("a", (4,), 0, 4),)), "claims"),
    "overlap": (container(tensors=(entry("a", (12,), 0, 0), entry("b", (4,), 0, 32))), "'a' and 'b' overlap"),
    "the same place twice": (container(tensors=(entry("a", (4,), 0, 0), entry("b", (4,), 0, 0))), "overlap"),
    "alignment 0": (alignment_of(struct.pack("<I", 0)), "aligns its tensors to 0"),
    "alignment 3": (alignment_of(struct.pack("<I", 3)), "aligns its tensors to 3"),
    "alignment 2^31": (alignment_of(struct.pack("<I", 2**31)), "aligns"),
    "alignment in words": (alignment_of(text("32"), STRING), "aligns its tensors to '32'"),
    "a name of two lines": (container(tensors=(entry("a\nb", (4,), 0, 0),)), "which no program writes"),
    "a name of 65 bytes": (container(tensors=(entry("a" * 65, (4,), 0, 0),)), "claims 65 bytes"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_at_once_and_before_anything_is_allocated(kind: str, tmp_path: Path):
    made, words = HOSTILE[kind]
    path = written(tmp_path, made() if callable(made) else made)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ValueError, match=words) as raised:
            read_gguf(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 1
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_truncated_anywhere_is_refused(tmp_path: Path):
    whole = container()
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"is empty|ends inside|claims|no GGUF"):
            read_gguf(written(tmp_path, whole[:length]))
    read_gguf(written(tmp_path, whole))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_and_scales_that_are_none_are_refused(bad: float, tmp_path: Path):
    file = read_gguf(written(tmp_path, container(numbers=struct.pack("<8f", bad, *range(7)) + NUMBERS[32:])))
    with pytest.raises(ValueError, match="a holds 1 numbers that are NaN or infinite"):
        file.read("a")
    block = struct.pack("<e", bad) + struct.pack("<e", 1.0) + bytes([0x11] * 16)
    quantized = container(tensors=(entry("q", (32,), 3, 0),), numbers=block)
    with pytest.raises(ValueError, match="q holds 32 numbers that are NaN or infinite"):
        read_gguf(written(tmp_path, quantized)).read("q")


@pytest.mark.parametrize("kind", [0, 10, STRING])
def test_a_million_items_are_bounded_in_time_and_number(kind: int, tmp_path: Path):
    n = (1 << 20) + 1
    body = bytes(n * 8)
    path = written(tmp_path, container((field("a", LIST, struct.pack("<IQ", kind, n) + body),), (), b""))
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"1,048,577 items in 'a'"):
        read_gguf(path)
    path = written(
        tmp_path, container((field("a", LIST, struct.pack("<IQ", STRING, n - 1) + bytes(n * 8 - 8)),), (), b"")
    )
    assert len(read_gguf(path).fields["a"]) == n - 1
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("what", ["missing", "directory", "fifo"])
def test_what_is_no_file_is_refused_without_waiting(what: str, tmp_path: Path):
    path = tmp_path / "x.gguf"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes on this system")
        os.mkfifo(path)
    with pytest.raises(FileNotFoundError if what == "missing" else ValueError, match=r"x\.gguf"):
        read_gguf(path)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(container()) - 1), st.binary(min_size=1, max_size=9)), max_size=4))
def test_a_file_with_other_bytes_anywhere_is_read_or_refused_never_more(changes: list, tmp_path: Path):
    data = bytearray(container((ARCH, field("a", LIST, struct.pack("<IQ", STRING, 2) + text("x") + text("yy")))))
    for at, raw in changes:
        data[at : at + len(raw)] = raw
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    try:
        file = read_gguf(written(tmp_path, bytes(data)))
        for name in file.tensors:
            file.read(name)
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = ""
    assert "\n" not in sentence
    assert len(sentence) < 1000
    assert time.perf_counter() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
