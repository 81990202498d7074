"""ParallelPlan: the lanes that reach the page idle as the literature says; what real processes do is not believed."""

from __future__ import annotations

import os
import random
import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

import lmlab as lab
from lmlab.systems.timeline import FREE, Timeline
from lmlab.systems.workers import kept_workers
from lmlab.widgets import ParallelPlan
from lmlab.widgets._lanes import COLUMNS, KINDS, blocks_of, holdings
from lmlab.widgets._on_processes import tiny
from lmlab.widgets._parallel_words import BETWEEN, STATED, Setting
from lmlab.widgets.parallel_plan import alone

NARROW = "\u202f"


@pytest.fixture
def w(random_model: lab.TextModel) -> ParallelPlan:
    return ParallelPlan(random_model, rows=8, length=8)


def sent(w: ParallelPlan, at: int = 0) -> np.ndarray:
    """What the page is given: (blocks, 6)."""
    lane = w.shown.lanes[at]
    return np.frombuffer(lane.blocks, np.float32).reshape(-1, COLUMNS)


def idle_of(blocks: np.ndarray, p: int) -> float:
    start, end, computing = blocks[:, 3], blocks[:, 4], blocks[:, 5]
    return float(1 - ((end - start) * computing).sum() / (p * end.max()))


def test_a_pipeline_idles_as_published_and_its_stages_wait_for_each_other(w: ParallelPlan) -> None:
    draw = random.Random()
    for _ in range(6):
        p, m, order = draw.randint(1, 8), draw.randint(1, 32), draw.choice(["gpipe", "1f1b"])
        w.processes, w.micro_batches, w.order = p, m, order
        expected = (p - 1) / (m + p - 1)  # Huang et al. 2019, section 2.3
        blocks = sent(w)
        assert idle_of(blocks, p) == pytest.approx(expected, abs=1e-4), (p, m, order)
        assert w.shown.idle == pytest.approx(expected)
        at = {(int(b[0]), KINDS[int(b[1])], int(b[2])): (b[3], b[4]) for b in blocks if b[1] < 2}
        assert len(at) == 2 * p * m, "each micro-batch once forward and once back, on each process"
        for (process, kind, i), (start, _) in at.items():
            before = (process - 1, kind, i) if kind == "forward" else (process + 1, kind, i)
            assert start >= at.get(before, (0, 0))[1] - 1e-7
            if kind == "backward":
                assert start >= at[process, "forward", i][1] - 1e-7
        for process in range(p):
            mine = [(kind, i) for q, kind, i in sorted(at, key=at.__getitem__) if q == process]
            ahead = np.cumsum([1 if kind == "forward" else -1 for kind, _ in mine])
            assert w.predicted.held[process] == ahead.max() == (m if order == "gpipe" else min(m, p - process))
    w.processes, w.micro_batches, w.order = 4, 1, "gpipe"
    assert "idles 75" in w.sentence
    w.micro_batches = 16
    assert f"15.8{NARROW}%" in w.sentence


def test_messages_are_those_of_rings_and_stages(w: ParallelPlan, random_model: lab.TextModel) -> None:
    config = random_model.model.config
    w.processes, w.micro_batches, p, m, L = 3, 5, 3, 5, config.n_layers
    ring = 2 * p * (p - 1)
    ends = 4 if config.tie_embeddings else 0  # the first and the last process add the embedding's gradients
    expected = {"pipeline": 2 * (p - 1) * m + ends, "data": ring, "tensor": 4 * L * m * ring}
    for plan, messages in expected.items():
        w.plan = plan
        assert w.predicted.messages == messages
        assert f"{messages:,} messages" in w.sentence
    w.plan, w.micro_batches = "tensor", 1
    stream = 4 * 8 * 8 * config.d_model  # bytes of (B, T, D)
    assert w.predicted.bytes == 4 * L * 2 * (p - 1) * stream


def test_hairs_are_joined_and_lose_nothing(w: ParallelPlan) -> None:
    w.plan, w.processes, w.micro_batches, w.network = "tensor", 8, 32, "ethernet"
    timeline, blocks = w.predicted, blocks_of(w.predicted)
    assert len(blocks) < 1200 < len(timeline.spans)
    for process in range(8):
        mine = [b for b in blocks if b.process == process]
        spent = sum(s.seconds for s in timeline.of(process) if s.kind in ("forward", "backward"))
        assert sum((b.end - b.start) * b.computing for b in mine) == pytest.approx(spent)
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(mine))
        assert mine[-1].end == pytest.approx(timeline.seconds)
    assert "Drawn as if it had 8 heads" in w.sentence
    assert {b.kind for b in blocks} >= {"forward", "backward"}


def test_what_each_process_holds_is_the_model_in_pieces(random_model: lab.TextModel) -> None:
    model = random_model.model
    whole = 4 * sum(p.numel() for p in model.parameters())
    table = 4 * model.embedding.weight.numel()
    (one,) = holdings(model, "data", (1,), micro_batches=1, B=8, T=8)
    assert one.weights == whole
    halves = holdings(model, "data", (1, 1), micro_batches=1, B=8, T=8)
    assert [h.weights for h in halves] == [whole, whole]
    assert sum(h.activations for h in halves) == pytest.approx(one.activations)
    stages = holdings(model, "pipeline", (4, 4, 4), micro_batches=4, B=8, T=8)
    assert sum(s.weights for s in stages) == whole + table * model.config.tie_embeddings
    assert sum(s.activations for s in stages) == pytest.approx(one.activations)
    fewer = holdings(model, "pipeline", (3, 2, 1), micro_batches=4, B=8, T=8)
    assert [a.activations / b.activations for a, b in zip(fewer, stages, strict=True)] == [0.75, 0.5, 0.25]
    K = model.config.kv_heads
    cut = {p: holdings(model, "tensor", (1,) * p, micro_batches=1, B=8, T=8)[0] for p in (1, K, 2 * K)}
    assert cut[1] == one
    matrices = 4 * sum(p.numel() for block in model.blocks for p in block.parameters() if p.dim() > 1)
    assert whole - matrices < cut[2 * K].weights < cut[K].weights < whole
    saved = [(one.activations - cut[p].activations) / (1 - 1 / p) for p in (K, 2 * K)]
    spared = [(whole - cut[p].weights) / (1 - 1 / p) for p in (K, 2 * K)]
    assert saved[0] == pytest.approx(saved[1])
    assert spared[0] == pytest.approx(spared[1])


def test_networks_are_stated(w: ParallelPlan) -> None:
    assert BETWEEN["free"] == FREE
    for name, network in BETWEEN.items():
        w.network = name
        assert STATED[name] in "".join(text for _, text in w.shown.foot)
        if name != "free":
            assert f"{1e6 * network.latency_seconds:.0f} µs" in STATED[name]
            unit = f"{network.bytes_per_second / 1e9:.0f} GB/s", f"{8 * network.bytes_per_second / 1e9:.0f} Gb/s"
            assert any(u in STATED[name] for u in unit)
    assert w.predicted.idle > 0.43


def answer(w: ParallelPlan, *, loss: float = 0.0, messages: int = 0, gradient: float = 0.0) -> Any:
    """What processes would say that are off by so much."""
    exact, gradients = alone(w._transformer, w.ids)
    wrong = {name: g * (1 + gradient) for name, g in gradients.items()}
    t = w.predicted
    timeline = Timeline(t.spans, t.n_processes, t.messages + messages, t.bytes, t.held)
    return SimpleNamespace(loss=exact + loss, gradients=wrong, timeline=timeline, predicted=t)


def test_what_processes_say_is_held_against_one_process(w: ParallelPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    w.processes = 2
    found: dict[str, Any] = {}
    monkeypatch.setattr("lmlab.widgets.parallel_plan.asked", lambda model, ids, setting: found["now"])
    found["now"] = answer(w)
    assert (
        repr(w) == f"ParallelPlan: pipeline, 2 processes, 4 micro-batches: idle 20{NARROW}%, 12 messages; not run yet"
    )
    w.run().wait()
    said = "ParallelPlan: pipeline on 2 real: one process’s loss: {}, gradients: {}; counts as predicted: {}"
    assert repr(w) == said.format(True, True, True)
    assert len(repr(w)) <= 110
    assert len(w.shown.lanes) == 2
    assert np.array_equal(sent(w, 0), sent(w, 1))
    assert w.sentence.startswith(f"2 real processes idled 20{NARROW}%: predicted 20{NARROW}%, with free messages 20")
    assert "They sent 12 messages, " in w.sentence
    assert w.sentence.endswith(", as predicted; loss and gradients as alone.")
    for wrong, expected in (({"loss": 0.1}, (False, True, True)), ({"gradient": 0.1}, (True, False, True)),
                            ({"messages": -1}, (True, True, False))):  # fmt: skip
        found["now"] = answer(w, **wrong)
        w.run().wait()
        assert repr(w) == said.format(*expected)
    assert "They sent 11 messages" in w.sentence
    assert "not 12 messages" in w.sentence
    found["now"] = answer(w, loss=0.1)
    w.run().wait()
    assert "as predicted; loss is off by 0.100, gradients by exactly 0." in w.sentence
    assert "turns" not in w.sentence
    monkeypatch.setattr("lmlab.widgets.parallel_plan.n_cores", lambda: 1)
    w.run().wait()
    assert "They took turns on 1 core." in w.sentence
    w.micro_batches = 3
    assert w.measured_now is None, "another state has not been measured"
    assert len(w.shown.lanes) == 1


def test_while_processes_work_sliders_move_and_nothing_more_is_asked(
    w: ParallelPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[Setting] = []
    done = threading.Event()
    w.processes = 2
    found = answer(w)

    def slow(model: Any, ids: Any, setting: Setting) -> Any:
        questions.append(setting)
        assert done.wait(60)
        return found

    monkeypatch.setattr("lmlab.widgets.parallel_plan.asked", slow)
    w.run()
    assert w.view["running"]
    assert w.sentence.endswith("The processes are at work.")
    with pytest.raises(ValueError, match="still at work: wait for them"):
        w.run()
    w._press("start")
    w.micro_batches = 3
    assert "with 3 micro-batches" in w.sentence
    with pytest.raises(TimeoutError, match=r"no answer after 0\.2 seconds; the processes go on"):
        w.wait(0.2)
    done.set()
    w.wait()
    assert [q.micro_batches for q in questions] == [4]
    assert not w.view["running"]
    assert w.measured_now is None, "nobody has measured 3"
    w.micro_batches = 4
    assert w.measured_now.timeline == found.timeline


def test_one_process_is_the_loss_that_the_model_says(w: ParallelPlan, random_model: lab.TextModel) -> None:
    loss, gradients = alone(w._transformer, w.ids)
    logs = random_model.model.log_probs(w.ids[:, :-1])
    assert loss == pytest.approx(float(-logs.gather(-1, w.ids[:, 1:, None]).mean()), abs=1e-5)
    assert set(gradients) == {name for name, _ in random_model.model.named_parameters()}
    assert w.ids.shape == (8, 9)
    assert ParallelPlan(random_model, rows=256, length=64).ids.shape == (256, 65)
    assert all(p.grad is None for p in random_model.model.parameters()), "the model is as it was"


def test_errors_reach_the_cell(w: ParallelPlan, trigram: lab.TextModel, random_model: lab.TextModel) -> None:
    w.processes = 8
    with pytest.raises(ValueError, match="8 processes cannot share 4 layers"):
        w.run().wait()
    assert "cannot share 4 layers" in repr(w)
    w.processes = 2
    assert "not run yet" in repr(w)
    with pytest.raises(ValueError, match="that is a transformer"):
        ParallelPlan(trigram)
    with pytest.raises(ValueError, match="rows=0 must be a whole number from 1 to 256"):
        ParallelPlan(random_model, rows=0)
    with pytest.raises(ValueError, match="length=True"):
        ParallelPlan(random_model, length=True)
    assert [tiny(x) for x in (0, 0.25, 3.1e-8)] == ["exactly 0", "0.250", "3.1×10⁻⁸"]


@pytest.mark.slow
def test_real_processes_train_the_step(w: ParallelPlan) -> None:
    w.processes, w.micro_batches = 2, 3
    for plan in ("pipeline", "data", "tensor"):
        w.plan = plan
        w.run().wait()
        assert repr(w).endswith("loss: True, gradients: True; counts as predicted: True"), repr(w)
        real = w.measured_now.timeline
        assert (real.messages, real.bytes) == (w.predicted.messages, w.predicted.bytes)
        assert real.spans != w.predicted.spans, "clocks, not arithmetic"
        pids = kept_workers().pids
        assert len(pids) >= 2
        assert os.getpid() not in pids
        assert all(psutil.Process(pid).ppid() == os.getpid() for pid in pids)
        assert {(s.process, s.micro_batch) for s in real.spans if s.kind == "backward"} == {
            (p, i) for p in range(2) for i in range(3)
        }
    assert w.measured_now.gradient_difference < 1e-5
