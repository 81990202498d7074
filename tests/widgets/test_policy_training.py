"""PolicyTraining: what it says and draws is what a trial measures, and a reward that can be hacked is seen hacked."""

from __future__ import annotations

import time

import plotly.graph_objects as go
import pytest

import lmlab as lab
from lmlab.training.policy_trial import PolicyPoint, PolicyTrial
from lmlab.widgets.policy_training import PolicyTraining, moved, training_view

PROMPTS = ["who?", "why?"]
SMALL = {"steps": 20, "lr": 3e-2, "batch": 12, "max_new_tokens": 5}


def paid(prompt: str, answer: str) -> float:
    return answer.count("e")


def wanted(prompt: str, answer: str) -> float:
    return len(set(answer)) / max(1, len(answer))


def drawn(w: PolicyTraining) -> dict[str, tuple[list[float], list[float]]]:
    """Steps and values of each line, by its name; plotly accepts the specification once its colors are named."""
    lines = {}
    for trace in w.shown.figure["data"]:
        plain = {**trace, "line": {**trace["line"], "color": "#123456"}}
        go.Scatter(plain)
        lines[trace["name"]] = (list(trace["x"]), list(trace["y"]))
    assert "xaxis1" not in w.shown.figure["layout"], "plotly would take it for another first axis"
    go.Layout({key: value for key, value in w.shown.figure["layout"].items() if key != "annotations"})
    return lines


@pytest.fixture(scope="module")
def policy(tokenizer: lab.Tokenizer) -> lab.TextModel:
    config = lab.TransformerConfig(vocab_size=tokenizer.vocab_size, max_seq_len=64, d_model=16, n_layers=1, n_heads=2)
    return lab.TextModel(lab.Transformer(config, seed=3), tokenizer, name="random")


@pytest.fixture(scope="module")
def trained(policy: lab.TextModel) -> PolicyTraining:
    """One that is free to go anywhere, beside one that was held."""
    w = PolicyTraining(policy, PROMPTS, paid, truth=wanted, kl=1.0, **SMALL)
    assert w.train().wait().points
    w.kl = 0.0
    w.train().wait()
    return w


def test_it_draws_what_the_trial_measures(trained: PolicyTraining, policy: lab.TextModel) -> None:
    trial = PolicyTrial(policy, PROMPTS, paid, truth=wanted, kl=0.0, **SMALL)
    while not trial.is_over:
        trial.advance()
    assert trained.points == tuple(trial.points)
    assert trained.answers == trial.answers
    lines = drawn(trained)
    for name, field in (("reward", "reward"), ("truth", "truth"), ("kl", "kl"), ("length", "n_tokens")):
        assert lines[name] == (list(range(21)), [getattr(p, field) for p in trial.points])
        assert len(lines[f"{name} at β = 1.00"][1]) == 21
    ends = [note["text"] for note in trained.shown.figure["layout"]["annotations"]]
    assert f"<b>{trial.points[-1].reward:.2f}</b>" in ends
    asked = trained.policy.generate("who?", 4, seed=1).text
    assert asked == trial.policy.generate("who?", 4, seed=1).text != policy.generate("who?", 4, seed=1).text


def test_a_hacked_reward_is_called_one(trained: PolicyTraining) -> None:
    first, last = trained.points[0], trained.points[-1]
    assert last.reward > first.reward + 1
    assert last.truth < first.truth - 0.1
    assert f"earn {last.reward:.2f} (at first {first.reward:.2f}) and are worth {last.truth:.2f}" in trained.sentence
    assert "the reward is hacked" in trained.sentence
    best = max(one.reward for one in trained.answers)
    assert trained.sentence.endswith(f", {best:.2f}.")
    assert repr(trained) == "PolicyTraining: 20 steps, β = 0.00, seed 0: the reward rose, the truth fell"


@pytest.mark.parametrize(
    ("last", "said"), [(0.1, "the reward is hacked"), (0.5, "paid more and is worth no more"), (0.9, "")]
)
def test_what_is_said_depends_on_the_truth(last: float, said: str) -> None:
    points = [PolicyPoint(step=i, reward=i, truth=0.5 if i < 5 else last, kl=i, n_tokens=3) for i in range(10)]
    view = training_view(points, (), None, steps=9, kl=0, seed=0, truth=True, name="x", n_prompts=1)
    sentence = "".join(text for _, text in view.readout)
    assert sentence.startswith(
        f"Step 9 of 9: the answers earn 9.00 (at first 0.00) and are worth {last:.2f} (0.50), 9.00 nats"
    )
    for words in ("the reward is hacked", "paid more and is worth no more"):
        assert (words in sentence) == (words == said)


def test_a_price_holds_it_back(trained: PolicyTraining) -> None:
    lines = drawn(trained)
    assert lines["kl at β = 1.00"][1][-1] < 0.7 * lines["kl"][1][-1]
    assert lines["truth at β = 1.00"][1][-1] > lines["truth"][1][-1]


def test_without_a_truth_the_reward_stands_alone(policy: lab.TextModel) -> None:
    w = PolicyTraining(policy, PROMPTS, paid, **{**SMALL, "steps": 2})
    assert w.sentence == "Press Train: 2 steps at a price of β = 0.10 a nat, seed 0."
    nothing = dict.fromkeys(("reward", "kl", "length"), ([0], [None]))  # or there would be no axes
    assert drawn(w) == nothing
    w.train().wait()
    assert set(drawn(w)) == {"reward", "kl", "length"}
    assert "worth" not in w.sentence
    assert repr(w) == "PolicyTraining: 2 steps, β = 0.10, seed 0"
    w.seed = 3
    assert not w.points, "what was trained belongs to another seed"
    w.reset()
    assert w.seed == 0
    assert drawn(w) == nothing
    assert w.policy is policy


def test_a_training_is_stopped_between_two_steps(policy: lab.TextModel) -> None:
    w = PolicyTraining(policy, PROMPTS, paid, **{**SMALL, "steps": 500})
    w.train()
    while len(w.points) < 2:
        time.sleep(0.02)
    w.stop()
    n = len(w.points)
    assert 2 <= n < 500
    w.wait()
    assert len(w.points) == n
    assert repr(w) == "PolicyTraining: 500 steps, β = 0.10, seed 0"


def test_a_rise_is_more_than_noise() -> None:
    def points(*rewards: float) -> list[PolicyPoint]:
        return [PolicyPoint(step=i, reward=r, truth=-r, kl=0, n_tokens=1) for i, r in enumerate(rewards)]

    assert moved(points(0, 0, 0, 0.2, 0.2, 0.2), "reward") == "rose"
    assert moved(points(0, 0, 0, 0.2, 0.2, 0.2), "truth") == "fell"
    assert moved(points(0, 0.3, 0, 0.1, 0.2, 0.2), "reward") == "stayed"
    assert moved(points(0, 1), "reward") == "", "too few to tell"


def test_an_error_of_the_reward_reaches_the_cell(policy: lab.TextModel) -> None:
    w = PolicyTraining(policy, PROMPTS, lambda prompt, answer: float("nan"), **SMALL)
    with pytest.raises(ValueError, match="give a finite number"):
        w.train().wait()
    with pytest.raises(ValueError, match="cannot be n_per_prompt=4"):
        PolicyTraining(policy, PROMPTS, paid, batch=10)
    with pytest.raises(ValueError, match="prompts is a list of questions"):
        PolicyTraining(policy, [], paid)
