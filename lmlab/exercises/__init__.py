"""Exercises: a check that answers at once, hints in three steps, guesses beside their answers.

This is feedback, not grading: nothing is sent anywhere, and every check can be run as often as you like.
"""

from lmlab.exercises.checking import CheckResult, check
from lmlab.exercises.hints import Hint, hint
from lmlab.exercises.prediction_text import Reveal, reveal
from lmlab.exercises.standing import Standing, progress

__all__ = ["CheckResult", "Hint", "Reveal", "Standing", "check", "hint", "progress", "reveal"]
