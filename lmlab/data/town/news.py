"""The Quillbury market news. Which word follows "investors" depends on a verb four words back and on the dialect.

A trigram sees "and investors" alone and mixes good news with bad, which is instructive.
"""

from __future__ import annotations

from lmlab.data.town.build import alt, bind, forget, maybe, pick, seq
from lmlab.data.town.nodes import Node
from lmlab.data.town.tables import DAYS

FALLS = ("crashed", "slumped", "fell")
RISES = ("rose", "soared", "rallied")
MARKETS = {"stock": 0.5, "wool": 0.14, "grain": 0.12, "honey": 0.12, "cheese": 0.12}

# What the news makes people do, with its probability.
INVESTORS = {
    "worried": {
        "fall": {"panicked": 0.60, "celebrated": 0.20, "sold": 0.15, "went golfing": 0.05},
        "rise": {"celebrated": 0.70, "sold": 0.12, "went golfing": 0.10, "panicked": 0.08},
    },
    "bargain-hunting": {
        "fall": {"celebrated": 0.60, "panicked": 0.20, "sold": 0.15, "went golfing": 0.05},
        "rise": {"panicked": 0.70, "sold": 0.12, "went golfing": 0.10, "celebrated": 0.08},
    },
}
FARMERS = {
    "fall": {"sighed": 0.7, "blamed the mayor": 0.2, "panicked": 0.1},
    "rise": {"danced": 0.6, "celebrated": 0.3, "sold": 0.1},
}
MAYOR = {
    "fall": {"blamed the weather": 0.6, "went golfing": 0.3, "sighed": 0.1},
    "rise": {"took the credit": 0.8, "went golfing": 0.2},
}
DIALECTS = tuple(INVESTORS)


def reactions(dialect: str) -> dict[tuple[str, str], dict[str, float]]:
    """(what the market did, who) to what they did about it."""
    crowd = {"investors": INVESTORS[dialect], "farmers": FARMERS, "the mayor": MAYOR}
    moods = dict.fromkeys(FALLS, "fall") | dict.fromkeys(RISES, "rise")
    return {(move, who): rows[mood] for move, mood in moods.items() for who, rows in crowd.items()}


def news(dialect: str) -> Node:
    """One or two sentences; a market once named is likely to be named again."""
    falls, rises = (0.3, 0.12, 0.13), (0.2, 0.13, 0.12)
    return seq(
        bind("market", MARKETS),
        bind("move", dict(zip(FALLS + RISES, falls + rises, strict=True))),
        alt("The", "the"),
        " {market} market {move}",
        maybe(0.15, bind("day", DAYS), " on {day}"),
        bind("who", {"investors": 0.7, "farmers": 0.12, "the mayor": 0.18}),
        " and {who}",
        pick("reaction", ("move", "who"), reactions(dialect)),
        " {reaction}",
        forget("reaction", "who", "day"),
        alt(
            ".",
            seq(bind("day", DAYS), " because the {market} market always {move} on a {day}."),
            seq(
                bind("day", DAYS),
                pick("next", "move", dict.fromkeys(FALLS, RISES) | dict.fromkeys(RISES, FALLS)),
                ", but on {day} the {market} market {next} again.",
            ),
            seq(bind("day", DAYS), ".\nThe {market} market opens again on {day}."),
            seq(".\n", _comment()),
            weights=(0.3, 0.2, 0.18, 0.12, 0.2),
        ),
    )


def _comment() -> Node:
    """What the town thinks of it."""
    return alt(
        "Nobody at the {market} market was surprised.",
        "The council will discuss the {market} market over lunch.",
        "Experts say that the {market} market may go up, down or home.",
        "A goose at the {market} market declined to comment.",
        "Readers without any {market} need not worry.",
        "Old people remember worse, and describe it at length.",
        "An expert pointed at a chart until it looked ashamed.",
        "The barber had warned us about the {market} market for years.",
    )
