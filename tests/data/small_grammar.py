"""A small language written twice: with the grammar's nodes, and as a plain list of documents and probabilities."""

from lmlab.data.town import Grammar, alt, bind, fn, pick, seq

SIZES = {"cat": {"small": 0.7, "big": 0.3}, "cart": {"big": 0.9, "bigger": 0.1}}


def small_grammar() -> Grammar:
    return Grammar(
        {
            "document": seq(
                bind("who", {"cat": 0.6, "cart": 0.4}),
                alt("The", "the", weights=(1, 3)),
                " {who}",
                pick("size", "who", SIZES),
                " is {size}",
                alt("\n{size}.", fn(lambda v: f" and {v['who']}like!", (" and catlike!", " and cartlike!"))),
            )
        }
    )


def every_document() -> dict[str, float]:
    """Written out by hand with loops, for comparison; no node of the grammar is used."""
    found: dict[str, float] = {}
    for who, p_who in (("cat", 0.6), ("cart", 0.4)):
        for the, p_the in (("The", 0.25), ("the", 0.75)):
            for size, p_size in SIZES[who].items():
                for end in (f"\n{size}.", f" and {who}like!"):
                    document = f"{the} {who} is {size}{end}"
                    found[document] = found.get(document, 0.0) + p_who * p_the * p_size * 0.5
    return found
