"""Large batches in parts, products in bf16, a compiled step: each changes what it should and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lmlab.data.batches import Batch
from lmlab.data.masked import MaskedStream
from lmlab.training import precision
from lmlab.training.checkpoint import read_checkpoint, write_checkpoint
from lmlab.training.loop import train
from lmlab.training.metrics import MetricPoint
from lmlab.training.objectives import Objective, Scored, counted, masked_token, next_token, rows
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.precision import computing_in
from lmlab.training.run import TrainingRun
from lmlab.training.state import TrainState
from tests.training.stand_ins import CountingStream, Pair, V, same_bits, small_model, weights

CPU = torch.device("cpu")


class Ragged(CountingStream):
    """Rows that end where they like, so that the parts of a batch differ in what they count."""

    def __iter__(self) -> Iterator[Pair]:
        for pair in super().__iter__():
            lengths = 1 + pair.inputs.sum(1, keepdim=True) % self.T
            yield Pair(pair.inputs, pair.targets.masked_fill(torch.arange(self.T) >= lengths, -100))


def ragged() -> Ragged:
    return Ragged(B=6)


def masked(B: int = 6) -> MaskedStream:
    ids = torch.randint(2, V, (4000,), generator=torch.Generator().manual_seed(5))
    return MaskedStream(ids, mask=1, bos=0, T=12, B=B)


STREAMS: dict[str, tuple[Any, Objective]] = {
    "next_token": (ragged, next_token),
    "masked_token": (masked, masked_token),
}


def trained(stream: Any, objective: Objective, steps: int = 8, **changes: Any) -> tuple[list[MetricPoint], TrainState]:
    points: list[MetricPoint] = []
    settings = OptimizerSettings(lr=5e-3, clip=0.5)
    state = TrainState.begin(small_model(), steps=steps, settings=settings, **changes)
    train(state, stream, objective, steps, lambda _, point: points.append(point))
    return points, state


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("accumulate", [2, 3, 4, 6])
def test_a_batch_in_parts_is_the_batch(name: str, accumulate: int) -> None:
    stream, objective = STREAMS[name]
    counts = [counted(rows(batch, 0, 3)) / counted(batch) for batch, _ in zip(stream(), range(8), strict=False)]
    assert any(abs(share - 0.5) > 0.01 for share in counts), "the parts must differ in what they count"
    whole, state = trained(stream(), objective)
    parts, other = trained(stream(), objective, accumulate=accumulate)
    assert [p.loss for p in parts] == pytest.approx([p.loss for p in whole], abs=1e-6)
    assert [p.grad_norm for p in parts] == pytest.approx([p.grad_norm for p in whole], rel=1e-5)
    assert [p.tokens for p in parts] == [p.tokens for p in whole]
    assert all(torch.allclose(a, b, atol=2e-5) for a, b in zip(weights(state.model), weights(other.model), strict=True))


def test_a_part_that_counts_nothing_weighs_nothing() -> None:
    class HalfEmpty(CountingStream):
        def __iter__(self) -> Any:
            for pair in super().__iter__():
                yield Pair(pair.inputs, pair.targets.index_fill(0, torch.tensor([0, 1]), -100))

    whole, _ = trained(HalfEmpty(), next_token)
    parts, _ = trained(HalfEmpty(), next_token, accumulate=2)
    assert [p.loss for p in parts] == pytest.approx([p.loss for p in whole], abs=1e-6)


def test_a_batch_that_counts_nothing_at_all_or_has_too_few_rows_is_refused() -> None:
    class Empty(CountingStream):
        def __iter__(self) -> Any:
            for pair in super().__iter__():
                yield Pair(pair.inputs, torch.full_like(pair.targets, -100))

    with pytest.raises(ValueError, match="No target of the batch of step 1 counts"):
        trained(Empty(), next_token)
    with pytest.raises(ValueError, match="4 rows cannot be cut into accumulate=5 parts"):
        trained(CountingStream(), next_token, accumulate=5)


def test_rows_are_cut_from_every_tensor_and_list_that_has_one_a_row() -> None:
    batch = Batch(torch.arange(12).view(4, 3), torch.arange(12).view(4, 3))
    assert torch.equal(rows(batch, 1, 3).targets, torch.tensor([[3, 4, 5], [6, 7, 8]]))
    with pytest.raises(TypeError, match="a named tuple or a dataclass"):
        rows({"inputs": batch.inputs}, 0, 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"accumulate": 0}, "accumulate"), ({"accumulate": 1.5}, "accumulate"), ({"precision": "fp8"}, "precision")],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} is "):
        TrainState.begin(small_model(), steps=3, **changes)


def test_in_bf16_the_products_are_bf16_and_attention_is_not() -> None:
    q = torch.randn(1, 2, 4, 8)
    with computing_in("bf16", CPU):
        assert F.linear(q, q[0, 0]).dtype == torch.bfloat16
        mixed = F.scaled_dot_product_attention(q.bfloat16(), q, attn_mask=None, value=q, is_causal=True)
    assert mixed.dtype == torch.float32
    assert F.linear(q, q[0, 0]).dtype == torch.float32
    with computing_in("fp32", CPU):
        assert F.linear(q, q[0, 0]).dtype == torch.float32


def test_bf16_learns_the_same_and_is_not_the_same() -> None:
    exact, state = trained(CountingStream(B=16), next_token, steps=60)
    rough, other = trained(CountingStream(B=16), next_token, steps=60, precision="bf16")
    assert {p.dtype for p in other.model.parameters()} == {torch.float32}
    assert not same_bits(weights(state.model), weights(other.model))
    assert rough[-1].loss < math.log(V) - 0.5
    assert [p.loss for p in rough] == pytest.approx([p.loss for p in exact], abs=0.03)


@pytest.mark.parametrize(("factor", "expected"), [(100, "fp32"), (0.5, "bf16")])
def test_auto_takes_what_is_faster_here(factor: float, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def clock() -> float:  # between two looks a product in float32 takes 1, one in bf16 `factor`
        nonlocal now, looks
        looks += 1
        now += 0.0 if looks % 2 else (1.0 if looks <= 10 else factor)
        return now

    looks = 0
    precision.bf16_pays.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(precision.time, "perf_counter", clock)
        picked = precision.pick_precision(CPU, "auto")
    assert picked == expected
    assert TrainState.begin(small_model(), steps=1, precision="auto").precision == expected
    precision.bf16_pays.cache_clear()


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("changes", [{}, {"accumulate": 3}, {"precision": "bf16"}], ids=["plain", "parts", "bf16"])
def test_ten_steps_a_file_and_ten_more_are_twenty(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    stream, objective = STREAMS[name]
    _, whole = trained(stream(), objective, steps=20, **changes)
    first, cursor = TrainState.begin(small_model(), steps=20, settings=whole.settings, **changes), stream()
    train(first, cursor, objective, 10)
    write_checkpoint(tmp_path / "ten", first, cursor)
    changes.pop("precision", None)  # the file says it
    second, cursor = TrainState.begin(small_model(9), steps=20, settings=whole.settings, **changes), stream()
    read_checkpoint(tmp_path / "ten", second, cursor)
    train(second, cursor, objective, 20)
    assert same_bits(weights(whole.model), weights(second.model))


def test_a_resumed_run_goes_on_in_the_precision_it_had_and_says_so(tmp_path: Path) -> None:
    def run(steps: int, **changes: Any) -> TrainingRun:
        settings = OptimizerSettings(lr=5e-3, schedule="constant", warmup=0)
        return TrainingRun(small_model(), CountingStream(), steps=steps, settings=settings, folder=tmp_path, **changes)

    run(3, precision="bf16").start().wait()
    again = run(6, resume=True, accumulate=2).start().wait()
    assert again.state.precision == "bf16"
    assert any("made in bf16, and so this run goes on in it, not in fp32" in warning for warning in again.warnings)
    assert any("accumulate=1, this run has 2" in warning for warning in again.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_a_compiled_step_is_the_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_calls = 0

    def traced(self: Scored) -> None:  # the tracing of torch.compile without its minutes of C++
        def count(graph: torch.fx.GraphModule, _: object) -> Any:
            nonlocal compiled_calls
            compiled_calls += 1
            return graph.forward

        torch.nn.Module.compile(self, backend=count)

    monkeypatch.setattr(Scored, "compile", traced)
    stream, objective = STREAMS[name]
    plain, _ = trained(stream(), objective)
    compiled, _ = trained(stream(), objective, compile=True)
    assert compiled_calls > 0
    assert [p.loss for p in compiled] == pytest.approx([p.loss for p in plain], abs=1e-5)
