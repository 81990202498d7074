"""What the lab computes on: device, dtype, threads, how to make two runs equal, and the cards that it knows."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DEVICES = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Gpu:
    """A card: its memory in bytes, as printed, and its dense bf16 products (fp32 sums) in FLOP/s, None without any.

    `source` is the page that says so; where it prints a speed "with sparsity", half of it is meant here.
    """

    name: str
    n_bytes: int
    bf16_flops: float | None
    source: str


# Every card that the lab knows, by memory. Gigabytes are decimal; a driver counts in GiB and keeps a little for itself.
GPUS = {
    name: Gpu(name, gigabytes * 10**9, bf16_flops, source)
    for name, gigabytes, bf16_flops, source in (
        ("T4", 16, None, "NVIDIA T4 data sheet"),
        ("L4", 24, 121e12, "NVIDIA L4 data sheet"),
        ("RTX 3090", 24, 71e12, "NVIDIA Ampere GA102 whitepaper, appendix A"),
        ("RTX 4090", 24, 165.2e12, "NVIDIA Ada whitepaper, appendix A"),
        ("A100 40GB", 40, 312e12, "NVIDIA A100 data sheet"),
        ("L40", 48, 181e12, "NVIDIA L40 data sheet"),
        ("L40S", 48, 362e12, "NVIDIA L40S data sheet"),
        ("A100 80GB", 80, 312e12, "NVIDIA A100 data sheet"),
        ("H100 PCIe", 80, 756e12, "NVIDIA H100 PCIe data sheet"),
        ("H100", 80, 989.5e12, "NVIDIA H100 data sheet, SXM"),
        ("H100 NVL", 94, 835e12, "NVIDIA H100 data sheet, NVL"),
        ("GH200", 96, 989.5e12, "NVIDIA GH200 data sheet, HBM3"),
        ("H200", 141, 989.5e12, "NVIDIA H200 data sheet, SXM"),
        ("H200 NVL", 141, 835e12, "NVIDIA H200 data sheet, NVL"),
        ("B200", 180, 2250e12, "NVIDIA DGX B200 user guide: 1,440 GB in eight"),
        ("MI300X", 192, 1307.4e12, "AMD Instinct MI300X data sheet"),
    )
}
_ANOTHER = {"MIG", "Laptop", "D"}  # a slice of a card, or a smaller chip sold by its name


def known_gpu(device_name: str) -> Gpu | None:
    """The card that torch calls by this name, or None for one whose data sheet is not here.

    >>> known_gpu("NVIDIA A100-SXM4-80GB").name
    'A100 80GB'
    """
    words = set(re.findall(r"\w+", device_name))
    named = [gpu for gpu in GPUS.values() if words.issuperset(gpu.name.split())]
    return None if words & _ANOTHER else max(named, key=lambda gpu: len(gpu.name.split()), default=None)


def pick_device(name: str | None = None) -> torch.device:
    """The device to compute on: `name` where it is given and there, else cuda, then mps, then cpu.

    Raises ValueError for a device that torch cannot reach here.
    """
    import torch

    there = _devices_there()
    if name is None:
        return torch.device(there[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in there:
        raise ValueError(f"device {name!r} is not here; this machine has {', '.join(there)}")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        raise ValueError(f"device {name!r} is not here; cuda devices here: {torch.cuda.device_count()}")
    return device


def pick_dtype(device: torch.device | str | None = None, precision: str = "fp32") -> torch.dtype:
    """The dtype of the large matrix products on `device`.

    `precision` is "fp32" (the default: labs, tests and recipes compare numbers), "bf16", or "auto": bf16 on a
    CUDA card that has it, fp32 elsewhere. Softmax and loss stay in fp32 whatever this says.
    """
    import torch

    if precision not in ("fp32", "bf16", "auto"):
        raise ValueError(f"precision is 'fp32', 'bf16' or 'auto', not {precision!r}")
    if precision == "auto":
        kind = torch.device(device).type if device is not None else pick_device().type
        precision = "bf16" if kind == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def deterministic(seed: int) -> torch.Generator:
    """Make what follows repeatable on this machine, and return a generator of its own for `seed`.

    Torch is told to choose deterministic algorithms (and to warn where it has none); the global generators
    stay as they are, since everything in the lab that draws numbers takes a seed or a generator.
    """
    import torch

    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ValueError(f"a seed is a whole number from 0 to 2**63 - 1, not {seed!r}")
    # cuBLAS reads this once, when it starts; without it, two equal runs on a card may differ in the last bit.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    return torch.Generator().manual_seed(seed)


def n_cores() -> int:
    """The cores this process may use, which on a shared machine are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Threads for torch: cores - 1, at least one, since a busy machine punishes the last core taken (5.6 times).

    On a classroom's JupyterHub, where thirty kernels share the cores, one. OMP_NUM_THREADS wins where it is set:
    whoever set it knows the machine.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if os.environ.get("JUPYTERHUB_USER"):
        return 1
    return max(1, n_cores() - 1)


def leave_a_core_free() -> None:
    """Have torch take `default_threads()`: when it is imported, or now if it has been and takes more.

    The façade and the command line call this before their first work.
    """
    count = default_threads()
    if "torch" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = str(count)  # processes that we start take no more either
    elif sys.modules["torch"].get_num_threads() > count:
        use_threads(count)


def use_threads(count: int | None = None) -> int:
    """Set torch's threads to `count`, or to `default_threads()`; returns the count."""
    import torch

    count = default_threads() if count is None else count
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"threads are counted from 1, not {count!r}")
    torch.set_num_threads(count)
    return count


def _devices_there() -> list[str]:
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]
