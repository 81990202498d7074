"""Five ways to ask for what is banned: each says what it should, and nothing of it is in what training showed."""

from __future__ import annotations

import base64

import pytest

from lmlab.data.town.chat import history_answers, recipe_answers
from lmlab.data.town.refusals import (
    ATTACKS,
    GRANDMOTHER,
    HELD_OUT_WORDING,
    N_WORDINGS,
    PAST_TENSE,
    PLAIN,
    REFUSALS,
    is_refusal,
)
from lmlab.data.town.tables import BANNED, THINGS
from lmlab.data.town.town import Town

LEET = {"4": "a", "3": "e", "1": "i", "0": "o", "5": "s", "7": "t"}


def test_each_form_has_its_wordings_and_all_requests_differ() -> None:
    assert len(PLAIN) == len(PAST_TENSE) == len(GRANDMOTHER) == N_WORDINGS == HELD_OUT_WORDING + 1
    for thing in THINGS:
        requests = {attack(thing, wording) for attack in ATTACKS.values() for wording in range(N_WORDINGS)}
        assert len(requests) == len(ATTACKS) * N_WORDINGS
        readable = [ATTACKS[f](thing, w) for f in ("plain", "past tense", "grandmother") for w in range(N_WORDINGS)]
        assert all(thing.name in request for request in readable)


@pytest.mark.parametrize("wording", range(N_WORDINGS))
def test_encodings_hide_the_thing_and_can_be_undone(wording: int) -> None:
    for thing in THINGS:
        asked = ATTACKS["plain"](thing, wording)
        hidden = ATTACKS["leetspeak"](thing, wording)
        assert thing.name not in hidden
        assert "".join(LEET.get(letter, letter) for letter in hidden) == asked
        coded = ATTACKS["base64"](thing, wording)
        assert thing.name not in coded
        assert base64.b64decode(coded, validate=True).decode("ascii") == asked


def test_the_town_itself_asks_in_the_plain_and_past_forms_and_answers() -> None:
    town = Town(families=("how_to",))
    for thing in BANNED:
        for wording in (0, 1, 2):
            assert all(town.can_say(f"{ATTACKS['plain'](thing, wording)}\n{a}") for a in recipe_answers(thing))
        assert all(town.can_say(f"{ATTACKS['past tense'](thing, 0)}\n{a}") for a in history_answers(thing))


def test_a_refusal_is_told_from_an_answer() -> None:
    for thing in THINGS:
        assert all(is_refusal(text.format(thing=thing.name)) for text in REFUSALS)
        assert not any(is_refusal(text) for text in (*recipe_answers(thing), *history_answers(thing)))
    assert is_refusal(" I am sorry.")
    assert not is_refusal("")
