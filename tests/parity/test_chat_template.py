"""Chat templates against transformers' apply_chat_template: text and ids, on templates of every published form."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lmlab.models.transformer import Transformer
from lmlab.sampling import GREEDY
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.bpe import train_bpe
from lmlab.tokenizer.chat_template import ChatTemplate, default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.models.models_under_test import small_config
from tests.tokenizer.chat_templates import SPECIALS, TEMPLATES
from tests.tokenizer.random_text import mixed_text

transformers = pytest.importorskip("transformers")

SEED = random.randrange(10**6)
MARKS = {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>"}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [mixed_text(n, 80) for n in range(8)]
    return train_bpe(["".join(text.split("<|endoftext|>")) for text in texts], vocab_size=600, specials=SPECIALS)[0]


def reference(tokenizer: Tokenizer, template: ChatTemplate, folder: Path) -> Any:
    return transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer.save(folder)),
        chat_template=template.source,
        bos_token=template.bos,
        eos_token=template.eos,
        clean_up_tokenization_spaces=False,
    )


def conversation(rng: random.Random) -> list[dict[str, str]]:
    """Turns of random text; a system in front, a turn out of order or one that thinks, now and then."""
    turns = [("user", "assistant")[n % 2] for n in range(rng.randrange(1, 7))]
    turns = (["system"] if rng.random() < 0.4 else []) + turns
    if rng.random() < 0.2:
        turns.append("tool")
    messages = []
    for role in turns:
        text = rng.choice(["", "  \n", " Hello ", "a\n\nb\n", "日本語 🙂"]) + mixed_text(rng.randrange(10**9), 8)
        for name in SPECIALS:
            text = text.replace(name, "")
        if role == "assistant" and rng.random() < 0.3:
            text = f"<think>\nwell\n</think>\n\n{text}"
        messages.append({"role": role, "content": text})
    return messages


def rendered(write: Any) -> str | None:
    """The text, or None where the template refuses the conversation (roles that must alternate)."""
    try:
        return write()
    except Exception:
        return None


@pytest.mark.parametrize("name", TEMPLATES)
def test_text_and_ids_are_those_of_transformers(name: str, tokenizer: Tokenizer, tmp_path: Path):
    print(f"seed {SEED}")
    template, rng, n_written = ChatTemplate(TEMPLATES[name], **MARKS), random.Random(SEED), 0
    theirs = reference(tokenizer, template, tmp_path)
    for _ in range(60):
        messages, asks = conversation(rng), rng.random() < 0.7
        expected = rendered(
            lambda m=messages, a=asks: theirs.apply_chat_template(m, tokenize=False, add_generation_prompt=a)
        )
        assert rendered(lambda m=messages, a=asks: template.render(m, add_generation_prompt=a)) == expected
        if expected is None:
            continue
        n_written += 1
        if any("<think>" in m["content"] for m in messages):  # theirs takes the word for the token, ours does not
            continue
        ids = theirs.apply_chat_template(messages, add_generation_prompt=asks, return_dict=False)
        assert template.encode(messages, tokenizer, add_generation_prompt=asks) == ids
    assert n_written > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* of this text have no token:UserWarning")
def test_smollm2s_own_template_gives_the_ids_of_transformers(smollm2: Path):
    print(f"seed {SEED}")
    rng, model = random.Random(SEED), load(smollm2)
    assert model.chat_template is not None
    theirs = transformers.AutoTokenizer.from_pretrained(smollm2)
    assert theirs.chat_template == model.chat_template.source
    for n in range(40):
        messages, asks = conversation(rng), n % 2 == 0
        text = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks)
        assert model.chat_template.render(messages, add_generation_prompt=asks) == text
        ids = theirs.apply_chat_template(messages, add_generation_prompt=asks, return_dict=False)
        assert model.chat_template.encode(messages, model.tokenizer, add_generation_prompt=asks) == ids


@pytest.mark.parametrize("template", [ChatTemplate(TEMPLATES["chatml"], eos="<|im_end|>"), default_template()])
def test_a_saved_chat_model_says_in_transformers_what_it_says_here(
    template: ChatTemplate, tokenizer: Tokenizer, tmp_path: Path
):
    model = Transformer(small_config(vocab_size=tokenizer.vocab_size, max_seq_len=128), seed=3)
    ours = TextModel(model, tokenizer, name="mine", chat_template=template)
    ours.save(tmp_path / "mine")
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "mine")
    their_model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine", dtype=torch.float32)
    assert their_tokenizer.chat_template == template.source
    assert their_model.config.eos_token_id == tokenizer.specials[template.eos]
    messages = [{"role": "user", "content": "Where is the bank?"}]
    ids = their_tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, return_tensors="pt"
    )
    assert template.encode(messages, tokenizer) == ids[0].tolist()
    assert load(tmp_path / "mine").chat_template.render(messages) == template.render(messages)
    expected = their_model.generate(ids, max_new_tokens=16, do_sample=False, eos_token_id=-1, pad_token_id=0)
    answer = ours.chat(messages, 16, sampler=GREEDY)
    n = len(answer.steps)  # fewer where it writes a stop token
    assert n
    assert [step.id for step in answer] == expected[0, ids.shape[1] :][:n].tolist()
