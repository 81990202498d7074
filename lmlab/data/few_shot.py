"""Few-shot prompts: some examples of a mapping, then a question of the same kind, and the answers to choose from.

Lecture: "few-shot in-context learning (GPT-3, 2020)": examples in the prompt make completions better, and no weight
changes. Where the mapping is dealt anew for every prompt, no weight can hold it either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from lmlab.data.town.tables import QUILLISH

MOST = 8  # examples in a prompt, and answers to choose from


@dataclass(frozen=True, kw_only=True)
class FewShotTask:
    """A mapping from `sources` to `targets`, and how it is written.

    `dealt`: it is drawn anew for every prompt, and the question is one of the examples; only reading helps. Else it is
    the world's own, and the question is none of the examples: they say no more than what is asked. `choices` are the
    answers to choose from, by source; without any, some of the targets.
    """

    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    dealt: bool
    arrow: str = " =>"
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, pairs: Sequence[tuple[str, str]], asked: str) -> str:
        """The prompt as the model reads it: an example a line, then the question.

        >>> PAIRS.text([("goose", "jik"), ("cat", "pim")], "goose")
        'goose jik\\ncat pim\\ngoose'
        """
        return "".join(f"{source}{self.arrow} {target}\n" for source, target in pairs) + asked + self.arrow


@dataclass(frozen=True, kw_only=True)
class FewShotPrompt:
    """A prompt of k `pairs` and the source that is `asked`. `answer` is what the mapping says of it, `shown` what the
    examples say (None where they do not), both among the `options`."""

    text: str
    pairs: tuple[tuple[str, str], ...]
    asked: str
    answer: str
    shown: str | None
    options: tuple[str, ...]


PAIRS = FewShotTask(
    name="pairs", sources=tuple(QUILLISH)[:16], targets=tuple(QUILLISH.values())[:16], dealt=True, arrow=""
)
"""Animals, fruit and food, each with a nonsense word: 16 of each, all of them words that the town knows."""

_COUNTRIES = """
France Paris French Europe euro, Japan Tokyo Japanese Asia yen, Egypt Cairo Arabic Africa pound,
Italy Rome Italian Europe euro, China Beijing Chinese Asia yuan, Russia Moscow Russian Europe ruble,
Greece Athens Greek Europe euro, Spain Madrid Spanish Europe euro, Germany Berlin German Europe euro,
Sweden Stockholm Swedish Europe krona, Poland Warsaw Polish Europe zloty, Portugal Lisbon Portuguese Europe euro,
Norway Oslo Norwegian Europe krone, Denmark Copenhagen Danish Europe krone, Hungary Budapest Hungarian Europe forint,
Finland Helsinki Finnish Europe euro, Thailand Bangkok Thai Asia baht, Turkey Ankara Turkish Asia lira,
Vietnam Hanoi Vietnamese Asia dong, Iran Tehran Persian Asia rial
"""
_ROWS = [row.split() for row in _COUNTRIES.split(",")]  # country, capital, language, continent, currency

CAPITALS = FewShotTask(
    name="capitals", sources=tuple(row[0] for row in _ROWS), targets=tuple(row[1] for row in _ROWS), dealt=False,
    choices={row[0]: tuple(row[1:]) for row in _ROWS},
)  # fmt: skip
"""Countries and capitals; to choose from are capital, language, continent and currency: which of them is asked?"""

_FRENCH = {
    "sea otter": "loutre de mer", "peppermint": "menthe poivrée", "plush giraffe": "girafe peluche",
    "cheese": "fromage", "bread": "pain", "water": "eau", "house": "maison", "dog": "chien", "cat": "chat",
    "book": "livre", "tree": "arbre", "horse": "cheval", "milk": "lait", "red": "rouge", "apple": "pomme",
    "night": "nuit",
}  # fmt: skip
FRENCH = FewShotTask(name="french", sources=tuple(_FRENCH), targets=tuple(_FRENCH.values()), dealt=False)
"""English and French. The first four are the lecture's, after Brown et al. 2020: three examples, then cheese."""

TASKS = {task.name: task for task in (PAIRS, CAPITALS, FRENCH)}


def few_shot_task(name: str) -> FewShotTask:
    """The task of this name. Raises ValueError, naming all, where there is none."""
    if name not in TASKS:
        raise ValueError(f"There is no task {name!r}; choose from {', '.join(TASKS)}, or give a FewShotTask.")
    return TASKS[name]


def few_shot_prompts(
    task: FewShotTask, k: int, n: int, *, seed: int = 0, shuffled: bool = False
) -> tuple[FewShotPrompt, ...]:
    """n prompts of k examples. `shuffled`: each example bears the target of another one (from two examples on).

    Raises ValueError where k is not from 0 to 8 or the task has too few pairs.
    """
    most = min(MOST, len(task.sources) - (0 if task.dealt else 1))
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= most:
        raise ValueError(f"k is {k!r}; give a whole number of examples from 0 to {most}.")
    rng = Random(f"{task.name} {k} {seed}")
    return tuple((_dealt if task.dealt else _known)(task, k, rng, shuffled) for _ in range(n))


def own_prompt(task: FewShotTask, typed: str) -> FewShotPrompt:
    """What a student typed, "goose => jik, cat => pim, goose": examples between commas or lines, then the question.

    Raises ValueError, naming the piece, where an example has no arrow or nothing is asked.
    """
    pieces = [piece.strip() for piece in typed.replace("\n", ",").split(",") if piece.strip()]
    if not pieces:
        raise ValueError("Nothing is asked: type examples and a question, such as: goose => jik, cat => pim, goose.")
    *examples, last = pieces
    pairs = []
    for piece in examples:
        source, arrow, target = (part.strip() for part in piece.partition("=>"))
        if not (source and arrow and target):
            raise ValueError(f"{piece!r} is no example: write it as source => target, such as goose => jik.")
        pairs.append((source, target))
    asked, _, wanted = (part.strip() for part in last.partition("=>"))
    if not asked or wanted:
        raise ValueError(f"The last piece is the question, so {last!r} must end without an answer, such as: goose.")
    said = [target for source, target in pairs if source == asked]
    known = dict(zip(task.sources, task.targets, strict=True)).get(asked) if not task.dealt else None
    shown = said[-1] if said else None
    answer = shown or known or ""
    more = task.choices.get(asked) or task.targets
    options = tuple(dict.fromkeys([*([answer] if answer else []), *(t for _, t in pairs), *more]))[:MOST]
    return FewShotPrompt(
        text=task.text(pairs, asked), pairs=tuple(pairs), asked=asked, answer=answer, shown=shown, options=options
    )


def _dealt(task: FewShotTask, k: int, rng: Random, shuffled: bool) -> FewShotPrompt:
    sources, targets = rng.sample(task.sources, MOST), rng.sample(task.targets, MOST)
    at = rng.randrange(k) if k else 0
    labels = _deranged(targets[:k], rng) if shuffled else targets[:k]
    return _prompt(task, list(zip(sources, labels, strict=False)), sources[at], targets[at], targets, rng)


def _known(task: FewShotTask, k: int, rng: Random, shuffled: bool) -> FewShotPrompt:
    places = rng.sample(range(len(task.sources)), k + 1)
    *examples, asked = places
    source, answer = task.sources[asked], task.targets[asked]
    labels = [task.targets[i] for i in examples]
    labels = _deranged(labels, rng) if shuffled else labels
    options = task.choices.get(source)
    if options is None:
        others = sorted(set(task.targets) - {answer})
        options = (answer, *rng.sample(others, min(MOST, len(others) + 1) - 1))
    pairs = list(zip([task.sources[i] for i in examples], labels, strict=True))
    return _prompt(task, pairs, source, answer, options, rng)


def _prompt(
    task: FewShotTask,
    pairs: Sequence[tuple[str, str]],
    asked: str,
    answer: str,
    options: Sequence[str],
    rng: Random,
) -> FewShotPrompt:
    mixed = list(options)
    rng.shuffle(mixed)
    said = [target for source, target in pairs if source == asked]
    return FewShotPrompt(
        text=task.text(pairs, asked), pairs=tuple(pairs), asked=asked, answer=answer,
        shown=said[-1] if said else None, options=tuple(mixed),
    )  # fmt: skip


def _deranged(labels: list[str], rng: Random) -> list[str]:
    """The labels in an order in which none keeps its place; as they are where that cannot be."""
    if len(set(labels)) < 2:
        return labels
    for _ in range(1_000):
        mixed = rng.sample(labels, len(labels))
        if all(a != b for a, b in zip(mixed, labels, strict=True)):
            return mixed
    return labels[1:] + labels[:1]
