"""The four families of open models that we speak: Llama, Qwen2, Qwen3 and GPT-2.

Lecture: "they are all the same model". Each is a translation of its config.json, a name table, and the settings that
must have one value for our arithmetic to be theirs. Checked against transformers on random weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmlab.models.config import TransformerConfig
from lmlab.models.family import Family, HFConfig, Name


def _translate_llama(hf: HFConfig, **changes: Any) -> dict[str, Any]:
    """What Llama, Qwen2 and Qwen3 share. Missing settings have the value that transformers gives them."""
    rope = dict(hf.get("rope_parameters") or hf.get("rope_scaling") or {})
    theta = rope.pop("rope_theta", hf.get("rope_theta", 10_000.0))
    unknown = sorted(rope.keys() - _ROPE_KEYS)
    if unknown:
        raise ValueError(f"This config's rope setting {unknown[0]!r} is not implemented: the model is refused.")
    scaled = rope.get("rope_type", rope.get("type", "default")) != "default"
    return {
        "vocab_size": hf["vocab_size"],
        "max_seq_len": hf["max_position_embeddings"],
        "d_model": hf["hidden_size"],
        "n_layers": hf["num_hidden_layers"],
        "n_heads": hf["num_attention_heads"],
        "n_kv_heads": hf.get("num_key_value_heads"),
        "d_head": hf.get("head_dim"),
        "d_ff": hf["intermediate_size"],
        "norm_eps": hf.get("rms_norm_eps", 1e-6),
        "rope_theta": float(theta),
        "rope_scaling": rope if scaled else None,
        "tie_embeddings": hf.get("tie_word_embeddings", False),
        **changes,
    }


def _spell_llama(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_seq_len,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.d_head,
        "intermediate_size": config.d_ff,
        "hidden_act": "silu",
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,
        "rope_scaling": dict(config.rope_scaling) if config.rope_scaling else None,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _translate_gpt2(hf: HFConfig) -> dict[str, Any]:
    return {
        "vocab_size": hf["vocab_size"],
        "max_seq_len": hf["n_positions"],
        "d_model": hf["n_embd"],
        "n_layers": hf["n_layer"],
        "n_heads": hf["n_head"],
        "d_ff": hf.get("n_inner"),
        "norm_eps": hf.get("layer_norm_epsilon", 1e-5),
        "norm": "layer",
        "position": "learned",
        "mlp": "gelu",
        "bias": True,
        "tie_embeddings": hf.get("tie_word_embeddings", True),
    }


def _spell_gpt2(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.max_seq_len,
        "n_embd": config.d_model,
        "n_layer": config.n_layers,
        "n_head": config.n_heads,
        "n_inner": config.d_ff,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _fits_llama(c: TransformerConfig) -> bool:
    return (c.norm, c.position, c.mlp, c.bias) == ("rms", "rope", "swiglu", False) and c.d_model % c.n_heads == 0


def _fits_gpt2(c: TransformerConfig) -> bool:
    alike = (c.norm, c.position, c.mlp, c.bias, c.qk_norm) == ("layer", "learned", "gelu", True, False)
    return alike and c.n_heads == c.n_kv_heads and c.n_heads * c.head_width == c.d_model


def _same(prefix: str, ours: str, *kinds: str) -> tuple[Name, ...]:
    """Lines for a part whose tensors are called alike on both sides but for the part's own name."""
    return tuple(Name(f"{prefix}.{kind}", (f"{ours}.{kind}",)) for kind in kinds)


_LLAMA_NAMES = (
    *_same("embed_tokens", "embedding", "weight"),
    *_same("layers.{l}.input_layernorm", "blocks.{l}.attention_norm", "weight"),
    *_same("layers.{l}.self_attn.q_proj", "blocks.{l}.attention.query", "weight"),
    *_same("layers.{l}.self_attn.k_proj", "blocks.{l}.attention.key", "weight"),
    *_same("layers.{l}.self_attn.v_proj", "blocks.{l}.attention.value", "weight"),
    *_same("layers.{l}.self_attn.o_proj", "blocks.{l}.attention.output", "weight"),
    *_same("layers.{l}.post_attention_layernorm", "blocks.{l}.mlp_norm", "weight"),
    *_same("layers.{l}.mlp.gate_proj", "blocks.{l}.mlp.gate", "weight"),
    *_same("layers.{l}.mlp.up_proj", "blocks.{l}.mlp.up", "weight"),
    *_same("layers.{l}.mlp.down_proj", "blocks.{l}.mlp.down", "weight"),
    *_same("norm", "norm", "weight"),
)
_QWEN2_NAMES = (
    *_LLAMA_NAMES,
    *_same("layers.{l}.self_attn.q_proj", "blocks.{l}.attention.query", "bias"),
    *_same("layers.{l}.self_attn.k_proj", "blocks.{l}.attention.key", "bias"),
    *_same("layers.{l}.self_attn.v_proj", "blocks.{l}.attention.value", "bias"),
)
_QWEN3_NAMES = (
    *_LLAMA_NAMES,
    *_same("layers.{l}.self_attn.q_norm", "blocks.{l}.attention.query_norm", "weight"),
    *_same("layers.{l}.self_attn.k_norm", "blocks.{l}.attention.key_norm", "weight"),
)
_QKV = "blocks.{l}.attention.query", "blocks.{l}.attention.key", "blocks.{l}.attention.value"
_GPT2_NAMES = (  # its Conv1D keeps matrices as (inputs, outputs), hence transposed, and q, k, v in one
    *_same("wte", "embedding", "weight"),
    *_same("wpe", "position.table", "weight"),
    *_same("h.{l}.ln_1", "blocks.{l}.attention_norm", "weight", "bias"),
    Name("h.{l}.attn.c_attn.weight", tuple(f"{part}.weight" for part in _QKV), transposed=True),
    Name("h.{l}.attn.c_attn.bias", tuple(f"{part}.bias" for part in _QKV)),
    Name("h.{l}.attn.c_proj.weight", ("blocks.{l}.attention.output.weight",), transposed=True),
    Name("h.{l}.attn.c_proj.bias", ("blocks.{l}.attention.output.bias",)),
    *_same("h.{l}.ln_2", "blocks.{l}.mlp_norm", "weight", "bias"),
    Name("h.{l}.mlp.c_fc.weight", ("blocks.{l}.mlp.up.weight",), transposed=True),
    Name("h.{l}.mlp.c_fc.bias", ("blocks.{l}.mlp.up.bias",)),
    Name("h.{l}.mlp.c_proj.weight", ("blocks.{l}.mlp.down.weight",), transposed=True),
    Name("h.{l}.mlp.c_proj.bias", ("blocks.{l}.mlp.down.bias",)),
    *_same("ln_f", "norm", "weight", "bias"),
)

_ROPE_KEYS = frozenset(
    "rope_type type factor low_freq_factor high_freq_factor original_max_position_embeddings".split()
)
_LLAMA_SETTINGS = frozenset(
    """vocab_size max_position_embeddings hidden_size num_hidden_layers num_attention_heads num_key_value_heads
    head_dim intermediate_size rms_norm_eps rope_theta rope_scaling rope_parameters tie_word_embeddings""".split()
)
_LLAMA_DEMANDS: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", "swish"),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "pretraining_tp": (1, None),
    "partial_rotary_factor": (1.0, None),
    "is_llama_config": (True, None),
    "rope_interleaved": (False, None),
}
_QWEN_DEMANDS = {**_LLAMA_DEMANDS, "use_sliding_window": (False, None), "layer_types": ("full_attention", None)}

LLAMA = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    prefix="model.",
    names=_LLAMA_NAMES,
    translate=_translate_llama,
    spell=_spell_llama,
    fits=lambda c: _fits_llama(c) and not c.qkv_bias and not c.qk_norm,
    translated=_LLAMA_SETTINGS,
    demanded=_LLAMA_DEMANDS,
    left_out=r"rotary_emb\.inv_freq$",
)
QWEN2 = Family(
    model_type="qwen2",
    architecture="Qwen2ForCausalLM",
    prefix="model.",
    names=_QWEN2_NAMES,
    translate=lambda hf: _translate_llama(hf, qkv_bias=True, n_kv_heads=hf.get("num_key_value_heads", 32)),
    spell=lambda c: {**_spell_llama(c), "use_sliding_window": False},
    fits=lambda c: _fits_llama(c) and c.qkv_bias and not c.qk_norm,
    translated=_LLAMA_SETTINGS | {"sliding_window"},  # a number that nothing reads while use_sliding_window is off
    demanded=_QWEN_DEMANDS,
)
QWEN3 = Family(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    prefix="model.",
    names=_QWEN3_NAMES,
    translate=lambda hf: _translate_llama(
        hf, qk_norm=True, n_kv_heads=hf.get("num_key_value_heads", 32), d_head=hf.get("head_dim", 128)
    ),
    spell=lambda c: {**_spell_llama(c), "use_sliding_window": False},
    fits=lambda c: _fits_llama(c) and not c.qkv_bias and c.qk_norm,
    translated=_LLAMA_SETTINGS | {"sliding_window"},
    demanded=_QWEN_DEMANDS,
)
GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
    names=_GPT2_NAMES,
    translate=_translate_gpt2,
    spell=_spell_gpt2,
    fits=_fits_gpt2,
    translated=frozenset(
        """vocab_size n_positions n_ctx n_embd n_layer n_head n_inner layer_norm_epsilon
        tie_word_embeddings""".split()
    ),
    demanded={
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True, None),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "reorder_and_upcast_attn": (False, None),
        "add_cross_attention": (False, None),
    },
    left_out=r"\.attn\.(masked_)?bias$",
)
FAMILIES = (LLAMA, QWEN2, QWEN3, GPT2)


def family_of(hf: HFConfig) -> Family:
    """The family that a config.json names. Raises ValueError for one that this lab does not have."""
    for family in FAMILIES:
        if family.model_type == hf.get("model_type"):
            return family
    known = ", ".join(family.model_type for family in FAMILIES)
    raise ValueError(f"Models of type {hf.get('model_type')!r} are not implemented; this lab opens {known}.")


def family_for(config: TransformerConfig) -> Family:
    """The family that can spell this config. Raises ValueError for a mixture that none of them knows."""
    for family in FAMILIES:
        if family.fits(config):
            return family
    raise ValueError(
        f"No family of models combines {config.norm} norm, {config.position} positions, {config.mlp} and these "
        "biases, so no file format has names for this model: train it and look at it, but it cannot be saved. "
        "The default TransformerConfig (Llama) can, and so can GPT-2's: "
        "norm='layer', position='learned', mlp='gelu', bias=True."
    )
