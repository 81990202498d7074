"""Networks without attention: the lecture's flat one, which reads a whole text at once, and one behind a window.

Lecture: "why a network, and why not this one?" The flat network lays T embeddings side by side, a vector of T·D
numbers, and maps them to the T·V scores of all positions: D·V·T² weights, another one for every pair of places. The
windowed one (Bengio et al. 2003) maps the last few embeddings to V scores and serves every position alike.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from lmlab.models.language_model import State, check_ids
from lmlab.models.parts import Embedding, Linear


class MLP(nn.Module):
    """A multi-layer perceptron as a `LanguageModel`; `model(ids)` gives logits (B, T, V) for training.

    `max_seq_len=6` makes the flat network for texts of up to 6 tokens, `window=3` the one that sees the last 3;
    one of the two must be given. Without `d_hidden` it is one matrix and no bend, as on the lecture's slide; with
    it two matrices and a ReLU between. No layer has a bias. Weights are drawn from `seed` alone; None leaves them
    unfilled, to be counted.

    Raises ValueError in one sentence for a number that is no size, and, before any allocation, for a network that
    memory cannot hold.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        d_model: int,
        max_seq_len: int | None = None,
        window: int | None = None,
        d_hidden: int | None = None,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        if (max_seq_len is None) == (window is None):
            raise ValueError(
                "Give one of max_seq_len, for a flat network over that many tokens, and window, for one that sees "
                f"the last few; got max_seq_len={max_seq_len!r} and window={window!r}."
            )
        sizes = {"vocab_size": vocab_size, "d_model": d_model, "max_seq_len": max_seq_len, "window": window}
        _check_sizes({**sizes, "d_hidden": d_hidden})
        T = max_seq_len or 1
        _check_fits_in_memory(vocab_size * d_model + n_weights((window or T) * d_model, T * vocab_size, d_hidden))
        self.vocab_size, self.max_seq_len, self.window = vocab_size, max_seq_len, window
        self.embedding = Embedding(vocab_size, d_model)
        reads, writes = (window or T) * d_model, T * vocab_size
        widths = [reads, writes] if d_hidden is None else [reads, d_hidden, writes]
        self.layers = nn.ModuleList(Linear(n, m, bias=False) for n, m in pairwise(widths))
        if seed is not None:
            self._initialize(seed)

    def __repr__(self) -> str:
        kind = f"window={self.window}" if self.window else f"max_seq_len={self.max_seq_len}"
        return f"MLP(V={self.vocab_size}, {kind}, {self.n_params:,} weights)"

    def forward(self, ids: Tensor) -> Tensor:
        """Logits: ids (B, T) to (B, T, V); position t scores every candidate for position t + 1."""
        return self.from_embeddings(self.embedding(ids))

    def from_embeddings(self, x: Tensor) -> Tensor:
        """Logits of a text that is embedded already: (B, T, D) to (B, T, V)."""
        return self._flat(x) if self.window is None else self._windowed(x, self.window)

    def _flat(self, x: Tensor) -> Tensor:
        """All T·D numbers at once; a text shorter than max_seq_len uses the part of each matrix that belongs to it.

        The weights that would carry a later word to an earlier prediction are counted, and held at zero: in a layer
        of its own each hidden unit belongs to a place, and sees no further (Germain et al. 2015, arXiv 1502.03509).
        """
        T, longest = x.shape[1], self.max_seq_len or 1
        x = rearrange(x, "b t d -> b (t d)")
        places = _places(x.shape[1], T, x.device)
        for i, matrix in enumerate(self.matrices):
            last = i == len(self.layers) - 1
            rows = T * self.vocab_size if last else len(matrix)
            out = _places(rows, T if last else longest, x.device)
            seen = matrix[:rows, : x.shape[1]] * (out[:, None] >= places)
            x = F.linear(x if i == 0 else x.relu(), seen)
            places = out
        return rearrange(x, "b (t v) -> b t v", t=T)

    def _windowed(self, x: Tensor, window: int) -> Tensor:
        """The last `window` embeddings of each position, side by side; before the text there is nothing, zeros."""
        x = F.pad(x, (0, 0, window - 1, 0))
        x = rearrange(x.unfold(1, window, 1), "b t d w -> b t (w d)")
        for i, matrix in enumerate(self.matrices):
            x = F.linear(x if i == 0 else x.relu(), matrix)
        return x

    @torch.no_grad()
    def log_probs(self, ids: Tensor) -> Tensor:
        """(B, T) to (B, T, V), float32 on the CPU."""
        ids = check_ids(ids, self.vocab_size, max_seq_len=self.max_seq_len)
        return self(ids.to(self.embedding.weight.device)).float().log_softmax(-1).cpu()

    @torch.no_grad()
    def next_log_probs(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """New ids (B, T) to (B, V). The state of the flat network is the whole text, which it reads again each time;
        that of the windowed one its last tokens."""
        ids = check_ids(ids, self.vocab_size)
        if state is not None:
            ids = torch.cat((state, ids), 1)
        ids = ids if self.window is None else ids[:, -self.window :]
        return self.log_probs(ids)[:, -1], ids.clone()

    @property
    def n_params(self) -> int:
        """Number of weights, the embedding table among them."""
        return sum(p.numel() for p in self.parameters())

    @property
    def matrices(self) -> list[Tensor]:
        """The weights of its one or two layers, each (outputs, inputs)."""
        return [layer.get_parameter("weight") for layer in self.layers]

    @property
    def n_matrix_weights(self) -> int:
        """Weights of the matrices alone: what grows with T."""
        return sum(matrix.numel() for matrix in self.matrices)

    @torch.no_grad()
    def _initialize(self, seed: int) -> None:
        generator = torch.Generator(device="cpu").manual_seed(seed)
        self.embedding.weight.copy_(torch.randn(self.embedding.weight.shape, generator=generator) * 0.5)
        for matrix in self.matrices:
            matrix.copy_(torch.randn(matrix.shape, generator=generator) * matrix.shape[1] ** -0.5)


def n_weights(reads: int, writes: int, d_hidden: int | None = None) -> int:
    """Weights between `reads` numbers in and `writes` numbers out: one matrix, or two with a hidden layer between.

    The lecture's flat network reads T·D and writes T·V numbers; for T = 6, D = 4, V = 10:

    >>> n_weights(6 * 4, 6 * 10), n_weights(12 * 4, 12 * 10), n_weights(6 * 4, 6 * 10, 100)
    (1440, 5760, 8400)
    """
    return reads * writes if d_hidden is None else (reads + writes) * d_hidden


def _places(size: int, T: int, device: torch.device) -> Tensor:
    """The position, 0 to T - 1, that each of `size` numbers in a row belongs to."""
    return torch.arange(size, device=device) * T // size


def _check_sizes(sizes: dict[str, int | None]) -> None:
    for name, value in sizes.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")


def _check_fits_in_memory(n_params: int) -> None:
    """Refuse from arithmetic what this machine cannot hold."""
    if torch.get_default_device().type == "meta":
        return
    import psutil

    needed, available = 4 * n_params, psutil.virtual_memory().available
    if needed > available:
        raise ValueError(
            f"A network of {n_params:,} weights needs {needed / 1e9:,.1f} GB in float32 and this machine has "
            f"{available / 1e9:,.1f} GB free: choose a smaller max_seq_len, vocabulary or hidden layer."
        )
