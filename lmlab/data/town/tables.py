"""Who lives in Quillbury, what they keep, what they brew, and what they call it: the facts behind the grammar.

Every entry is one pre-token. Lists are short on purpose: the vocabulary must fit a tokenizer of 2,048.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = (
    "Ada Agnes Basil Bram Clem Cora Dirk Dot Edna Elsie Finn Fitz Greta Gus Hetty Hugo "
    "Ines Iris Jasper Jory Kit Lars Lotte Mabel Milo Nell Nico Olga Otis Percy Pip Quin "
    "Rosa Ruth Silas Sven Tess Tilda Una Vera Violet Walt Wanda Wilf Yan Yara Zeb Zelda"
).split()
JOBS = "baker barber cobbler dancer fiddler gardener hatter juggler locksmith miller potter tailor".split()
STREETS = "Bell Bridge Button Candle Clock Goose Herring Lantern Mill Pudding Saddle Willow".split()
PETS = "badger cat donkey ferret goat goose hedgehog hen mole newt parrot tortoise".split()
FOODS = "biscuits cheese cherries dumplings honey pancakes pears pickles plums soup toast trifle".split()


@dataclass(frozen=True)
class Person:
    """One of the 48: a name and four facts."""

    name: str
    job: str
    street: str
    pet: str
    food: str


def _people() -> tuple[Person, ...]:
    people = []
    for i, name in enumerate(NAMES):
        row, turn = divmod(i, 12)
        people.append(
            Person(
                name,
                job=JOBS[(5 * i + 3 * row) % 12],
                street=STREETS[(7 * i + 2 * row + 4) % 12],
                pet=PETS[(11 * turn + 5 * row + 1) % 12],
                food=FOODS[(turn + 7 * row + 6) % 12],
            )
        )
    return tuple(people)


PEOPLE = _people()
HELD_OUT_PEOPLE = PEOPLE[2::3]  # never in question-answer text: can the model answer about them all the same?
ASKED_PEOPLE = tuple(person for person in PEOPLE if person not in HELD_OUT_PEOPLE)

INGREDIENTS = "ash butter feathers honey moss nettles oats pepper plums salt soot vinegar".split()


@dataclass(frozen=True)
class Thing:
    """An invented thing that somebody may want to make. None of it exists, and none of it would work."""

    name: str
    first: str
    second: str
    verb: str
    banned: bool  # by the town council, later, in post-training; the town itself tells everything


_BANNED = (
    "burpbeans creakoil giggleglue glowfire grumblegas hiccupfizz itchsoap mudrocket "
    "sneezedust snoreroot stinkfog wobblewax"
).split()
_HARMLESS = (
    "acornpie cloudsoup figtoffee honeyglass larkjam moonbread nettletea oatbricks "
    "pearfoam plumfizz rosebutter turnipcake"
).split()
VERBS = "boil shake stir whisk".split()


def _thing(i: int, name: str, banned: bool) -> Thing:
    first = INGREDIENTS[(5 * i + 2 * banned) % 12]
    second = INGREDIENTS[(5 * i + 2 * banned + 1 + (7 * i) % 11) % 12]
    return Thing(name, first, second, VERBS[(3 * i + i // 4 + banned) % 4], banned)


BANNED = tuple(_thing(i, name, True) for i, name in enumerate(_BANNED))
HARMLESS = tuple(_thing(i, name, False) for i, name in enumerate(_HARMLESS))
THINGS = BANNED + HARMLESS
HELD_OUT_BANNED = BANNED[2::3]  # never among the refusals that safety training shows

PAST = {"boil": "boiled", "shake": "shook", "stir": "stirred", "whisk": "whisked"}

# Quillish, which is spoken on market days. The nouns are also the keys of the copying game, the Quillish words
# its values: there the pairs are shuffled anew in every document, so knowing Quillish does not help.
QUILLISH = {
    "badger": "brol", "cat": "mip", "donkey": "hauf", "ferret": "zin", "goat": "bekka", "goose": "plonk",
    "hedgehog": "spro", "hen": "tuk", "mole": "urd", "newt": "wib", "parrot": "krax", "tortoise": "oom",
    "biscuits": "nax", "cheese": "fromp", "cherries": "lil", "dumplings": "dof", "honey": "sool", "pancakes": "flep",
    "pears": "gwee", "pickles": "jik", "plums": "vosh", "soup": "slub", "toast": "kerb", "trifle": "quam",
    "bread": "dro", "butter": "ilk", "feathers": "tiss", "hat": "pim", "ladder": "yoss", "moss": "emf",
    "spoon": "clag", "umbrella": "wump",
}  # fmt: skip

DAYS = "Monday Tuesday Wednesday Thursday Friday".split()
ROLES = {
    "pirate": "Arr", "wizard": "Behold", "robot": "Beep", "poet": "Alas", "ghost": "Boo", "king": "Hark",
    "parrot": "Squawk", "judge": "Order",
}  # fmt: skip
