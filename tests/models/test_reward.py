"""The reward model: one number at the last token, a trunk of its own, and a folder that opens again."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lmlab.formats.safetensors_file import write_tensors
from lmlab.models.ngram import NGram
from lmlab.models.reward import HEAD_FILE, RewardModel
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.bpe import train_bpe
from tests.models.models_under_test import FAMILY_SHAPES, random_ids, randomized, small_config

LENGTHS = torch.tensor([5, 12, 9, 1])


def trunk(**shape: object) -> Transformer:
    return randomized(Transformer(small_config(**shape), seed=1), seed=2)


def reward_model(**shape: object) -> RewardModel:
    """One whose head says something."""
    model = RewardModel(trunk(**shape))
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(3))
    return model


def ids_and_ends() -> tuple[Tensor, Tensor]:
    return random_ids(4, 12, seed=4), LENGTHS - 1


@pytest.mark.parametrize("family", ["llama", "llama untied", "gpt2"])
def test_a_score_is_the_head_times_the_last_hidden_state_of_the_row_alone(family: str) -> None:
    model, (ids, ends) = reward_model(**FAMILY_SHAPES[family]), ids_and_ends()
    for row, end, score in zip(ids, ends, model.scores(ids, ends), strict=True):
        alone = model.trunk.hidden(row[None, : end + 1])[0, -1]
        assert float(score.detach()) == pytest.approx(float((alone @ model.head.weight[0]).detach()), abs=1e-5)


def test_what_stands_after_the_last_token_changes_nothing() -> None:
    model, (ids, ends) = reward_model(), ids_and_ends()
    other = torch.where(torch.arange(12) <= ends[:, None], ids, random_ids(4, 12, seed=9))
    assert not torch.equal(ids, other)
    assert torch.allclose(model(ids, ends), model(other, ends), atol=1e-6)


def test_a_model_that_was_not_trained_gives_zero_to_all() -> None:
    assert RewardModel(trunk()).scores(*ids_and_ends()).tolist() == [0.0] * 4


def trained_a_little(model: RewardModel) -> RewardModel:
    ids, ends = ids_and_ends()
    for _ in range(3):
        F.mse_loss(model.scores(ids, ends), torch.arange(4.0)).backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight -= 0.1 * weight.grad
    return model


def changed(model: RewardModel, before: Transformer) -> set[str]:
    pairs = zip(before.named_parameters(), model.trunk.parameters(), strict=True)
    return {name for (name, old), new in pairs if not torch.equal(old, new)}


def test_the_language_model_that_it_came_from_stays_as_it_was() -> None:
    source = trunk()
    before = copy.deepcopy(source)
    model = trained_a_little(RewardModel(source))
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), before.parameters(), strict=True))
    assert changed(model, before) == {name for name, _ in before.named_parameters()}


def test_with_a_frozen_trunk_the_head_alone_learns() -> None:
    before = trunk()
    model = trained_a_little(RewardModel(before, freeze_trunk=True))
    assert changed(model, before) == set()
    assert bool((model.head.weight != 0).all())
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["head.weight"]


def test_an_unembedding_that_is_never_read_is_not_trained() -> None:
    model = RewardModel(trunk(tie_embeddings=False))
    model.scores(*ids_and_ends()).sum().backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in model.named_parameters() if p.grad is not None}
    assert "trunk.unembedding.weight" not in trained


@pytest.mark.parametrize("family", list(FAMILY_SHAPES))
def test_what_was_saved_opens_and_gives_the_same_scores(family: str, tmp_path: Path) -> None:
    model, (ids, ends) = reward_model(**FAMILY_SHAPES[family]), ids_and_ends()
    opened = RewardModel.load(model.save(tmp_path / "reward"))
    assert torch.equal(opened.scores(ids, ends), model.scores(ids, ends))


def test_it_is_not_opened_as_a_model_that_writes(tmp_path: Path) -> None:
    tok = train_bpe("a goose and a goose and a goose", vocab_size=260, specials=())[0]
    config = small_config(vocab_size=tok.vocab_size)
    folder = RewardModel(Transformer(config)).save(tmp_path / "reward", tok)
    with pytest.raises(ValueError, match=r"reward is a reward model: .* lab\.RewardModel\.load"):
        load(folder)
    plain = TextModel(Transformer(config), tok).save(tmp_path / "plain")
    with pytest.raises(FileNotFoundError, match=HEAD_FILE):
        RewardModel.load(plain)


def test_a_head_of_another_trunk_is_refused(tmp_path: Path) -> None:
    folder = reward_model().save(tmp_path / "reward")
    (folder / "manifest.json").unlink()
    for tensors in ({"score.weight": torch.zeros(1, 7)}, {"other": torch.zeros(1, 24)}):
        write_tensors(folder / HEAD_FILE, tensors)
        with pytest.raises(ValueError, match=r"the head of this trunk is score\.weight \(1, 24\)"):
            RewardModel.load(folder)
    write_tensors(folder / HEAD_FILE, {"score.weight": torch.full((1, 24), float("nan"))})
    with pytest.raises(ValueError, match=HEAD_FILE):
        RewardModel.load(folder)
    shutil.rmtree(folder)


def test_shapes_and_trunks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ends \(B,\), got \(4, 12\) and \(3,\)"):
        reward_model().scores(random_ids(4, 12), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="a Transformer, not a NGram"):
        RewardModel(NGram.fit(random_ids(100), n=2, vocab_size=23))
