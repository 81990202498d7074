"""SmolLM2-135M: our logits against transformers' own GGUF loading, in float32, on ten kinds of text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import lmlab as lab
from lmlab.models.load import load_gguf

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow

PROMPTS = {
    "a fact": "The capital of France is",
    "prose": "The stock market crashed and investors lost their savings, while the harbor lay quiet in the fog.",
    "code": "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) +",
    "chat": "<|im_start|>user\nWhat is an otter?<|im_end|>\n<|im_start|>assistant\n",
    "Unicode": "Der Fluß führt Hochwasser; 市場は静かだった。 Привет, мир! مرحبا 🦦👩‍👩‍👧",
    "numbers": "12 + 30 = 42, 7 * 8 = 56, 1,234.5 / 5 =",
    "white space": "one\n\n\n    two\t\tthree      four   \n",
    "one token": "Hello",
    "repetition": "newt jik newt jik newt jik newt",
    "long": " ".join(
        f"In chapter {n} the old clockmaker counted {n * 7} gears and wrote a letter." for n in range(1, 30)
    ),
}


@pytest.fixture(scope="module")
def file(smollm2: Path) -> Path:
    return next(smollm2.glob("*.gguf"))


@pytest.fixture(scope="module")
def theirs(file: Path) -> Any:
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return model.eval()


@pytest.mark.timeout(900)
def test_logits_within_a_ten_thousandth_and_the_same_first_choice(smollm2_by_name: Path, theirs: Any):
    ours = lab.load("smollm2")
    n_tokens = {}
    for name, prompt in PROMPTS.items():
        ids = torch.tensor([ours.tokenizer.encode(prompt, allow_special=True)[:256]])
        with torch.no_grad():
            expected, found = theirs(ids).logits, ours.model(ids)
        n_tokens[name] = ids.shape[1]
        assert float(expected.std()) > 1, name
        assert float((found - expected).abs().max()) <= 1e-4, name
        assert torch.equal(found.argmax(-1), expected.argmax(-1)), name
    assert n_tokens["long"] == 256
    assert n_tokens["one token"] == 1


def test_the_file_and_the_folder_made_of_it_are_the_same_model(smollm2_by_name: Path, file: Path):
    folder, direct = lab.load("smollm2"), lab.load(file)
    assert direct.model.config == folder.model.config
    for (name, ours), kept in zip(direct.model.named_parameters(), folder.model.parameters(), strict=True):
        assert torch.equal(ours, kept), name
    assert folder.chat_template is not None
    assert direct.chat_template is not None
    assert folder.chat_template.source == direct.chat_template.source
    assert (folder.chat_template.bos, folder.chat_template.eos) == ("<|im_start|>", "<|im_end|>")
    for prompt in PROMPTS.values():
        assert folder.tokenizer.encode(prompt) == direct.tokenizer.encode(prompt)
    assert folder.stop_ids == {0, 2}
    assert folder.ids("Hello").tolist()[0] == folder.tokenizer.specials["<|endoftext|>"]  # decision 10


def test_rows_read_as_they_lie_would_be_noticed(file: Path, theirs: Any):
    """Llama's queries and keys in the other order give fluent text, the same first token here, and other logits."""
    from dataclasses import replace

    from lmlab.models.gguf import open_gguf

    opened = open_gguf(file)
    wrong = load_gguf(replace(opened, family=replace(opened.family)))
    ids = torch.tensor([[504, 3575, 282, 4649, 314]])
    with torch.no_grad():
        assert float((wrong(ids) - theirs(ids).logits).abs().max()) > 1


def test_it_opens_soon_and_its_weights_are_shared(smollm2: Path, tmp_path: Path):
    """In a process of its own: CPU seconds to open it, and private bytes once all weights were read."""
    (tmp_path / "cache").symlink_to(smollm2.parent)
    code = (
        "import json, time, torch, psutil, lmlab as lab; lab.TextModel; start = time.process_time();"
        "private = lambda: psutil.Process().memory_full_info().uss; before = private();"
        "model = lab.load('smollm2'); seconds = time.process_time() - start;"
        "total = sum(float(weight.sum()) for weight in model.model.parameters());"
        "print(json.dumps([seconds, (private() - before) / 1e6, total]))"
    )
    run = [sys.executable, "-c", code]
    environment = {**os.environ, "LMLAB_HOME": str(tmp_path)}
    first = subprocess.Popen([*run[:2], code + "; input()"], stdin=-1, stdout=-1, text=True, env=environment)
    assert first.stdout is not None
    json.loads(first.stdout.readline())  # the first holds the pages while the second is measured
    out = subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout
    first.communicate("\n")
    seconds, megabytes, total = json.loads(out)
    assert total == total  # a number
    assert seconds < 2  # 0.4 on an idle machine
    assert megabytes < 120  # of 538 in the file; the vocabulary takes most
