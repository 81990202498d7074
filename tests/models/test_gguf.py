"""Models in GGUF files: every family, other names, permuted rows; what is not implemented is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lmlab.formats.gguf
from lmlab.models.gguf import gguf_name, open_gguf
from lmlab.models.load import load_gguf, load_model, save_model
from lmlab.models.parts import scaled_frequencies
from lmlab.models.transformer import Transformer
from tests.models.gguf_files import write_gguf
from tests.models.models_under_test import FAMILY_SHAPES, random_ids, randomized, small_config

LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def model_of(**shape: Any) -> Transformer:
    return randomized(Transformer(small_config(**{"d_model": 32, "d_ff": 64, **shape}), seed=2))


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("name", FAMILY_SHAPES)
def test_a_gguf_file_is_the_folder_of_the_same_weights(name: str, kind: str, tmp_path: Path):
    model = model_of(**FAMILY_SHAPES[name])
    found = load_gguf(write_gguf(tmp_path / "x.gguf", model, kind=kind))
    half = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.to(half))
    folder = load_model(save_model(model, tmp_path / "folder"))
    assert found.config == folder.config
    for (where, ours), theirs in zip(found.named_parameters(), folder.parameters(), strict=True):
        assert torch.equal(ours, theirs), where
    assert (found.unembedding.weight is found.embedding.weight) is model.config.tie_embeddings
    ids = random_ids(2, 20)
    with torch.no_grad():
        assert torch.equal(found(ids), folder(ids))


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_quantized_weights_are_near_those_that_were_written(kind: str, tmp_path: Path):
    model = model_of()
    found = load_gguf(write_gguf(tmp_path / "x.gguf", model, kind=kind))
    furthest = {"Q4_0": 0.25, "Q4_1": 0.12, "Q8_0": 0.01}[kind]
    for (name, ours), theirs in zip(found.named_parameters(), model.parameters(), strict=True):
        error = float((ours - theirs).detach().abs().max())
        assert error <= furthest * float(theirs.detach().abs().max()), name
        assert (error > 0) is (ours.dim() == 2), name


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = open_gguf(write_gguf(tmp_path / "x.gguf", model_of()))
    monkeypatch.setattr(lmlab.formats.gguf.GGUFFile, "read", lambda self, name: pytest.fail("a number was read"))
    assert model.shapes()["model.layers.2.mlp.down_proj.weight"] == (32, 64)
    weights = model.weights()
    with pytest.raises(BaseException, match="a number was read"):
        next(weights)


def test_llama_3_scaling_is_found_by_its_divisors(tmp_path: Path):
    model = model_of(max_seq_len=64, rope_theta=500_000.0, rope_scaling=LLAMA_3)
    plain = 1.0 / 500_000.0 ** (torch.arange(0, 8, 2) / 8)
    divisors = (plain / scaled_frequencies(plain, LLAMA_3)).numpy()
    assert divisors[0] == 1
    assert divisors[-1] > 30
    path = write_gguf(tmp_path / "x.gguf", model, extra={"rope_freqs.weight": divisors})
    found = load_gguf(path)
    assert found.config.rope_scaling == LLAMA_3
    with torch.no_grad():
        assert torch.equal(found(random_ids(1, 60)), model(random_ids(1, 60)))
    other = write_gguf(tmp_path / "y.gguf", model, extra={"rope_freqs.weight": divisors * np.float32(1.01)})
    with pytest.raises(ValueError, match="none of the published"):
        open_gguf(other)


def test_linear_scaling(tmp_path: Path):
    model = model_of(rope_scaling={"rope_type": "linear", "factor": 4.0})
    changed = {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}
    found = load_gguf(write_gguf(tmp_path / "x.gguf", model, changed=changed))
    with torch.no_grad():
        assert torch.equal(found(random_ids(1, 30)), model(random_ids(1, 30)))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight"),
        ("model.layers.11.self_attn.q_norm.weight", "blk.11.attn_q_norm.weight"),
        ("transformer.h.0.attn.c_attn.bias", "blk.0.attn_qkv.bias"),
        ("lm_head.weight", "output.weight"),
    ],
)
def test_names(theirs: str, ours: str):
    assert gguf_name(theirs) == ours


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"expert_count": 8}, r"llama\.expert_count = 8 is not implemented"),
        ({"attention.sliding_window": 4096}, "sliding_window"),
        ({"rope.scaling.type": "yarn"}, "'yarn' is not implemented"),
        ({"rope.dimension_count": 4}, "heads are 8 wide"),
        ({"block_count": None}, r"lacks the setting llama\.block_count"),
        ({"attention.head_count": [4, 4, 4]}, "must be one number"),
        ({"attention.head_count": 0}, "n_heads must be"),
        ({"attention.head_count_kv": 3}, "cannot share"),
        ({"rope.freq_base": float("nan")}, "rope_theta must be a positive number"),
        ({"block_count": 2}, r"blk\.2\.attn_k\.weight is not a weight of this llama; .*\(and 6 more\)"),
        ({"block_count": 4}, r"blk\.3\.attn_norm\.weight is missing"),
        ({"feed_forward_length": 96}, r"blk\.0\.ffn_gate\.weight is \[64, 32\], the settings say \[96, 32\]"),
        ({"embedding_length": 2**31}, r"d_model|token_embd\.weight is \[23, 32\]"),
        ({"block_count": 2**31}, "say 2,147,483,648 layers, and it holds 29 tensors"),
        ({"vocab_size": 24}, r"token_embd\.weight is \[23, 32\], the settings say \[24, 32\]"),
    ],
)
def test_what_does_not_fit_is_named_before_a_number_is_read(
    changed: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_gguf(tmp_path / "x.gguf", model_of(), changed=changed)
    monkeypatch.setattr(lmlab.formats.gguf.GGUFFile, "read", lambda self, name: pytest.fail("a number was read"))
    with pytest.raises(ValueError, match=words) as raised:
        open_gguf(path)
    assert "\n" not in str(raised.value)
    assert "x.gguf" in str(raised.value)


def test_other_architectures_are_refused_by_name(tmp_path: Path):
    path = write_gguf(tmp_path / "x.gguf", model_of())
    path.write_bytes(path.read_bytes().replace(b"llama", b"mamba"))
    with pytest.raises(
        ValueError, match="type 'mamba', which is not implemented; this lab opens llama, qwen2, qwen3, gpt2"
    ):
        open_gguf(path)


def test_missing_and_foreign_weights_are_named(tmp_path: Path):
    extra = {"blk.0.attn_q.lora_a": np.zeros(4, np.float32)}
    path = write_gguf(tmp_path / "x.gguf", model_of(), left_out=("blk.1.ffn_up.weight",), extra=extra)
    with pytest.raises(ValueError, match=r"blk\.1\.ffn_up\.weight is missing; blk\.0\.attn_q\.lora_a is not a weight"):
        open_gguf(path)
    with pytest.raises(ValueError, match=r"no matrix token_embd\.weight"):
        open_gguf(write_gguf(tmp_path / "y.gguf", model_of(), left_out=("token_embd.weight",)))


def test_unpermuted_rows_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The rows of Llama's queries and keys lie otherwise in GGUF; read as they lie the logits are others."""
    model = model_of()
    opened = open_gguf(write_gguf(tmp_path / "x.gguf", model))
    wrong = replace(opened, family=replace(opened.family))  # equal but for its identity: not LLAMA itself
    with torch.no_grad():
        difference = (load_gguf(wrong)(random_ids(2, 20)) - model(random_ids(2, 20))).abs().max()
    assert difference > 0.01
