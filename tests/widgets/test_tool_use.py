"""ToolUse: the view of transcripts that are known, and the widget on a model that has hardly learned."""

from __future__ import annotations

import math
import random

import pytest

import lmlab as lab
from lmlab.training.tool_use import StoredTool, Transcript, Written
from lmlab.widgets._style import plain
from lmlab.widgets.tool_use import tool_use_view

STORED = (StoredTool(0, {"3": 1.0}, {"3": 0.0}, 1.0), StoredTool(1, {"3": 0.5}, {"3": 0.1}, 1.0))


def transcript(host, answer):
    """A call of 6*7, as it would be written; every token of the model with probability one half."""
    parts = [("you", "6*7="), ("model", "6*7"), ("host", host), ("model", answer)]
    tokens = [Written(1, char, by, math.log(0.5)) for by, text in parts for char in text]
    tokens[0] = Written(1, "6", "you", math.nan)
    return Transcript(tuple(tokens), "6*7", host, "", answer.rstrip("."))


def shown(said, wanted=42, **more):
    kept = {"host": "right", "model": "with", "asked": "6*7", "steps": 5, **more}
    return tool_use_view(said, wanted, STORED, **kept)


def test_the_pieces_are_the_transcript_in_order():
    view = shown(transcript("42", "42."))
    assert [(p.by, "".join(p.tokens), p.counts) for p in view.pieces] == [
        ("you", "6*7=", False), ("model", "6*7", True), ("host", "42", False), ("model", "42.", True),
    ]  # fmt: skip
    assert view.pieces[3].name == "The model goes on"
    assert view.pieces[0].given[0] is None
    assert view.pieces[1].given == pytest.approx((0.5,) * 3)
    assert "The loss asks for 6 of 12 tokens." in plain(view.readout)
    assert view.shares == (("3", 0.75, 0.05),)
    assert "no target" in plain(view.pieces[2].details[0])


def test_the_readout_says_what_happened():
    assert "the host computes 42, and the model says 42, which is right." in plain(
        shown(transcript("42", "42.")).readout
    )
    wrong = plain(shown(transcript("49", "49."), host="wrong").readout)
    assert "7 too many: 49, and the model says the same. It has no way to know." in wrong
    silent = plain(shown(Transcript(transcript("", "8.").tokens, "6*7", None, "", "8"), host="silent").readout)
    assert "nobody answers. It writes on alone: 8; right is 42." in silent
    bare = Transcript(transcript("", "8.").tokens, None, None, "", None)
    assert "without a call: it comes to no end." in plain(shown(bare, model="without").readout)
    refused = Transcript(transcript("?", "8.").tokens, "x", None, "The calculator refuses 'x'.", "8")
    assert "The calculator refuses 'x'." in plain(shown(refused, wanted=None).readout)


@pytest.mark.slow
def test_the_widget_takes_any_text():
    w = lab.widgets.ToolUse(steps=2)
    for text in ("", "🦜", "<b>1</b>", f"{random.randrange(999)} + {random.randrange(999)}"):
        w.sum = text
        w.wait()
        assert "The loss asks for" in w.sentence
        assert len(repr(w)) <= 110
    w.sum = "1" * 200
    w.wait()
    assert w.sentence.startswith("Only the end of your text fits, 40 bytes of it.")
    with pytest.raises(ValueError, match="whole number from 1 to 2000"):
        lab.widgets.ToolUse(steps=0)
