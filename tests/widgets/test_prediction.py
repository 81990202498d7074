"""Prediction: nothing is given away before the guess, and the guess stays."""

import json

import pytest

from lmlab import user_folder
from lmlab.widgets.prediction import Prediction


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path))
    monkeypatch.setenv("LMLAB_STRICT", "1")


def panicked(**more):
    return Prediction(
        "next_word.panicked", "How likely is “panicked”?", 0.618, unit="%", truth=0.6, by="town",
        reason="three crashes in five end in panic", **more,
    )  # fmt: skip


def test_before_the_guess_nothing_gives_the_answer_away():
    asked = []
    widget = Prediction("a.b", "How many?", lambda: asked.append(1) or 738.0, scale=(0, 1000))
    assert repr(widget) == "Prediction: no guess yet"
    assert not asked
    assert "738" not in json.dumps(widget.get_state(), default=str)
    assert widget.guess is None
    assert widget.view["bars"] == []


def test_reveal_puts_you_model_and_truth_on_one_scale_in_this_order():
    widget = panicked()
    widget.guess = 0.45
    assert [bar["who"] for bar in widget.view["bars"]] == ["you", "town", "truth"]
    assert [bar["shown"] for bar in widget.view["bars"]] == ["45\u202f%", "62\u202f%", "60\u202f%"]
    assert [bar["fraction"] for bar in widget.view["bars"]] == pytest.approx([0.45 / 0.618, 1, 0.6 / 0.618])
    assert widget.sentence == (
        "You said 45\u202f%; town says 62\u202f% and the truth is 60\u202f%. "
        "You were 15 points low: three crashes in five end in panic."
    )


@pytest.mark.parametrize(
    ("guess", "said"),
    [(0.6, "You were within half a point"), (0.61, "You were 1 point high"), (0.9, "You were 30 points high")],
)
def test_distance_in_points(guess, said):
    widget = panicked()
    widget.guess = guess
    assert said in widget.sentence


@pytest.mark.parametrize(
    ("guess", "answer", "said"),
    [
        (100.0, 144.0, "You said 100\u202fTB; the answer is 144\u202fTB. You were 44\u202fTB too low."),
        (1.0, 144.0, "You were 144 times too low."),
        (144.0, 144.0, "You said just that."),
    ],
)
def test_other_numbers(guess, answer, said):
    widget = Prediction("scale.bytes", "How many?", answer, unit="TB", scale=(0, 1000))
    widget.guess = guess
    assert said in widget.sentence


def test_a_choice():
    widget = Prediction("a.c", "What does it see?", "two words", choices=("two words", "all"), by="trigram")
    widget.guess = "all"
    assert widget.sentence == "You said all; trigram says two words. That is another one."
    widget.guess = "two words"
    assert widget.sentence.endswith("That is what you said.")


def test_the_guess_is_kept_found_again_and_can_be_replaced():
    panicked().guess = 0.2
    again = panicked()
    assert again.guess == 0.2
    assert "You said 20\u202f%" in again.sentence
    again.guess = 0.3
    assert user_folder.guesses() == {"next_word.panicked": 0.3}
    again.reset()
    assert not user_folder.guesses()
    assert repr(again) == "Prediction: no guess yet"


def test_an_impossible_guess_is_refused_and_not_kept():
    widget = panicked()
    for wrong, said in [
        (45, "Write 45 % as 0.45"),
        (True, "is a number"),
        ("much", "is a number"),
        (-0.1, "lies between"),
    ]:
        with pytest.raises(ValueError, match=said):
            widget.guess = wrong
    with pytest.raises(ValueError, match="Choose one of a, b"):
        Prediction("x", "?", "a", choices=("a", "b")).guess = "c"
    assert not user_folder.guesses()


def test_a_kept_guess_that_no_longer_fits_is_ignored():
    user_folder.save_guess("next_word.panicked", "an old text")
    assert panicked().guess is None


def test_a_question_without_a_scale_is_refused():
    with pytest.raises(ValueError, match=r"needs scale=\(low, high\)"):
        Prediction("x", "How many?", 3.0)
    with pytest.raises(ValueError, match="must be the smaller one"):
        Prediction("x", "How many?", 3.0, scale=(10, 1))


def test_text_twin_only_after_the_guess():
    widget = panicked()
    assert "62" not in widget._repr_mimebundle_()[0]["text/html"]
    widget.guess = 0.45
    assert "62" in widget._repr_mimebundle_()[0]["text/html"]
