"""The same model with smaller weights, to write faster and in less memory; "auto" measures which is worth it.

Lecture: "quantization": writing a token reads all weights once, so bytes are time. How much of the model is lost is
measured as well: the KL divergence from what it would have said.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmlab.models.ablation import is_ablated
from lmlab.models.attention import Attention
from lmlab.models.packed_linear import KINDS, pack
from lmlab.models.parts import GeluMLP, SwiGLU, Turn
from lmlab.models.transformer import Block, Transformer

PRECISIONS = ("fp32", "bf16", *KINDS, "auto")
MAX_KL = 0.02  # nats a token between a precision that "auto" may choose and float32
_N_TOKENS = 16
Pack = Callable[[Tensor, Tensor | None], nn.Module]


def at_precision(model: Transformer, precision: str) -> Transformer:
    """The model with its weights held as "fp32", "bf16", "fp16", "int8" or "int4", for inference on the CPU.

    fp32 is the model itself. The others are copies that share its embedding and norms (bf16 shares nothing); linear
    layers and the unembedding are packed (at int4 the unembedding takes 8 bits: with 4 it costs most of the error),
    queries, keys and values in one product, gate and up in another. Trace and cache work as ever; a copy cannot be
    trained or saved. "auto" writes fastest of those whose KL divergence from fp32 is at most 0.02 nats a token and
    that read a prompt in at most twice its time, all measured here on text that the model writes; the copy's
    `precision` says in one sentence what was found.

    Raises ValueError for another word, for a model on another device than the CPU, and for one that lacks a part.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"There is no precision {precision!r}: choose {', '.join(PRECISIONS[:-1])} or auto.")
    if precision == "fp32":
        return model
    if model.device.type != "cpu":
        raise ValueError(f"Packed weights are for the CPU and this model is on {model.device}: use model.cpu().")
    if is_ablated(model) or any(type(block) is not Block for block in model.blocks):
        raise ValueError("A model with a part taken out stays as it is: choose the precision first, or none.")
    if not isinstance(model.unembedding, nn.Linear):
        raise ValueError("This model is packed already: give the one that it was made from.")
    if precision == "auto":
        return _fastest(model)
    return _packed(model, precision)


@dataclass(frozen=True)
class Measured:
    """A precision on this machine: CPU milliseconds to write a token (median) and to read the same 16 as a prompt,
    and KL divergence from float32 in nats a token. (Seconds on a clock would count what else the machine does.)"""

    precision: str
    writing: float
    reading: float
    kl: float


class JoinedAttention(Attention):
    """Attention whose queries, keys and values come out of one product."""

    def __init__(self, attention: Attention, make: Pack) -> None:
        nn.Module.__init__(self)
        self.n_heads, self.n_kv_heads = attention.n_heads, attention.n_kv_heads
        self.joined = _joined([attention.query, attention.key, attention.value], make)
        self.output = make(attention.output.weight, attention.output.bias)  # type: ignore[assignment]
        self.query_norm, self.key_norm = map(_quick, (attention.query_norm, attention.key_norm))  # type: ignore[assignment]
        self.is_plain = isinstance(attention.query_norm, nn.Identity)

    def project(self, x: Tensor, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, E), keys and values (B, K, T, E) of the stream (B, T, D); the first two turned."""
        H, K = self.n_heads, self.n_kv_heads
        heads = self.joined(x).unflatten(-1, (H + 2 * K, -1)).transpose(1, 2)
        if self.is_plain:  # one turn for both: for one token, calling is the cost
            q, k = turn(heads[:, : H + K]).split((H, K), 1)
            return q, k, heads[:, H + K :]
        q, k, v = heads.split((H, K, K), 1)
        return turn(self.query_norm(q)), turn(self.key_norm(k)), v


class JoinedSwiGLU(nn.Module):
    """SwiGLU whose gate and up come out of one product."""

    def __init__(self, mlp: SwiGLU, make: Pack) -> None:
        super().__init__()
        self.gate_up = _joined([mlp.gate, mlp.up], make)
        self.down = make(mlp.down.weight, mlp.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        gate, up = self.gate_up(x).chunk(2, -1)
        down: Tensor = self.down(F.silu(gate).mul_(up))
        return down


class QuickRMSNorm(nn.Module):
    """RMSNorm in four small steps, where torch's takes seven: one row's time is that of calling."""

    gain: Tensor
    floor: Tensor

    def __init__(self, norm: nn.RMSNorm) -> None:
        super().__init__()
        (D,) = norm.normalized_shape
        eps = torch.finfo(torch.float32).eps if norm.eps is None else norm.eps
        self.register_buffer("gain", norm.weight.detach().float() * D**0.5)
        self.register_buffer("floor", torch.tensor((D * eps) ** 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D): x g / sqrt(mean(x^2) + eps), in float32 inside."""
        wide = x.float()
        length = torch.linalg.vector_norm(wide, 2, -1, keepdim=True)
        return (wide * self.gain).div_(torch.hypot(length, self.floor)).to(x.dtype)


def _quick(norm: nn.Module) -> nn.Module:
    return QuickRMSNorm(norm) if isinstance(norm, nn.RMSNorm) else norm


@torch.no_grad()
def _packed(model: Transformer, precision: str) -> Transformer:
    def make(weight: Tensor, bias: Tensor | None) -> nn.Module:
        return pack(precision, weight.detach(), bias)

    # deepcopy takes what is in its memo for copied: parts become their packed forms, all other tensors are shared;
    # for bfloat16 they are converted here, so that no second float32 model ever exists.
    memo: dict[int, object] = {id(buffer): buffer for buffer in model.buffers()}
    if precision != "bf16":
        memo[id(model.unembedding)] = pack("int8" if precision == "int4" else precision, model.unembedding.weight)
    for module in model.modules():
        if isinstance(module, Attention):
            memo[id(module)] = JoinedAttention(module, make)
        elif isinstance(module, SwiGLU):
            memo[id(module)] = JoinedSwiGLU(module, make)
        elif isinstance(module, GeluMLP):
            memo[id(module.up)] = make(module.up.weight, module.up.bias)
            memo[id(module.down)] = make(module.down.weight, module.down.bias)
    for block in [*cast(list[Block], list(model.blocks)), model]:
        for norm in block.children():
            if isinstance(norm, nn.RMSNorm):
                memo[id(norm)] = QuickRMSNorm(norm)
    gone = {id(p) for module in model.modules() if id(module) in memo for p in module.parameters()}
    for p in model.parameters():
        if precision != "bf16":
            memo[id(p)] = p
        elif id(p) not in gone:
            memo[id(p)] = nn.Parameter(p.detach().bfloat16(), requires_grad=False)
    other = copy.deepcopy(model, memo).eval()
    other.precision = precision
    return other


def _joined(linears: list[nn.Linear], make: Pack) -> nn.Module:
    biases: list[Tensor] = [linear.bias for linear in linears if linear.bias is not None]
    return make(torch.cat([linear.weight.detach() for linear in linears]), torch.cat(biases) if biases else None)


def _fastest(model: Transformer) -> Transformer:
    ids, wanted = _written(model)
    exact = _measure(model, "fp32", ids, wanted)
    best, chosen, tried = exact, model, [exact]
    for precision in PRECISIONS[1:-1]:
        candidate = at_precision(model, precision)
        found = _measure(candidate, precision, ids, wanted)
        tried.append(found)
        if found.kl <= MAX_KL and found.reading <= 2 * exact.reading and found.writing < best.writing:
            best, chosen = found, candidate
    if chosen is model:  # a copy that shares all weights, since the model's own sentence stays
        chosen = copy.deepcopy(model, {id(t): t for t in [*model.parameters(), *model.buffers()]})
    figures = "; ".join(f"{one.precision} {one.writing:.0f}, {one.reading:.0f}, {one.kl:.4f}" for one in tried)
    chosen.precision = (
        f"{best.precision} writes fastest here within {MAX_KL} nats a token of fp32, in CPU ms on "
        f"{torch.get_num_threads()} threads (a token, a prompt of {ids.shape[1]}, KL: {figures})."
    )
    return chosen


@torch.no_grad()
def _written(model: Transformer) -> tuple[Tensor, list[Tensor]]:
    """What the model writes from one token, its ids (1, T), and its log-probabilities (1, V) at each place."""
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(model.vocab_size, (1, 1), generator=generator)]
    said, state = [], None
    for _ in range(min(_N_TOKENS, model.max_seq_len)):
        log_probs, state = model.next_log_probs(ids[-1], state)
        said.append(log_probs)
        ids.append(torch.multinomial(log_probs.exp(), 1, generator=generator))
    return torch.cat(ids[:-1], 1), said


@torch.no_grad()
def _measure(model: Transformer, precision: str, ids: Tensor, wanted: list[Tensor]) -> Measured:
    """The same text read token by token, as writing does, then once more as a prompt."""
    times, kl, state = [], [], None
    for place, log_probs in enumerate(wanted):
        start = time.process_time()
        found, state = model.next_log_probs(ids[:, place : place + 1], state)
        times.append(time.process_time() - start)
        kl.append(float(F.kl_div(found, log_probs, log_target=True, reduction="sum")))
    start = time.process_time()
    model.next_log_probs(ids)
    reading = time.process_time() - start
    return Measured(precision, 1000 * statistics.median(times), 1000 * reading, statistics.mean(kl))
