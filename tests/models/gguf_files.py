"""GGUF files of our models, written with the gguf library and its own name table: an independent hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from lmlab.models.families import family_for
from lmlab.models.transformer import Transformer

ARCHS = {"llama": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3", "gpt2": "GPT2"}


def write_gguf(
    path: Path,
    model: Transformer,
    *,
    kind: str = "F32",
    changed: dict[str, Any] | None = None,
    left_out: tuple[str, ...] = (),
    extra: dict[str, np.ndarray] | None = None,
    tokens: list[str] | None = None,
) -> Path:
    """Write a model with matrices of `kind`; `changed` overrides settings (None leaves one out)."""
    config, family = model.config, family_for(model.config)
    arch = family.model_type
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, ARCHS[arch]), config.n_layers)
    writer = gguf.GGUFWriter(path, arch)
    for key, value in (settings_of(model) | (changed or {})).items():
        if isinstance(value, float):
            writer.add_float32(f"{arch}.{key}", value)
        elif isinstance(value, str):
            writer.add_string(f"{arch}.{key}", value)
        elif isinstance(value, list):
            writer.add_array(f"{arch}.{key}", value)
        elif value is not None:
            writer.add_uint32(f"{arch}.{key}", value)
    if tokens is not None:
        _add_tokenizer(writer, tokens)
    for theirs, weight in family.to_theirs(dict(model.state_dict()), config).items():
        name = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        if name not in left_out:
            numbers = _as_llama_cpp_has_it(theirs, weight, model).numpy()
            quantized = gguf.GGMLQuantizationType[kind if numbers.ndim == 2 else "F32"]
            writer.add_tensor(name, gguf.quantize(numbers, quantized), raw_dtype=quantized)
    for name, numbers in (extra or {}).items():
        writer.add_tensor(name, numbers)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return path


def settings_of(model: Transformer) -> dict[str, Any]:
    """What llama.cpp's converter writes below the name of the architecture."""
    c = model.config
    settings: dict[str, Any] = {
        "block_count": c.n_layers,
        "context_length": c.max_seq_len,
        "embedding_length": c.d_model,
        "feed_forward_length": c.ff_width,
        "attention.head_count": c.n_heads,
    }
    if c.norm == "layer":
        return settings | {"attention.layer_norm_epsilon": c.norm_eps}
    return settings | {
        "attention.head_count_kv": c.kv_heads,
        "attention.key_length": c.head_width,
        "attention.value_length": c.head_width,
        "attention.layer_norm_rms_epsilon": c.norm_eps,
        "rope.freq_base": c.rope_theta,
        "rope.dimension_count": c.head_width,
        "vocab_size": c.vocab_size,
    }


def _as_llama_cpp_has_it(theirs: str, weight: torch.Tensor, model: Transformer) -> torch.Tensor:
    weight = weight.detach()
    if model.config.norm == "layer":
        is_conv1d = weight.dim() == 2 and any(part in theirs for part in ("c_attn", "c_proj", "c_fc"))
        return weight.t().contiguous() if is_conv1d else weight
    if family_for(model.config).model_type == "llama" and ("q_proj" in theirs or "k_proj" in theirs):
        n_heads = model.config.n_heads if "q_proj" in theirs else model.config.kv_heads
        rows = weight.reshape(n_heads, 2, weight.shape[0] // n_heads // 2, *weight.shape[1:])
        return rows.swapaxes(1, 2).reshape(weight.shape).contiguous()  # as convert_hf_to_gguf.py permutes them
    return weight


def _add_tokenizer(writer: Any, tokens: list[str]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["Ġ t", "h e", "Ġt he"] if "Ġthe" in tokens else ["a b"])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_chat_template("{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}")
