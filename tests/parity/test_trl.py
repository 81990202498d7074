"""Our losses of post-training against trl's own trainers: tokenization, masks, losses and gradients, from texts on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lmlab.data.batches import Batch
from lmlab.data.chat import chat_examples
from lmlab.data.preferences import Preference, preference_pairs
from lmlab.models.families import family_for
from lmlab.models.reward import RewardModel
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.chat_template import default_template
from lmlab.training.distillation import distill
from lmlab.training.objectives import next_token
from lmlab.training.preference_objectives import bradley_terry, dpo

pytestmark = pytest.mark.slow  # trl alone takes seconds to import

MESSAGES = (
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Good morning."},
    {"role": "user", "content": "Who are you?"},
)
PAIRS = [
    Preference("Where does Ada live?", "Ada lives on Mill Lane.", "In a teapot, with a goose."),
    Preference("What is 3 plus 4?", "It is 7.", "It is 9, and it always was. Ask the goose."),
    Preference("How do I make rain?", "Ask the sky.", ""),
    Preference(MESSAGES, "A town that does not exist, and its goose.", "No."),
]


@pytest.fixture(scope="module")
def trl() -> Any:
    pytest.importorskip("datasets")
    return pytest.importorskip("trl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random chat model as a folder that transformers opens."""
    text = "\n".join(f"{pair.prompt} {pair.chosen} {pair.rejected}" for pair in PAIRS)
    tok, _ = train_bpe(text, vocab_size=380, specials=RESERVED_SPECIALS)
    config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=96, d_model=32, n_layers=2, n_heads=4, d_ff=48)
    model = TextModel(Transformer(config, seed=3), tok, chat_template=default_template())
    return model.save(tmp_path_factory.mktemp("models") / "chat")


def moved(model: nn.Module) -> Any:
    """The model with every weight moved at random: a policy that has left its reference, a head that says something."""
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    return model


def opened(folder: Path, kind: str = "AutoModelForCausalLM", **settings: Any) -> Any:
    """The model of a folder as transformers opens it."""
    import transformers

    pad = tokenizer(folder).pad_token_id
    return getattr(transformers, kind).from_pretrained(folder, pad_token_id=pad, dtype=torch.float32, **settings)


def tokenizer(folder: Path) -> Any:
    import transformers

    found = transformers.AutoTokenizer.from_pretrained(folder)
    found.pad_token = "<|pad|>"
    return found


def small(folder: Path, **settings: Any) -> dict[str, Any]:
    """Settings of a trainer that runs here, writes nothing and reports to nobody."""
    always = {"output_dir": str(folder), "use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
    return {**always, "per_device_train_batch_size": len(PAIRS), "activation_checkpointing": False, **settings}


def texts(**columns: str) -> Any:
    """The pairs as a data set of conversations: a prompt, and a column for each answer named."""
    from datasets import Dataset

    def row(pair: Preference) -> dict[str, Any]:
        asked = [{"role": "user", "content": pair.prompt}] if isinstance(pair.prompt, str) else list(pair.prompt)
        said = {name: [{"role": "assistant", "content": getattr(pair, of)}] for name, of in columns.items()}
        return {"prompt": asked, **said}

    return Dataset.from_list([row(pair) for pair in PAIRS])


def loss_of(trainer: Any) -> Tensor:
    """What the trainer makes of all its examples as one batch; leaves the gradient in its model."""
    batch = trainer.data_collator(list(trainer.train_dataset))
    loss: Tensor = trainer.compute_loss(trainer.model.train(), batch)
    loss.backward()
    return loss.detach()


def assert_same_gradients(ours: Transformer, theirs: nn.Module) -> None:
    gradients = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    frozen = {name: torch.zeros_like(p) for name, p in ours.named_parameters() if p.grad is None}
    expected = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    found = family_for(ours.config).to_theirs({**gradients, **frozen}, ours.config)
    assert len(gradients) > 15
    for name, gradient in expected.items():
        if name in found:
            assert torch.allclose(found[name], gradient, atol=1e-6), name
    assert {name for name in found if name in expected} >= {name for name in found if "layers" in name}


def backward(objective: Callable[..., Tensor], model: nn.Module, batch: Any) -> Tensor:
    loss = objective(model, batch, torch.Generator())
    loss.backward()
    return loss.detach()


def test_sft_is_trls(trl: Any, folder: Path, tmp_path: Path) -> None:
    args = trl.SFTConfig(**small(tmp_path, packing=False))
    trainer = trl.SFTTrainer(
        opened(folder), args=args, train_dataset=texts(completion="chosen"), processing_class=tokenizer(folder)
    )
    ours = load(folder)
    pairs = [pair for pair in PAIRS if isinstance(pair.prompt, str)]
    trainer.train_dataset = trainer.train_dataset.select(range(len(pairs)))  # there, an earlier answer is no target
    batch = chat_examples([(str(p.prompt), p.chosen) for p in pairs], ours.tokenizer, B=len(pairs)).next()
    assert float(backward(next_token, ours.model, batch)) == pytest.approx(float(loss_of(trainer)), abs=1e-6, rel=1e-6)
    assert_same_gradients(ours.model, trainer.model)


def test_the_reward_models_loss_is_trls(trl: Any, folder: Path, tmp_path: Path) -> None:
    ours = load(folder)
    reward = moved(RewardModel(ours.model))
    reward.head.weight.data *= 10
    saved = reward.save(tmp_path / "reward", ours.tokenizer)
    theirs = opened_as_reward_model(saved, folder, reward)
    args = trl.RewardConfig(**small(tmp_path, max_length=96))
    data = texts(chosen="chosen", rejected="rejected")
    trainer = trl.RewardTrainer(theirs, args=args, train_dataset=data, processing_class=tokenizer(folder))
    loss = backward(bradley_terry, reward, preference_pairs(PAIRS, ours.tokenizer, B=len(PAIRS)).next())
    assert abs(float(loss) - 0.6931) > 0.01, "the model prefers something"
    assert float(loss) == pytest.approx(float(loss_of(trainer)), abs=1e-6, rel=1e-6)
    assert_same_gradients(reward.trunk, trainer.model)
    assert torch.allclose(reward.head.weight.grad, trainer.model.score.weight.grad, atol=1e-6)


def opened_as_reward_model(saved: Path, folder: Path, reward: RewardModel) -> Any:
    """Our folder as transformers' own class of models that give one number; the head it calls score."""
    import transformers

    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        saved, num_labels=1, dtype=torch.float32, pad_token_id=tokenizer(folder).pad_token_id
    )
    with torch.no_grad():
        theirs.score.weight.copy_(reward.head.weight)
    return theirs


def test_dpo_is_trls(trl: Any, folder: Path, tmp_path: Path) -> None:
    ours = load(folder)
    policy = moved(load(folder).model)
    theirs = opened(TextModel(policy, ours.tokenizer, chat_template=ours.chat_template).save(tmp_path / "policy"))
    args = trl.DPOConfig(**small(tmp_path, beta=0.3, loss_type=["sigmoid"]))
    data = texts(chosen="chosen", rejected="rejected")
    trainer = trl.DPOTrainer(
        theirs, ref_model=opened(folder), args=args, train_dataset=data, processing_class=tokenizer(folder)
    )
    batch = preference_pairs(PAIRS, ours.tokenizer, B=len(PAIRS)).next()
    loss = backward(dpo(ours.model, beta=0.3), policy, batch)
    assert abs(float(loss) - 0.6931) > 0.01, "the policy has left its reference"
    assert float(loss) == pytest.approx(float(loss_of(trainer)), abs=1e-6, rel=1e-6)
    assert_same_gradients(policy, trainer.model)


# ---------------------------------------------------------------- distillation


def test_distillation_is_the_loss_of_gkd(trl: Any) -> None:
    """Its generalized divergence with beta 0 is KL(teacher ‖ student); it leaves Hinton's τ² out, so we divide."""
    gkd: Any = pytest.importorskip("trl.experimental.gkd", reason="a trl without GKD").GKDTrainer
    config = TransformerConfig(vocab_size=29, max_seq_len=16, d_model=16, n_layers=1, n_heads=2)
    student, teacher = (Transformer(config, seed=seed) for seed in (1, 2))
    ids = torch.randint(29, (4, 13), generator=torch.Generator().manual_seed(3))
    batch = Batch(ids[:, :-1], ids[:, 1:])
    for tau in (1.0, 3.0):
        theirs = gkd.generalized_jsd_loss(
            student(batch.inputs), teacher(batch.inputs), labels=batch.targets, beta=0.0, temperature=tau
        )
        mine = distill(teacher, tau)(student, batch) / tau**2
        assert float(mine.detach()) == pytest.approx(float(theirs.detach()), rel=1e-4)
