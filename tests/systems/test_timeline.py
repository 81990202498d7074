"""A step's timeline: idle shares as published, finish times by another recursion, counts by another formula."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.simulation import simulated_step
from lmlab.systems.timeline import (
    ETHERNET,
    FREE,
    NVLINK,
    Network,
    Timeline,
    Workload,
    bubble,
    even_parts,
    most_held,
    product_messages,
    ring_messages,
    work_order,
)

SEEDS = range(5)


def drawn(seed: int) -> tuple[int, int, Workload, Network]:
    draw = random.Random(seed)
    p, m = draw.randint(2, 8), draw.randint(1, 12)
    work = Workload(
        n_layers=draw.randint(8, 10),
        forward_seconds=draw.uniform(0.1, 3),
        backward_seconds=draw.uniform(0.1, 9),
        gradient_bytes=4 * draw.randint(10**3, 10**6),
        activation_bytes=4 * m * draw.randint(10, 10**5),
        tied_bytes=4 * draw.randint(0, 10**4),
    )
    return p, m, work, Network(draw.uniform(0, 1e-2), draw.uniform(1e6, 1e9))


@pytest.mark.parametrize(("p", "m", "percent"), [(4, 1, 75.0), (4, 16, 15.8), (1, 5, 0.0), (2, 1, 50.0)])
@pytest.mark.parametrize("order", ["gpipe", "1f1b"])
def test_a_pipeline_is_idle_as_the_lecture_says(p, m, percent, order):
    timeline = simulated_step("pipeline", n_processes=p, micro_batches=m, order=order)
    assert round(100 * timeline.idle, 1) == percent
    assert bubble(p, m) == pytest.approx(timeline.idle, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_orders_have_the_bubble_of_the_formula_and_1f1b_holds_less(seed):
    p, m, work, _ = drawn(seed)
    gpipe, alternating = (
        simulated_step("pipeline", n_processes=p, micro_batches=m, work=work, order=order)
        for order in ("gpipe", "1f1b")
    )
    for timeline in (gpipe, alternating):
        assert timeline.idle == pytest.approx((p - 1) / (m + p - 1))
        assert timeline.share("wait") <= timeline.idle + 1e-12
    assert gpipe.held == (m,) * p
    assert alternating.held == tuple(min(m, p - rank) for rank in range(p))  # Narayanan et al. 2021, section 2.2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gpipe_step_on_a_real_network_ends_when_the_recursion_of_its_finish_times_does(seed):
    """done[s][i]: when stage s has computed micro-batch i and handed it on: the later of its own last and its input."""
    p, m, work, network = drawn(seed)
    message = network.seconds(work.activation_bytes / m)

    shares = [random.Random(seed).uniform(0.5, 2) for _ in range(p)]  # stages are never quite equal
    work = replace(work, shares=tuple(share / sum(shares) for share in shares))

    def last_of(stages: range, seconds: float, began: list[float]) -> tuple[list[float], list[float]]:
        free, arrived = list(began), [0.0] * m
        for s in stages:
            for i in range(m):
                free[s] = max(free[s], arrived[i]) + seconds * work.shares[s] / m + (message if s != stages[-1] else 0)
                arrived[i] = free[s]
        return free, arrived

    forward, _ = last_of(range(p), work.forward_seconds, [0.0] * p)
    backward, _ = last_of(range(p - 1, -1, -1), work.backward_seconds, forward)
    tied = 2 * network.seconds(work.tied_bytes / 2) if work.tied_bytes else 0
    timeline = simulated_step("pipeline", n_processes=p, micro_batches=m, work=work, network=network)
    assert timeline.seconds == pytest.approx(max(backward[0], backward[-1]) + tied)


@pytest.mark.parametrize("plan", ["data", "pipeline", "tensor"])
@pytest.mark.parametrize("order", ["gpipe", "1f1b"])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_process_does_one_thing_at_a_time_and_all_of_its_work(plan, order, seed):
    p, m, work, network = drawn(seed)
    timeline = simulated_step(plan, n_processes=p, micro_batches=m, work=work, network=network, order=order)
    for process in range(p):
        spans = timeline.of(process)
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(spans))
        for kind, seconds in (("forward", work.forward_seconds), ("backward", work.backward_seconds)):
            mine = [span for span in spans if span.kind == kind]
            assert sum(span.seconds for span in mine) == pytest.approx(seconds / p)
            assert {span.micro_batch for span in mine} == set(range(m))
    every = timeline.share("forward", "backward", "send", "reduce", "wait")
    assert 0 < timeline.share("forward") < every <= 1 + 1e-9
    if plan == "pipeline":
        assert dependencies_hold(timeline)


def dependencies_hold(timeline: Timeline) -> bool:
    when = {
        (s.kind, s.process, s.micro_batch): s for s in timeline.spans if s.kind in ("forward", "backward")
    }  # fmt: skip
    last = timeline.n_processes - 1
    for (kind, process, i), span in when.items():
        if kind == "backward" and when["forward", process, i].end > span.start + 1e-9:
            return False
        before = process + (-1 if kind == "forward" else 1)
        if 0 <= before <= last and when[kind, before, i].end > span.start + 1e-9:
            return False
    return True


@pytest.mark.parametrize("seed", SEEDS)
def test_messages_and_bytes_are_those_of_the_literature(seed):
    """Ring: 2(p - 1)/p of the data leaves each process (Patarasuk and Yuan); Megatron: four sums a layer and step."""
    p, m, work, network = drawn(seed)
    data = simulated_step("data", n_processes=p, micro_batches=m, work=work, network=network)
    assert (data.messages, data.bytes) == (p * 2 * (p - 1), round(p * 2 * (p - 1) / p * work.gradient_bytes))
    tensor = simulated_step("tensor", n_processes=p, micro_batches=m, work=work, network=network)
    assert tensor.messages == m * 4 * work.n_layers * data.messages
    assert tensor.bytes == 4 * work.n_layers * 2 * (p - 1) * work.activation_bytes
    pipeline = simulated_step("pipeline", n_processes=p, micro_batches=m, work=work, network=network)
    tied = (4, 2 * work.tied_bytes) if work.tied_bytes else (0, 0)
    assert pipeline.messages == 2 * m * (p - 1) + tied[0]
    assert pipeline.bytes == 2 * (p - 1) * work.activation_bytes + tied[1]
    # How much of the bytes is free does not depend on the network, how long they take does.
    free = simulated_step("data", n_processes=p, micro_batches=m, work=work, network=FREE)
    assert (free.messages, free.bytes) == (data.messages, data.bytes)
    assert data.seconds - free.seconds == pytest.approx(
        2 * (p - 1) * (network.latency_seconds + work.gradient_bytes / p / network.bytes_per_second)
    )


def test_rows_after_columns_save_the_messages_in_between():
    widths = (8, 32, 8)
    count = {
        cuts: product_messages(3, widths, cuts=cuts, n_processes=4)
        for cuts in [("columns", "rows"), ("columns", "columns"), ("rows", "rows"), ("rows", "columns")]
    }
    ring, gathered = ring_messages(4, 0)[0], 4 * 3
    assert count["columns", "rows"] == (ring, 6 * 4 * 3 * 8)
    assert count["columns", "columns"] == (2 * gathered, 3 * 4 * 3 * (32 + 8))
    assert count["rows", "rows"] == (2 * ring, 6 * 4 * 3 * (32 + 8))
    assert count["rows", "columns"] == (ring + gathered, 6 * 4 * 3 * 32 + 3 * 4 * 3 * 8)


def test_a_workload_counts_a_built_model():
    config = TransformerConfig(vocab_size=31, d_model=16, n_layers=3, n_heads=4, n_kv_heads=2, qk_norm=True)
    work, model = Workload.of(config, B=5, T=7), Transformer(config)
    assert work.gradient_bytes == 4 * (sum(p.numel() for p in model.parameters()) + 1)  # and the loss
    assert work.tied_bytes == 4 * model.embedding.weight.numel()
    norms = [p for name, p in model.named_parameters() if "query_norm" in name or "key_norm" in name]
    assert work.scattered_bytes == 4 * sum(p.numel() for p in norms)
    assert work.activation_bytes == 4 * 5 * 7 * 16


@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_runs_each_micro_batch_forward_and_then_back(seed):
    draw = random.Random(seed)
    p, m = draw.randint(1, 9), draw.randint(1, 20)
    for order in ("gpipe", "1f1b"):
        for rank in range(p):
            steps = work_order(rank, n_processes=p, micro_batches=m, order=order)
            assert sorted(steps) == sorted((kind, i) for kind in ("forward", "backward") for i in range(m))
            assert all(steps.index(("forward", i)) < steps.index(("backward", i)) for i in range(m))
    assert most_held([("forward", 0), ("backward", 0), ("forward", 1), ("forward", 2)]) == 2
    assert even_parts(10, 4) == [3, 3, 2, 2]


def test_networks_differ_as_their_makers_say():
    assert NVLINK.seconds(450e9) == pytest.approx(1, rel=1e-4)
    assert ETHERNET.seconds(1e6) > 100 * NVLINK.seconds(1e6)
    assert FREE.seconds(10**15) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: bubble(0, 4), "n_processes is a whole number of at least 1, not 0"),
        (lambda: bubble(4, True), "micro_batches is a whole number of at least 1, not True"),
        (lambda: simulated_step("model", n_processes=2), "'data', 'pipeline', 'tensor', not 'model'"),
        (lambda: simulated_step("pipeline", n_processes=33), "needs 33 layers and there are 32: choose"),
        (lambda: simulated_step("pipeline", n_processes=2, order="zb"), "'gpipe' or '1f1b', not 'zb'"),
        (lambda: simulated_step("data", n_processes=2, work=Workload(shares=(0.5,))), "2 shares that add up to 1"),
        (lambda: simulated_step("data", n_processes=2, work=Workload(shares=(0.5, 0.6))), "2 shares that add up to 1"),
        (lambda: Network(-1.0), "latency_seconds of 0 or more"),
        (lambda: Network(0.0, 0.0), "bytes_per_second above 0"),
        (lambda: Network(float("nan")), "latency_seconds of 0 or more"),
        (lambda: product_messages(1, (2, 2), cuts=("diagonal",), n_processes=2), "'columns' or by 'rows'"),
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        call()
    assert "\n" not in str(refused.value)
