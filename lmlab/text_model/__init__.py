"""A model and its tokenizer, held together: what a student asks, and what every widget takes.

Lecture: "ask the model". Text goes in, text and natural log-probabilities come out; ids stay inside.
"""

from lmlab.text_model.generation import Generation, Step
from lmlab.text_model.handle import Candidate, TextModel, split_trailing_space
from lmlab.text_model.opening import load

__all__ = ["Candidate", "Generation", "Step", "TextModel", "load", "split_trailing_space"]
