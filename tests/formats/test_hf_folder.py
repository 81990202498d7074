"""Model folders on disk: what is saved is loaded, and damaged ones are refused quickly, in one sentence."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lmlab.formats import hf_folder
from lmlab.formats.safetensors_file import read_header, read_tensors
from lmlab.models.load import load_model, save_model
from lmlab.models.transformer import Transformer
from tests.models.models_under_test import FAMILY_SHAPES, random_ids, randomized, small_config


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_model(Transformer(small_config(), seed=1), tmp_path / "model")


def without_manifest(folder: Path) -> Path:
    (folder / "manifest.json").unlink()
    return folder


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("name", FAMILY_SHAPES)
def test_what_is_saved_is_loaded_bit_for_bit(name: str, tmp_path: Path):
    model = randomized(Transformer(small_config(**FAMILY_SHAPES[name]), seed=2))
    again = load_model(save_model(model, tmp_path / "m"))
    assert again.config == model.config
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))
    assert (again.unembedding.weight is again.embedding.weight) is model.config.tie_embeddings


def test_bf16_on_disk_is_half_the_size_and_float32_in_memory(tmp_path: Path):
    model = Transformer(small_config(), seed=1)
    whole, half = save_model(model, tmp_path / "f"), save_model(model, tmp_path / "h", dtype=torch.bfloat16)
    assert {info.dtype for info in read_header(half / "model.safetensors").values()} == {"BF16"}
    assert (half / "model.safetensors").stat().st_size < 0.6 * (whole / "model.safetensors").stat().st_size
    again = load_model(half)
    assert again.embedding.weight.dtype == torch.float32
    assert torch.equal(again.embedding.weight, model.embedding.weight.bfloat16().float())
    assert load_model(half, dtype=None).embedding.weight.dtype == torch.bfloat16


def test_a_loaded_model_trains_without_touching_its_file(saved: Path):
    before = (saved / "model.safetensors").read_bytes()
    model = load_model(saved)
    model(random_ids(2, 8)).logsumexp(-1).mean().backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 0.1 * weight.grad
    assert (saved / "model.safetensors").read_bytes() == before
    assert not torch.equal(model.embedding.weight, load_model(saved).embedding.weight)


def test_the_manifest_says_what_is_there(saved: Path):
    manifest = json.loads((saved / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"].keys() == {"config.json", "model.safetensors"}
    listed = manifest["files"]["model.safetensors"]
    assert listed["sha256"] == hf_folder.sha256(saved / "model.safetensors")
    assert listed["tensors"]["model.embed_tokens.weight"] == "F32 23x24"


def test_the_header_is_read_as_the_library_reads_it(saved: Path):
    tensors = load_file(saved / "model.safetensors")
    header = read_header(saved / "model.safetensors")
    assert {name: info.shape for name, info in header.items()} == {n: tuple(t.shape) for n, t in tensors.items()}
    ours = read_tensors(saved / "model.safetensors")
    assert all(torch.equal(ours[name], tensor) for name, tensor in tensors.items())


# ---------------------------------------------------------------- damage


def overwrite(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def header_of(tensors: dict, body: bytes) -> bytes:
    raw = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def entry(start: int, stop: int, shape: list | None = None, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": [1] if shape is None else shape, "data_offsets": [start, stop]}


DAMAGED_FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "is empty"),
    "three bytes": (lambda data: data[:3], "cut short"),
    "cut in the header": (lambda data: data[:100], "cut short"),
    "cut in the numbers": (lambda data: data[:-1], "cut short"),
    "longer than it says": (lambda data: data + b"\0", "longer than it says"),
    "header of 2^63 bytes": (lambda data: struct.pack("<Q", 2**63) + data[8:], r"9,223,372,036,854,775,808 bytes"),
    "header of 2^64 - 1 bytes": (lambda data: b"\xff" * 8 + data[8:], "header claims"),
    "not JSON": (lambda data: header_of(b"{" * 50, b""), "readable JSON"),
    "deep JSON": (lambda data: header_of(b"[" * 100_000, b""), "readable JSON"),
    "a list": (lambda data: header_of(b"[1, 2]", b""), "JSON object"),
    "a name twice": (
        lambda data: header_of(b'{"a": %s, "a": %s}' % ((json.dumps(entry(0, 4)).encode(),) * 2), b"\0" * 4),
        "names 'a' twice",
    ),
    "overlap": (lambda data: header_of({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, b"\0" * 12), "overlaps"),
    "gap": (lambda data: header_of({"a": entry(0, 4), "b": entry(8, 12)}, b"\0" * 12), "leaves a gap"),
    "past the end": (lambda data: header_of({"a": entry(0, 400, [100])}, b"\0" * 4), "cut short"),
    "shape and size differ": (lambda data: header_of({"a": entry(0, 4, [7])}, b"\0" * 4), "does not fill"),
    "enormous shape": (lambda data: header_of({"a": entry(0, 4, [2**40, 2**40])}, b"\0" * 4), "does not fill"),
    "negative offset": (lambda data: header_of({"a": entry(-4, 0)}, b"\0" * 4), "two offsets"),
    "fractional shape": (lambda data: header_of({"a": entry(0, 4, [1.0])}, b"\0" * 4), "two offsets"),
    "unknown type": (lambda data: header_of({"a": entry(0, 4, [1], "F99")}, b"\0" * 4), "'F99'"),
    "a pickle": (lambda data: pickle.dumps({"a": 1}), "pickle"),
    "HTML": (lambda data: b"<!DOCTYPE html><html>Not found</html>" * 9, "no safetensors file"),
}


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("kind", DAMAGED_FILES)
def test_a_damaged_file_is_refused_at_once_in_one_line(kind: str, with_manifest: bool, saved: Path):
    damage, words = DAMAGED_FILES[kind]
    path = saved / "model.safetensors"
    overwrite(path, damage(path.read_bytes()))
    if not with_manifest:
        without_manifest(saved)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=None if with_manifest else words) as raised:
        load_model(saved)
    assert time.perf_counter() - start < 1
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_any_flipped_bit_is_noticed(saved: Path):
    size = (saved / "model.safetensors").stat().st_size
    for name, at in (("model.safetensors", size - 5), ("model.safetensors", 40), ("config.json", 50)):
        path = saved / name
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(ValueError, match=name):
            load_model(saved)
        data[at] ^= 1
        path.write_bytes(bytes(data))
    load_model(saved)


def test_truncated_anywhere_is_refused(saved: Path):
    path = without_manifest(saved) / "model.safetensors"
    data = path.read_bytes()
    for length in range(0, len(data), len(data) // 40):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"is empty|cut short"):
            load_model(saved)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_numbers_are_refused(poison: float, saved: Path, tmp_path: Path):
    path = without_manifest(saved) / "model.safetensors"
    tensors = load_file(path)
    tensors["model.norm.weight"][3] = poison
    save_file(tensors, path)
    with pytest.raises(ValueError, match=r"model\.norm\.weight holds 1 numbers that are NaN or infinite"):
        load_model(saved)
    model = Transformer(small_config())
    with torch.no_grad():
        model.norm.weight[0] = poison
    with pytest.raises(ValueError, match="NaN or infinity"):
        save_model(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_wrong_names_and_shapes_show_the_first_three(saved: Path):
    path = without_manifest(saved) / "model.safetensors"
    tensors = load_file(path)
    tensors["extra"] = torch.zeros(1)
    tensors["model.norm.weight"] = torch.zeros(5)
    del tensors["model.layers.0.mlp.up_proj.weight"], tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path)
    with pytest.raises(ValueError, match=r"blocks\.0\.mlp\.up\.weight is missing; .*\(and 1 more\)") as raised:
        load_model(saved)
    assert str(raised.value).count(";") == 2


def test_a_pickle_is_refused_under_any_name_and_nothing_in_it_runs(tmp_path: Path):
    witness = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(witness),))

    for protocol in (0, 2, 4, 5):
        for name in ("config.json", "model.safetensors"):
            folder = save_model(Transformer(small_config()), tmp_path / "model")
            without_manifest(folder)
            (folder / name).write_bytes(pickle.dumps(Trap(), protocol=protocol))
            with pytest.raises(ValueError, match=r"pickle|no safetensors|readable JSON"):
                load_model(folder)
            shutil.rmtree(folder)
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}), encoding="utf-8")
    torch.save({"a": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lacks|torch\.save"):
        load_model(folder)
    assert not witness.exists()


def test_a_folder_of_pickles_says_why_they_stay_shut(saved: Path):
    (without_manifest(saved) / "model.safetensors").unlink()
    torch.save({}, saved / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.*runs whatever code"):
        load_model(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_what_is_no_file_is_refused_without_waiting(name: str, with_manifest: bool, saved: Path):
    if not with_manifest:
        without_manifest(saved)
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        load_model(saved)
    (saved / name).mkdir()
    with pytest.raises(ValueError, match="directory"):
        load_model(saved)
    if hasattr(os, "mkfifo"):
        (saved / name).rmdir()
        os.mkfifo(saved / name)
        with pytest.raises(ValueError, match="pipe"):
            load_model(saved)


def test_no_folder_and_a_file_for_a_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no model folder"):
        load_model(tmp_path / "nothing")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="not a folder"):
        load_model(tmp_path / "file")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_model(tmp_path / "bare")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/hostname", "sub/x.safetensors", 5])
def test_an_index_cannot_lead_out_of_its_folder(name: object, saved: Path):
    without_manifest(saved)
    (saved / "model.safetensors").rename(saved / "part.safetensors")
    (saved / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}), encoding="utf-8")
    with pytest.raises(ValueError, match="of this folder"):
        load_model(saved)
