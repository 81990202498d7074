"""GuessingGame: what was guessed, and each model's bits a character by its probability of the same text."""

from __future__ import annotations

import math

import pytest

import lmlab as lab
from lmlab.widgets import GuessingGame
from lmlab.widgets.guessing_game import first_words, texts_of

TEXT = "The mayor of the town went golfing with the goose."
START = len("The mayor of")


@pytest.fixture
def game(trigram: lab.TextModel, random_model: lab.TextModel) -> GuessingGame:
    return GuessingGame(random_model, texts=[TEXT, TEXT.replace("goose", "baker")])


def test_every_key_is_a_guess(game: GuessingGame) -> None:
    assert game.shown.given == "The mayor of"
    assert game.sentence.startswith("Guess what comes after The mayor of")
    game.pressed = "1: aft"
    assert [(c, rank) for c, rank, _ in game.shown.found] == [("·", 1), ("t", 3)]
    assert game.shown.found[1][2] == "af"
    assert game.sentence.startswith("Yes: t, at guess 3.")
    game.pressed = "1: afthmmz"
    assert game.shown.tried == "m"
    assert game.sentence.startswith("z occurs in none of these texts and costs nothing")


def test_a_models_bits_are_its_probability_of_the_same_text(game: GuessingGame, random_model: lab.TextModel) -> None:
    end = TEXT.index(" golfing")
    game.pressed = "1:" + TEXT[START:end]
    (player,) = game.shown.players
    nats = random_model.log_prob(TEXT[START:end], given=TEXT[:START])
    assert player.characters == end - START
    assert player.bits == pytest.approx(-nats / math.log(2) / (end - START), rel=1e-4)
    game.pressed += " gol"  # inside a token: what is not finished is not counted
    finished = [stop for _, stop in random_model.tokenizer.offsets(TEXT) if stop <= end + 4]
    assert game.shown.players[0].characters == finished[-1] - START < end + 4 - START


def test_the_truth_stands_behind_the_models(random_model: lab.TextModel, trigram: lab.TextModel) -> None:
    """Exact bits of a text of the town, from the grammar's own probability of it."""
    town = lab.Town(families=["news"])
    text = next(one for one in town.sample(50, seed=3) if 40 <= len(one) <= 90 and "\n" not in one)
    truth = lab.TextModel(lab.TownTruth(random_model.tokenizer, town), random_model.tokenizer, name="truth")
    w = GuessingGame(random_model, truth=truth, texts=[text])
    start = first_words(text)
    w.pressed = "1:" + text[start:]
    model, exact = w.shown.players
    assert (model.truth, exact.truth) == (False, True)
    nats = truth.log_prob(text[start:], given=text[:start])
    assert exact.bits == pytest.approx(-nats / math.log(2) / (len(text) - start), rel=1e-4)
    assert exact.bits < model.bits
    assert f"; truth {exact.bits:.2f}" in w.sentence


def test_the_bounds_are_those_of_the_ranks(game: GuessingGame) -> None:
    game.pressed = "1: tahfem" + " tr"
    ranks = [rank for _, rank, _ in game.shown.found]
    lower, upper = lab.shannon_bounds(ranks)
    assert (game.shown.lower, game.shown.upper) == (lower, upper)
    assert f"you need {lower:.2f} to {upper:.2f} bits a character; random" in game.sentence
    assert sum(game.shown.rounds) == len(ranks)


def test_keys_belong_to_their_text(game: GuessingGame) -> None:
    game.pressed = "1: t"
    game.text = 2
    assert game.shown.found == ()
    game.pressed = "2: "
    assert len(game.shown.found) == 1
    game.reset()
    assert (game.text, game.pressed, game.shown.found) == (1, "", ())


def test_to_be_shown_counts_the_rest_of_the_alphabet(game: GuessingGame) -> None:
    game.clicked("show")
    game.clicked("show")
    assert [c for c, _, _ in game.shown.found] == ["·", "t"]
    order = game._alphabet
    assert [rank for _, rank, _ in game.shown.found] == [order.index(" ") + 1, order.index("t") + 1]


def test_the_end(game: GuessingGame) -> None:
    game.pressed = "1:" + TEXT[START:]
    assert game.shown.left == 0
    assert game.shown.upper == 0
    assert "That was the whole text" in game.sentence
    assert game.shown.players[0].characters == len(TEXT) - START


def test_the_secret_stays_in_the_kernel(game: GuessingGame) -> None:
    assert "golfing" not in str(game.view)


def test_odd_keys_and_many(game: GuessingGame) -> None:
    for keys in ("1:🦜", "1:<img src=x onerror=1>", "1:" + "q" * 10_000, "9:abc", "nonsense", "1:\n\r\n"):
        game.pressed = keys
        assert game.sentence


def test_texts_are_first_lines_of_a_fair_length() -> None:
    short, long = "too short", "word " * 60
    assert texts_of([short, TEXT + "\nsecond line", TEXT, long]) == (TEXT,)
    assert TEXT[: first_words(TEXT)] == "The mayor of"
    with pytest.raises(ValueError, match="No text has a first line"):
        GuessingGame(texts=[short, long])
    with pytest.raises(ValueError, match="put the text into brackets"):
        GuessingGame(texts=TEXT)
    assert len(GuessingGame()._texts) == 12
