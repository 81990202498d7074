"""What a check expects of a returned value, and how it names what it got instead."""

from __future__ import annotations

import math
import numbers
import reprlib
import types
from typing import Any

import torch
from torch import Tensor

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxdict = _short.maxlist = _short.maxtuple = 6


class Wrong(Exception):
    """A check failed; the message is the sentence that the student reads."""


def show(value: Any) -> str:
    """A value as short text for feedback: tensors as lists, floats with four digits."""
    if isinstance(value, Tensor):
        return show(value.tolist())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) <= 8:
        return "[" + ", ".join(show(v) for v in value) + "]"
    if isinstance(value, dict) and len(value) <= 6:
        return "{" + ", ".join(f"{k!r}: {show(v)}" for k, v in value.items()) + "}"
    return _short.repr(value)


def describe(value: Any) -> str:
    """What a value is, in words: its kind and size, and the usual reason where a slip is likely."""
    if value is None:
        return "None (is a `return` missing?)"
    if isinstance(value, types.GeneratorType):
        return "a generator, which has computed nothing yet (`return` instead of `yield`, or sum or list it?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, bool):
        return f"the truth value {value}"
    if isinstance(value, str):
        return f"the text {_short.repr(value)}"
    if isinstance(value, (list, tuple, set, dict)):
        return f"a {type(value).__name__} of {len(value)}: {show(value)}"
    if isinstance(value, numbers.Number):
        return f"the number {show(value)}"
    if callable(value):
        return f"a function, {getattr(value, '__name__', 'unnamed')} (are the parentheses of a call missing?)"
    return f"{_short.repr(value)} of type {type(value).__name__}"


def number(value: Any, *, infinite: bool = False) -> float:
    """`value` as a float, or Wrong: no text, no list, no tensor but one of shape (), not NaN."""
    scalar = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not scalar and not (isinstance(value, Tensor) and value.shape == () and not value.is_complex()):
        raise Wrong(f"expected a number, got {describe(value)}.")
    result = float(value)
    if math.isnan(result):
        raise Wrong("expected a number, got nan, which is what 0/0 and inf − inf give.")
    if math.isinf(result) and not infinite:
        raise Wrong(f"expected a finite number, got {result}.")
    return result


def like(value: Any, given: Tensor) -> Tensor:
    """`value` as a tensor of the shape of `given`, floating and finite, or Wrong: nothing is broadcast."""
    wanted = f"a tensor of shape {tuple(given.shape)} and dtype {str(given.dtype).removeprefix('torch.')}"
    if not isinstance(value, Tensor):
        raise Wrong(f"expected {wanted}, got {describe(value)}.")
    if value.shape != given.shape or value.dtype != given.dtype:
        raise Wrong(f"expected {wanted}, got {describe(value)}.")
    if not bool(torch.isfinite(value).all()):
        raise Wrong(f"for logits {show(given)} yours gave {show(value)}: not every entry is a finite number.")
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two inputs are equal all the way down; tensors by shape, dtype and every entry."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)
