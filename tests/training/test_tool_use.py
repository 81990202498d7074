"""The calculator and its host: what is refused, who wrote what, what is learned, and what the loss never asks for."""

from __future__ import annotations

import random

import pytest
import torch

from lmlab.data.chat import IGNORED
from lmlab.data.tool_calls import ToolSums, calculate, random_sum, tool_row, tool_tokenizer
from lmlab.text_model import TextModel
from lmlab.training.tool_use import HOSTS, converse, stored_tool_use, tool_accuracy, tool_user


class Scripted:
    """A model that writes what it was told to, whatever it reads; what the host writes it does not expect."""

    max_seq_len = 96

    def __init__(self, tok, text):
        self.vocab_size, self.script = tok.vocab_size, tok.encode(text, allow_special=True)

    def next_log_probs(self, ids, state=None):
        seen, at = state or (0, 0)
        if at < len(self.script) and int(ids[0, -1]) == self.script[at]:
            at += 1  # the model's own token, read back
        chosen = self.script[min(at, len(self.script) - 1)]
        out = torch.full((1, self.vocab_size), -9.0)
        out[0, chosen] = 0.0
        return out, (seen + 1, at)


def scripted(text):
    tok = tool_tokenizer()
    return TextModel(Scripted(tok, text), tok, name="scripted")


def test_the_calculator_computes_and_evaluates_nothing():
    for _ in range(200):
        a, op, b = random.randrange(10**6), random.choice("+-*"), random.randrange(10**6)
        assert calculate(f"{a}{op}{b}") == {"+": a + b, "-": a - b, "*": a * b}[op]
    for bad in ("", "1", "1+", "1+1+1", "2**9", "1/1", "1 + 1", "-1+1", "1.5+1", "9999999+1", "1+1\n", "٣+٣", "a+b",
                "__import__('os').system('x')", "1+" + "1" * 10**6, "\U0001f99c", "1+1;2"):  # fmt: skip
        with pytest.raises(ValueError, match="calculator refuses") as refused:
            calculate(bad)
        assert len(str(refused.value)) < 220
        assert str(refused.value).count(". ") == 0


def test_no_result_is_ever_a_target():
    tok, seed = tool_tokenizer(), random.randrange(1000)
    result, end = tok.specials["<|result|>"], tok.specials["<|end|>"]
    batch = ToolSums(tok, seed=seed).next()
    for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        from_host = range(row.index(result), row.index(end))
        assert all(target[t] == IGNORED for t in from_host)
        wanted = [t for t in target if t != IGNORED]
        asked = tok.decode(row[1 : row.index(tok.encode("=")[0])])
        assert tok.decode(wanted) == f"<|call|>{asked}<|result|>{calculate(asked)}."
    plain = tool_row("47*36", tok, tool=False)
    assert tok.decode(plain.ids.tolist()) == "<|endoftext|>47*36=1692."


def test_the_stream_goes_on_where_it_was():
    tok = tool_tokenizer()
    one, other = ToolSums(tok, seed=1), ToolSums(tok, seed=1)
    one.next()
    other.load_state(one.state())
    assert torch.equal(one.next().inputs, other.next().inputs)


def test_the_host_answers_a_call_and_the_transcript_says_who_wrote_what():
    told = {"right": "42", "wrong": "49", "silent": None}
    for host in HOSTS:
        said = converse(scripted("<|call|>6*7<|result|>a42."), "6*7=", host=host)
        assert (said.call, said.result, said.refusal, said.answer) == ("6*7", told[host], "", "a42")
        written = {by: "".join(t.text for t in said.tokens if t.by == by) for by in ("you", "model", "host")}
        assert written["you"] == "<|endoftext|>6*7="
        assert written["model"] == "<|call|>6*7<|result|>a42."
        assert written["host"] == (f"{told[host]}<|end|>" if told[host] else "")
    with pytest.raises(ValueError, match="choose right"):
        converse(scripted("1."), "1=", host="drunk")


@pytest.mark.parametrize("call", ["__import__('os')", "9" * 7 + "+1", "", "1+1+1"])
def test_a_call_that_is_no_calculation_is_refused(call):
    said = converse(scripted(f"<|call|>{call}<|result|>1."), "1=")
    assert said.result is None
    assert "refuses" in said.refusal
    assert "".join(t.text for t in said.tokens if t.by == "host") == "?<|end|>"


def test_a_model_that_never_stops_is_stopped():
    said = converse(scripted("<|call|>" * 60), "1+1=")
    assert said.answer is None
    assert len(said.tokens) <= 96
    with pytest.raises(ValueError, match="shorten it"):
        converse(scripted("1."), "1" * 200)


@pytest.mark.slow
def test_with_the_calculator_it_is_right_where_without_it_is_not():
    """Live, one seed: what is stored for three. What it is told it says again, also when it is wrong."""
    with_tool, without = tool_user(), tool_user(tool=False)
    assert tool_accuracy(with_tool, 3, n=30) - tool_accuracy(without, 3, n=30) >= 0.5
    assert tool_accuracy(with_tool, 3, n=30, host="wrong") >= 0.5
    assert tool_accuracy(with_tool, 3, n=30, host="silent") <= 0.1


def test_the_stored_shares_are_far_apart():
    """Three digits for every seed, four in the mean: one seed of three has not learned to copy so far."""
    runs = stored_tool_use()
    assert [run.seed for run in runs] == [0, 1, 2]
    assert all(run.with_tool["3"] - run.without["3"] >= 0.8 for run in runs)
    assert sum(run.with_tool["4"] - run.without["4"] for run in runs) / len(runs) >= 0.5
    for run in runs:  # what is copied right is believed, right or wrong: within what 50 sums can tell
        assert abs(run.trusted - run.with_tool["4"]) <= 0.15
    rng = random.Random(0)
    assert all(len(part) == 3 for part in random_sum(rng, 3).replace("*", "+").replace("-", "+").split("+"))
