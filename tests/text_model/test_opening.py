"""`load`: folders as transformers writes them, GGUF files, fetched models, and what to do about those not here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lmlab as lab
from lmlab.models.load import save_model
from lmlab.models.transformer import Transformer
from lmlab.text_model.conversion import convert
from lmlab.text_model.opening import folder_of, load
from lmlab.tokenizer.byte_order import to_visible
from tests.models.gguf_files import write_gguf
from tests.models.models_under_test import FAMILY_SHAPES, randomized, small_config

TOKENS = [to_visible(bytes([byte])) for byte in range(256)] + ["Ġt", "he", "Ġthe", "<|endoftext|>", "<|im_end|>"]
PROMPT = "the town the"


def model_of(vocab_size: int = len(TOKENS), **shape: Any) -> Transformer:
    return randomized(Transformer(small_config(vocab_size=vocab_size, **shape), seed=3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "small.gguf", model_of(), tokens=TOKENS)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_gguf_file_opens_whole(file: Path):
    found = load(file)
    assert found.name == "small"
    assert found.vocab_size == 261
    assert found.stop_ids == {259, 260}
    assert found.tokenizer.encode(" the town") == [258, 256, 111, 119, 110]
    assert found.chat_template is not None
    assert found.chat_template.bos == "<|endoftext|>"
    ids = found.ids(PROMPT)
    assert int(ids[0]) == 259
    with torch.no_grad():
        expected = model_of()(ids[None]).log_softmax(-1)[0, -1]
    torch.testing.assert_close(found.next_log_probs(PROMPT), expected)


def test_a_gguf_file_under_another_name_is_known_by_its_first_bytes(file: Path, tmp_path: Path):
    other = file.rename(tmp_path / "weights.bin")
    assert torch.equal(load(other).next_log_probs(PROMPT), load(str(other)).next_log_probs(PROMPT))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.replace(b"gpt2", b"t5ap"), "'t5ap' of this GGUF file is not implemented"),
        (lambda raw: raw.replace(b"tokenizer.ggml.merges", b"tokenizer.ggml.nerges"), "tokenizer"),
        (lambda raw: raw[:700], "ends inside|claims"),
    ],
)
def test_what_is_wrong_in_a_gguf_file_is_said_in_one_sentence(change: Any, words: str, file: Path):
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match=words) as raised:
        load(file)
    assert "\n" not in str(raised.value)
    assert "small.gguf" in str(raised.value)


# ---------------------------------------------------------------- folders of the hub


@pytest.fixture
def folder(file: Path, tmp_path: Path) -> Path:
    """As the hub has them: no manifest, and a chat template somewhere."""
    folder = convert(file, tmp_path / "org--name")
    for name in ("manifest.json", "chat_template.jinja"):
        (folder / name).unlink()
    return folder


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"chat_template.jinja": "{{ a }}"}, "{{ a }}"),
        ({"tokenizer_config.json": {"chat_template": "{{ b }}", "eos_token": "<|im_end|>"}}, "{{ b }}"),
        ({"tokenizer_config.json": {"chat_template": [{"name": "tool_use", "template": "x"}]}}, None),
        (
            {
                "tokenizer_config.json": {
                    "chat_template": [{"name": "default", "template": "{{ c }}"}],
                    "eos_token": {"content": "<|im_end|>", "special": True},
                }
            },
            "{{ c }}",
        ),
        ({"chat_template.jinja": "{{ a }}", "tokenizer_config.json": {"chat_template": "{{ b }}"}}, "{{ a }}"),
        ({"tokenizer_config.json": {}}, None),
    ],
)
def test_the_chat_template_is_found_where_transformers_writes_it(written: dict, expected: str | None, folder: Path):
    for name, content in written.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).write_text(text, encoding="utf-8")
    template = load(folder).chat_template
    assert (template and template.source) == expected
    if template and "eos_token" in written.get("tokenizer_config.json", {}):
        assert (template.bos, template.eos) == ("<|endoftext|>", "<|im_end|>")


def test_a_folder_that_transformers_wrote_opens_whole(folder: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}"
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="40KB")
    tokenizer.save_pretrained(tmp_path / "theirs")
    found = load(tmp_path / "theirs")
    assert found.chat_template is not None
    assert (found.chat_template.source, found.chat_template.eos) == (tokenizer.chat_template, "<|im_end|>")
    assert found.tokenizer.encode(PROMPT) == tokenizer.encode(PROMPT)
    ids = found.ids(PROMPT)[None]
    with torch.no_grad():
        torch.testing.assert_close(found.model(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)


def test_fetched_models_open_by_their_names(folder: Path, home: Path):
    (home / "cache" / "hub").mkdir(parents=True)
    place = folder.rename(home / "cache" / "hub" / "org--name")
    assert folder_of("hub:org/name") == place
    assert load("hub:org/name").name == "name"
    place.rename(home / "cache" / "smollm2")
    assert load("smollm2").name == "smollm2"
    with pytest.raises(FileNotFoundError, match="`lmlab fetch hub:org/name`"):
        load("hub:org/name")
    for name in ("hub:../name", "hub:org/name/more", "hub:name"):
        with pytest.raises(FileNotFoundError, match="names no model"):
            load(name)


def test_in_the_cache_numbers_are_not_read_again_and_sizes_are(folder: Path, home: Path):
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match="NaN"):
        load(folder)
    (home / "cache").mkdir(parents=True)
    place = folder.rename(home / "cache" / "smollm2")
    with pytest.raises(ValueError, match="NaN"):
        load("smollm2").next_log_probs(PROMPT)  # opened, and noticed as soon as it is asked
    raw = (place / "model.safetensors").read_bytes()
    (place / "model.safetensors").write_bytes(raw[:-4])
    with pytest.raises(ValueError, match="cut short"):
        load("smollm2")


# ---------------------------------------------------------------- a table longer than the vocabulary


def test_a_padded_table_keeps_its_rows_and_they_get_names(tmp_path: Path):
    model = model_of(320)  # a multiple of 64, as Qwen's 151,936 is one
    folder = convert(write_gguf(tmp_path / "x.gguf", model_of(), tokens=TOKENS), tmp_path / "x")
    save_model(model, tmp_path / "padded", files={"tokenizer.json": load(folder).tokenizer.save})
    found = load(tmp_path / "padded")
    assert found.vocab_size == 320
    assert found.tokenizer.token_text(319) == "<|unused 319|>"
    assert found.tokenizer.encode("<|unused 319|>")[0] != 319  # what is typed is text
    ids = found.ids(PROMPT)[None]
    with torch.no_grad():
        torch.testing.assert_close(found.next_log_probs(PROMPT), model(ids)[0, -1].log_softmax(-1))
    again = load(found.save(tmp_path / "again"))
    assert torch.equal(again.next_log_probs(PROMPT), found.next_log_probs(PROMPT))


@pytest.mark.parametrize("vocab_size", [260, 262, 1024])
def test_a_table_of_another_size_names_both(vocab_size: int, file: Path, tmp_path: Path):
    tokenizer = load(file).tokenizer
    save_model(model_of(vocab_size), tmp_path / "other", files={"tokenizer.json": tokenizer.save})
    with pytest.raises(ValueError, match=f"{vocab_size} tokens and the tokenizer 261"):
        load(tmp_path / "other")


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_precision_is_the_models_and_all_else_stays(precision: str, tmp_path: Path):
    shape = {**FAMILY_SHAPES["llama"], "d_model": 64, "d_ff": 64}
    file = write_gguf(tmp_path / "x.gguf", model_of(**shape), tokens=TOKENS)
    found, exact = load(file, precision=precision), load(file)
    assert (found.name, found.chat_template is not None) == ("x", True)
    log_probs = found.next_log_probs(PROMPT)
    kl = float((exact.next_log_probs(PROMPT).exp() * (exact.next_log_probs(PROMPT) - log_probs)).sum())
    assert (kl == 0) is (precision == "fp32")
    assert kl < 0.05


def test_an_unknown_precision_is_refused_before_anything_is_opened():
    with pytest.raises(ValueError, match="no precision 'int3': choose fp32"):
        lab.load("no-such-model", precision="int3")
