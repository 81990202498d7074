"""Our transformer against the transformers library: random tiny models of every family, in both directions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lmlab.models.kv_cache import KVCache
from lmlab.models.load import load_model, save_model
from lmlab.models.trace import Trace
from lmlab.models.transformer import Transformer
from lmlab.text_model import TextModel, load
from lmlab.tokenizer.tokenizer import Tokenizer
from tests.models.models_under_test import FAMILY_SHAPES, random_ids, randomized, small_config

transformers = pytest.importorskip("transformers")

LLAMA_3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 5000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def llama_like(kind: str, **changes: Any) -> Any:
    shape = {
        "vocab_size": 99,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "initializer_range": 0.15,  # wide, so that a mistake anywhere shows in the logits
    }
    return getattr(transformers, f"{kind}Config")(**{**shape, **changes})


THEIRS = {
    "llama": lambda: llama_like("Llama"),
    "llama tied, other eps and theta": lambda: llama_like(
        "Llama",
        tie_word_embeddings=True,
        rms_norm_eps=1e-3,
        rope_parameters={"rope_type": "default", "rope_theta": 77.0},
    ),
    "llama 3 rope": lambda: llama_like("Llama", rope_parameters=LLAMA_3_ROPE),
    "llama linear rope": lambda: llama_like(
        "Llama", rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    ),
    "llama wide heads": lambda: llama_like("Llama", head_dim=20, num_key_value_heads=1),
    "qwen2": lambda: llama_like("Qwen2"),
    "qwen3": lambda: llama_like("Qwen3", head_dim=12, tie_word_embeddings=True),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=99, n_positions=64, n_embd=32, n_layer=3, n_head=4, initializer_range=0.3
    ),
    "gpt2 narrow": lambda: transformers.GPT2Config(
        vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=2, n_inner=40, layer_norm_epsilon=1e-3
    ),
}


@pytest.fixture(params=THEIRS, scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Transformer]:
    """A model of theirs with every weight drawn, and ours opened from the folder that it wrote."""
    torch.manual_seed(0)
    theirs = transformers.AutoModelForCausalLM.from_config(THEIRS[request.param]()).float().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    folder = tmp_path_factory.mktemp("theirs")
    theirs.save_pretrained(folder)
    return theirs, load_model(folder)


def test_logits_equal(pair: tuple[Any, Transformer]):
    theirs, ours = pair
    ids = random_ids(3, 40, vocab_size=99)
    with torch.no_grad():
        expected = theirs(ids).logits
        assert float(expected.std()) > 0.5  # no comparison of zeros
        torch.testing.assert_close(ours(ids), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours(ids, trace=Trace()), expected, atol=1e-5, rtol=1e-5)


def test_logits_equal_through_the_cache(pair: tuple[Any, Transformer]):
    theirs, ours = pair
    ids, cache = random_ids(2, 30, vocab_size=99), KVCache()
    with torch.no_grad():
        expected = theirs(ids).logits
        parts = [ours(part, cache=cache) for part in ids.split([11, 1, 1, 17], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=1e-5, rtol=1e-5)


def test_attention_equals_theirs(pair: tuple[Any, Transformer]):
    theirs, ours = pair
    ids, trace = random_ids(1, 12, vocab_size=99), Trace()
    theirs.set_attn_implementation("eager")
    with torch.no_grad():
        ours(ids, trace=trace)
        out = theirs(ids, output_attentions=True, output_hidden_states=True)
    for mine, their in zip(trace.attention, out.attentions, strict=True):
        torch.testing.assert_close(mine, their, atol=1e-5, rtol=1e-5)
    for mine, their in zip(trace.residual[:-1], out.hidden_states[:-1], strict=True):
        torch.testing.assert_close(mine, their, atol=1e-5, rtol=1e-4)


def test_greedy_text_equals_theirs(pair: tuple[Any, Transformer]):
    from lmlab.sampling import GREEDY, generate

    theirs, ours = pair
    prompt = random_ids(6, vocab_size=99)
    expected = theirs.generate(prompt[None], max_new_tokens=12, do_sample=False, eos_token_id=-1, pad_token_id=0)
    assert [step.id for step in generate(ours, prompt, 12, sampler=GREEDY)] == expected[0, 6:].tolist()


@pytest.mark.parametrize("name", FAMILY_SHAPES)
def test_what_we_save_transformers_opens_with_equal_logits(name: str, tmp_path: Path):
    ours = randomized(Transformer(small_config(**FAMILY_SHAPES[name]), seed=3))
    save_model(ours, tmp_path / "ours")
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "ours", dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids = random_ids(2, 20)
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours(ids), atol=1e-5, rtol=1e-5)


def test_llama_3_rope_survives_our_own_folder(tmp_path: Path):
    ours = Transformer(small_config(rope_theta=5000.0, rope_scaling=LLAMA_3_ROPE))
    save_model(ours, tmp_path / "ours")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    ids = random_ids(2, 30)
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours(ids), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(load_model(tmp_path / "ours")(ids), ours(ids))


def test_a_saved_text_model_is_one_folder_for_both(tmp_path: Path):
    specials = {"<|endoftext|>": 256}
    tokenizer = Tokenizer(
        token_bytes=[*(bytes([n]) for n in range(256)), b"<|endoftext|>"], ranks={}, split="gpt2", specials=specials
    )
    ours = TextModel(Transformer(small_config(vocab_size=257)), tokenizer, name="mine")
    ours.save(tmp_path / "mine", dtype=torch.bfloat16)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mine", dtype=torch.float32)
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "mine")
    reopened = load(tmp_path / "mine")
    ids = torch.tensor([[256, *their_tokenizer.encode("the dog sat", add_special_tokens=False)]])
    assert theirs.config.eos_token_id == 256
    with torch.no_grad():
        expected = theirs(ids).logits[0, -1].log_softmax(-1)
    torch.testing.assert_close(reopened.next_log_probs("the dog sat"), expected, atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------- shapes that nobody chose

SEED = random.randrange(10**6)
N_KEY_HEADS = {"a key head each": lambda n_heads: n_heads, "grouped": lambda n_heads: n_heads // 2, "one": lambda _: 1}
LINEAR_ROPE = {"rope_type": "linear", "factor": 4.0}
ROPES = {"plain rope": {"rope_type": "default"}, "linear rope": LINEAR_ROPE, "llama 3 rope": LLAMA_3_ROPE}


def drawn_llama_like(kind: str, key_heads: str, rope: str, rng: random.Random) -> Any:
    """A config of this kind whose other sizes and settings are drawn."""
    n_heads, width = rng.choice((2, 4, 6)), rng.choice((4, 6, 8))
    return llama_like(
        kind,
        vocab_size=rng.randrange(50, 200),
        hidden_size=n_heads * width,
        intermediate_size=rng.randrange(10, 70),
        num_hidden_layers=rng.randrange(1, 5),
        num_attention_heads=n_heads,
        num_key_value_heads=N_KEY_HEADS[key_heads](n_heads),
        head_dim=rng.choice((width, width + 2, 2 * width)),
        tie_word_embeddings=rng.random() < 0.5,
        rms_norm_eps=rng.choice((1e-6, 1e-5, 1e-2)),
        rope_parameters={**ROPES[rope], "rope_theta": rng.choice((100.0, 10_000.0, 1e6))},
    )


def drawn_gpt2(rng: random.Random) -> Any:
    n_heads = rng.choice((1, 2, 3, 6))
    return transformers.GPT2Config(
        vocab_size=rng.randrange(50, 200),
        n_positions=64,
        n_embd=n_heads * rng.choice((4, 5, 8)),
        n_layer=rng.randrange(1, 5),
        n_head=n_heads,
        n_inner=rng.choice((None, 40, 7)),
        layer_norm_epsilon=rng.choice((1e-5, 1e-2)),
        tie_word_embeddings=rng.random() < 0.5,
        initializer_range=0.2,
    )


def check_both_ways(config: Any, seed: int, tmp_path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Theirs opened by us, and that saved by us and opened by them: the same logits, on ids drawn just now."""
    torch.manual_seed(seed)
    theirs = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    randomized(theirs, seed)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs")
    save_model(ours, tmp_path / "ours")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    ids = random_ids(2, 60, seed=seed, vocab_size=config.vocab_size)
    for model in (theirs, ours, again):
        model.to(dtype)
    with torch.no_grad():
        expected = theirs(ids).logits
        assert float(expected.std()) > 0.1  # no comparison of zeros
        torch.testing.assert_close(ours(ids), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(again(ids).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rope", ROPES)
@pytest.mark.parametrize("key_heads", N_KEY_HEADS)
@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3"])
def test_any_shape_of_a_family_has_their_logits(kind: str, key_heads: str, rope: str, tmp_path: Path):
    print(f"seed {SEED}")
    config = drawn_llama_like(kind, key_heads, rope, random.Random(f"{SEED} {kind} {key_heads} {rope}"))
    check_both_ways(config, SEED, tmp_path)


@pytest.mark.parametrize("draw", range(6))
def test_any_shape_of_gpt2_has_their_logits(draw: int, tmp_path: Path):
    """In float64: a layer norm of four numbers, now and then nearly equal, makes float32's rounding much larger."""
    print(f"seed {SEED}")
    check_both_ways(drawn_gpt2(random.Random(f"{SEED} {draw}")), SEED + draw, tmp_path, torch.float64)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("Llama", {"attention_bias": True}, "attention_bias"),
        ("Llama", {"hidden_act": "gelu"}, "hidden_act"),
        ("Llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "yarn"),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}, "sliding"),
        ("Qwen3", {"attention_bias": True}, "attention_bias"),
        ("Mistral", {}, "'mistral'"),
        ("Gemma", {"head_dim": 8}, "'gemma'"),
    ],
)
def test_what_would_compute_other_numbers_is_refused_by_name(
    kind: str, changes: dict[str, Any], words: str, tmp_path: Path
):
    transformers.AutoModelForCausalLM.from_config(llama_like(kind, **changes)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=words):
        load_model(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False},
        {"activation_function": "relu"},
        {"add_cross_attention": True},
    ],
)
def test_gpt2_variants_are_refused_by_name(changes: dict[str, Any], tmp_path: Path):
    config = transformers.GPT2Config(vocab_size=99, n_positions=64, n_embd=32, n_layer=1, n_head=2, **changes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=next(iter(changes))):
        load_model(tmp_path)


def test_a_setting_that_nobody_knows_is_refused_by_name(tmp_path: Path):
    transformers.AutoModelForCausalLM.from_config(llama_like("Llama")).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"logit_softcapping": 30.0}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"logit_softcapping = 30\.0"):
        load_model(tmp_path)


def test_shards_are_read_as_one_model(tmp_path: Path):
    theirs = transformers.AutoModelForCausalLM.from_config(llama_like("Llama", hidden_size=64)).float()
    theirs.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ids = random_ids(1, 9, vocab_size=99)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)


def test_the_bare_model_and_bf16_on_disk_are_read(tmp_path: Path):
    theirs = transformers.AutoModel.from_config(llama_like("Llama", tie_word_embeddings=True)).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    ours, ids = load_model(tmp_path), random_ids(1, 9, vocab_size=99)
    assert ours.embedding.weight.dtype == torch.float32
    with torch.no_grad():
        expected = transformers.AutoModel.from_pretrained(tmp_path, dtype=torch.float32)(ids).last_hidden_state
        torch.testing.assert_close(ours.hidden(ids), expected, atol=1e-5, rtol=1e-5)
