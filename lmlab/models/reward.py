"""The reward model: a transformer that has read an answer to its end, and one number for how good it was.

Lecture: "a reward model". Its trunk is a language model; in place of the next token's odds, a linear head reads one
number from the residual stream at the last token, where the whole answer has been seen. Only differences between
scores of answers to one prompt mean something.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lmlab.formats.safetensors_file import check_finite, read_tensors, write_tensors
from lmlab.models.load import load_model, save_model
from lmlab.models.parts import Linear
from lmlab.models.transformer import Transformer, TransformerConfig

if TYPE_CHECKING:
    from lmlab.formats.hf_folder import Writer
    from lmlab.tokenizer.tokenizer import Tokenizer

HEAD_FILE = "reward_head.safetensors"
HEAD = "score.weight"  # as transformers calls it in its ...ForSequenceClassification models


class RewardModel(nn.Module):
    """Scores for answers. The trunk is copied, so the language model that it came from stays as it is.

    Before training every score is 0: the head begins at zero. `freeze_trunk` trains the head alone, which takes
    seconds; what it can then tell apart is what the trunk tells apart already. The unembedding is never read, so it
    is not trained unless it is the embedding too.
    """

    def __init__(self, trunk: Transformer, *, freeze_trunk: bool = False) -> None:
        if not isinstance(trunk, Transformer):
            raise ValueError(
                f"A reward model's trunk is a Transformer, not a {type(trunk).__name__}: give model.model."
            )
        super().__init__()
        self.trunk = copy.deepcopy(trunk)
        self.trunk.requires_grad_(not freeze_trunk)
        if not trunk.config.tie_embeddings:
            self.trunk.unembedding.requires_grad_(False)
        weight = trunk.embedding.weight
        self.head = Linear(trunk.config.d_model, 1, bias=False).to(device=weight.device, dtype=weight.dtype)
        nn.init.zeros_(self.head.weight)

    def features(self, ids: Tensor, ends: Tensor) -> Tensor:
        """What the head reads: ids (B, T), and (B,) where each row's last token stands, to (B, D).

        Padding after the last token changes nothing: a causal trunk does not see it from there.
        """
        if ids.dim() != 2 or ends.shape != ids.shape[:1]:
            raise ValueError(f"Expected ids (B, T) and ends (B,), got {tuple(ids.shape)} and {tuple(ends.shape)}.")
        hidden = self.trunk.hidden(ids.to(self.device))
        return hidden[torch.arange(len(ids), device=self.device), ends.to(self.device)]

    def scores(self, ids: Tensor, ends: Tensor) -> Tensor:
        """A number for each row: ids (B, T), and (B,) where each row's last token stands, to (B,), float32."""
        out: Tensor = self.head(self.features(ids, ends))[:, 0]
        return out.float()

    def forward(self, ids: Tensor, ends: Tensor) -> Tensor:
        """As `scores`."""
        return self.scores(ids, ends)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.trunk.device

    @property
    def config(self) -> TransformerConfig:
        """The trunk's."""
        return self.trunk.config

    def save(self, folder: str | Path, tokenizer: Tokenizer | None = None) -> Path:
        """Write a folder: the trunk as in every model folder, and the head beside it. `RewardModel.load` opens it."""
        return save_either(self, folder, files={"tokenizer.json": tokenizer.save} if tokenizer is not None else {})

    @classmethod
    def load(cls, folder: str | Path) -> RewardModel:
        """Open a folder that `save` wrote. Raises FileNotFoundError or ValueError, one sentence each."""
        trunk, path = load_model(folder), Path(folder) / HEAD_FILE
        tensors = read_tensors(path)
        check_finite(path, tensors)
        wanted = (1, trunk.config.d_model)
        if set(tensors) != {HEAD} or tensors[HEAD].shape != wanted:
            found = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
            raise ValueError(f"{path} holds {found}; the head of this trunk is {HEAD} {wanted}.")
        model = cls(trunk)
        with torch.no_grad():
            model.head.weight.copy_(tensors[HEAD])
        return model.eval()


def save_either(
    model: nn.Module,
    folder: str | Path,
    *,
    dtype: torch.dtype | None = None,
    settings: Mapping[str, Any] | None = None,
    files: Mapping[str, Writer] | None = None,
) -> Path:
    """Write a language model as `save_model` does, or a reward model in the same way with its head beside it."""
    if not isinstance(model, RewardModel):
        return save_model(model, folder, dtype=dtype, settings=settings, files=files)
    weight = model.head.weight.detach().cpu()
    head = {HEAD: weight.to(dtype or weight.dtype).contiguous()}
    with_head: dict[str, Writer] = {**(files or {}), HEAD_FILE: lambda path: write_tensors(path, head)}
    return save_model(model.trunk, folder, dtype=dtype, settings=settings, files=with_head)


def load_either(folder: str | Path) -> Transformer | RewardModel:
    """Open what `save_either` wrote, whichever it was."""
    return RewardModel.load(folder) if (Path(folder) / HEAD_FILE).is_file() else load_model(folder)
