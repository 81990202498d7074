"""`lmlab evaluate MODEL`: a model of the town beside the truth, family by family."""

from __future__ import annotations

from lmlab.data.town.town import Town
from lmlab.text_model import load
from lmlab.training.evaluate import evaluate


def evaluate_command(model: str, *, documents: int, seed: int, dialect: str) -> int:
    """Print loss, floor and right answers of a model folder or a shipped model; returns the exit code."""
    if documents < 2:
        raise ValueError(f"--documents is {documents}; give at least 2, so that there is a standard error.")
    if seed < 0:
        raise ValueError(f"--seed is {seed}; it must be 0 or above.")
    print(evaluate(load(model), Town(dialect), documents=documents, seed=seed).text(dialect))
    return 0
