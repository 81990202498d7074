"""GenerationTree: every path of a grown tree against one full pass over it, and what the buttons do."""

from __future__ import annotations

import math
import random

import pytest
import torch

import lmlab as lab
from lmlab.text_model.tree import TextTree
from lmlab.widgets import GenerationTree
from lmlab.widgets._style import percent
from tests.widgets.conftest import TEXT

PROMPT = "the stock market"


def afresh(model: lab.TextModel, prompt: str, ids: list[int]) -> float:
    """log p(ids | prompt) from one full pass over both: no state, no cache."""
    before = model.ids(prompt).tolist()
    log_probs = model.model.log_probs(torch.tensor([before + ids]))[0]
    return sum(float(log_probs[len(before) - 1 + t, id_]) for t, id_ in enumerate(ids))


def grown(models: list[lab.TextModel], n: int, seed: int) -> TextTree:
    """A tree grown here and there, in no order: branches that sleep and are woken again."""
    draw, tree = random.Random(seed), TextTree(models, PROMPT)
    while len(tree.branches) < n:
        tree.grow(draw.randrange(len(tree.branches)), draw.randrange(models[0].vocab_size))
    return tree


@pytest.mark.parametrize("seed", range(3))
def test_every_path_equals_scoring_it_afresh(random_model: lab.TextModel, trigram: lab.TextModel, seed: int) -> None:
    tree = grown([random_model, trigram], 60, seed)
    for i in range(1, len(tree.branches)):
        for column, model in enumerate(tree.models):
            expected = afresh(model, PROMPT, tree.ids(i))
            assert tree.branches[i].totals[column] == pytest.approx(expected, abs=1e-4), (seed, i, model.name)
        assert tree.after(i).exp().sum() == pytest.approx(1, abs=1e-4)


def test_each_token_is_read_once_and_going_back_costs_nothing(
    random_model: lab.TextModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    model = random_model.model
    real = type(model).next_log_probs
    counted = lambda self, ids, state=None: (read.append(ids.shape[1]), real(self, ids, state))[1]  # noqa: E731
    monkeypatch.setattr(type(model), "next_log_probs", counted)
    w = GenerationTree(random_model, prompt=PROMPT, width=2, depth=3)
    assert read[1:] == [1] * 6
    before = len(read)
    for _ in range(3):
        w.rewind()
    assert w.node == 0
    w.node = 3
    assert len(read) == before
    w.step()
    assert read[before:] == [1]


def test_leaves_are_parts_of_one_whole(random_model: lab.TextModel) -> None:
    tree = TextTree([random_model], PROMPT)
    for id_ in range(random_model.vocab_size):
        tree.grow(0, id_)
    assert sum(math.exp(tree.branches[i].totals[0]) for i in tree.leaves()) == pytest.approx(1, abs=1e-4)
    for id_ in range(3):
        tree.grow(5, id_)
    opened = sum(math.exp(tree.branches[i].totals[0]) for i in tree.leaves())
    missing = math.exp(tree.branches[5].totals[0]) * (1 - float(tree.after(5)[:3].exp().sum()))
    assert opened == pytest.approx(1 - missing, abs=1e-4)


def test_a_path_longer_than_the_context_is_cropped_from_the_left(tokenizer: lab.Tokenizer) -> None:
    config = lab.TransformerConfig.tiny(vocab_size=tokenizer.vocab_size, max_seq_len=8)
    model = lab.TextModel(lab.Transformer(config, seed=1), tokenizer, name="short")
    tree, at = TextTree([model], "the goose"), 0
    for id_ in range(40, 60):
        at = tree.grow(at, id_)
    text = [*model.ids("the goose").tolist(), *range(40, 60)]
    expected = model.model.log_probs(torch.tensor([text[-8:]]))[0, -1]
    torch.testing.assert_close(tree.after(at), expected, atol=1e-4, rtol=0)


def test_a_model_of_another_vocabulary_scores_the_text(trigram: lab.TextModel) -> None:
    other = lab.train_bpe(TEXT, vocab_size=290, specials=("<|endoftext|>",))[0]
    ids = torch.tensor([other.bos_id, *other.encode(TEXT)])
    pieces = lab.TextModel(lab.NGram.fit(ids, n=9, vocab_size=other.vocab_size), other, name="pieces")
    w = GenerationTree(trigram, pieces, prompt="the stock market crashed", width=1, depth=2)
    assert w.tree.text(2) == " and investors"
    assert w.tree.branches[2].totals[1] == pytest.approx(
        pieces.log_prob(" and investors", given="the stock market crashed")
    )


def test_the_tree_begins_with_the_likeliest_and_the_readout_multiplies(random_model: lab.TextModel) -> None:
    w = GenerationTree(random_model, prompt=PROMPT, width=3, depth=2)
    first = [c.id for c in random_model.next(PROMPT, k=3)]
    assert [w.tree.branches[i].id for i in w.tree.children[0]] == first
    w.node = 2
    twigs = w.shown.twigs
    assert twigs[2].products[0] == pytest.approx(twigs[1].p * twigs[2].p, rel=1e-5)
    assert f"{twigs[1].shown} × {twigs[2].shown} = {twigs[2].products_shown[0]}" in w.sentence
    leaves = sum(twigs[i].products[0] for i in (2, 4, 6))
    assert f"3 leaves hold {lab.widgets.generation_tree.percent(leaves)}" in w.sentence


def test_step_draws_and_the_same_seed_draws_the_same(random_model: lab.TextModel) -> None:
    one, two = (GenerationTree(random_model, prompt=PROMPT, seed=7) for _ in range(2))
    for w in (one, two):
        for _ in range(5):
            w.step()
    assert one.tree.ids(one.node) == two.tree.ids(two.node)
    assert len(one.tree.path(one.node)) == 6
    one.temperature = 0.0
    one.step()
    best = random_model.next_log_probs(PROMPT + one.tree.text(one.tree.branches[one.node].parent)).argmax()
    assert one.tree.branches[one.node].id == int(best)


def test_branch_goes_on_with_a_token_and_an_old_branch_is_found_again(random_model: lab.TextModel) -> None:
    w = GenerationTree(random_model, prompt=PROMPT, width=1, depth=1)
    w.node = 0
    third = w.shown.nexts[2]
    w.branch = third.id
    assert w.tree.branches[w.node].id == third.id
    assert w.branch == -1
    here, size = w.node, len(w.shown.twigs)
    w.node = 0
    assert w.shown.nexts[2].branch == here
    w.branch = third.id
    assert (w.node, len(w.shown.twigs)) == (here, size)


def test_an_edit_is_a_branch_beside_what_it_replaces(random_model: lab.TextModel) -> None:
    w = GenerationTree(random_model, prompt=PROMPT, width=1, depth=2)
    assert w.node == 1
    w.edit = "went golfing"
    typed = w.tree.path(w.node)
    assert w.tree.text(w.node) == " went golfing"
    assert all(w.shown.twigs[i].typed for i in typed)
    assert w.tree.branches[typed[0]].parent == 0
    assert 1 in w.tree.children[0], "the old one stays"
    assert w.tree.branches[w.node].totals[0] == pytest.approx(random_model.log_prob(" went golfing", given=PROMPT))
    assert w.edit == ""


def test_reset_and_a_new_prompt_begin_a_new_tree(random_model: lab.TextModel) -> None:
    w = GenerationTree(random_model, prompt=PROMPT)
    first = w.sentence
    w.step()
    w.prompt = "the goose"
    assert w.tree.prompt == "the goose"
    w.reset()
    assert w.sentence == first
    assert len(repr(w)) <= 110


def test_nothing_follows_the_end_of_a_text(tokenizer: lab.Tokenizer) -> None:
    ids = torch.tensor([tokenizer.bos_id, *tokenizer.encode("the goose"), tokenizer.bos_id])
    model = lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=tokenizer.vocab_size), tokenizer, name="counted")
    w = GenerationTree(model, prompt="the goose", width=1, depth=1)
    assert w.shown.ended
    assert w.shown.nexts == ()
    w.step()
    assert len(w.shown.twigs) == 2
    assert "⟨end⟩: 100\u202f%" in w.sentence


@pytest.mark.parametrize("text", ["", " ", "😀", "x" * 10_000, "<img src=x onerror=alert(1)>", "\x00"])
def test_any_prompt_and_any_edit_have_an_answer(random_model: lab.TextModel, text: str) -> None:
    w = GenerationTree(random_model, prompt=text)
    w.edit = text[:10]
    w.step()
    assert "could write here" in w.sentence
    w.node = 10_000
    assert w.sentence


def test_what_cannot_be_is_refused_in_a_sentence(random_model: lab.TextModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="takes 1 to 4 text models"):
        GenerationTree()
    monkeypatch.setattr(lab.widgets.generation_tree, "MOST", 5)
    with pytest.raises(ValueError, match="press r to begin anew"):
        GenerationTree(random_model, prompt=PROMPT).step()
    with pytest.raises(ValueError, match="at most 50 go in at once"):
        GenerationTree(random_model, prompt=PROMPT, width=1).edit = "z" * 10_000


def test_a_closed_branch_takes_its_probability_away_until_something_is_written_in_it(
    random_model: lab.TextModel,
) -> None:
    w = GenerationTree(random_model, prompt=PROMPT, width=3, depth=2)
    tree, twigs = w.tree, w.shown.twigs
    first, second = tree.children[0][:2]
    leaves = [i for i in tree.leaves() if first not in tree.path(i)]
    w.closed = [first]
    assert f"The closed branch takes away {percent(twigs[first].products[0])}." in w.sentence
    held = percent(sum(twigs[i].products[0] for i in leaves))
    assert f"2 open leaves hold {held} of all that" in w.sentence
    w.closed = [first, tree.children[first][0], second]  # what lies within a closed branch is not counted twice
    both = percent(twigs[first].products[0] + twigs[second].products[0])
    assert f"2 closed branches take away {both}." in w.sentence
    w.node = tree.children[first][0]
    assert w.shown.ended
    assert w.shown.nexts == ()
    w.rewind()
    assert first in w.closed, "looking opens nothing"
    w.step()
    assert w.closed == [tree.children[first][0], second]
    w.reset()
    assert w.closed == []
    assert "closed" not in w.sentence
