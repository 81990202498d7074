"""What `lmlab doctor` says about speed; each reason for being slow is named where it is there, and only there."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

import lmlab
from lmlab import machine_report
from lmlab.training import throughput
from lmlab.training.throughput import Peak, Throughput


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine of four idle cores on which all is well."""
    monkeypatch.setattr(throughput, "peak_of", lambda device, dtype=torch.float32: Peak(6e10, "measured: products"))
    monkeypatch.setattr(throughput, "trial_speed", lambda device: Throughput(6540.0, 8.0, 0.41))
    monkeypatch.setattr(machine_report, "n_cores", lambda: 4)
    monkeypatch.setattr(machine_report, "default_threads", lambda: 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(machine_report, "_CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.1, 0.1, 0.1))
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return monkeypatch


def slow() -> str:
    return "\n".join(lmlab.doctor().slow)


def test_speed_is_measured_and_said_with_its_unit(quiet: pytest.MonkeyPatch) -> None:
    facts = {fact.name: fact.value for fact in lmlab.doctor().facts}
    assert facts["products"] == "60 GFLOP/s (measured: products); 60.0 in bfloat16"
    assert facts["training"].startswith("6,540 tokens a second")
    assert facts["training"].endswith("41 % of the above (MFU)")
    for reason in ("bfloat16", "container", "OMP_NUM_THREADS", "busy (", "battery", "one core", "set its threads"):
        assert reason not in slow()


def test_a_processor_without_bf16_is_named(quiet: pytest.MonkeyPatch) -> None:
    flops = {torch.float32: 6e10, torch.bfloat16: 1e9}
    quiet.setattr(throughput, "peak_of", lambda device, dtype=torch.float32: Peak(flops[dtype], "measured"))
    assert "60 times slower than float32: leave precision at fp32" in slow()


@pytest.mark.parametrize(
    ("text", "named"),
    [("150000 100000", "1.5 of its 4 cores: set OMP_NUM_THREADS=1"), ("max 100000", None), ("800000 100000", None)],
)
def test_the_quota_of_a_container_is_named(quiet: pytest.MonkeyPatch, text: str, named: str | None) -> None:
    machine_report._CPU_MAX.write_text(text + "\n", encoding="utf-8")
    assert named in slow() if named else "container" not in slow()


def test_threads_that_were_set_other_programs_and_a_battery_are_named(quiet: pytest.MonkeyPatch) -> None:
    quiet.setattr(torch, "get_num_threads", lambda: 1)
    assert "torch uses 1 of 4 cores" in slow()
    quiet.setattr(machine_report, "default_threads", lambda: 1)
    quiet.setenv("OMP_NUM_THREADS", "1")
    assert "OMP_NUM_THREADS is 1, so torch uses no more of 4 cores" in slow()
    quiet.setattr(machine_report, "n_cores", lambda: 1)
    assert "one core" in slow()
    quiet.setattr(psutil, "getloadavg", lambda: (10_000.0, 0.0, 0.0))
    assert "other programs keep the processor busy" in slow()
    battery = type("Battery", (), {"power_plugged": False})
    quiet.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert "on battery" in slow()


def test_a_machine_that_cannot_train_is_not_ready(quiet: pytest.MonkeyPatch) -> None:
    def fails(device: torch.device) -> Throughput:
        raise RuntimeError("no kernel image is available\nfor execution on the device")

    quiet.setattr(throughput, "trial_speed", fails)
    report = lmlab.doctor()
    assert not report.ready
    assert "training fails: no kernel image is available" in repr(report)
    assert "\n" not in repr(report)


def test_torch_compile_needs_a_compiler(quiet: pytest.MonkeyPatch) -> None:
    quiet.delenv("CXX", raising=False)
    quiet.setattr("shutil.which", lambda name: None)
    assert machine_report._compiler(torch.device("cpu")).value == "cannot be used: a C++ compiler is missing"
    quiet.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert machine_report._compiler(torch.device("cpu")).value == "a C++ compiler is here"


def test_a_trial_is_a_training_of_the_labs_own_size() -> None:
    speed = throughput.trial_speed(torch.device("cpu"), steps=3)
    assert speed.tokens_per_second > 10
    assert speed.utilization is not None
    assert 0 < speed.utilization < 3
