"""`lab.doctor()`: what this machine has, whether the shipped model answers on it, what will be slow and why."""

from __future__ import annotations

import contextlib
import html
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmlab import user_folder
from lmlab.devices import default_threads, n_cores, pick_device, pick_dtype

_VERSIONS = ("torch", "numpy", "jupyterlab", "ipykernel", "ipywidgets", "anywidget", "plotly")
_FIRST_ANSWER_SECONDS = 1.5
_KERNEL_BYTES = 300e6  # a kernel with torch and the town model
_BUSY = 1.5  # tasks that want a core, for each core
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Fact:
    """One line of the report. `problem` is the sentence that says why the labs cannot run, if that is so."""

    name: str
    value: str
    problem: str | None = None


@dataclass(frozen=True, repr=False)
class MachineReport:
    """The facts, and what will be slow. Its repr is one line that is the same on every machine that is ready."""

    facts: tuple[Fact, ...]
    slow: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the labs cannot run here: one sentence each, empty where they can."""
        return tuple(fact.problem for fact in self.facts if fact.problem)

    @property
    def ready(self) -> bool:
        """Whether the labs run here."""
        return not self.problems

    def table(self) -> FactTable:
        """All facts, for people: they differ from machine to machine and from run to run."""
        return FactTable((*((fact.name, fact.value) for fact in self.facts), *_slow_rows(self.slow)))

    def __repr__(self) -> str:
        return "ready: True" if self.ready else f"ready: False ({'; '.join(self.problems)})"


@dataclass(frozen=True, repr=False)
class FactTable:
    """Two columns, as text in a terminal and as a table in a notebook."""

    rows: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.rows)

    def _repr_html_(self) -> str:
        cells = (
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self.rows
        )
        return f"<table>{''.join(cells)}</table>"


def doctor() -> MachineReport:
    """Examine this machine; takes a few seconds, opens no connection, and changes nothing.

    In a terminal: `lmlab doctor`. In a notebook `lab.doctor()` says "ready: True", `lab.doctor().table()` all of it.
    """
    started = time.perf_counter()
    import torch

    torch_seconds = time.perf_counter() - started
    device = pick_device()
    answer, first_seconds = _shipped_model()
    speed, slow_training = _training(device)
    facts = (
        Fact("lmlab", importlib.import_module("lmlab").__version__),
        Fact("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        _python(),
        *(_version(name) for name in _VERSIONS),
        Fact("device", _device_name(device)),
        Fact("dtype", f"{_bare(pick_dtype(device))} ({_bare(pick_dtype(device, 'auto'))} where a lab says auto)"),
        Fact("cores", f"{n_cores()} for this process"),
        Fact("threads", f"{torch.get_num_threads()} now, {default_threads()} by lmlab's rule (cores - 1)"),
        Fact("memory", _memory()),
        Fact("import torch", f"{torch_seconds:.2f} s" if torch_seconds > 0.05 else "already done"),
        answer,
        *speed,
        _your_folder(),
    )
    return MachineReport(facts, (*_what_is_slow(device.type, first_seconds), *slow_training))


def _shipped_model() -> tuple[Fact, float]:
    """Whether `town` loads and answers with a distribution, and the seconds until it did."""
    started = time.perf_counter()
    try:
        from lmlab.text_model import load

        log_probs = load("town").next_log_probs("the stock market crashed and investors")
        total = float(log_probs.exp().sum())
    except Exception as error:  # whatever it is: this report is what people send when something is wrong
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Fact("model town", f"does not load: {reason}", f"the shipped model does not load: {reason}"), 0.0
    seconds = time.perf_counter() - started
    if not abs(total - 1) < 1e-3:
        wrong = f"the shipped model's probabilities sum to {total:.4f} and not to 1"
        return Fact("model town", wrong, wrong), seconds
    return Fact("model town", f"loads; first distribution after {seconds:.2f} s"), seconds


def _training(device: Any) -> tuple[list[Fact], list[str]]:
    """How fast this machine multiplies and trains, and what of that is slow and why."""
    import torch

    from lmlab.training.throughput import peak_of, trial_speed

    fp32, bf16 = peak_of(device), peak_of(device, torch.bfloat16)
    slow = []
    products = f"{fp32.flops / 1e9:,.0f} GFLOP/s ({fp32.source})"
    if device.type == "cpu":
        products += f"; {bf16.flops / 1e9:,.1f} in bfloat16"
        if bf16.flops < fp32.flops / 2:
            slow.append(
                f"bfloat16: this processor has no unit for it, and computes it {fp32.flops / bf16.flops:.0f} times "
                "slower than float32: leave precision at fp32"
            )
    try:
        speed = trial_speed(device)
    except Exception as error:  # a device that cannot train is something to read here, not to fall over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return [Fact("products", products), Fact("training", f"fails: {reason}", f"training fails: {reason}")], slow
    tokens = f"{speed.tokens_per_second:,.0f} tokens a second (a model of 1 million weights, T 64, B 12)"
    share = f"{100 * (speed.utilization or 0):.0f} % of the above (MFU)"
    return [Fact("products", products), Fact("training", f"{tokens}, {share}"), _compiler(device)], slow


def _compiler(device: Any) -> Fact:
    """What torch.compile needs: Triton for a GPU, a C++ compiler for a processor."""
    if device.type == "cuda":
        there, what = importlib.util.find_spec("triton") is not None, "Triton"
    else:
        named = os.environ.get("CXX")
        there = any(shutil.which(name) for name in ((named,) if named else ("c++", "g++", "clang++", "cl")))
        what = "a C++ compiler"
    return Fact("torch.compile", f"{what} is here" if there else f"cannot be used: {what} is missing")


def _python() -> Fact:
    version = platform.python_version()
    problem = None if sys.version_info >= (3, 11) else f"Python {version} is too old: 3.11 or newer is needed"
    return Fact("python", f"{version} ({sys.executable})", problem)


def _version(name: str) -> Fact:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Fact(name, "missing", f"{name} is not installed: pip install {name}")
    floor = _floors().get(name)
    if floor is not None and not floor(version):
        return Fact(name, f"{version}, too old", f"{name} {version} is too old: pip install --upgrade lmlab")
    return Fact(name, version)


def _floors() -> dict[str, Callable[[str], bool]]:
    """What pyproject.toml asks of each package, as a test of its version; empty where lmlab is not installed."""
    try:
        from packaging.requirements import Requirement

        asked = [Requirement(line) for line in importlib.metadata.requires("lmlab") or []]
    except (ImportError, importlib.metadata.PackageNotFoundError):
        return {}
    return {r.name: _test_of(r) for r in asked if r.marker is None}


def _test_of(requirement: Any) -> Callable[[str], bool]:
    return lambda version: bool(requirement.specifier.contains(version, prereleases=True))


def _device_name(device: Any) -> str:
    import torch

    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return f"{device}: {card.name}, {card.total_memory / 1e9:.0f} GB"
    return f"{device}: {_processor()}"


def _processor() -> str:
    """The processor's name; Linux alone does not tell it through Python."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _bare(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _memory() -> str:
    import psutil

    memory = psutil.virtual_memory()
    mine = psutil.Process().memory_info().rss
    return f"{memory.available / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB; this process {mine / 1e6:.0f} MB"


def _your_folder() -> Fact:
    """The folder of progress and runs. Where it cannot be written, guesses are lost and the labs still run."""
    home = user_folder.home()
    there = home
    while not there.exists():
        there = there.parent
    return Fact("your folder", f"{home}{'' if os.access(there, os.W_OK) else ' (cannot be written)'}")


def _what_is_slow(device: str, first_seconds: float) -> list[str]:
    import psutil

    slow = []
    if device == "cpu":
        slow.append("no GPU: training cells take seconds; no lab needs one")
    slow += _slow_processor()
    if psutil.virtual_memory().available < 2 * _KERNEL_BYTES:
        slow.append("little memory is free: shut down notebooks that you do not use (each takes about 0.3 GB)")
    if first_seconds > _FIRST_ANSWER_SECONDS:
        slow.append(f"the first answer took {first_seconds:.1f} s instead of 1.5: the disk or the processor is busy")
    slow.append("the first training step of a notebook takes about a second longer: the optimizer is being loaded")
    return slow


def _slow_processor() -> list[str]:
    """Why the processor gives less than it could: one core, a quota, set threads, other programs, a battery."""
    import psutil
    import torch

    slow, cores = [], n_cores()
    if cores == 1:
        slow.append("one core: a widget answers more slowly while a model trains")
    quota = _cpu_quota()
    if quota is not None and quota < cores:
        slow.append(
            f"this container may use {quota:.1f} of its {cores} cores: set OMP_NUM_THREADS={max(1, int(quota))}, since "
            "more threads than that wait for each other"
        )
    if torch.get_num_threads() < default_threads():
        slow.append(f"torch uses {torch.get_num_threads()} of {cores} cores: something set its threads")
    elif os.environ.get("OMP_NUM_THREADS", "").isdigit() and default_threads() < cores - 1:
        slow.append(f"OMP_NUM_THREADS is {os.environ['OMP_NUM_THREADS']}, so torch uses no more of {cores} cores")
    busy = psutil.getloadavg()[0] / (os.cpu_count() or 1)
    if busy > _BUSY:
        slow.append(f"other programs keep the processor busy ({busy:.1f} tasks wait for each core)")
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    if battery is not None and battery.power_plugged is False:
        slow.append("on battery: most laptops compute more slowly until they are plugged in")
    return slow


def _cpu_quota() -> float | None:
    """How many cores' worth of time a container gets, by its control group (Linux); None where nothing limits it."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = _CPU_MAX.read_text(encoding="utf-8").split()
        return int(quota) / int(period)  # "max" is no number: no limit
    return None


def _slow_rows(slow: tuple[str, ...]) -> list[tuple[str, str]]:
    return [("will be slow" if i == 0 else "", reason) for i, reason in enumerate(slow)]
