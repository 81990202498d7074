"""`lab.reveal`: a guess in text, beside its answer."""

import pytest
import torch

from lmlab.exercises import reveal
from lmlab.user_folder import guesses


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))


def test_no_guess_keeps_the_answer_hidden_and_does_not_even_compute_it():
    def answer():
        raise AssertionError("computed too early")

    assert "no guess yet" in repr(reveal("scale.bytes", ..., answer))
    assert "no guess yet" in repr(reveal("scale.bytes", None, 144))
    assert "144" not in repr(reveal("scale.bytes", ..., 144))
    assert not guesses()


@pytest.mark.parametrize(
    ("guess", "value", "unit", "said"),
    [
        (0.45, 0.62, "%", "You said 45 %; the answer is 62 %: you were 17 points low."),
        (100, 144, "TB", "You said 100 TB; the answer is 144 TB: you were 44 TB too low."),
        (1_000_000, 1000, "", "You said 1,000,000; the answer is 1,000: 1,000 times too high."),
        (3, 3, "", "You said 3; the answer is 3: the same."),
        ("trigram", "town", "", "You said 'trigram'; the answer is 'town'."),
        ("town", "town", "", "You said 'town'; the answer is 'town', as you said."),
        (0.5, torch.tensor(0.25), "%", "You said 50 %; the answer is 25 %: you were 25 points high."),
        (0.5, lambda: 0.25, "%", "You said 50 %; the answer is 25 %: you were 25 points high."),
    ],
)
def test_sentence_names_both_and_the_distance(guess, value, unit, said):
    assert repr(reveal("a.b", guess, value, unit=unit)) == said


def test_guess_is_kept_and_can_be_made_again():
    reveal("next_word.panicked", 0.2, 0.6, unit="%")
    reveal("next_word.panicked", 0.4, 0.6, unit="%")
    assert guesses() == {"next_word.panicked": 0.4}


def test_a_guess_of_another_kind_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"write 45 % as 0\.45"):
        reveal("a.b", 45, 0.6, unit="%")
    with pytest.raises(ValueError, match="expected a number as the guess, got 'many'"):
        reveal("a.b", "many", 3)
    with pytest.raises(ValueError, match="finite"):
        reveal("a.b", float("nan"), 3)
    assert not guesses()
