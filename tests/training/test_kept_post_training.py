"""What post-training leaves in folders: checkpoints of reward models, and chat models that answer when opened."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lmlab.data.chat import chat_examples
from lmlab.data.preferences import Preference, preference_pairs
from lmlab.models.reward import RewardModel
from lmlab.text_model import load
from lmlab.tokenizer.chat_template import default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.books import write_model
from lmlab.training.checkpoint import CheckpointError
from lmlab.training.objectives import next_token
from lmlab.training.preference_objectives import bradley_terry, dpo
from lmlab.training.run import TrainingRun
from tests.training.policies import PROMPTS, chat_policy, chat_tokenizer
from tests.training.stand_ins import same_bits, weights

PAIRS = [Preference(prompt, f"The {n}th lane.", "No." * (n + 1)) for n, prompt in enumerate(PROMPTS)]


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return chat_tokenizer()


def reward_run(tok: Tokenizer, folder: Path, *, freeze_trunk: bool = False, breaks_at: int = 99, **settings: bool):
    model, steps = RewardModel(chat_policy(tok), freeze_trunk=freeze_trunk), iter(range(1, 100))

    def objective(model, batch, generator):
        if next(steps) == breaks_at:
            raise RuntimeError("the power is gone")
        return bradley_terry(model, batch)

    return TrainingRun(
        model, preference_pairs(PAIRS, tok, B=2, seed=1), objective, steps=6, lr=1e-2, folder=folder, save_every=2,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("freeze_trunk", [False, True])
def test_a_reward_models_run_goes_on_from_its_folder(tok: Tokenizer, tmp_path: Path, freeze_trunk: bool) -> None:
    whole = reward_run(tok, tmp_path / "whole", freeze_trunk=freeze_trunk).start().wait()
    with pytest.raises(RuntimeError, match="the power is gone"):
        reward_run(tok, tmp_path / "broken", freeze_trunk=freeze_trunk, breaks_at=5).start().wait()
    again = reward_run(tok, tmp_path / "broken", freeze_trunk=freeze_trunk, resume=True).start().wait()
    assert [point.loss for point in again.log] == [point.loss for point in whole.log]
    assert same_bits(weights(whole.model), weights(again.model))
    assert isinstance(again.model, RewardModel)
    assert bool((again.model.head.weight != 0).all())
    with pytest.raises(ValueError, match="is a reward model"):
        load(tmp_path / "whole")
    with pytest.raises(ValueError, match=r"run\.model\.save\(folder\)"):
        again.save(tmp_path / "text", tok)


def test_a_policy_does_not_go_on_from_a_reward_models_checkpoint(tok: Tokenizer, tmp_path: Path) -> None:
    reward_run(tok, tmp_path).start().wait()
    policy, pairs = chat_policy(tok), preference_pairs(PAIRS, tok, B=2, seed=1)
    run = TrainingRun(policy, pairs, dpo(policy), steps=6, lr=1e-2, folder=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="another kind or shape of model"):
        run.start()


def test_a_reward_model_is_kept_in_half_the_bytes_where_asked(tok: Tokenizer, tmp_path: Path) -> None:
    model = RewardModel(chat_policy(tok))
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(3))
    write_model(model, tmp_path / "half", tok, torch.bfloat16)
    opened = RewardModel.load(tmp_path / "half")
    assert torch.equal(opened.head.weight, model.head.weight.bfloat16().float())


def test_a_model_that_was_taught_to_answer_answers_when_it_is_opened_again(tok: Tokenizer, tmp_path: Path) -> None:
    stream = chat_examples([(PROMPTS[0], "On Mill Lane."), (PROMPTS[2], "It is 7.")], tok, B=2)
    run = TrainingRun(chat_policy(tok), stream, next_token, steps=60, lr=2e-2).start().wait()
    chat = run.save(tmp_path / "chat", tok, chat_template=default_template())
    opened = load(tmp_path / "chat")
    for model in (chat, opened):
        assert model.chat(PROMPTS[0], seed=0).text == "On Mill Lane."
        answer = model.chat(PROMPTS[2], seed=0)
        assert (answer.text, answer.ended) == ("It is 7.", "stop token")
    with pytest.raises(ValueError, match="has no chat template"):
        run.save(tmp_path / "plain", tok).chat(PROMPTS[0])
