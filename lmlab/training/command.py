"""`lmlab train recipe.toml --out DIR`: from a recipe to a model folder, with a line that says how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TextIO

import torch

from lmlab.data.batches import Text, windows
from lmlab.data.corpus import Corpus, corpus
from lmlab.data.packing import whole_documents
from lmlab.data.text_stream import stream_documents, text_bytes
from lmlab.data.token_file import TokenFile, tokenized
from lmlab.data.town.floors import floors
from lmlab.data.town.town import Town
from lmlab.devices import pick_device
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
from lmlab.training.team import ALONE, Team, team_here
from lmlab.training.throughput import Speedometer, flops_per_token, peak_of, throughput
from lmlab.user_folder import write_atomically

INTERRUPTED = 130  # what a shell expects of a command that Ctrl-C ended
LARGE_TEXT_BYTES = 50_000_000  # above it, a text is not read into memory
LARGE_TEXT_DOCUMENTS = 100_000  # of such a text, as many paragraphs teach the tokenizer where the recipe says nothing


def train_command(recipe: Path, out: Path, resume: bool = False, overrides: list[str] | None = None) -> int:
    """Make what the recipe says and leave it in `out`; returns the exit code.

    `out` is a run folder (recipe.toml, metrics.jsonl, checkpoints, snapshots) with the finished model in `out/model`.
    Ctrl-C leaves a checkpoint from which `resume` goes on. Under torchrun all processes train one model together, and
    the first alone speaks and writes. Raises ValueError or RuntimeError, in one sentence, for what cannot be trained.
    """
    plan = read_recipe(recipe, overrides or [])
    if plan.training.threads is not None:
        torch.set_num_threads(plan.training.threads)
    with team_here(plan.training.parallel) as team:
        say = Progress(sys.stderr if team.rank == 0 else None, plan.training.steps)
        return _train(plan, RunFolder(out), resume or team.restarted, team, say, f"lmlab train {recipe} --out {out}")


def _train(plan: Recipe, folder: RunFolder, resume: bool, team: Team, say: Progress, command: str) -> int:
    team.first(lambda: _check_out(folder, plan, resume))
    try:
        run, tokenizer = prepare(plan, folder, resume, say, team)
        say.speedometer = run.log.measure = speedometer_of(run, plan)
        if plan.corpus.name == "town" and team.rank == 0:
            say.floor = floors(tokenizer, Town(plan.corpus.dialect), n=5)["all"].nats_per_token
    except KeyboardInterrupt:
        say.line("Interrupted before the first step; nothing was written.")
        return INTERRUPTED
    run.start()
    if team.rank == 0:
        _keep_recipe(run, folder, plan, resume)
    interrupted = _watch(run, say)
    for warning in [*run.warnings, *([run.log.warning] if run.log.warning else [])]:
        say.line(warning)
    if interrupted:
        say.line(f"Interrupted at step {run.state.step:,}. Go on with: {command} --resume")
        return INTERRUPTED
    run.wait()
    if team.rank > 0:
        return 0
    model = _publish(run, tokenizer, folder)
    if plan.corpus.name == "town":
        say.line("Measuring it on the town ...")
        say.line(evaluate(model, Town(plan.corpus.dialect), documents=20).text(plan.corpus.dialect))
    say.line(f"Done: {folder.path / 'model'} holds the model. Open it with lab.load({str(folder.path / 'model')!r}).")
    return 0


def prepare(
    plan: Recipe, folder: RunFolder, resume: bool, say: Progress | None = None, team: Team = ALONE
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
    if team.size == 1:  # a team knows which device is whose
        model.to(pick_device())
    training = plan.training
    make_rows = windows if training.rows == "windows" else whole_documents
    run = TrainingRun(
        model,
        make_rows(_as_ids(text, tokenizer, team, say), tokenizer, T=training.T, B=training.B, seed=training.seed),
        next_token,
        steps=training.steps,
        seed=training.seed,
        settings=training.optimizer,
        folder=folder.path,
        save_every=training.save_every,
        snapshots=training.snapshots,
        tokenizer=tokenizer,
        resume=resume,
        accumulate=training.accumulate,
        precision=training.precision,
        compile=training.compile,
        team=team,
    )
    return run, tokenizer


def corpus_of(plan: Recipe) -> Corpus | Path:
    """The text that [corpus] names; where it is a large file or folder, its path: it is not read into memory."""
    recipe = plan.corpus
    if recipe.name != "town":
        path = Path(recipe.name)
        return path if text_bytes(path) > LARGE_TEXT_BYTES else corpus(path)
    return corpus("town", documents=recipe.documents or 20_000, seed=recipe.seed, dialect=recipe.dialect)


def tokenizer_of(plan: Recipe, text: Corpus | Path) -> Tokenizer:
    """The tokenizer that [tokenizer] describes, trained on the first documents (all of them, where they fit memory)."""
    n = plan.tokenizer.documents
    documents: Iterable[str]
    if isinstance(text, Path):
        documents = islice(stream_documents(text), n or LARGE_TEXT_DOCUMENTS)
    else:
        documents = text.documents[:n]
    tokenizer, _ = train_bpe(documents, plan.tokenizer.vocab_size, specials=RESERVED_SPECIALS)
    return tokenizer


def _as_ids(text: Corpus | Path, tokenizer: Tokenizer, team: Team, say: Progress) -> Text:
    """A corpus in memory as it is; a large one as a file of ids, written once, by the first process of a team."""
    if isinstance(text, Corpus):
        return text
    say.line("Turning the corpus into a file of ids, which is kept for the next run ...")
    return TokenFile(team.first(lambda: tokenized(text, tokenizer).path))


def speedometer_of(run: TrainingRun, plan: Recipe) -> Speedometer:
    """Operations a token of the run's model, and the peak of all the devices that train it."""
    state = run.state
    dtype = torch.bfloat16 if state.precision == "bf16" else torch.float32
    peak = peak_of(state.device, dtype).flops * state.team.size
    return Speedometer(flops_per_token(state.model, plan.training.T), peak)


class Progress:
    """One line that is written over on a terminal; into a file or a pipe, a line now and then."""

    def __init__(self, stream: TextIO | None, steps: int) -> None:
        self.stream, self.steps = stream, steps
        self._live = stream is not None and stream.isatty()
        self._last = 0.0
        self.floor: float | None = None  # nats a token, where it is known
        self.speedometer: Speedometer | None = None

    def line(self, text: str) -> None:
        self._write(("\r\x1b[K" if self._live else "") + text + "\n")

    def step(self, points: list[MetricPoint], *, last: bool = False) -> None:
        """Show the latest point, not too often but always the ``last``; the loss is the mean of the last fifty."""
        now = time.monotonic()
        if not points or (not last and now - self._last < (0.5 if self._live else 20.0)):
            return
        self._last = now
        text = progress_line(points, self.steps, self.floor, self.speedometer)
        self._write(f"\r\x1b[K{text}" if self._live else text + "\n")

    def _write(self, text: str) -> None:
        if self.stream is None:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):  # whoever was reading has gone; that is no reason to stop training
            self.stream = None


def progress_line(
    points: list[MetricPoint], steps: int, floor: float | None = None, speedometer: Speedometer | None = None
) -> str:
    """What a person wants to know: "step 120 of 3,000 · loss 2.315 (floor 0.725) · 6,540 tokens/s · 38 min left"."""
    last, recent = points[-1], points[-50:]
    text = f"step {last.step:,} of {steps:,} · loss {sum(p.loss for p in recent) / len(recent):.3f}"
    text += "" if floor is None else f" (floor {floor:.3f})"
    speed = throughput(points, speedometer)
    if speed is not None:
        text += f" · {speed.tokens_per_second:,.0f} tokens/s"
        text += "" if speed.utilization is None else f" · MFU {100 * speed.utilization:.0f} %"
        text += f" · {_duration((steps - last.step) / speed.steps_per_second)} left"
    return text


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _watch(run: TrainingRun, say: Progress) -> bool:
    """Show progress until the run ends; True if somebody stopped it."""
    try:
        while run.status == "running":
            say.step(run.log.since(max(0, len(run.log) - 51)))
            time.sleep(0.1)
        say.step(run.log.since(max(0, len(run.log) - 51)), last=True)
    except KeyboardInterrupt:
        say.line("Stopping after this step, with a checkpoint ...")
        run.stop()
    return run.status == "stopped"  # by whoever; in a team another process may have been asked to


def _keep_recipe(run: TrainingRun, folder: RunFolder, plan: Recipe, resume: bool) -> None:
    """Write down how the model is made; a run that cannot even do that is stopped, and the error raised."""
    try:
        if not folder.recipe.exists() or not resume:
            write_atomically(folder.recipe, recipe_text(plan))
    except OSError:
        run.stop()
        raise


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
