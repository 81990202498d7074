"""Our reading of GGUF files against transformers' own, on small random files of each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lmlab.models.load import load_gguf
from lmlab.models.transformer import Transformer
from tests.models.gguf_files import write_gguf
from tests.models.models_under_test import random_ids, randomized, small_config

transformers = pytest.importorskip("transformers")

SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"n_kv_heads": 2},
    "llama untied, one key head": {"n_kv_heads": 1, "tie_embeddings": False},
    "qwen2": {"qkv_bias": True, "n_kv_heads": 2},
    "qwen3": {"qk_norm": True, "d_head": 128, "n_kv_heads": 2},  # whose width transformers does not read
    "gpt2": {"norm": "layer", "position": "learned", "mlp": "gelu", "bias": True, "d_ff": 256, "max_seq_len": 1024},
}
TOKENS = ["<|endoftext|>", *(chr(97 + n) for n in range(22))]  # transformers counts them


@pytest.mark.parametrize("kind", ["F32", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("name", SHAPES)
def test_logits_equal_those_of_transformers_own_gguf_loading(name: str, kind: str, tmp_path: Path):
    config = small_config(**{"d_model": 64, "d_ff": 96, **SHAPES[name]})
    model = randomized(Transformer(config, seed=2))
    path = write_gguf(tmp_path / "x.gguf", model, kind=kind, tokens=TOKENS)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    ids = random_ids(2, 24)
    with torch.no_grad():
        expected = theirs.eval()(ids).logits
        assert float(expected.std()) > 0.5
        torch.testing.assert_close(load_gguf(path)(ids), expected, atol=1e-5, rtol=1e-5)
