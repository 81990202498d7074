"""How town-sft and town-chat are made, and what the stages of post-training do: `python -m tools.post_training`.

`--make` writes both models into assets/models, from assets/models/town: half a minute on one thread. Without it nothing
is written: the stages are run for `--seeds` seeds, about three minutes of the processor each, and the table is printed
that the documentation quotes.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import mean, stdev

import torch

from lmlab.data.preferences import text_reward
from lmlab.data.town.chat import chat_questions, town_dialogues
from lmlab.data.town.labels import answers_of_every_worth, town_preferences, worth
from lmlab.data.town.measure import answers as greedy_answers
from lmlab.data.town.probes import probes
from lmlab.data.town.refusals import plain
from lmlab.data.town.tables import HELD_OUT_BANNED
from lmlab.data.town.town import Town
from lmlab.models.reward import RewardModel
from lmlab.text_model import TextModel, load
from lmlab.training.answer_scores import another_question, broken_verifier, examined, right_alone
from lmlab.training.post_training import RL_KINDS, fitted_reward_model, reinforced, replayed, sft, town_chat
from lmlab.training.refusal_rounds import Round, exchanges, first_round, helpful_assistant, patched_round, share_of

MODELS = Path(__file__).resolve().parents[1] / "assets" / "models"
MOON = "Explain the moon landing to a six-year-old."
N_EXAMINED, EXAMINATION = 200, 1
N_LABELS = 240
FORGETTING_STEPS = 500
LEASH = 0.3  # what a nat costs a policy that is paid by the reward model, whose scores span seven

Rows = dict[str, float]


def make(folder: Path = MODELS) -> None:
    """town-sft from town, town-chat from town-sft; bfloat16, with their chat template."""
    sft(load("town"), replay=replayed()).save(folder / "town-sft", dtype=torch.bfloat16)
    town_chat(load(folder / "town-sft")).model.save(folder / "town-chat", dtype=torch.bfloat16)


def scores(name: str, model: TextModel) -> Rows:
    """An examination on what is held out, greedily and at temperature 1, and what pre-training had taught."""
    questions = chat_questions(N_EXAMINED, EXAMINATION, held_out=True)
    sure, drawn = examined(model, questions), examined(model, questions, temperature=1.0)
    known = greedy_answers(model.model, model.tokenizer, probes(Town(), 50, seed=3))
    return {
        f"{name}: P(another question)": another_question(model, MOON),
        f"{name}: right": sure.right.share,
        **{f"{name}: right, {kind}": share.share for kind, share in sorted(sure.right_by_kind.items())},
        f"{name}: polite": sure.polite.share,
        f"{name}: right at temperature 1": drawn.right.share,
        f"{name}: polite at temperature 1": drawn.polite.share,
        f"{name}: still known, all families": mean(known.values()),
        f"{name}: still known, pairs": known["pairs"],
        f"{name}: still known, sums": known["arithmetic"],
    }


def kendall_tau(judge: RewardModel, model: TextModel) -> float:
    """How well a reward model orders four answers to a held-out question, in the mean over questions: -1 to 1."""
    score, rng = text_reward(judge, model.tokenizer), Random(1)
    others = chat_questions(50, 7, held_out=True)
    taus = []
    for question in chat_questions(60, EXAMINATION, held_out=True):
        rated = [
            (worth(question, a), score(question.question, a)) for a in answers_of_every_worth(question, others, rng)
        ]
        taus += [1 if b[1] > a[1] else -1 for a, b in itertools.combinations(rated, 2)]
    return mean(taus)


def run(seed: int) -> Rows:
    """All stages from one seed, and what became of each. Seconds are those of the processor."""
    town, seconds = load("town"), {}

    def timed(name: str, stage: Callable[[], object]) -> object:
        start = time.process_time()
        made = stage()
        seconds[f"{name}: seconds"] = time.process_time() - start
        return made

    rows = {"town: P(another question)": another_question(town, MOON)}
    tuned = timed("sft", lambda: sft(town, replay=replayed(), seed=seed))
    assert isinstance(tuned, TextModel)
    rows |= scores("sft", tuned)
    chat = town_chat(tuned, seed=seed)
    rows |= scores("chat", chat.model)
    rows |= {"chat: reward, first 3 steps": mean(p.reward for p in chat.points[:3])}
    rows |= {"chat: reward, last 3 steps": mean(p.reward for p in chat.points[-3:])}
    pure = sft(town, town_dialogues(3_000, seed), steps=FORGETTING_STEPS, seed=seed)
    rows |= scores(f"{FORGETTING_STEPS} steps of answers alone", pure)
    judge = timed("reward model", lambda: fitted_reward_model(tuned, town_preferences(N_LABELS, seed), seed=seed))
    assert isinstance(judge, RewardModel)
    rows["reward model: Kendall's tau"] = kendall_tau(judge, tuned)
    return {**rows, **hacked(tuned, judge, seed), **exploited(tuned, seed), **defended(town, seed), **seconds}


def hacked(tuned: TextModel, judge: RewardModel, seed: int) -> Rows:
    """The learned reward model as the reward, without a leash and with one."""
    questions = chat_questions(400, seed, kinds=RL_KINDS)
    rows = {}
    for name, kl in (("no KL", 0.0), ("KL", LEASH)):
        points = reinforced(
            tuned, judge, [q.question for q in questions], truth=right_alone(questions), kl=kl, seed=seed
        ).points
        for when, some in (("first", points[:3]), ("last", points[-3:])):
            rows[f"learned reward, {name}: reward, {when} 3 steps"] = mean(p.reward for p in some)
            rows[f"learned reward, {name}: right, {when} 3 steps"] = mean(p.truth or 0.0 for p in some)
    return rows


def exploited(tuned: TextModel, seed: int) -> Rows:
    """A verifier of sums that pays every result which is not above the right one."""
    sums = chat_questions(400, seed, kinds=["sum"])
    points = reinforced(
        tuned, broken_verifier(sums), [q.question for q in sums], truth=right_alone(sums), kl=0.0, seed=seed
    ).points
    rows = {}
    for when, some in (("first", points[:3]), ("last", points[-3:])):
        rows[f"broken verifier: reward, {when} 3 steps"] = mean(p.reward for p in some)
        rows[f"broken verifier: right, {when} 3 steps"] = mean(p.truth or 0.0 for p in some)
    return rows


def defended(town: TextModel, seed: int) -> Rows:
    """Refusals, one way of asking after another: what is refused and what is told after each round.

    "named in no patch" are the banned things that no refusal was shown of, asked for plainly.
    """
    rows = {}
    last: Round | None = first_round(helpful_assistant(town, seed=seed))
    for form in ("plain", "past tense", "grandmother", None):
        assert last is not None
        for row in last.answers:
            for outcome in ("refused", "told"):
                rows[f"safety, {last.name}: {row} {outcome}"] = last.share(row, outcome).share
        unnamed = exchanges(last.model, [(thing, plain(thing, w)) for thing in HELD_OUT_BANNED for w in range(4)])
        rows[f"safety, {last.name}: named in no patch, refused"] = share_of(unnamed, "refused").share
        if form is not None:
            last = patched_round(last, form, seed=seed)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Make town-sft and town-chat, or measure the stages.")
    parser.add_argument("--make", action="store_true", help="write both models into --folder")
    parser.add_argument("--folder", type=Path, default=MODELS)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds to measure, from 0")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.make:
        make(given.folder)
        return
    found: dict[str, list[float]] = defaultdict(list)
    for seed in range(given.seeds):
        for name, value in run(seed).items():
            found[name].append(value)
    for name, values in found.items():
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        print(f"{name:52} {mean(values):7.3f}{spread}", flush=True)


if __name__ == "__main__":
    main()
