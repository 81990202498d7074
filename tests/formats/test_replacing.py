"""Replacing a model folder: whole or not at all, and never what someone else put there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lmlab.formats.safetensors_file import write_tensors
from lmlab.models.load import load_model, save_model
from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer
from tests.models.models_under_test import random_ids, small_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_model(Transformer(small_config(), seed=1), tmp_path / "model")


def test_a_folder_of_ours_is_replaced_and_leaves_nothing_beside(saved: Path):
    other = Transformer(small_config(), seed=9)
    save_model(other, saved)
    assert torch.equal(load_model(saved).embedding.weight, other.embedding.weight)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("stranger", ["thesis.docx", "config.json", ".hidden"])
def test_a_folder_of_someone_else_is_not_touched(stranger: str, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / stranger).write_text("precious", encoding="utf-8")
    with pytest.raises(ValueError, match=r"not written by lmlab: nothing was changed"):
        save_model(Transformer(small_config()), tmp_path / "mine")
    assert (tmp_path / "mine" / stranger).read_text(encoding="utf-8") == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_that_someone_put_into_our_folder_is_not_lost(saved: Path):
    (saved / "notes.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'notes\.txt'.*nothing was changed"):
        save_model(Transformer(small_config()), saved)
    assert (saved / "notes.txt").read_text(encoding="utf-8") == "precious"
    load_model(saved)


def test_an_empty_folder_is_filled_and_a_file_is_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    load_model(save_model(Transformer(small_config()), tmp_path / "empty"))
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="is a file"):
        save_model(Transformer(small_config()), tmp_path / "file")


def test_a_full_disk_leaves_the_old_model(saved: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    before = load_model(saved).embedding.weight
    monkeypatch.setattr("lmlab.models.load.write_tensors", full)
    with pytest.raises(OSError, match="No space"):
        save_model(Transformer(small_config(), seed=9), saved)
    assert torch.equal(load_model(saved).embedding.weight, before)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_every_interruption_of_a_replacement_leaves_a_whole_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Power fails before each step that changes the disk, in turn: what is loaded is the old model or the new."""
    old, new = (Transformer(small_config(), seed=seed) for seed in (1, 2))

    class PowerCut(BaseException):
        pass

    seen = set()
    for cut_at in range(12):
        folder = tmp_path / f"cut{cut_at}" / "model"
        save_model(old, folder)
        with monkeypatch.context() as patch:
            left = iter([False] * cut_at + [True] * 99)

            def dying(real: Callable, left=left) -> Callable:
                def call(*args: object, **kwargs: object) -> object:
                    if next(left):
                        raise PowerCut
                    return real(*args, **kwargs)

                return call

            for module, name in ((os, "replace"), (shutil, "rmtree"), (os, "fsync"), (os, "mkdir")):
                patch.setattr(module, name, dying(getattr(module, name)))
            try:
                save_model(new, folder)
                finished = True
            except PowerCut:
                finished = False
        found = load_model(folder).embedding.weight
        is_new = torch.equal(found, new.embedding.weight)
        assert is_new or torch.equal(found, old.embedding.weight)
        assert is_new or not finished
        seen.add((finished, is_new))
        save_model(new, folder)  # and whatever was left lying does not stand in the way
        assert torch.equal(load_model(folder).embedding.weight, new.embedding.weight)
        assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert {(True, True), (False, False)} <= seen


@pytest.mark.slow
def test_killed_at_random_moments_of_saving_the_folder_loads(tmp_path: Path):
    script = textwrap.dedent(
        """
        import sys
        from lmlab.models.load import load_model, save_model
        from lmlab.models.transformer import Transformer, TransformerConfig
        models = [Transformer(TransformerConfig.tiny(512), seed=seed) for seed in (1, 2)]
        print("ready", flush=True)
        while True:
            for model in models:
                save_model(model, sys.argv[1])
        """
    )
    save_model(Transformer(small_config()), tmp_path / "model")
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        command = [sys.executable, "-c", script, str(tmp_path / "model")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(torch.rand((), generator=generator)) * 0.3)
            process.kill()
        load_model(tmp_path / "model")


def test_counts_and_changed_models_say_why_they_are_not_saved(tmp_path: Path):
    with pytest.raises(ValueError, match="NGram is not saved"):
        save_model(NGram.fit(random_ids(50), n=2, vocab_size=23), tmp_path / "m")
    model = Transformer(small_config())
    model.blocks[1].mlp = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"blocks\.1\.mlp.*ablated or quantized"):
        save_model(model, tmp_path / "m")
    with pytest.raises(ValueError, match="No family of models combines layer norm, rope positions"):
        save_model(Transformer(small_config(norm="layer")), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_tensors_are_written_with_the_rights_of_any_file(tmp_path: Path):
    (tmp_path / "plain").write_text("x", encoding="utf-8")
    write_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(3)})
    assert (tmp_path / "t.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
