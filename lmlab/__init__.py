"""lmlab: a lecture on language models made touchable.

    import lmlab as lab

    town = lab.load("town")
    lab.widgets.NextToken(town, prompt="the stock market crashed and investors")

Every name below is imported when it is first used, so `import lmlab` costs milliseconds and needs neither
torch nor ipywidgets until you do something.

Shapes are written with one legend of letters throughout:

    B  batch            D  model width            K  key/value heads
    T  query positions  L  layers                 E  width of a head
    S  key positions    H  query heads            F  feed-forward width
                                                  V  vocabulary
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # a model and its text
    "load": "lmlab.text_model",
    "TextModel": "lmlab.text_model",
    "Candidate": "lmlab.text_model",
    "generate": "lmlab.sampling",
    "Sampler": "lmlab.sampling",
    # text to ids
    "Tokenizer": "lmlab.tokenizer.tokenizer",
    "WordTokenizer": "lmlab.tokenizer.words",
    "load_tokenizer": "lmlab.tokenizer.load",
    "train_bpe": "lmlab.tokenizer.bpe",
    "SPLIT_GPT2": "lmlab.tokenizer.split",
    # models
    "NGram": "lmlab.models.ngram",
    "SequenceCounts": "lmlab.models.counts",
    "Transformer": "lmlab.models.transformer",
    "TransformerConfig": "lmlab.models.transformer",
    "Trace": "lmlab.models.trace",
    "KVCache": "lmlab.models.kv_cache",
    "load_model": "lmlab.models.load",
    "save_model": "lmlab.models.load",
    "quantize": "lmlab.quantization",
    "quantize_model": "lmlab.models.linear",
    # what they read
    "corpus": "lmlab.data.corpus",
    "Corpus": "lmlab.data.corpus",
    "windows": "lmlab.data.batches",
    "Town": "lmlab.data.town",
    "TownTruth": "lmlab.data.town",
    # how they learn
    "train": "lmlab.training.loop",
    "TrainState": "lmlab.training.state",
    "TrainingRun": "lmlab.training.run",
    "next_token": "lmlab.training.objectives",
    # the student's side
    "check": "lmlab.exercises",
    "hint": "lmlab.exercises",
    "reveal": "lmlab.exercises",
    "progress": "lmlab.exercises",
    "doctor": "lmlab.machine_report",
    "asset": "lmlab.assets",
    "pick_device": "lmlab.devices",
}
_MODULES = ("widgets",)

__all__ = [*_HOME, *_MODULES]  # noqa: PLE0604  (all of them are strings)


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`, once, and keep the value (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"lmlab has no {name!r}; dir(lmlab) lists what it has")
    importlib.import_module("lmlab.devices").leave_a_core_free()
    if name in _MODULES:
        value: Any = importlib.import_module(f"lmlab.{name}")
    else:
        value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
