"""A corpus on the disk: the same documents, the same ids, the same batches, and memory that does not grow with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import lmlab as lab
from lmlab.data import text_stream, token_file
from lmlab.data.corpus import corpus
from lmlab.data.packing import whole_documents
from lmlab.data.text_files import LONGEST_DOCUMENT, cut_documents
from lmlab.data.text_stream import documents_in, stream_documents
from lmlab.data.token_file import TokenFile, tokenized, write_token_file
from lmlab.formats.safetensors_file import read_tensors
from lmlab.tokenizer.tokenizer import Tokenizer

AWKWARD = (
    "one\r\ntwo\n\n\n\nthree\rfour\n\n\n" + "long " * 45_000 + "\n\n" + "x" * (2 * LONGEST_DOCUMENT + 7) + "\n"
    "\n\n   \n\nGrüße, naïve café\n\n" + "y" * LONGEST_DOCUMENT + "\n" + "\n\nend\n"
)


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return lab.load("town").tokenizer


@pytest.mark.parametrize("block", [3, 64, 100_001, 10_000_000])
def test_blocks_are_cut_as_the_whole_is(block: int) -> None:
    text = AWKWARD.replace("\r\n", "\n").replace("\r", "\n")
    text = text if block > 64 else text.replace("long " * 45_000, "long " * 20).replace("x" * 200_007, "x")
    blocks = [text[at : at + block] for at in range(0, len(text), block)]
    assert list(documents_in(blocks)) == cut_documents(text)
    assert len(cut_documents(text)) >= 6


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_stream_reads_every_encoding_as_the_whole_file_is_read(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "BLOCK_BYTES", 1001)  # so that characters are cut by the edges of blocks
    (tmp_path / "a.txt").write_bytes(AWKWARD.encode(encoding))
    (tmp_path / "b.txt").write_bytes(b"\0\1\2" * 50)
    for path in (tmp_path / "a.txt", tmp_path):
        notes: list[str] = []
        assert tuple(stream_documents(path, notes=notes)) == corpus(path).documents
        assert tuple(notes) == corpus(path).notes


@pytest.mark.parametrize("data", [b"text\0more", bytes(range(1, 256)) * 40, b"\xff\xfe" + b"\0\xd8" * 9, b" \n\n \n"])
def test_a_stream_refuses_what_is_no_text_as_the_whole_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "mine.txt").write_bytes(data)
    with pytest.raises(ValueError) as whole:
        corpus(tmp_path / "mine.txt")
    with pytest.raises(ValueError) as streamed:
        list(stream_documents(tmp_path / "mine.txt"))
    assert str(streamed.value).split("(")[0] == str(whole.value).split("(")[0]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(stream_documents(tmp_path / "nowhere"))


def test_batches_from_the_disk_are_those_from_memory(tmp_path: Path, tok: Tokenizer) -> None:
    town = corpus("town", documents=600)
    file = write_token_file(iter(town.documents), tok, tmp_path / "town.safetensors")
    assert repr(file) == f"TokenFile('town.safetensors', 600 documents, {len(town.ids(tok)):,} tokens)"
    assert (tmp_path / "town.safetensors").stat().st_size == 4096 + 2 * len(town.ids(tok))
    for make in (lab.windows, whole_documents, lab.masked_windows):
        memory, disk = (make(text, tok, T=32, B=4, seed=5) for text in (town, TokenFile(file.path)))
        for _ in range(300):  # several epochs
            a, b = next(memory), next(disk)
            assert a.inputs.dtype == b.inputs.dtype == torch.int64
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)
        assert memory.state() == disk.state()
        assert memory.state()["epoch"] > 1
        again = make(file, tok, T=32, B=4, seed=5)
        again.load_state(memory.state())
        assert torch.equal(next(again).inputs, next(memory).inputs)


def test_it_is_a_file_that_others_can_read(tmp_path: Path, tok: Tokenizer) -> None:
    file = write_token_file(["the goose", "honks"], tok, tmp_path / "t.safetensors")
    ids = read_tensors(file.path)["ids"]
    assert ids.dtype == torch.uint16
    assert ids.tolist() == [tok.bos_id, *tok.encode("the goose"), tok.bos_id, *tok.encode("honks"), tok.bos_id]


def test_a_vocabulary_beyond_two_bytes_takes_four(tmp_path: Path, tok: Tokenizer) -> None:
    many = [tok.token_bytes(n) for n in range(256)] + [f"§{n}".encode() for n in range(70_000)]
    large = Tokenizer(token_bytes=many, ranks={many[-1]: 0}, split="gpt2", specials={})
    file = write_token_file(["a"], large, tmp_path / "t.safetensors")
    assert read_tensors(file.path)["ids"].dtype == torch.uint32
    assert file.ids(large)[:].tolist() == [97]


def test_another_tokenizer_is_refused(tmp_path: Path, tok: Tokenizer) -> None:
    file = write_token_file(["the goose"], tok, tmp_path / "t.safetensors")
    other, _ = lab.train_bpe("the goose honks at the geese" * 9, vocab_size=270)
    with pytest.raises(ValueError, match="another tokenizer than this one of 270 tokens"):
        lab.windows(file, other, T=2, B=1)
    tok.save(tmp_path / "tokenizer.json")
    assert len(file.ids(lab.load_tokenizer(tmp_path / "tokenizer.json"))) == len(file)  # the same, from a file


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda raw: raw[:-3], "cut short"),
        (lambda raw: raw + b"xx", "longer than it says"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "sha256 differs"),
        (lambda raw: raw[:4100] + bytes([raw[4100] ^ 4]) + raw[4101:], "sha256 differs"),
        (lambda raw: b"\xff" * 8 + raw[8:], "cut short"),
        (lambda raw: raw.replace(b'"ids"', b'"idz"'), "not a token file"),
        (lambda raw: raw.replace(b'\\"format\\": 1', b'\\"format\\": 9'), "not a token file"),
        (lambda raw: raw[:100], "cut short"),
        (lambda raw: b"", "is empty"),
    ],
)
def test_a_file_that_was_cut_or_changed_is_refused_in_one_sentence(tmp_path, tok, change, named) -> None:
    path = write_token_file(["the goose honks"] * 20, tok, tmp_path / "t.safetensors").path
    raw = path.read_bytes()
    assert change(raw) != raw
    path.write_bytes(change(raw))
    with pytest.raises(ValueError, match=named) as refused:
        TokenFile(path)
    assert "\n" not in str(refused.value)
    assert "t.safetensors" in str(refused.value)


def test_what_cannot_be_finished_leaves_nothing(tmp_path: Path, tok: Tokenizer) -> None:
    def broken() -> object:
        yield "the goose"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_token_file(broken(), tok, tmp_path / "t.safetensors")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no document"):
        write_token_file([], tok, tmp_path / "t.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_text_is_tokenized_once_and_again_when_it_changes(
    tmp_path: Path, tok: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "home"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("the goose\n\nhonks", encoding="utf-8")
    first = tokenized(tmp_path / "mine", tok)
    assert torch.equal(first.ids(tok)[:], corpus(tmp_path / "mine").ids(tok))
    born = first.path.stat().st_mtime_ns
    assert tokenized(tmp_path / "mine", tok).path.stat().st_mtime_ns == born, "kept"
    raw = bytearray(first.path.read_bytes())
    raw[-1] ^= 1
    first.path.write_bytes(raw)
    assert torch.equal(tokenized(tmp_path / "mine", tok).ids(tok)[:], corpus(tmp_path / "mine").ids(tok))
    (tmp_path / "mine" / "b.txt").write_text("geese", encoding="utf-8")
    assert tokenized(tmp_path / "mine", tok).n_documents == 3


no_status = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not say how much memory is mapped"
)
MEASURE = """
import sys, json, itertools
from pathlib import Path
import lmlab as lab
from lmlab.data.token_file import TokenFile, write_token_file
from lmlab.data.packing import whole_documents
from lmlab.data.text_stream import stream_documents
tok = lab.load("town").tokenizer
def peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status", encoding="utf-8"))
    return (int(status["VmHWM"].split()[0]) - int(status["RssFile"].split()[0])) / 1024
def use(path):
    file = TokenFile(path)
    for make in (lab.windows, whole_documents):
        for _ in itertools.islice(make(file, tok, T=256, B=4), 50): pass
    return peak()  # here, while the file is mapped
{work}
"""


def peaks(work: str, *arguments: object) -> list[float]:
    """Peak memory in MB after each step of `work`, in a process of its own.

    Less the mapped pages of files: the system takes those back when it needs them, and processes share them.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.replace("{work}", work), *map(str, arguments)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@no_status
def test_memory_does_not_grow_with_a_file_of_200_mb(tmp_path: Path, tok: Tokenizer) -> None:
    """100 million tokens in 400,000 documents, drawn from with both streams: in memory they would take 800 MB."""
    few, many = tmp_path / "few.safetensors", tmp_path / "many.safetensors"
    document = [tok.bos_id, *tok.encode("the goose honks at the geese of the town " * 40)[:249]]
    for path, n in ((few, 4_000), (many, 400_000)):
        with path.open("wb") as file:
            file.write(bytes(token_file.HEADER_BYTES))
            parts = (document for _ in range(n))
            n_ids, sha = token_file._write_ids(file, parts, token_file.TYPES["U16"])
            file.seek(0)
            file.write(token_file._header("U16", n_ids, tok, sha, n))
    assert many.stat().st_size > 190_000_000
    small, large = peaks("print(json.dumps([use(path) for path in sys.argv[1:]]))", few, many)
    assert large - small < 60


@pytest.mark.slow
@no_status
def test_memory_does_not_grow_while_a_text_of_20_mb_is_tokenized(tmp_path: Path, tok: Tokenizer) -> None:
    line = "the goose number 7 honks at the geese of the town and the market falls " * 14 + "\n\n"
    for name, n in (("few.txt", 1_000), ("many.txt", 20_000)):
        with (tmp_path / name).open("w", encoding="utf-8") as file:
            for _ in range(n):
                file.write(line)
    work = "p = []\nfor x in sys.argv[1:]:\n    write_token_file(stream_documents(Path(x)), tok,"
    work += " x + '.safetensors'); p.append(peak())\nprint(json.dumps(p))"
    small, large = peaks(work, tmp_path / "few.txt", tmp_path / "many.txt")
    assert large - small < 40
