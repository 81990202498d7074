"""A model's recipe: one TOML file that says which text, which tokenizer, which shape and which training make it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from lmlab.models.config import TransformerConfig
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import check_steps_and_seed

CHOICES = {
    "rows": ("windows", "documents"),
    "precision": ("fp32", "bf16", "auto"),
    "parallel": ("ddp", "fsdp"),
}


class RecipeError(ValueError):
    """A recipe that cannot be cooked, and why."""


@dataclass(frozen=True, kw_only=True)
class CorpusRecipe:
    """[corpus]: the text. name: "town", a file or a folder. documents and seed: how much of the town, and which."""

    name: str
    documents: int | None = None
    seed: int = 0
    dialect: str = "worried"


@dataclass(frozen=True, kw_only=True)
class TokenizerRecipe:
    """[tokenizer]: byte-level BPE of `vocab_size` tokens, learned on the first `documents` of the corpus."""

    vocab_size: int = 2048
    documents: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """[training]: the run and its optimizer.

    B rows of T tokens a step; `rows` are "windows" cut from one long text, or whole "documents". save_every: steps
    from checkpoint to checkpoint. snapshots: steps at which a model folder is kept for good. threads: of the
    processor; None means what torch chooses. accumulate: parts into which a batch is cut, so that a large one fits
    into a small memory. precision: of the large products, "fp32", "bf16" or "auto". compile: whether torch.compile
    translates the step, which pays on a GPU alone. parallel: how several processes share the work, "ddp" or "fsdp".
    The rest: OptimizerSettings.
    """

    steps: int
    B: int = 16
    T: int = 256
    rows: str = "windows"
    seed: int = 0
    save_every: int = 100
    snapshots: tuple[int, ...] = ()
    threads: int | None = None
    accumulate: int = 1
    precision: str = "fp32"
    compile: bool = False
    parallel: str | None = None
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The four tables of the file. [model] is a TransformerConfig, `seed`, which draws its first weights, and `start`.

    start: "random", or "looking-back" for a head start in copying (`lmlab.models.head_start`).
    """

    corpus: CorpusRecipe
    tokenizer: TokenizerRecipe
    model: dict[str, Any]
    model_seed: int
    model_start: str
    training: TrainingRecipe

    def config(self, vocab_size: int) -> TransformerConfig:
        """The model's shape, with the vocabulary that the tokenizer turned out to have."""
        return TransformerConfig(vocab_size=vocab_size, **self.model)


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file; each override is "table.key=value" and counts as if the file said so.

    Raises RecipeError naming the file and what it says wrong: an unknown key, a missing one, a value out of range.
    """
    if not path.is_file():
        raise RecipeError(
            f"{path} is not a file; give the path of a recipe, for example the one beside the shipped model."
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}.") from None
    for override in overrides:
        _apply(override, data)
    try:
        return _recipe(data)
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{path}: {error}") from None


def recipe_text(recipe: Recipe) -> str:
    """The recipe as a TOML file that reads back as the same recipe, overrides included."""
    optimizer = asdict(recipe.training.optimizer)
    tables: dict[str, dict[str, Any]] = {
        "corpus": asdict(recipe.corpus),
        "tokenizer": asdict(recipe.tokenizer),
        "model": {"seed": recipe.model_seed, "start": recipe.model_start, **recipe.model},
        "training": {k: v for k, v in asdict(recipe.training).items() if k != "optimizer"} | optimizer,
    }
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items() if value is not None), ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)  # text, numbers and truth values are written alike in both


def _recipe(data: dict[str, Any]) -> Recipe:
    _refuse_unknown("", data, ("corpus", "tokenizer", "model", "training"))
    missing = [f"[{name}]" for name in ("corpus", "training") if name not in data]
    if missing:
        raise ValueError(f"the table {' and '.join(missing)} is missing.")
    model = dict(_table(data, "model"))
    shape = [f.name for f in fields(TransformerConfig) if f.name != "vocab_size"]
    _refuse_unknown("model", model, (*shape, "seed", "start"))
    model_seed = _whole("model.seed", model.pop("seed", 0), at_least=0)
    model_start = model.pop("start", "random")
    if model_start not in ("random", "looking-back"):
        raise ValueError(f'model.start is {model_start!r}; choose "random" or "looking-back".')
    recipe = Recipe(
        corpus=_corpus(_table(data, "corpus")),
        tokenizer=_tokenizer(_table(data, "tokenizer")),
        model=model,
        model_seed=model_seed,
        model_start=model_start,
        training=_training(_table(data, "training")),
    )
    config = recipe.config(recipe.tokenizer.vocab_size)  # so that a bad shape is refused before any text is read
    if config.max_seq_len < recipe.training.T:
        raise ValueError(f"training.T is {recipe.training.T}, but model.max_seq_len is {config.max_seq_len}.")
    return recipe


def _corpus(table: dict[str, Any]) -> CorpusRecipe:
    _refuse_unknown("corpus", table, [f.name for f in fields(CorpusRecipe)])
    for key in ("name", "dialect"):
        if not isinstance(table.get(key, ""), str):
            raise ValueError(f"corpus.{key} is {table[key]!r}; it must be text.")
    if "name" not in table:
        raise ValueError('corpus.name is missing; give "town" or the path of a file or folder.')
    _whole("corpus.documents", table.get("documents", 1), at_least=1)
    _whole("corpus.seed", table.get("seed", 0), at_least=0)
    return CorpusRecipe(**table)


def _tokenizer(table: dict[str, Any]) -> TokenizerRecipe:
    _refuse_unknown("tokenizer", table, [f.name for f in fields(TokenizerRecipe)])
    _whole("tokenizer.vocab_size", table.get("vocab_size", 2048), at_least=1)
    _whole("tokenizer.documents", table.get("documents", 1), at_least=1)
    return TokenizerRecipe(**table)


def _training(table: dict[str, Any]) -> TrainingRecipe:
    own = [f.name for f in fields(TrainingRecipe) if f.name != "optimizer"]
    optimizer = [f.name for f in fields(OptimizerSettings)]
    _refuse_unknown("training", table, (*own, *optimizer))
    if "steps" not in table:
        raise ValueError("training.steps is missing.")
    check_steps_and_seed(table["steps"], table.get("seed", 0))
    for key in ("B", "T", "save_every", "threads", "accumulate"):
        if key in table:
            _whole(f"training.{key}", table[key], at_least=1)
    for key, choices in CHOICES.items():
        if key in table and table[key] not in choices:
            raise ValueError(f"training.{key} is {table[key]!r}; choose {' or '.join(map(json.dumps, choices))}.")
    if not isinstance(table.get("compile", False), bool):
        raise ValueError(f"training.compile is {table['compile']!r}; it must be true or false.")
    B, parts = table.get("B", TrainingRecipe.B), table.get("accumulate", 1)
    if parts > B:
        raise ValueError(f"training.accumulate is {parts}, but a batch has B = {B} rows to share out.")
    snapshots = table.get("snapshots", [])
    if not isinstance(snapshots, list):
        raise ValueError(f"training.snapshots is {snapshots!r}; it must be a list of steps, for example [100, 400].")
    for step in snapshots:
        _whole("training.snapshots", step, at_least=1)
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items() if k in optimizer}
    return TrainingRecipe(
        **{k: v for k, v in table.items() if k in own and k != "snapshots"},
        snapshots=tuple(snapshots),
        optimizer=OptimizerSettings(**settings),
    )


def _apply(override: str, data: dict[str, Any]) -> None:
    """Put one "table.key=value" into the tables; a value that is not TOML is taken as text."""
    name, equals, value = override.partition("=")
    table, dot, key = name.strip().partition(".")
    if not (equals and dot and table and key):
        raise RecipeError(f"--set {override} is not of the form table.key=value, for example training.steps=200.")
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    target = data.setdefault(table, {})
    if not isinstance(target, dict):
        raise RecipeError(f"--set {override}: {table} is not a table of the recipe.")
    target[key] = parsed


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    table = data.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table, [{name}], not {table!r}.")
    return cast(dict[str, Any], table)


def _refuse_unknown(table: str, given: dict[str, Any], known: Sequence[str]) -> None:
    unknown = [f"{table}.{key}" if table else f"[{key}]" for key in given if key not in known]
    if unknown:
        raise ValueError(
            f"{', '.join(unknown)} is not known here; {f'[{table}]' if table else 'a recipe'} may have "
            f"{', '.join(known)}."
        )


def _whole(name: str, value: object, *, at_least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {at_least}.")
    return value
