"""What a family of open models is: a spelling of the config and a table of names.

Lecture: "they are all the same model". One table names the weights and is read both ways; a list holds the settings
that we understand. A setting outside the list is refused by name, since a model that loads and computes something
slightly different is the worst kind of broken. The four families themselves stand in families.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lmlab.models.config import TransformerConfig

HFConfig = Mapping[str, Any]

# Settings that change training, generation or bookkeeping, never the logits.
HARMLESS = frozenset(
    """_attn_implementation_autoset _name_or_path architectures attention_dropout attn_pdrop bos_token_id
    chunk_size_feed_forward dtype embd_pdrop eos_token_id finetuning_task gradient_checkpointing id2label
    initializer_range keys_to_ignore_at_inference label2id max_window_layers model_type output_attentions
    output_hidden_states pad_token_id problem_type resid_pdrop return_dict summary_activation
    summary_first_dropout summary_proj_to_labels summary_type summary_use_proj task_specific_params
    tokenizer_class torch_dtype transformers_version unk_token_id use_cache""".split()
)


@dataclass(frozen=True)
class Name:
    """A line of a name table: one tensor of theirs, one of ours or several of ours stacked by rows."""

    theirs: str
    ours: tuple[str, ...]
    transposed: bool = False


@dataclass(frozen=True)
class Family:
    """How one family of models spells its config and names its weights; `{l}` stands for the layer."""

    model_type: str
    architecture: str
    prefix: str  # of all names but lm_head; files of the bare model lack it
    names: tuple[Name, ...]
    translate: Callable[[HFConfig], dict[str, Any]]
    spell: Callable[[TransformerConfig], dict[str, Any]]
    fits: Callable[[TransformerConfig], bool]
    translated: frozenset[str]
    demanded: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # settings with the values we implement
    left_out: str = r"(?!)"  # tensors in files that are no weights: masks and tables

    def to_config(self, hf: HFConfig) -> TransformerConfig:
        """The family's config.json as ours. Raises ValueError for a setting we do not implement, by name."""
        for key, value in hf.items():
            if key in HARMLESS or key in self.translated:
                continue
            values = value if isinstance(value, list) and value else [value]
            if any(one not in self.demanded.get(key, (None,)) for one in values):
                raise ValueError(
                    f"This {self.model_type} config sets {key} = {value!r}, which this lab does not implement: "
                    "its numbers would be silently wrong, so the model is refused."
                )
        try:
            return TransformerConfig(**self.translate(hf))
        except KeyError as error:
            raise ValueError(f"This {self.model_type} config lacks {error.args[0]!r}.") from None

    def to_hf(self, config: TransformerConfig) -> dict[str, Any]:
        """Our config as the family's config.json, which transformers opens."""
        return {"architectures": [self.architecture], "model_type": self.model_type, **self.spell(config)}

    def rows(self, config: TransformerConfig) -> list[Name]:
        """The name table of a model of this config, every layer spelled out."""
        rows = []
        for name in self.names:
            for layer in range(config.n_layers if "{l}" in name.theirs else 1):
                ours = tuple(part.replace("{l}", str(layer)) for part in name.ours)
                rows.append(Name(self.prefix + name.theirs.replace("{l}", str(layer)), ours, name.transposed))
        if not config.tie_embeddings:
            rows.append(Name("lm_head.weight", ("unembedding.weight",)))
        return rows

    def to_ours(self, tensors: Mapping[str, Tensor], config: TransformerConfig) -> dict[str, Tensor]:
        """Weights under our names; what the table does not know keeps its name, for a strict loader to refuse."""
        left_out = re.compile(self.left_out)
        found = {name: tensor for name, tensor in tensors.items() if not left_out.search(name)}
        if not any(name.startswith(self.prefix) for name in found):  # a file of the bare model, without its head
            found = {name if name == "lm_head.weight" else self.prefix + name: t for name, t in found.items()}
        if config.tie_embeddings:
            _drop_equal_copy(found, "lm_head.weight", self.rows(config)[0].theirs)
        ours: dict[str, Tensor] = {}
        for row in self.rows(config):
            tensor = found.get(row.theirs)
            if tensor is None or tensor.dim() == 0 or tensor.shape[-1 if row.transposed else 0] % len(row.ours):
                continue
            del found[row.theirs]
            tensor = tensor.t() if row.transposed else tensor
            ours |= dict(zip(row.ours, tensor.chunk(len(row.ours)), strict=True))
        return ours | found

    def to_theirs(self, weights: Mapping[str, Tensor], config: TransformerConfig) -> dict[str, Tensor]:
        """Weights under the family's names; the same table, read the other way."""
        theirs = {}
        for row in self.rows(config):
            tensor = torch.cat([weights[name] for name in row.ours]) if len(row.ours) > 1 else weights[row.ours[0]]
            theirs[row.theirs] = tensor.t().contiguous() if row.transposed else tensor
        return theirs


def _drop_equal_copy(found: dict[str, Tensor], head: str, embedding: str) -> None:
    """Some files of tied models hold the matrix twice; equal copies are fine, different ones are a contradiction."""
    if head in found and embedding in found:
        if not torch.equal(found[head], found[embedding]):
            raise ValueError(
                f"The config ties {head} to {embedding} and the file holds two different ones: "
                "which is meant cannot be known."
            )
        del found[head]
