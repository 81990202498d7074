"""The claims of lab 15 in numbers that its prose says and no cell prints; its exercises answered by other means."""

from __future__ import annotations

import json
import math
import random
import re
import runpy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

import lmlab as lab
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.systems.published import PUBLISHED
from lmlab.systems.simulation import simulated_step
from lmlab.systems.timeline import ETHERNET, NVLINK, Workload

LAB = Path(__file__).parents[2] / "labs" / "15_systems.ipynb"
SOLUTIONS = runpy.run_path(str(Path(__file__).parent / "solutions" / "15.py"))["RIGHT"]


def said(pattern: str) -> list[float]:
    """The numbers of a sentence of the lab's prose."""
    cells = json.loads(LAB.read_text(encoding="utf-8"))["cells"]
    found = re.search(pattern, "\n".join("".join(cell["source"]) for cell in cells))
    assert found, f"the lab no longer says {pattern}"
    return [float(number.replace(",", "")) for number in found.groups()]


# ---------------------------------------------------------------- does it fit?


def test_for_the_town_most_of_a_step_waits_for_the_way_back_and_checkpointing_changes_that() -> None:
    config = lab.load("town").model.config
    plain, again = (
        lab.training_memory(config, B=8, T=64, precision="fp32", checkpointing=checkpointing)
        for checkpointing in (False, True)
    )
    assert plain.activations > plain.total / 2
    assert again.activations < plain.activations / 3
    assert again.total - again.activations == plain.total - plain.activations


@pytest.mark.slow
def test_recomputing_costs_at_most_a_third_more_arithmetic() -> None:
    """Counted by torch: a forward pass more beside one forward and a backward of two; torch skips its last product."""
    config = TransformerConfig(vocab_size=16, max_seq_len=64, d_model=96, n_layers=4, n_heads=4)
    plain, whole, skipping = (counted_flops(config, again) for again in (None, False, True))
    assert whole / plain == pytest.approx(4 / 3, abs=0.01)
    assert 1.2 < skipping / plain < whole / plain


def counted_flops(config: TransformerConfig, early_stop: bool | None) -> int:
    """Of a step; None: without checkpointing."""
    model, ids = Transformer(config, seed=0), torch.randint(config.vocab_size, (2, 64))
    for block in model.blocks if early_stop is not None else ():
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    with set_checkpoint_early_stop(bool(early_stop)), FlopCounterMode(display=False) as counter:
        model(ids).sum().backward()
    return counter.get_total_flops()


def test_with_enough_texts_at_once_keys_and_values_outweigh_llama_3_70b() -> None:
    """On the sliders of MemoryBudget: at most 1,024 texts of 8,192 tokens."""
    of = partial(lab.inference_memory, PUBLISHED["Llama 3 70B"])
    assert of(B=50, S=8192).cache < of(B=1, S=8192).weights < of(B=60, S=8192).cache


def test_zero_s_first_figure_is_sixteen_bytes_a_weight_cut_among_its_gpus() -> None:
    billions, gpus, cut, whole = said(
        r"([\d.]+) billion weights on (\d+) GPUs then take ([\d.]+) GB each and not (\d+)"
    )
    states = lab.training_memory(billions * 1e9).total
    assert states == whole * 1e9
    assert round(states / gpus / 1e9, 1) == cut


# ---------------------------------------------------------------- share the work


def llama_8b(B: int, T: int = 8192) -> Workload:
    """Two H100s at the 40 % of their peak that such runs reach; float32 messages, as the lab's own."""
    seconds = 2 * PUBLISHED["Llama 3 8B"].n_params * B * T / (0.4 * lab.GPU_ROOFS["H100"].peak_flops)
    return Workload.of(PUBLISHED["Llama 3 8B"], B=B, T=T, forward_seconds=seconds)


def test_tensor_parallel_wants_a_server_s_links_and_is_hopeless_between_two_homes() -> None:
    inside, outside = (
        simulated_step("tensor", n_processes=2, work=llama_8b(1), network=network) for network in (NVLINK, ETHERNET)
    )
    assert inside.idle < 0.2
    assert outside.idle > 0.9
    assert NVLINK.bytes_per_second >= 100e9, "hundreds of gigabytes a second"


def test_data_parallel_sends_the_same_however_large_the_batch_and_the_others_more() -> None:
    for plan, factor in (("data", 1), ("pipeline", 4), ("tensor", 4)):
        one, four = (
            simulated_step(plan, n_processes=2, micro_batches=1, work=Workload.of(tied(), B=B, T=64)).bytes
            for B in (4, 16)
        )
        fixed = 4 * tied().n_params if plan == "data" else 0
        assert (four - fixed) / (one - fixed) == pytest.approx(factor, rel=0.01), plan


def tied() -> TransformerConfig:
    return TransformerConfig(vocab_size=64, d_model=64, n_layers=4, n_heads=4, tie_embeddings=False)


# ---------------------------------------------------------------- the wall


def test_the_h100_of_the_lab_is_the_one_of_the_data_sheet() -> None:
    roof = lab.GPU_ROOFS["H100"]
    assert (roof.peak_flops, roof.bandwidth) == (989.5e12, 3.35e12)
    assert round(roof.peak_flops / roof.bandwidth) == 295
    assert roof.peak_flops == pytest.approx(1e15, rel=0.02), "a thousand trillion operations a second"


def test_flash_attention_s_figures_are_those_of_its_paper() -> None:
    """arXiv 2205.14135, figure 2, left: GPT-2 medium, forward and backward on an A100; 66.6 and 75.2 GFLOPs."""
    more, fused_gb, gb, fused_ms, ms = said(
        r"(\d+) % more operations than the board's version, moves ([\d.]+) GB and not ([\d.]+), "
        r"and takes ([\d.]+) ms and not ([\d.]+)\."
    )
    assert (gb, ms, fused_gb, fused_ms) == (40.3, 41.7, 4.4, 7.3)
    assert round(100 * (75.2 / 66.6 - 1)) == more


def test_llama_3_s_cuts_are_all_its_gpus() -> None:
    """Table 4: 8 and 16 and 128 are 16,384."""
    gpus, inside, layers, data = said(
        r"up to ([\d,]+) H100s with all of it: matrices cut over the (\d+) GPUs of a server, "
        r"layers over (\d+) servers, data over (\d+) of"
    )
    assert inside * layers * data == gpus == 16_384


def test_tiles_save_a_factor_of_three_to_four_at_the_lab_s_lengths() -> None:
    for T in (512, 2048, 8192):
        naive = lab.naive_attention_bytes(T, T, 128, itemsize=2)
        tiled = lab.tiled_attention_bytes(T, T, 128, q_tile=128, k_tile=128, itemsize=2)
        assert 2.8 < naive / tiled < 4, T


# ---------------------------------------------------------------- the exercises


def test_the_fewest_gpus_are_those_of_trying_one_after_the_other() -> None:
    for _ in range(50):
        n_params, gpu = random.randint(1, 400) * 1e8, random.choice((24e9, 80e9, 141e9))
        kept = random.uniform(0, 0.9) * gpu
        tried = next(n for n in range(1, 10**5) if 16 * n_params / n + kept <= gpu)
        assert SOLUTIONS["systems.gpus"](n_params, kept, gpu) == tried
    assert SOLUTIONS["systems.gpus"](7e9, 80e9, 80e9) == math.inf


def test_the_fewest_micro_batches_are_those_of_the_simulated_pipeline() -> None:
    for _ in range(10):
        p, most_idle = random.randint(2, 6), random.uniform(0.1, 0.6)
        m = SOLUTIONS["systems.micro_batches"](p, most_idle)
        idle = [simulated_step("pipeline", n_processes=p, micro_batches=n).idle for n in (m, max(1, m - 1))]
        assert idle[0] <= most_idle + 1e-9
        assert m == 1 or idle[1] > most_idle - 1e-9


def test_two_halves_of_a_softmax_are_torch_s_whole_one() -> None:
    for _ in range(20):
        n, cut = 12, random.randint(1, 11)
        scores, values = 9 * torch.randn(n, dtype=torch.float64), torch.randn(n, 5, dtype=torch.float64)
        halves = []
        for part in (slice(0, cut), slice(cut, n)):
            m = float(scores[part].max())
            halves.append((m, float((scores[part] - m).exp().sum()), scores[part].softmax(0) @ values[part]))
        m, total, o = SOLUTIONS["systems.merge"](*halves)
        assert m + math.log(total) == pytest.approx(float(scores.logsumexp(0)))
        assert torch.allclose(torch.as_tensor(o), scores.softmax(0) @ values)
