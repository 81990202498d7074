"""Recipes: what a file may say, what it may not, and that what is written down reads back."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmlab.training.recipes import RecipeError, read_recipe, recipe_text

WHOLE = """
[corpus]
name = "town"
documents = 3_000
seed = 4

[tokenizer]
vocab_size = 700
documents = 1_000

[model]
seed = 2
d_model = 16
n_layers = 1
n_heads = 2
rope_scaling = {rope_type = "linear", factor = 2.0}

[training]
steps = 30
B = 4
T = 64
lr = 3e-3
betas = [0.9, 0.99]
snapshots = [10, 20]
accumulate = 2
precision = "bf16"
compile = true
parallel = "fsdp"
"""


def recipe(tmp_path: Path, text: str) -> Path:
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return tmp_path / "recipe.toml"


def test_a_recipe_says_text_tokenizer_shape_and_training(tmp_path: Path) -> None:
    plan = read_recipe(recipe(tmp_path, WHOLE))
    assert (plan.corpus.name, plan.corpus.documents, plan.corpus.seed) == ("town", 3_000, 4)
    assert (plan.tokenizer.vocab_size, plan.tokenizer.documents) == (700, 1_000)
    assert plan.config(650).d_model == 16
    assert plan.config(650).vocab_size == 650
    assert plan.model_seed == 2
    assert (plan.training.steps, plan.training.B, plan.training.T, plan.training.snapshots) == (30, 4, 64, (10, 20))
    assert (plan.training.accumulate, plan.training.precision) == (2, "bf16")
    assert (plan.training.compile, plan.training.parallel) == (True, "fsdp")
    assert plan.training.optimizer.lr == 3e-3
    assert plan.training.optimizer.betas == (0.9, 0.99)


def test_what_is_written_down_reads_back_overrides_included(tmp_path: Path) -> None:
    plan = read_recipe(
        recipe(tmp_path, WHOLE), ["training.steps=7", "model.n_layers=3", "corpus.dialect=bargain-hunting"]
    )
    assert (plan.training.steps, plan.model["n_layers"], plan.corpus.dialect) == (7, 3, "bargain-hunting")
    (tmp_path / "again.toml").write_text(recipe_text(plan), encoding="utf-8")
    assert read_recipe(tmp_path / "again.toml") == plan


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("[model]", "[modle]"), r"\[modle\] is not known"),
        (("n_layers", "layers"), r"model\.layers is not known .*n_layers"),
        (("lr =", "learning_rate ="), r"training\.learning_rate is not known"),
        (("documents = 3_000", "docs = 3"), r"corpus\.docs is not known"),
        (("steps = 30", ""), r"training\.steps is missing"),
        (("steps = 30", "steps = 0"), "steps is 0"),
        (("B = 4", "B = 0"), r"training\.B is 0"),
        (("B = 4", "B = true"), r"training\.B is True"),
        (("lr = 3e-3", "lr = -1.0"), "lr is -1.0"),
        (("lr = 3e-3", "lr = 'fast'"), "lr is 'fast'"),
        (("lr = 3e-3", "lr = 0"), "lr is 0"),
        (("steps = 30", "steps = 30\nseed = -1"), "seed is -1"),
        (("B = 4", "B = -4"), r"training\.B is -4"),
        (("accumulate = 2", "accumulate = 0"), r"training\.accumulate is 0"),
        (("accumulate = 2", "accumulate = 5"), r"training\.accumulate is 5, but a batch has B = 4 rows"),
        (('"bf16"', '"fp8"'), r'training\.precision is \'fp8\'; choose "fp32" or "bf16" or "auto"'),
        (("compile = true", "compile = 1"), r"training\.compile is 1; it must be true or false"),
        (('"fsdp"', '"tensor"'), r'training\.parallel is \'tensor\'; choose "ddp" or "fsdp"'),
        (("seed = 4", "seed = -1"), r"corpus\.seed is -1"),
        (("T = 64", "T = 512"), r"training\.T is 512, but model\.max_seq_len is 256"),
        (("n_heads = 2", "n_heads = 3"), "16 cannot be shared among 3 heads"),
        (("snapshots = [10, 20]", "snapshots = 10"), r"training\.snapshots is 10"),
        (("snapshots = [10, 20]", "snapshots = [0]"), r"training\.snapshots is 0"),
        (('name = "town"', "name = 7"), r"corpus\.name is 7"),
        (('name = "town"', ""), r"corpus\.name is missing"),
        (("steps = 30", "steps = 30\nrows = 'diagonal'"), r"training\.rows is 'diagonal'"),
        (("seed = 2", "start = 'late'"), r"model\.start is 'late'"),
        (("[corpus]", "[corpus"), "is not TOML"),
    ],
)
def test_what_cannot_be_cooked_is_refused_by_name_in_one_sentence(
    tmp_path: Path, change: tuple[str, str], named: str
) -> None:
    assert change[0] in WHOLE
    with pytest.raises(RecipeError, match=named) as error:
        read_recipe(recipe(tmp_path, WHOLE.replace(*change, 1)))
    assert "recipe.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("override", ["steps=3", "training.steps", "=", ".=3", "training.=3", ""])
def test_an_override_that_is_none_shows_what_one_looks_like(tmp_path: Path, override: str) -> None:
    with pytest.raises(RecipeError, match=r"for example training\.steps=200"):
        read_recipe(recipe(tmp_path, WHOLE), [override])


def test_an_override_of_something_unknown_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"training\.stepps is not known"):
        read_recipe(recipe(tmp_path, WHOLE), ["training.stepps=3"])


def test_no_file_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is not a file"):
        read_recipe(tmp_path / "recipe.toml")
