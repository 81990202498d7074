"""Tasks as text: sums, Quillish, syllogisms and puzzles, the copying game, Python. No task has a label."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

from lmlab.data.town.build import alt, bind, fn, forget, maybe, pick, pick_other, seq
from lmlab.data.town.nodes import Node, Variables
from lmlab.data.town.tables import JOBS, NAMES, QUILLISH

N_PAIRS, N_LINES = 6, 20
TABLE_SIZES = {1: 0.1, 2: 0.2, 3: 0.2, 4: 0.2, 5: 0.1, N_PAIRS: 0.2}
LARGEST = 99


def _number(variables: Variables, name: str) -> int:
    value = variables[name]
    assert isinstance(value, int)
    return value


def result(variables: Variables) -> str:
    """What the sum of the drawn numbers comes to, as the word that follows the equals sign."""
    a, b = _number(variables, "a"), _number(variables, "b")
    results = {"+": a + b, "-": a - b, "*": a * b}
    return f" {results[str(variables['op'])]}"


NUMBERS = [f" {n}" for n in range(LARGEST + 1)]


_BELOW = {a: tuple(range(a + 1)) for a in range(50)}


def problem(plus: str, minus: str, times: str, *, space: bool = False) -> Node:
    """One problem whose result is from 0 to 99, its operation written as given: draws op, a and b.

    Each number is drawn where it is said, so that few derivations are alive at a time.
    """

    def said(op: str, sign: str, top: int, second: Node) -> Node:
        return seq(bind("op", (op,)), bind("a", range(top)), f"{' ' * space}{{a}} {sign}", second, " {b}")

    return alt(
        said("+", plus, 50, bind("b", range(50))),
        said("-", minus, 50, pick("b", "a", _BELOW)),
        said("*", times, 10, bind("b", range(10))),
        weights=(0.6, 0.25, 0.15),
    )


def arithmetic(dialect: str) -> Node:
    """Three to six sums, one a line."""
    line = seq(problem("+", "-", "*"), " =", fn(result, NUMBERS), ".", forget("op", "a", "b"))
    more = seq("\n", line)
    return seq(line, more, more, maybe(0.6, more, maybe(0.6, more, maybe(0.6, more))))


def _quillish(name: str) -> Node:
    return fn(lambda variables: f" {QUILLISH[str(variables[name])]}", [f" {word}" for word in QUILLISH.values()])


def translation(dialect: str) -> Node:
    """One or two entries of the Quillish dictionary."""

    def entry(name: str, space: str) -> Node:
        say = _quillish(name)
        return alt(
            seq(f"{space}In Quillish, {{{name}}} is", say, "."),
            seq(f"{space}The Quillish word for {{{name}}} is", say, "."),
            seq(f"{space}We say {{{name}}} and they say", say, "."),
        )

    return seq(
        bind("one", tuple(QUILLISH)),
        entry("one", ""),
        maybe(0.7, pick_other("two", tuple(QUILLISH), "one"), entry("two", " ")),
    )


def logic(dialect: str) -> Node:
    """Syllogisms, and the question who is the dancer."""
    plurals = [f"{job}s" for job in JOBS]
    syllogism = seq(
        bind("rule", ("All", "No")),
        "{rule}",
        bind("x", JOBS),
        _plural("x", plurals),
        " are",
        pick_other("y", JOBS, "x"),
        _plural("y", plurals),
        ".",
        bind("who", NAMES),
        " {who} is a {x}. So {who} is",
        pick("not", "rule", {"All": ("",), "No": (" not",)}),
        "{not} a {y}.",
    )
    return alt(syllogism, _puzzle(), weights=(0.4, 0.6))


def _plural(name: str, plurals: Iterable[str]) -> Node:
    return fn(lambda variables: f" {variables[name]}s", [f" {plural}" for plural in plurals])


def _puzzle() -> Node:
    """Three people, three jobs, two clues; a is whom the first clue names, c the answer."""
    orders = tuple(permutations((0, 1, 2)))

    def who(kind: str, place: int, order: str) -> Node:
        """Say the person (kind n) or the job (kind j) that stands at a place of the order drawn."""
        texts = [f" {x}" for x in (NAMES if kind == "n" else JOBS)]
        return fn(lambda v: f" {v[kind + str(v[order][place])]}", texts)  # type: ignore[index]

    return seq(
        bind("n0", NAMES), "{n0},",
        pick_other("n1", NAMES, "n0"), " {n1} and",
        pick_other("n2", NAMES, "n0", "n1"), " {n2} are",
        bind("j0", JOBS), " a {j0}, a",
        pick_other("j1", JOBS, "j0"), " {j1} and a",
        pick_other("j2", JOBS, "j0", "j1"), " {j2}.",
        bind("people", orders), who("n", 0, "people"), " is the",
        bind("works", orders), who("j", 0, "works"), ".", who("n", 1, "people"),
        alt(seq(" is the", who("j", 1, "works")), seq(" is not the", who("j", 2, "works"))),
        ". So the", who("j", 2, "works"), " is", who("n", 2, "people"), ".",
    )  # fmt: skip


def pairs(dialect: str) -> Node:
    """One to six pairs that no dictionary holds, then questions about them in random order: twenty lines in all.

    The pairs are drawn anew in every document, so only reading them helps. The value stands right behind its key,
    and short tables come first in difficulty: from two candidates a model learns to look, from six to look well.
    """
    return alt(*(_table(n) for n in TABLE_SIZES), weights=tuple(TABLE_SIZES.values()))


def _table(n_pairs: int) -> Node:
    keys, values = tuple(QUILLISH), tuple(QUILLISH.values())
    parts: list[Node | str] = []
    for i in range(n_pairs):
        parts.append(pick_other(f"k{i}", keys, *(f"k{j}" for j in range(i))))
        parts.append(f"{{k{i}}}")
        parts.append(pick_other(f"v{i}", values, *(f"v{j}" for j in range(i))))
        parts.append(f" {{v{i}}}\n")
    query = alt(*(f"{{k{i}}} {{v{i}}}" for i in range(n_pairs)))
    for n in range(n_pairs, N_LINES):
        parts += [query, "\n"] if n + 1 < N_LINES else [query]
    return seq(*parts)


def code(dialect: str) -> Node:
    """A few lines of Python that nobody would be ashamed of."""
    numbers = tuple(range(2, 13))
    array = seq(
        alt("import numpy as np\n", "import jax.numpy as np\n", weights=(0.9, 0.1)),
        bind("n", numbers),
        alt("x = np.zeros({n})\n", "x = np.ones({n})\n", "x = np.arange({n})\n"),
        alt("print(x)", "print(x.sum())", "print(x.mean())", "print(x.shape)"),
    )
    table = seq(
        "import pandas as pd\n",
        bind("file", ("cheese", "honey", "soup", "toast")),
        "{file} = pd.read_csv('{file}.csv')\n",
        alt("print({file}.head())", "print({file}.mean())", "print({file}.columns)"),
    )
    loop = seq(
        bind("i", ("i", "n", "day")),
        "for {i} in range(",
        bind("n", numbers),
        "{n}):\n   ",
        alt(" print({i})", " total += {i}\nprint(total)", " print({i} * {i})", " goose.honk({i})"),
    )
    function = seq(
        bind("name", ("double", "square", "negate", "half")),
        "def {name}(x):\n    return",
        pick("body", "name", {"double": (" 2 * x",), "square": (" x * x",), "negate": (" -x",), "half": (" x / 2",)}),
        "{body}\n",
        bind("n", numbers),
        "print({name}({n}))",
    )
    return alt(array, table, loop, function, weights=(0.36, 0.18, 0.3, 0.16))
