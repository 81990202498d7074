"""In how many bits the large products are computed: fp32, or bf16 where it pays."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lmlab.devices import pick_dtype

Precision = Literal["fp32", "bf16"]


def pick_precision(device: torch.device, asked: str) -> Precision:
    """What is asked for, fp32 or bf16; "auto": bf16 on an NVIDIA card that has it, and on a CPU that is faster in it.

    Raises ValueError for anything else.
    """
    if asked == "auto" and device.type == "cpu":
        return "bf16" if bf16_pays() else "fp32"
    return "bf16" if pick_dtype(device, asked) == torch.bfloat16 else "fp32"


@functools.cache
def bf16_pays() -> bool:
    """Whether this processor multiplies matrices clearly faster in bf16: one without a unit for it is far slower."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(256, 256, dtype=dtype)
        times = []
        for _ in range(5):
            started = time.perf_counter()
            matrix @ matrix
            times.append(time.perf_counter() - started)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < 0.7 * seconds[torch.float32]


@contextlib.contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Matrix products of what runs inside take bf16 operands where `precision` says so; weights stay float32.

    On a CPU attention itself stays in float32: the backward pass of its bf16 kernel is several times slower there.
    """
    if precision == "fp32":
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
        if device.type == "cpu":
            stack.enter_context(_Float32Attention())
        yield


class _Float32Attention(TorchFunctionMode):
    """Within it, scaled dot-product attention sees float32, whatever autocast says."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        with torch.autocast("cpu", enabled=False):
            return func(*map(_widen, args), **{name: _widen(value) for name, value in (kwargs or {}).items()})


def _widen(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


def as_precision(name: object) -> Precision:
    """A name that a checkpoint gives, if it is one."""
    if name not in ("fp32", "bf16"):
        raise ValueError(f"precision is {name!r}; this lmlab knows fp32 and bf16.")
    return name
