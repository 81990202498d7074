"""What the lab computes on."""

from __future__ import annotations

import pytest
import torch

from lmlab import devices


def test_without_a_wish_the_best_device_is_picked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert devices.pick_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert devices.pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.pick_device() == torch.device("cuda")
    assert devices.pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "gpu", "", "cpu:x", "meta"])
def test_a_device_that_is_not_here_is_refused_with_what_is(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="not here; this machine has"):
        devices.pick_device(name)


def test_a_card_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="'cuda:7'"):
        devices.pick_device("cuda:7")


def test_numbers_are_fp32_unless_something_else_is_asked_for(monkeypatch):
    assert devices.pick_dtype("cpu") == torch.float32
    assert devices.pick_dtype("cpu", "bf16") == torch.bfloat16
    assert devices.pick_dtype("cpu", "auto") == torch.float32
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert devices.pick_dtype("cuda", "auto") == torch.bfloat16
    assert devices.pick_dtype("cuda") == torch.float32
    with pytest.raises(ValueError, match="'fp32', 'bf16' or 'auto'"):
        devices.pick_dtype("cpu", "fp8")


# What the makers print: gigabytes, dense bf16 TFLOP/s or half of those "with sparsity"; then torch's names for it.
SHEETS = {
    "T4": (16, None, "Tesla T4"),
    "L4": (24, 242 / 2, "NVIDIA L4"),
    "RTX 3090": (24, 142 / 2, "NVIDIA GeForce RTX 3090"),
    "RTX 4090": (24, 330.4 / 2, "NVIDIA GeForce RTX 4090"),
    "A100 40GB": (40, 624 / 2, "NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB"),
    "L40": (48, 181.05, "NVIDIA L40"),
    "L40S": (48, 362.05, "NVIDIA L40S"),
    "A100 80GB": (80, 624 / 2, "NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB PCIe"),
    "H100 PCIe": (80, 1513 / 2, "NVIDIA H100 PCIe"),
    "H100": (80, 1979 / 2, "NVIDIA H100 80GB HBM3"),
    "H100 NVL": (94, 1671 / 2, "NVIDIA H100 NVL"),
    "GH200": (96, 1979 / 2, "NVIDIA GH200 480GB"),
    "H200": (141, 1979 / 2, "NVIDIA H200"),
    "H200 NVL": (141, 1671 / 2, "NVIDIA H200 NVL"),
    "B200": (1440 / 8, 36_000 / 8 / 2, "NVIDIA B200"),
    "MI300X": (192, 2614.9 / 2, "AMD Instinct MI300X"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_card_is_what_its_maker_prints_and_known_by_torch_s_name_for_it(name):
    gigabytes, teraflops, *called = SHEETS[name]
    gpu = devices.GPUS[name]
    assert gpu.n_bytes == gigabytes * 1e9
    assert gpu.bf16_flops == (teraflops and pytest.approx(teraflops * 1e12, rel=1e-3))
    assert gpu.source
    assert [devices.known_gpu(one) for one in called] == [gpu] * len(called)


def test_cards_stand_by_memory_and_all_are_tested():
    assert list(devices.GPUS) == list(SHEETS)
    sizes = [gpu.n_bytes for gpu in devices.GPUS.values()]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    "name",
    ["NVIDIA GeForce RTX 4090 Laptop GPU", "NVIDIA GeForce RTX 4090 D", "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
     "NVIDIA RTX A1000", "NVIDIA A100-SXM-64GB", "NVIDIA H20", ""],
)  # fmt: skip
def test_another_chip_of_a_like_name_is_not_known(name):
    assert devices.known_gpu(name) is None


@pytest.fixture
def restore_determinism():
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.backends.cudnn.benchmark = before[1]


@pytest.mark.usefixtures("restore_determinism")
def test_deterministic_gives_equal_draws_and_leaves_the_global_generator():
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    a, b, c = (torch.rand(1000, generator=devices.deterministic(seed)) for seed in (7, 7, 8))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.rand(3), expected)
    assert torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("seed", [-1, 1.0, True, "7", 2**63])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="a seed is a whole number"):
        devices.deterministic(seed)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 7)])
def test_one_core_is_left_free(cores, threads, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    monkeypatch.setattr(devices, "n_cores", lambda: cores)
    assert devices.default_threads() == threads


def test_whoever_set_threads_knows_the_machine(monkeypatch):
    monkeypatch.setattr(devices, "n_cores", lambda: 8)
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert devices.default_threads() == 1, "thirty kernels share a classroom's cores"
    for text, threads in [("3", 3), ("2,4", 2), ("0", 1), ("many", 1)]:
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert devices.default_threads() == threads


def test_threads_are_set_and_counted_from_one():
    before = torch.get_num_threads()
    try:
        assert devices.use_threads(1) == 1 == torch.get_num_threads()
        for wrong in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match="threads are counted from 1"):
                devices.use_threads(wrong)
    finally:
        torch.set_num_threads(before)
