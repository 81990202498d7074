"""Did it learn the town? Its loss beside the floor that nobody can beat, and what it answers, family by family."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lmlab.data.town.measure import Measure, measure, table
from lmlab.data.town.news import INVESTORS
from lmlab.data.town.town import Town
from lmlab.text_model import TextModel

HEADLINE = "The stock market crashed and investors"


@dataclass(frozen=True)
class Evaluation:
    """Of a model on the town. loss and floor: nats a token on the same fresh whole documents, from BOS to EOS.

    gap_error: the standard error of the gap. families: the same figures for each family, with the share of its
    questions answered right. news: what the model expects investors to do after a crash, with its probability.
    """

    loss: float
    floor: float
    gap_error: float
    families: dict[str, Measure]
    news: dict[str, float]

    @property
    def gap(self) -> float:
        """How far the loss is above the floor, in nats a token."""
        return self.loss - self.floor

    def text(self, dialect: str = "worried") -> str:
        """Everything as lines of text; the true shares of the news stand beside the model's."""
        truth = INVESTORS[dialect]["fall"]
        news = ", ".join(f"{what} {share:.2f} ({truth[what]:.2f})" for what, share in self.news.items())
        return (
            f"{table(self.families)}\n\n{HEADLINE} ... {news}\n\n"
            f"loss {self.loss:.4f}, floor {self.floor:.4f}, gap {self.gap:.4f} nats a token "
            f"(standard error {self.gap_error:.4f})"
        )


def evaluate(model: TextModel, town: Town | None = None, *, documents: int = 100, seed: int = 1) -> Evaluation:
    """Measure a model on `documents` fresh documents and as many questions of each family.

    Raises ValueError for a tokenizer without <|endoftext|>, with which documents have neither beginning nor end.
    """
    town = town or Town()
    if model.tokenizer.bos_id is None:
        raise ValueError(f"{model.name} has no <|endoftext|> token, so it cannot read whole documents of the town.")
    families = measure(model.model, model.tokenizer, town, n=documents, seed=seed)
    together = families["all"]
    fall = INVESTORS[town.dialect]["fall"] if "news" in town.families else {}
    news = {what: math.exp(model.log_prob(f" {what}", given=HEADLINE)) for what in fall}
    return Evaluation(together.loss, together.truth_loss, together.gap_error, families, news)
