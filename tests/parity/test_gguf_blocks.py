"""Blocks of GGUF files, written and read: bit for bit those of the gguf library, which is llama.cpp's own."""

from __future__ import annotations

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor

from lmlab.formats.gguf import read_gguf
from lmlab.formats.gguf_blocks import _ENCODERS
from lmlab.quantization import decode_blocks, encode_blocks

KINDS = ("Q4_0", "Q4_1", "Q8_0")


def random_weights(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_t(4, shape) * scale).astype(np.float32)


def difficult_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    near = rng.normal(size=(400, 64)).astype(np.float32)
    huge = near.copy()
    huge[np.arange(400), rng.integers(64, size=400)] = 3e5  # below what the scale's float16 holds
    signs = np.where(rng.random((400, 64)) < 0.5, -1, 1).astype(np.float32)
    return {
        "zeros": np.zeros((8, 64), np.float32),
        "negative zeros": -np.zeros((8, 64), np.float32),
        "zeros of both signs": 0 * signs,
        "one value": np.full((8, 32), -0.75, np.float32),
        "as large below as above": signs * rng.integers(1, 4, (400, 1)).astype(np.float32),
        "halfway between two codes": np.round(near * 127 / 3) / 127 * 1.5,
        "one huge": huge,
        "scales that float16 holds coarsely": near * np.float32(3e-7),
        "scales that float16 does not hold": near * np.float32(1e-9),
        "more than one chunk": random_weights(20_000, 32, scale=0.02, seed=3),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", difficult_weights())
def test_written_as_the_library_does_bit_for_bit(name: str, kind: str):
    weights = difficult_weights()[name]
    theirs = gguf.quantize(weights, gguf.GGMLQuantizationType[kind])
    ours = encode_blocks(torch.from_numpy(weights), kind)
    if not (kind == "Q4_1" and name == "zeros of both signs"):  # numpy does not say which zero is the least
        assert np.array_equal(ours.numpy(), theirs)
    back = np.ascontiguousarray(gguf.dequantize(theirs, gguf.GGMLQuantizationType[kind]))
    assert np.array_equal(decode_blocks(ours, kind).numpy().view(np.uint32), back.view(np.uint32))


@pytest.mark.parametrize("seed", range(12))
def test_random_weights_of_random_size(seed: int):
    rng = np.random.default_rng(seed)
    weights = random_weights(*rng.integers(1, 9, 2), 32 * int(rng.integers(1, 7)), scale=10.0 ** rng.uniform(-7, 3))
    for kind in KINDS:
        ours = encode_blocks(torch.from_numpy(weights), kind)
        assert np.array_equal(ours.numpy(), gguf.quantize(weights, gguf.GGMLQuantizationType[kind]))
        assert decode_blocks(ours, kind).shape == weights.shape


def test_every_kind_that_is_written_is_compared():
    assert set(_ENCODERS) == set(KINDS)


def test_a_block_read_byte_by_byte():
    """The layout, once more in plain Python: what lab 14 does by hand."""
    weights = torch.from_numpy(random_weights(32, seed=5))
    four, one, eight = (bytes(encode_blocks(weights, kind).tolist()) for kind in KINDS)
    (d,) = struct.unpack("<e", four[:2])
    codes = [byte & 15 for byte in four[2:]] + [byte >> 4 for byte in four[2:]]
    assert decode_blocks(as_bytes(four), "Q4_0").tolist() == [np.float32(d * (q - 8)) for q in codes]
    d, m = struct.unpack("<ee", one[:4])
    codes = [byte & 15 for byte in one[4:]] + [byte >> 4 for byte in one[4:]]
    assert decode_blocks(as_bytes(one), "Q4_1").tolist() == pytest.approx([d * q + m for q in codes], rel=1e-6)
    d, *signed = struct.unpack("<e32b", eight)
    assert decode_blocks(as_bytes(eight), "Q8_0").tolist() == [np.float32(d * q) for q in signed]


def as_bytes(block: bytes) -> Tensor:
    return torch.tensor(list(block), dtype=torch.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_our_blocks_is_a_gguf_file(kind: str, tmp_path: Path):
    """Written by the library around our bytes, read by the library and by us."""
    weights = torch.from_numpy(random_weights(48, 96, seed=2))
    raw = encode_blocks(weights, kind)
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_tensor("w", raw.numpy(), raw_dtype=gguf.GGMLQuantizationType[kind])
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    assert torch.equal(read_gguf(tmp_path / "x.gguf").read("w"), decode_blocks(raw, kind))
    theirs = gguf.GGUFReader(tmp_path / "x.gguf").tensors[0]
    assert (theirs.tensor_type.name, theirs.shape.tolist()) == (kind, [96, 48])
    assert np.array_equal(theirs.data, raw.numpy())


def test_blocks_may_begin_anywhere_in_a_tensor():
    raw = encode_blocks(torch.from_numpy(random_weights(64, seed=4)), "Q4_1")
    odd = torch.cat((torch.zeros(3, dtype=torch.uint8), raw))[3:]
    assert torch.equal(decode_blocks(odd, "Q4_1"), decode_blocks(raw, "Q4_1"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_any_float_type_is_taken_and_not_changed(dtype: torch.dtype):
    weights = torch.from_numpy(random_weights(4, 32)).to(dtype)
    before = weights.clone()
    assert torch.equal(encode_blocks(weights, "Q4_0"), encode_blocks(weights.float(), "Q4_0"))
    assert torch.equal(weights, before)
    assert torch.equal(
        encode_blocks(weights.repeat(1, 2)[:, ::2], "Q8_0"), encode_blocks(weights[:, [*range(0, 32, 2)] * 2], "Q8_0")
    )


@pytest.mark.parametrize(
    ("weights", "kind", "sentence"),
    [
        (torch.ones(3, 33), "Q4_0", r"whole blocks of 32 weights, and these are \(3, 33\): cut or fill up"),
        (torch.ones(()), "Q4_0", "whole blocks of 32"),
        (torch.ones(0, 32), "Q8_0", "whole blocks of 32"),
        (torch.ones(32), "Q4_K", "no writing 'Q4_K' blocks: choose Q4_0, Q4_1 or Q8_0"),
        (torch.full((2, 32), torch.nan), "Q4_1", "NaN or infinite"),
        (torch.full((2, 32), torch.inf), "Q8_0", "NaN or infinite"),
        (torch.full((2, 32), 1e6), "Q4_0", r"need 1.25e\+05, more than float16 holds"),
        (torch.full((2, 32), 1e7), "Q4_1", "more than float16 holds"),
        (torch.full((2, 32), 1e7), "Q8_0", "more than float16 holds"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_a_sentence(weights: Tensor, kind: str, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        encode_blocks(weights, kind)


@pytest.mark.parametrize("one", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_one_broken_weight_among_many_is_found(one: float, kind: str):
    weights = torch.from_numpy(random_weights(50, 64))
    weights[31, 40] = one
    with pytest.raises(ValueError, match="NaN or infinite"):
        encode_blocks(weights, kind)


def test_bytes_that_are_no_blocks_are_refused():
    with pytest.raises(ValueError, match="blocks of 18 bytes"):
        decode_blocks(torch.zeros(19, dtype=torch.uint8), "Q4_0")
    with pytest.raises(ValueError, match=r"of torch\.float32"):
        decode_blocks(torch.zeros(18), "Q4_0")
    with pytest.raises(ValueError, match="no 'Q9' blocks: GGUF has F32"):
        decode_blocks(torch.zeros(18, dtype=torch.uint8), "Q9")
