"""Steps and products on real processes are those of one process, and every message is where arithmetic says."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F

from lmlab.models.ablation import ablate
from lmlab.models.linear import quantize_model
from lmlab.models.ngram import NGram
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems import sharding, workers
from lmlab.systems.sharding import data_parallel, pipeline_parallel, split_mlp, split_product, tensor_parallel
from lmlab.systems.timeline import product_messages, work_order

pytestmark = pytest.mark.slow  # three processes import torch: ten seconds

FAMILIES = (
    {"tie_embeddings": False, "n_heads": 6, "n_kv_heads": 3, "d_head": 4},
    {"qk_norm": True, "qkv_bias": True, "n_heads": 3, "d_head": 6},
    {"norm": "layer", "mlp": "gelu", "position": "learned", "bias": True, "n_heads": 4, "d_head": 5},
)


@pytest.fixture(scope="module", autouse=True)
def _kept_for_this_file():
    yield
    workers.close()


def drawn(seed: int) -> tuple[Transformer, torch.Tensor, random.Random]:
    """A model of some family with every parameter drawn, biases and norms too, and ids (B, T)."""
    draw = random.Random(seed)
    config = TransformerConfig(
        vocab_size=draw.randint(11, 40), max_seq_len=16, d_model=draw.randint(5, 12), n_layers=draw.randint(3, 5),
        d_ff=draw.randint(5, 20), **FAMILIES[seed % len(FAMILIES)],
    )  # fmt: skip
    model, numbers = Transformer(config, seed=seed), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=numbers)
    shape = (draw.randint(8, 11), draw.randint(4, 17))
    return model, torch.randint(config.vocab_size, shape, generator=numbers), draw


def alone(model: Transformer, ids: torch.Tensor) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients by torch's autograd, in this process and in float64."""
    exact = Transformer(model.config, seed=None).double()
    exact.load_state_dict(model.state_dict())
    loss = F.cross_entropy(exact(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    return loss.item(), {name: p.grad for name, p in exact.named_parameters()}


def assert_equal_to_one(result: sharding.ParallelResult, model: Transformer, ids: torch.Tensor) -> None:
    loss, gradients = alone(model, ids)
    assert abs(result.loss - loss) < 1e-5
    assert list(result.gradients) == list(gradients)
    for name, gradient in gradients.items():
        assert (result.gradients[name] - gradient).abs().max() < 1e-5, name
        # Zeros would be equal to a gradient that nobody computed. (A bias of keys moves all scores of a row alike.)
        assert gradient.abs().max() > 1e-4 or name.endswith("key.bias"), name
    assert result.replicas_agree
    predicted = result.predicted
    assert (result.timeline.messages, result.timeline.bytes) == (predicted.messages, predicted.bytes)
    assert result.timeline.held == predicted.held
    for process in range(result.timeline.n_processes):
        assert all(a.end <= b.start for a, b in pairwise(result.timeline.of(process)))


@pytest.mark.parametrize("seed", range(3))
def test_data_parallel_is_the_step_of_one_process(seed):
    model, ids, draw = drawn(seed)
    p, m = draw.choice((2, 3)), draw.randint(1, 2)
    result = data_parallel(model, ids, p, micro_batches=m)
    assert_equal_to_one(result, model, ids)
    n = sum(parameter.numel() for parameter in model.parameters())
    assert (result.timeline.messages, result.timeline.bytes) == (2 * p * (p - 1), 2 * (p - 1) * 4 * (n + 1))
    assert result.parameters == (n,) * p
    for process in range(p):
        kinds = [span.kind for span in result.timeline.of(process)]
        assert kinds == ["forward", "backward"] * m + ["reduce"]


@pytest.mark.parametrize("order", ["gpipe", "1f1b"])
@pytest.mark.parametrize("seed", range(3))
def test_a_pipeline_is_the_step_of_one_process(seed, order):
    model, ids, draw = drawn(seed)
    p, m = draw.choice((2, 3)), draw.randint(2, 5)
    result = pipeline_parallel(model, ids, p, micro_batches=m, order=order)
    assert_equal_to_one(result, model, ids)
    timeline, tied = result.timeline, model.config.tie_embeddings
    stream = 4 * ids.shape[0] * (ids.shape[1] - 1) * model.config.d_model
    table = model.embedding.weight.numel()
    assert timeline.messages == 2 * m * (p - 1) + 4 * tied
    assert timeline.bytes == 2 * (p - 1) * stream + 2 * 4 * table * tied
    assert sum(result.parameters) == model.n_params + table * tied
    assert max(result.parameters) < model.n_params
    when = {(s.kind, s.process, s.micro_batch): s for s in timeline.spans if s.kind in ("forward", "backward")}
    assert len(when) == 2 * p * m
    for (kind, process, i), span in when.items():  # nothing is computed before what it needs has been
        before = process + (-1 if kind == "forward" else 1)
        assert kind == "forward" or when["forward", process, i].end <= span.start
        assert not 0 <= before < p or when[kind, before, i].end <= span.start
    for process in range(p):
        done = [(s.kind, s.micro_batch) for s in timeline.of(process) if s.kind in ("forward", "backward")]
        assert done == work_order(process, n_processes=p, micro_batches=m, order=order)


@pytest.mark.parametrize("seed", range(3))
def test_tensor_parallel_is_the_step_of_one_process(seed):
    model, ids, draw = drawn(seed)
    p, m = draw.choice((2, 3)), draw.randint(1, 2)
    result = tensor_parallel(model, ids, p, micro_batches=m)
    assert_equal_to_one(result, model, ids)
    config, (B, T) = model.config, ids.shape
    stream, norms = 4 * B * (T - 1) * config.d_model, 4 * 2 * config.head_width * config.n_layers * config.qk_norm
    assert result.timeline.messages == 2 * p * (p - 1) * (m * 4 * config.n_layers + config.qk_norm)
    assert result.timeline.bytes == 2 * (p - 1) * (4 * config.n_layers * stream + norms)
    # In pieces are the matrices of blocks and the biases of those that are cut by columns; each process has all else.
    columns = ("query.bias", "key.bias", "value.bias", "gate.bias", "up.bias")
    in_pieces = sum(
        w.numel() for name, w in model.named_parameters()
        if name.startswith("blocks.") and (w.dim() == 2 or name.endswith(columns))
    )  # fmt: skip
    assert sum(result.parameters) == in_pieces + p * (model.n_params - in_pieces)
    assert max(result.parameters) < model.n_params


def test_a_single_row_and_a_matrix_times_itself_are_no_special_case():
    """Their tensors are views of one memory, which safetensors refuses to write."""
    model, ids, _ = drawn(0)
    for step in (pipeline_parallel, tensor_parallel):
        assert_equal_to_one(step(model, ids[:1], 2, micro_batches=1), model, ids[:1])
    x = torch.randn(4, 4)
    assert (split_product(x, x, n_processes=1).product - x @ x).abs().max() < 1e-5


def test_one_process_is_a_team_too_and_sends_nothing():
    model, ids, _ = drawn(0)
    for step in (data_parallel, pipeline_parallel, tensor_parallel):
        result = step(model, ids, 1)
        assert_equal_to_one(result, model, ids)
        assert (result.timeline.messages, result.timeline.bytes) == (0, 0)


def test_nothing_is_computed_in_the_notebook(monkeypatch):
    model, ids, _ = drawn(1)
    expected = data_parallel(model, ids, 2).loss

    def forbidden(*args, **kwargs):
        raise AssertionError("computed by the parent")

    for place, name in ((F, "cross_entropy"), (F, "linear"), (Transformer, "forward"), (torch.Tensor, "backward")):
        monkeypatch.setattr(place, name, forbidden)
    pids = workers.kept_workers().pids
    for step in (data_parallel, pipeline_parallel, tensor_parallel):
        assert abs(step(model, ids, 2).loss - expected) < 1e-5
    assert workers.kept_workers().pids == pids  # kept and used again
    assert all(psutil.Process(pid).ppid() == psutil.Process().pid for pid in pids)


@pytest.mark.parametrize("cut", ["columns", "rows"])
@pytest.mark.parametrize("seed", range(4))
def test_a_product_of_parts_is_the_product(seed, cut):
    draw = random.Random(f"{seed} {cut}")
    T, D, width, p = draw.randint(1, 9), draw.randint(3, 30), draw.randint(3, 30), draw.randint(1, 3)
    x, w = torch.randn(T, D), torch.randn(D, width)
    result = split_product(x, w, cut=cut, n_processes=p)
    exact = x.double() @ w.double()
    assert result.product.shape == (T, width)
    assert (result.product - exact).abs().max() < 1e-5
    assert result.replicas_agree
    assert (result.messages, result.bytes) == product_messages(T, (D, width), cuts=(cut,), n_processes=p)
    if cut == "columns":
        assert torch.equal(torch.cat(result.parts, 1), result.product)
        assert [part.shape for part in result.parts] == [piece.shape for piece in exact.tensor_split(p, 1)]
    else:
        assert all(part.shape == (T, width) for part in result.parts)
        for part, rows, columns in zip(result.parts, w.tensor_split(p), x.tensor_split(p, 1), strict=True):
            assert (part - columns.double() @ rows.double()).abs().max() < 1e-5


def test_an_mlp_of_parts_is_the_mlp_and_columns_then_rows_needs_the_fewest_bytes():
    x, up, down = torch.randn(5, 6), torch.randn(6, 25), torch.randn(25, 6)
    exact = F.gelu(x.double() @ up.double(), approximate="tanh") @ down.double()
    sent = {}
    for first in ("columns", "rows"):
        for second in ("columns", "rows"):
            result = split_mlp(x, up, down, cuts=(first, second), n_processes=3)
            assert (result.product - exact).abs().max() < 5e-5, (first, second)
            assert result.replicas_agree
            sent[first, second] = result.messages, result.bytes
            assert sent[first, second] == product_messages(5, (6, 25, 6), cuts=(first, second), n_processes=3)
    assert min(sent, key=lambda cuts: sent[cuts][1]) == ("columns", "rows")


GPUS = workers.Workers(device="cuda")  # nothing is started before the first call
REFUSED = [
    (lambda model, ids: data_parallel(model, ids, 9, team=GPUS), r"9 processes need a GPU each and this machine has"),
    (lambda model, ids: workers.Workers(device="tpu"), "device 'cpu' or 'cuda', not 'tpu'"),
    (lambda model, ids: data_parallel(model, ids, 0), "n_processes is a whole number of at least 1, not 0"),
    (lambda model, ids: data_parallel(model, ids, 17), "choose n_processes of at most 16"),
    (lambda model, ids: data_parallel(model, ids[:3], 2, micro_batches=2), "3 rows of ids do not make 4 parts"),
    (lambda model, ids: pipeline_parallel(model, ids, 6), r"6 processes cannot share \d layers"),
    (lambda model, ids: pipeline_parallel(model, ids[:1], 2), "1 rows of ids do not make 4 parts"),
    (lambda model, ids: pipeline_parallel(model, ids, 2, order="zb"), "order is 'gpipe' or '1f1b'"),
    (lambda model, ids: tensor_parallel(model, ids, 4), "cannot share 3 key/value heads"),
    (lambda model, ids: tensor_parallel(model, ids, 2, micro_batches=0), "micro_batches is a whole number"),
    (lambda model, ids: data_parallel(model, ids[:, :1]), "A row needs 2 to 17 ids"),
    (lambda model, ids: data_parallel(model, ids.repeat(1, 9)), "A row needs 2 to 17 ids"),
    (lambda model, ids: data_parallel(model, ids + 1000), "1,?0"),
    (lambda model, ids: data_parallel(ablate(model, "mlp"), ids), "not an ablated or quantized one"),
    (lambda model, ids: data_parallel(quantize_model(model, 8), ids), "not an ablated or quantized one"),
    (lambda model, ids: data_parallel(NGram.fit([1, 2], n=2, vocab_size=3), ids), "not a NGram"),
    (lambda model, ids: split_product(torch.ones(2, 3), torch.ones(2, 3)), r"\(2, 3\) @ \(2, 3\) do not multiply"),
    (lambda model, ids: split_product(torch.ones(2, 3), torch.ones(3)), r"do not multiply"),
    (lambda model, ids: split_product(torch.ones(2, 3), torch.ones(3, 9), cut="rows", n_processes=4), "share 3 rows"),
    (lambda model, ids: split_product(torch.ones(2, 3), torch.ones(3, 3), cut="middle"), "not 'middle'"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_what_cannot_be_shared_is_refused_before_any_process_is_asked(call, sentence, monkeypatch):
    model, ids, _ = drawn(0)
    monkeypatch.setattr(workers.Workers, "run", lambda *_: pytest.fail("asked"))
    with pytest.raises(ValueError, match=sentence) as refused:
        call(model, ids)
    assert "\n" not in str(refused.value)


def test_a_process_killed_in_the_middle_is_one_sentence_and_the_next_call_works():
    config = TransformerConfig(vocab_size=500, max_seq_len=256, d_model=128, n_layers=4)
    model, ids = Transformer(config), torch.randint(500, (64, 257))
    split_product(torch.ones(1, 2), torch.ones(2, 2), n_processes=2)  # they are there before the clock below starts
    pids = workers.kept_workers().pids
    threading.Timer(0.3, psutil.Process(pids[1]).kill).start()
    began = time.monotonic()
    with pytest.raises(workers.WorkersFailed, match=r"^Process 1 of 2 ended in the middle of its work.*: call again"):
        pipeline_parallel(model, ids, 2, micro_batches=64)
    assert time.monotonic() - began < 30
    assert not psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], 5)[1]
    model, ids, _ = drawn(0)
    assert_equal_to_one(data_parallel(model, ids, 1), model, ids)


PARENT = """
import torch
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.sharding import pipeline_parallel, split_product
from lmlab.systems.workers import kept_workers
for n in (3, 2):  # two meeting places
    split_product(torch.ones(1, 3), torch.ones(3, 3), n_processes=n)
print(kept_workers()._folder.name, *kept_workers().pids, flush=True)
model = Transformer(TransformerConfig(vocab_size=500, max_seq_len=256, d_model=128, n_layers=4))
pipeline_parallel(model, torch.randint(500, (512, 257)), 2, micro_batches=64)
"""


def test_a_notebook_that_is_killed_leaves_neither_processes_nor_files():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, *pids = parent.stdout.readline().split()
        workers_there = [psutil.Process(int(pid)) for pid in pids]
        before = sum(worker.cpu_times().user for worker in workers_there)
        end = time.monotonic() + 60
        while sum(worker.cpu_times().user for worker in workers_there) < before + 0.5 and time.monotonic() < end:
            time.sleep(0.05)
        assert parent.poll() is None, "they are in the middle of a step"
        parent.kill()
    _, alive = psutil.wait_procs(workers_there, 20)
    assert len(workers_there) == 3
    assert not alive
    assert not Path(folder).exists()


def test_the_prediction_is_of_the_step_that_was_measured():
    model, ids, _ = drawn(2)
    result = pipeline_parallel(model, ids, 1, micro_batches=3)
    computed = sum(span.seconds for span in result.timeline.spans if span.kind in ("forward", "backward"))
    assert result.predicted.seconds == pytest.approx(computed)


@pytest.mark.by_hand
def test_loss_and_gradients_are_those_of_torchs_own_ddp_dtensor_and_pipelines():
    command = [sys.executable, "-m", "tests.benchmarks.bench_parallel", "--size", "small", "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(rows) == 4
    for row in rows:
        assert row["loss"] < 1e-6, row
        assert row["gradient"] < 1e-7 < 1e-2 < row["largest"], row
