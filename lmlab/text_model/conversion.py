"""A GGUF file unpacked: one folder in the Hugging Face shape, written once and mapped into memory ever after.

Lecture: "what a downloaded model is". The file keeps its weights in four bits; whoever opens it computes the numbers
that they stand for. That is done once and kept: the folder opens in a fraction of the time, and thirty kernels of a
classroom that map it share one copy.
"""

from __future__ import annotations

import os
from pathlib import Path

from lmlab.formats.hf_folder import WEIGHTS, Writer, write_folder, write_json
from lmlab.formats.safetensors_file import write_in_turn
from lmlab.models.gguf import open_gguf
from lmlab.tokenizer.load import tokenizer_from_gguf

CHAT_TEMPLATE = "chat_template.jinja"


def convert(gguf: Path, folder: Path) -> Path:
    """Write the model, the tokenizer and the chat template of a GGUF file as a folder, whole or not at all.

    Weights are float32, so that logits are those of the file; one tensor is in memory at a time. Raises ValueError
    and OSError, one sentence each; then nothing was changed.
    """
    model = open_gguf(gguf)
    fields = model.file.fields
    tokenizer = tokenizer_from_gguf(fields)
    config = {**model.family.to_hf(model.config), **model.special_ids, "dtype": "float32"}
    writers: dict[str, Writer] = {
        "config.json": lambda path: write_json(path, config),
        "tokenizer.json": tokenizer.save,
        WEIGHTS: lambda path: write_in_turn(path, model.shapes(), model.weights()),
    }
    template = fields.get("tokenizer.chat_template")
    if isinstance(template, str):
        writers[CHAT_TEMPLATE] = lambda path: path.write_text(template, encoding="utf-8", newline="\n")
    return write_folder(Path(os.fspath(folder)), writers)
