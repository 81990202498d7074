"""Preference pairs as batches: both answers after the same prompt, and which tokens are theirs."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
import torch

from lmlab.data.chat import encode_dialogue
from lmlab.data.preferences import PairBatch, Preference, preference_pairs, text_reward
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.objectives import counted, rows

EARLIER = (
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Good morning."},
    {"role": "user", "content": "Who are you?"},
)
PAIRS = [
    Preference("Where does Ada live?", "Ada lives on Mill Lane.", "In a teapot."),
    Preference("What is 3 plus 4?", "It is 7.", "It is <|end|> 9, and always was."),
    Preference("How do I make rain?", "Ask the sky.", ""),
    Preference(EARLIER, "A town.", "Nobody, says the <|assistant|> goose."),
]


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    text = " ".join(f"{pair.prompt} {pair.chosen} {pair.rejected}" for pair in PAIRS)
    return train_bpe(text, vocab_size=300, specials=RESERVED_SPECIALS)[0]


def sides(batch: PairBatch) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """(ids, end, answer's places) of every row, chosen and rejected."""
    return [
        *zip(batch.chosen, batch.chosen_ends, batch.chosen_answers, strict=True),
        *zip(batch.rejected, batch.rejected_ends, batch.rejected_answers, strict=True),
    ]


def test_a_batch_holds_both_answers_after_their_prompt_and_marks_what_is_theirs(tok: Tokenizer) -> None:
    batch = preference_pairs(PAIRS, tok, B=len(PAIRS)).next()
    said = {answer for pair in PAIRS for answer in (pair.chosen, pair.rejected)}
    prompts = []
    for ids, end, answers in sides(batch):
        places = answers.nonzero().flatten().tolist()
        assert places == list(range(places[0], int(end) + 1)), "one answer, the last, to the end of the row"
        assert ids[end] == tok.specials["<|end|>"]
        text = tok.decode(ids[places[:-1]].tolist())
        assert text in said
        said.discard(text)
        prompts.append(ids[: places[0]].tolist())
        assert (ids[end + 1 :] == tok.specials["<|pad|>"]).all()
    assert said == set(), "each of them once"
    assert prompts[: len(PAIRS)] == prompts[len(PAIRS) :], "chosen and rejected follow one prompt"
    texts = {tuple(encode_dialogue([*as_messages(p.prompt)], tok).ids.tolist()) for p in PAIRS}
    assert {tuple(prompt[:-1]) for prompt in prompts} == texts, "and then <|assistant|>"


def as_messages(prompt: Any) -> list[Any]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def test_inputs_ends_and_answers_stand_chosen_above_rejected(tok: Tokenizer) -> None:
    batch = preference_pairs(PAIRS, tok, B=3).next()
    for name, (above, below) in {
        "inputs": (batch.chosen, batch.rejected),
        "ends": (batch.chosen_ends, batch.rejected_ends),
        "answers": (batch.chosen_answers, batch.rejected_answers),
    }.items():
        assert torch.equal(getattr(batch, name)[:3], above)
        assert torch.equal(getattr(batch, name)[3:], below)


def test_a_part_of_a_batch_has_whole_pairs_and_weighs_by_their_number(tok: Tokenizer) -> None:
    batch = preference_pairs(PAIRS, tok, B=4).next()
    part = rows(batch, 1, 4)
    assert (counted(batch), counted(part)) == (4, 3)
    for whole, cut in zip(batch, part, strict=True):
        assert torch.equal(whole[1:4], cut)


def test_all_pairs_come_before_any_comes_again_and_the_cursor_goes_on(tok: Tokenizer) -> None:
    one, other = (preference_pairs(PAIRS, tok, B=2, seed=5) for _ in range(2))
    seen = [tuple(row[row != tok.specials["<|pad|>"]].tolist()) for batch in islice(one, 4) for row in batch.chosen]
    assert sorted(seen[:4]) == sorted(seen[4:]) == sorted(set(seen))
    other.load_state(json.loads(json.dumps(one.state())))
    for a, b in islice(zip(one, other, strict=False), 4):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    with pytest.raises(ValueError, match="n_pairs=4, but the stream has n_pairs=3"):
        preference_pairs(PAIRS[:3], tok, B=2, seed=5).load_state(one.state())


def test_what_is_no_preference_is_refused(tok: Tokenizer) -> None:
    with pytest.raises(ValueError, match="There is no pair"):
        preference_pairs([], tok, B=1)
    with pytest.raises(ValueError, match=r"Pair 1 has the same answer twice \('Yes\.'\)"):
        preference_pairs([PAIRS[0], Preference("Well?", "Yes.", "Yes.")], tok, B=1)
    with pytest.raises(ValueError, match=r"Pair 0 has \d+ tokens and at most T=9 are read"):
        preference_pairs(PAIRS, tok, B=1, T=9)
    with pytest.raises(ValueError, match="B must be a whole number of at least 1, got 0"):
        preference_pairs(PAIRS, tok, B=0)


def test_the_score_of_a_text_is_that_of_its_row_in_a_batch(tok: Tokenizer) -> None:
    config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=96, d_model=16, n_layers=2, n_heads=2, d_ff=24)
    model = RewardModel(Transformer(config))
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    stream, score = preference_pairs(PAIRS, tok, B=len(PAIRS), seed=2), text_reward(model, tok)
    batch = stream.next()
    in_batch = sorted(model.scores(batch.inputs, batch.ends).tolist())
    alone = sorted(score(pair.prompt, answer) for pair in PAIRS for answer in (pair.chosen, pair.rejected))
    assert alone == pytest.approx(in_batch, abs=1e-6)
    assert len({round(value, 4) for value in alone}) == 2 * len(PAIRS)
