"""GGUF files as our families: their names, their settings, and the two places where their numbers lie otherwise.

Lecture: "they are all the same model". llama.cpp calls the same weights otherwise, keeps the rows of Llama's queries
and keys in the order of its own rotary positions (neighbors make a pair, not halves), and GPT-2's matrices the usual
way round. What comes out here has the names and the layout of a Hugging Face file, so one loader serves both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from lmlab.formats.gguf import GGUFFile, read_gguf
from lmlab.models.config import TransformerConfig
from lmlab.models.families import GPT2, LLAMA, QWEN2, QWEN3
from lmlab.models.family import Family

FAMILIES = {"llama": LLAMA, "qwen2": QWEN2, "qwen3": QWEN3, "gpt2": GPT2}

# Parts of a name, theirs (Hugging Face) to GGUF's; a name is translated part by part.
_PARTS = (
    (r"^model\.embed_tokens|^transformer\.wte", "token_embd"),
    (r"^transformer\.wpe", "position_embd"),
    (r"^model\.norm|^transformer\.ln_f", "output_norm"),
    (r"^lm_head", "output"),
    (r"^model\.layers|^transformer\.h", "blk"),
    (r"input_layernorm|ln_1", "attn_norm"),
    (r"post_attention_layernorm|ln_2", "ffn_norm"),
    (r"self_attn\.(q|k|v)_(proj|norm)", r"attn_\1_\2"),
    (r"attn_(q|k|v)_proj", r"attn_\1"),
    (r"self_attn\.o_proj|attn\.c_proj", "attn_output"),
    (r"attn\.c_attn", "attn_qkv"),
    (r"mlp\.(gate|up|down)_proj", r"ffn_\1"),
    (r"mlp\.c_fc", "ffn_up"),
    (r"mlp\.c_proj", "ffn_down"),
)

# Settings of GGUF, below the name of the architecture: theirs in config.json of Llama and Qwen, and of GPT-2.
_SETTINGS = {
    "context_length": ("max_position_embeddings", "n_positions"),
    "embedding_length": ("hidden_size", "n_embd"),
    "block_count": ("num_hidden_layers", "n_layer"),
    "feed_forward_length": ("intermediate_size", "n_inner"),
    "attention.head_count": ("num_attention_heads", "n_head"),
    "attention.head_count_kv": ("num_key_value_heads", None),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", None),
    "attention.layer_norm_epsilon": (None, "layer_norm_epsilon"),
    "attention.key_length": ("head_dim", None),
    "rope.freq_base": ("rope_theta", None),
    "vocab_size": ("vocab_size", "vocab_size"),
}
_NEEDED = ("context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count")
_CHECKED = {"rope.dimension_count", "attention.value_length", "rope.scaling.type", "rope.scaling.factor"}
_LLAMA_3_SCALINGS = tuple(
    {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    for factor in (8.0, 32.0)
)


@dataclass(frozen=True)
class GGUFModel:
    """A GGUF file understood: its family, its config, and its weights by their Hugging Face names, read when asked."""

    file: GGUFFile
    family: Family
    config: TransformerConfig

    @cached_property
    def names(self) -> dict[str, str]:
        """Hugging Face's name of each weight to GGUF's."""
        return {row.theirs: gguf_name(row.theirs) for row in self.family.rows(self.config)}

    def shape(self, theirs: str) -> tuple[int, ...]:
        """The shape of a weight under its Hugging Face name."""
        shape = self.file.tensors[self.names[theirs]].shape
        return shape[::-1] if theirs in self._transposed else shape

    def weight(self, theirs: str) -> Tensor:
        """One weight as float32, laid out as a Hugging Face file has it."""
        tensor = self.file.read(self.names[theirs])
        if theirs in self._transposed:
            return tensor.t().contiguous()
        turned = re.search(r"\.(q|k)_proj\.", theirs)
        if turned and self.family is LLAMA:
            n_heads = self.config.n_heads if turned[1] == "q" else self.config.kv_heads
            return rearrange(tensor, "(h e pair) ... -> (h pair e) ...", h=n_heads, pair=2).contiguous()
        return tensor

    @property
    def special_ids(self) -> dict[str, int]:
        """The ids that begin, end and pad a text, as config.json names them."""
        ids = {}
        for theirs, name in (("bos", "bos"), ("eos", "eos"), ("padding", "pad")):
            id_ = self.file.fields.get(f"tokenizer.ggml.{theirs}_token_id")
            if type(id_) is int:
                ids[f"{name}_token_id"] = id_
        return ids

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight under its Hugging Face name, in the order of `weights`."""
        return {name: self.shape(name) for name in self.names}

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight, one at a time."""
        return ((name, self.weight(name)) for name in self.names)

    @cached_property
    def _transposed(self) -> set[str]:
        return {row.theirs for row in self.family.rows(self.config) if row.transposed}


def open_gguf(path: str | Path) -> GGUFModel:
    """Read a GGUF file's header and find the model in it; no number is read yet.

    Raises FileNotFoundError or ValueError, one sentence each: for a damaged file, for an architecture or a setting
    that this lab does not implement, by name, and for weights that do not fit the settings.
    """
    file = read_gguf(path)
    arch = file.fields.get("general.architecture")
    if arch not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ValueError(
            f"{file.path} holds a model of type {arch!r}, which is not implemented; this lab opens {known}."
        )
    family = FAMILIES[arch]
    try:
        config = family.to_config(hf_settings(file.fields, file, family))
    except ValueError as error:
        raise ValueError(f"{file.path} is not opened: {error}") from None
    model = GGUFModel(file, family, config)
    _check_weights(model)
    return model


def gguf_name(theirs: str) -> str:
    """GGUF's name of a weight: "model.layers.3.mlp.up_proj.weight" is "blk.3.ffn_up.weight"."""
    for pattern, part in _PARTS:
        theirs = re.sub(pattern, part, theirs)
    return theirs


def hf_settings(fields: Mapping[str, Any], file: GGUFFile, family: Family) -> dict[str, Any]:
    """The settings of a GGUF file as config.json spells them."""
    arch = fields["general.architecture"]
    given = {key.removeprefix(f"{arch}."): value for key, value in fields.items() if key.startswith(f"{arch}.")}
    column = 1 if family is GPT2 else 0
    hf: dict[str, Any] = {"model_type": family.model_type}
    for key, value in given.items():
        name = _SETTINGS.get(key, (None, None))[column]
        if name is not None:
            hf[name] = _plain_number(f"{arch}.{key}", value)
        elif key not in _CHECKED and value not in (0, False, None):
            raise ValueError(f"its setting {arch}.{key} = {value!r} is not implemented, so its numbers would be wrong.")
    missing = [key for key in _NEEDED if key not in given]
    if missing:
        raise ValueError(f"it lacks the setting {arch}.{missing[0]}.")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise ValueError("it has no matrix token_embd.weight.")
    hf.setdefault("vocab_size", embedding.shape[0])
    hf["tie_word_embeddings"] = "output.weight" not in file.tensors
    if family is not GPT2:
        _add_heads_and_rope(hf, given, file)
    return hf


def _add_heads_and_rope(hf: dict[str, Any], given: Mapping[str, Any], file: GGUFFile) -> None:
    hf.setdefault("num_key_value_heads", hf["num_attention_heads"])
    hf.setdefault("head_dim", hf["hidden_size"] // max(1, hf["num_attention_heads"]))
    for key in ("rope.dimension_count", "attention.value_length"):
        if given.get(key, hf["head_dim"]) != hf["head_dim"]:
            raise ValueError(f"its {key} is {given[key]} and its heads are {hf['head_dim']} wide: not implemented.")
    kind = given.get("rope.scaling.type", "none")
    if kind == "linear":
        hf["rope_scaling"] = {"rope_type": "linear", "factor": float(given.get("rope.scaling.factor", 1.0))}
    elif kind != "none":
        raise ValueError(f"its rope scaling {kind!r} is not implemented, only 'linear'.")
    if "rope_freqs.weight" in file.tensors:
        hf["rope_scaling"] = _llama_3_scaling(file, hf)


def _llama_3_scaling(file: GGUFFile, hf: Mapping[str, Any]) -> dict[str, Any]:
    """The published Llama 3 scaling whose divisors are those of the file, which keeps nothing but the divisors."""
    from lmlab.models.parts import scaled_frequencies

    n_pairs = hf["head_dim"] // 2
    if file.tensors["rope_freqs.weight"].shape != (n_pairs,):
        raise ValueError(f"its rope_freqs.weight must hold {n_pairs} numbers.")
    found = file.read("rope_freqs.weight")
    plain = 1.0 / float(hf.get("rope_theta", 10_000.0)) ** (torch.arange(n_pairs) / n_pairs)
    for scaling in _LLAMA_3_SCALINGS:
        if torch.allclose(plain / scaled_frequencies(plain, scaling), found, rtol=1e-4):
            return scaling
    raise ValueError("its rope_freqs.weight is none of the published Llama 3 scalings, so it is not implemented.")


def _plain_number(key: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"its setting {key} must be one number, not {str(value)[:60]!r}.")
    # A file keeps 1e-05 in 32 bits; read as it stands it would be 9.999999747378752e-06.
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _check_weights(model: GGUFModel) -> None:
    """Names and shapes must be those of the config; the sentence shows the first three that are not."""
    if model.config.n_layers > len(model.file.tensors):  # a plan of so many layers would take all day
        n_layers, n_tensors = model.config.n_layers, len(model.file.tensors)
        raise ValueError(
            f"The settings in {model.file.path} say {n_layers:,} layers, and it holds {n_tensors} tensors."
        )
    with torch.device("meta"):
        from lmlab.models.transformer import Transformer

        plan = dict(Transformer(model.config, seed=None).named_parameters())
    wanted = {}
    for name, tensor in model.family.to_theirs(plan, model.config).items():
        wanted[model.names[name]] = tuple(tensor.shape[::-1] if name in model._transposed else tensor.shape)
    found = {name: entry.shape for name, entry in model.file.tensors.items() if name != "rope_freqs.weight"}
    differences = []
    for name in [*wanted, *sorted(found.keys() - wanted.keys())]:
        if name not in found:
            differences.append(f"{name} is missing")
        elif name not in wanted:
            differences.append(f"{name} is not a weight of this {model.family.model_type}")
        elif found[name] != wanted[name]:
            differences.append(f"{name} is {list(found[name])}, the settings say {list(wanted[name])}")
    if differences:
        more = f" (and {len(differences) - 3} more)" if len(differences) > 3 else ""
        raise ValueError(
            f"The weights in {model.file.path} do not fit its settings: {'; '.join(differences[:3])}{more}."
        )
