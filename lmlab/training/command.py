"""`lmlab train recipe.toml --out DIR`: from a recipe to a model folder, with a line that says how far it is."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TextIO

import torch

from lmlab.data.batches import windows
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.packing import whole_documents
from lmlab.data.town.floors import floors
from lmlab.data.town.town import Town
from lmlab.models.head_start import look_back
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.load import load_tokenizer
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.evaluate import evaluate
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import next_token
from lmlab.training.recipes import Recipe, RecipeError, read_recipe, recipe_text
from lmlab.training.run import TrainingRun
from lmlab.training.run_folder import RunFolder

INTERRUPTED = 130  # what a shell expects of a command that Ctrl-C ended


def train_command(recipe: Path, out: Path, resume: bool = False, overrides: list[str] | None = None) -> int:
    """Make what the recipe says and leave it in `out`; returns the exit code.

    `out` is a run folder (recipe.toml, metrics.jsonl, checkpoints, snapshots) with the finished model in `out/model`.
    Ctrl-C leaves a checkpoint from which `resume` goes on. Raises ValueError or RuntimeError, in one sentence, for
    what cannot be trained.
    """
    plan = read_recipe(recipe, overrides or [])
    folder = RunFolder(out)
    _check_out(folder, plan, resume)
    if plan.training.threads is not None:
        torch.set_num_threads(plan.training.threads)
    say = Progress(sys.stderr, plan.training.steps)
    try:
        run, tokenizer = prepare(plan, folder, resume, say)
    except KeyboardInterrupt:
        say.line("Interrupted before the first step; nothing was written.")
        return INTERRUPTED
    run.start()
    if not folder.recipe.exists() or not resume:
        folder.recipe.write_text(recipe_text(plan), encoding="utf-8")
    if plan.corpus.name == "town":
        say.floor = floors(tokenizer, Town(plan.corpus.dialect), n=5)["all"].nats_per_token
    interrupted = _watch(run, say)
    for warning in run.warnings:
        say.line(warning)
    if interrupted:
        say.line(f"Interrupted at step {run.state.step:,}. Go on with: lmlab train {recipe} --out {out} --resume")
        return INTERRUPTED
    run.wait()
    model = _publish(run, tokenizer, folder)
    if plan.corpus.name == "town":
        say.line("Measuring it on the town ...")
        say.line(evaluate(model, Town(plan.corpus.dialect), documents=20).text(plan.corpus.dialect))
    say.line(f"Done: {out / 'model'} holds the model. Open it with lab.load({str(out / 'model')!r}).")
    return 0


def prepare(
    plan: Recipe, folder: RunFolder, resume: bool, say: Progress | None = None
) -> tuple[TrainingRun, Tokenizer]:
    """Read the corpus, train (or, on a resume, reload) the tokenizer, draw the first weights, make the run."""
    say = say or Progress(None, plan.training.steps)
    say.line("Reading the corpus ...")
    text = corpus_of(plan)
    latest = folder.latest() if resume else None
    if latest is not None and (latest / "tokenizer.json").is_file():
        tokenizer = load_tokenizer(latest / "tokenizer.json")
    else:
        say.line("Training the tokenizer ...")
        tokenizer = tokenizer_of(plan, text)
    model = Transformer(plan.config(tokenizer.vocab_size), seed=plan.model_seed)
    if plan.model_start == "looking-back":
        look_back(model, plan.model_seed)
    training = plan.training
    make_rows = windows if training.rows == "windows" else whole_documents
    batches = make_rows(text, tokenizer, T=training.T, B=training.B, seed=training.seed)
    run = TrainingRun(
        model,
        batches,
        next_token,
        steps=training.steps,
        seed=training.seed,
        settings=training.optimizer,
        folder=folder.path,
        save_every=training.save_every,
        snapshots=training.snapshots,
        tokenizer=tokenizer,
        resume=resume,
    )
    return run, tokenizer


def corpus_of(plan: Recipe) -> Corpus:
    """The text that [corpus] names."""
    recipe = plan.corpus
    if recipe.name != "town":
        return corpus(recipe.name)
    return corpus("town", documents=recipe.documents or 20_000, seed=recipe.seed, dialect=recipe.dialect)


def tokenizer_of(plan: Recipe, text: Corpus) -> Tokenizer:
    """The tokenizer that [tokenizer] describes, trained on the first documents of the corpus."""
    documents = text.documents[: plan.tokenizer.documents]
    tokenizer, _ = train_bpe(documents, plan.tokenizer.vocab_size, specials=RESERVED_SPECIALS)
    return tokenizer


class Progress:
    """One line that is written over on a terminal; into a file or a pipe, a line now and then."""

    def __init__(self, stream: TextIO | None, steps: int) -> None:
        self.stream, self.steps = stream, steps
        self._live = stream is not None and stream.isatty()
        self._last = 0.0
        self.floor: float | None = None  # nats a token, where it is known

    def line(self, text: str) -> None:
        self._write(("\r\x1b[K" if self._live else "") + text + "\n")

    def step(self, points: list[MetricPoint], *, last: bool = False) -> None:
        """Show the latest point, not too often but always the ``last``; the loss is the mean of the last fifty."""
        now = time.monotonic()
        if not points or (not last and now - self._last < (0.5 if self._live else 20.0)):
            return
        self._last = now
        text = progress_line(points, self.steps, self.floor)
        self._write(f"\r\x1b[K{text}" if self._live else text + "\n")

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # whoever was reading has gone; that is no reason to stop training
            self.stream = None


def progress_line(points: list[MetricPoint], steps: int, floor: float | None = None) -> str:
    """What a person wants to know: "step 120 of 3,000 · loss 2.315 (floor 0.725) · 6,540 tokens/s · 38 min left"."""
    last, first = points[-1], points[max(0, len(points) - 51)]
    recent = points[-50:]
    loss = sum(p.loss for p in recent) / len(recent)
    text = f"step {last.step:,} of {steps:,} · loss {loss:.3f}"
    text += "" if floor is None else f" (floor {floor:.3f})"
    seconds = last.seconds - first.seconds
    if seconds > 0:
        left = (steps - last.step) * seconds / (last.step - first.step)
        text += f" · {(last.tokens - first.tokens) / seconds:,.0f} tokens/s · {_duration(left)} left"
    return text


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _watch(run: TrainingRun, say: Progress) -> bool:
    """Show progress until the run ends; True if Ctrl-C ended it."""
    try:
        while run.status == "running":
            say.step(run.log.since(max(0, len(run.log) - 51)))
            time.sleep(0.1)
        say.step(run.log.since(max(0, len(run.log) - 51)), last=True)
    except KeyboardInterrupt:
        say.line("Stopping after this step, with a checkpoint ...")
        run.stop()
        return run.status != "finished"
    return False


def _publish(run: TrainingRun, tokenizer: Tokenizer, folder: RunFolder) -> TextModel:
    """The finished model in bf16, half the bytes, with the recipe that made it beside it."""
    run.save(folder.path / "model", tokenizer, dtype=torch.bfloat16, beside=[folder.recipe])
    return load(folder.path / "model")  # as everyone will see it: rounded


def _check_out(folder: RunFolder, plan: Recipe, resume: bool) -> None:
    if folder.path.exists() and not folder.path.is_dir():
        raise RecipeError(f"{folder.path} is a file; --out needs a folder.")
    holds_run = folder.latest() is not None
    if not holds_run and folder.strangers():
        raise RecipeError(
            f"{folder.path} holds {folder.strangers()[0]}, which no run put there; choose a new folder for --out."
        )
    if holds_run and not resume:
        raise RecipeError(f"{folder.path} already holds a run; go on with --resume, or choose a new folder for --out.")
    if holds_run and folder.recipe.exists():
        before = read_recipe(folder.recipe)
        whole = ("corpus", "tokenizer", "model", "model_seed", "model_start")
        changed = [name for name in whole if getattr(before, name) != getattr(plan, name)]
        was, now = before.training, plan.training
        changed += [f"training.{name}" for name in ("B", "T", "rows") if getattr(was, name) != getattr(now, name)]
        if changed:
            raise RecipeError(
                f"{folder.path} was begun with another {', '.join(changed)}; resume with its own recipe, "
                f"{folder.recipe}, or choose a new folder for --out."
            )
