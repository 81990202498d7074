"""A GGUF file becomes a folder: the same numbers, whole or not at all, in little memory, and transformers opens it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lmlab.formats.gguf import GGUFFile
from lmlab.models.load import load_gguf
from lmlab.text_model import load
from lmlab.text_model.conversion import convert
from tests.models.gguf_files import write_gguf
from tests.text_model.test_opening import PROMPT, TOKENS, model_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "small.gguf", model_of(n_kv_heads=2), kind="F16", tokens=TOKENS)


def test_the_folder_says_what_the_file_says(file: Path, tmp_path: Path):
    folder = convert(file, tmp_path / "folder")
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", "manifest.json",
    }  # fmt: skip
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["bos_token_id"] == 259
    ours, direct = load(folder), load(file)
    assert torch.equal(ours.next_log_probs(PROMPT), direct.next_log_probs(PROMPT))
    assert ours.tokenizer.specials == direct.tokenizer.specials
    assert ours.chat_template is not None
    assert direct.chat_template is not None
    assert ours.chat_template.source == direct.chat_template.source


def test_numbers_begin_where_processors_like_to_read(file: Path, tmp_path: Path):
    raw = (convert(file, tmp_path / "folder") / "model.safetensors").read_bytes()
    assert (8 + int.from_bytes(raw[:8], "little")) % 64 == 0


def test_transformers_opens_it_with_equal_logits(file: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        convert(file, tmp_path / "folder"), dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids = load(file).ids(PROMPT)[None]
    with torch.no_grad():
        torch.testing.assert_close(load_gguf(file)(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "reason", [OSError(28, "No space left on device"), ValueError("x holds NaN"), KeyboardInterrupt()]
)
def test_what_fails_halfway_leaves_nothing_behind(
    reason: BaseException, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = convert(file, tmp_path / "kept")
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    read, left = GGUFFile.read, [9]

    def fails(self: GGUFFile, name: str) -> torch.Tensor:
        left[0] -= 1
        if not left[0]:
            raise reason
        return read(self, name)

    monkeypatch.setattr(GGUFFile, "read", fails)
    for place in ("kept", "new"):
        left[0] = 9
        with pytest.raises(type(reason)):
            convert(file, tmp_path / place)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "small.gguf"]


def test_a_folder_of_others_is_left_alone(file: Path, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ValueError, match=r"chapter\.txt.*nothing was changed"):
        convert(file, tmp_path / "thesis")


@pytest.mark.slow
def test_smollm2_is_converted_in_little_memory(smollm2: Path, tmp_path: Path):
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process's own memory is read from /proc")
    code = (
        "import sys, pathlib; from lmlab.text_model.conversion import convert;"
        "convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]));"
        # getrusage would count what the process was before it became this one: a copy of the test's own
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    run = [sys.executable, "-c", code, str(next(smollm2.glob("*.gguf"))), str(tmp_path / "smollm2")]
    out = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert 100e6 < int(out) * 1024 < 500e6
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "smollm2" / name).read_bytes() == (smollm2 / name).read_bytes()
