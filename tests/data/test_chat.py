"""Conversations as batches: the assistant's words count and nothing else, whatever anybody types."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from lmlab.data.chat import Dialogue, chat_examples, encode_dialogue, encode_question
from lmlab.data.corpus import Corpus
from lmlab.data.dealing import Deck
from lmlab.models.transformer import Transformer, TransformerConfig
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe
from lmlab.tokenizer.chat_template import default_template
from lmlab.tokenizer.tokenizer import Tokenizer
from lmlab.training.loop import train
from lmlab.training.objectives import counted, next_token
from lmlab.training.optimizer import OptimizerSettings
from lmlab.training.state import TrainState
from tests.tokenizer.random_text import mixed_text
from tests.training.stand_ins import same_bits, weights

SEED = random.randrange(10**6)
QA = [("Where does Ada live?", "Ada lives on Mill Lane."), ("What is 3 plus 4?", "It is 7."), ("Who?", "Nobody, yet.")]
DOCUMENTS = Corpus(("The goose crossed the road.", "Investors panicked. Prices fell, and then they rose.", "Ada."))


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return train_bpe("\n".join(q + a for q, a in QA) + DOCUMENTS.text, vocab_size=300, specials=RESERVED_SPECIALS)[0]


def small_model(tok: Tokenizer, seed: int = 0) -> Transformer:
    config = TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=64, d_model=16, n_layers=2, n_heads=2, d_ff=24)
    return Transformer(config, seed=seed)


def conversation(rng: random.Random) -> list[dict[str, str]]:
    """A few turns of random text, in which people type the names of special tokens too."""
    said = [
        mixed_text(rng.randrange(10**9), 6) + rng.choice(["", *RESERVED_SPECIALS]) for _ in range(rng.randrange(2, 7))
    ]
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]


def runs(marks: Tensor) -> list[slice]:
    """Where marked places stand side by side."""
    edges = torch.nn.functional.pad(marks.long(), (1, 1)).diff().nonzero().flatten().tolist()
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def test_what_is_marked_are_the_answers_each_with_its_end(tok: Tokenizer) -> None:
    rng = random.Random(SEED)
    for _ in range(100):
        messages = conversation(rng)
        ids, answers = encode_dialogue(messages, tok)
        assert ids.tolist() == default_template().encode(messages, tok, add_generation_prompt=False)
        found = [ids[run].tolist() for run in runs(answers)]
        said = [[*tok.encode(m["content"]), tok.specials["<|end|>"]] for m in messages if m["role"] == "assistant"]
        assert found == said, SEED


def test_a_question_ends_where_the_assistant_is_to_speak(tok: Tokenizer) -> None:
    question, answer = QA[0]
    ids, answers = encode_dialogue((question, answer), tok)
    asked = encode_question(question, tok)
    assert torch.equal(asked, ids[: len(asked)])
    assert not answers[: len(asked)].any()
    assert answers[len(asked) :].all()


def test_targets_are_the_next_tokens_of_the_answers(tok: Tokenizer) -> None:
    batch = chat_examples(QA, tok, B=3).next()
    n_answers = 0
    for inputs, targets in zip(*batch, strict=True):
        places = (targets != -100).nonzero().flatten()
        assert torch.equal(inputs[places[:-1] + 1], targets[places[:-1]]), "inputs moved by one"
        assert targets[places[-1]] == tok.specials["<|end|>"]
        assert tok.decode(targets[places[:-1]].tolist()) in {answer for _, answer in QA}
        n_answers += len(places)
    assert counted(batch) == n_answers == sum(len(tok.encode(answer)) + 1 for _, answer in QA)


class Kept(nn.Module):
    """A model that keeps its logits, so that their gradient can be looked at."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        self.logits = self.model(ids)
        self.logits.retain_grad()
        return self.logits


def test_no_gradient_at_all_reaches_the_logits_of_the_prompt(tok: Tokenizer) -> None:
    model, batch = Kept(small_model(tok)), chat_examples(QA, tok, B=3).next()
    next_token(model, batch).backward()
    gradient = model.logits.grad
    assert gradient is not None
    assert bool((gradient[batch.targets == -100] == 0).all()), "exactly"
    assert bool((gradient[batch.targets != -100].abs().amax(-1) > 0).all())


def test_padding_changes_neither_loss_nor_gradient(tok: Tokenizer) -> None:
    """The batch's mean is that of its rows read alone, none of them padded, each weighing by its targets."""
    together, alone = small_model(tok), small_model(tok)
    stream = chat_examples(QA, tok, B=3)
    batch = stream.next()
    assert len({len(encode_dialogue(qa, tok).ids) for qa in QA}) == 3, "there is something to pad"
    loss = next_token(together, batch)
    loss.backward()
    total = 0.0
    for qa in QA:
        single = chat_examples([qa], tok, B=1).next()
        part = next_token(alone, single) * counted(single) / counted(batch)
        part.backward()
        total += float(part.detach())
    assert float(loss.detach()) == pytest.approx(total, rel=1e-6)
    for a, b in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)


def test_every_batch_has_its_exact_share_of_replay_and_replayed_documents_count_in_full(tok: Tokenizer) -> None:
    stream = chat_examples(QA, tok, B=7, replay=DOCUMENTS, replay_share=0.3)
    bos = tok.specials["<|endoftext|>"]
    replayed: list[str] = []
    for batch in islice(stream, 6):
        is_replay = [tok.specials["<|user|>"] not in row for row in batch.inputs.tolist()]
        assert sum(is_replay) == 2 == round(7 * 0.3)
        for inputs, targets in [(i, t) for i, t, r in zip(*batch, is_replay, strict=True) if r]:
            n = int((targets != -100).sum())
            assert inputs[0] == targets[n - 1] == bos, "from BOS to the BOS behind it"
            assert torch.equal(inputs[1:n], targets[: n - 1])
            replayed.append(tok.decode(targets[: n - 1].tolist()))
    assert sorted(replayed) == sorted(DOCUMENTS.documents * 4), "all of them, equally often"


def test_a_long_document_is_cut_at_T(tok: Tokenizer) -> None:
    long = Corpus(("goose " * 100,))
    batch = chat_examples(QA, tok, B=2, replay=long, replay_share=0.5, T=40).next()
    assert batch.inputs.shape == (2, 40)
    assert torch.equal(batch.targets[1, :-1], batch.inputs[1, 1:])


def test_all_are_dealt_before_any_comes_again() -> None:
    deck = Deck(7, seed=3)
    dealt = [number for at in range(0, 21, 3) for number in deck.deal(at, 3)]
    rounds = [dealt[at : at + 7] for at in (0, 7, 14)]
    assert [sorted(r) for r in rounds] == [list(range(7))] * 3
    assert len({tuple(r) for r in rounds}) == 3, "each in an order of its own"
    assert Deck(7, seed=4).deal(0, 7) != rounds[0]
    assert Deck(7, seed=3).deal(5, 9) == dealt[5:14], "the place alone decides"


def test_a_stream_goes_on_where_its_cursor_was(tok: Tokenizer) -> None:
    def stream(seed: int = 1):
        return chat_examples(QA, tok, B=3, replay=DOCUMENTS, seed=seed)

    one, other = stream(), stream()
    for _ in range(5):
        one.next()
    other.load_state(json.loads(json.dumps(one.state())))
    for a, b in islice(zip(one, other, strict=False), 5):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
    with pytest.raises(ValueError, match=r"saved with seed=1, but the stream has seed=2"):
        stream(seed=2).load_state(one.state())


def test_ten_steps_of_sft_and_ten_more_are_twenty(tok: Tokenizer) -> None:
    settings = OptimizerSettings(lr=1e-2)
    whole = TrainState.begin(small_model(tok), steps=20, settings=settings)
    train(whole, chat_examples(QA, tok, B=3, replay=DOCUMENTS), next_token, 20)
    halves, first = (
        TrainState.begin(small_model(tok), steps=20, settings=settings),
        chat_examples(QA, tok, B=3, replay=DOCUMENTS),
    )
    train(halves, first, next_token, 10)
    second = chat_examples(QA, tok, B=3, replay=DOCUMENTS)
    second.load_state(first.state())
    train(halves, second, next_token, 20)
    assert same_bits(weights(whole.model), weights(halves.model))


def test_sft_in_parts_is_sft_in_one(tok: Tokenizer) -> None:
    """Rows have different numbers of targets, and each target counts the same."""
    once, parts = (TrainState.begin(small_model(tok), steps=3, accumulate=n) for n in (1, 3))
    for state in (once, parts):
        train(state, chat_examples(QA, tok, B=3), next_token, 3)
    for a, b in zip(weights(once.model), weights(parts.model), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


BAD: list[tuple[Dialogue, str]] = [
    (("Hello?", "  "), r"Conversation 1 has an empty answer"),
    (({"role": "user", "content": "Hello?"},), r"Conversation 1 has 1 messages and no answer"),
    (("word " * 50, "Yes."), r"Conversation 1 has \d+ tokens and at most T=40 are read"),
    (
        ({"role": "system", "content": "Be kind."}, {"role": "assistant", "content": "Yes."}),
        "user and assistant, not system",
    ),
    ((), r"Conversation 1 cannot be read\. A conversation is a question"),
]


@pytest.mark.parametrize(("dialogue", "sentence"), BAD)
def test_what_cannot_be_learned_from_is_refused(tok: Tokenizer, dialogue: Dialogue, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        chat_examples([QA[1], dialogue], tok, B=2, T=40)


def test_settings_that_do_not_fit_are_refused(tok: Tokenizer) -> None:
    with pytest.raises(ValueError, match="There is no conversation"):
        chat_examples([], tok, B=2)
    with pytest.raises(ValueError, match=r"B=1 rows at replay_share=0\.333 has 0 rows of replay and 1 conversations"):
        chat_examples(QA, tok, B=1, replay=DOCUMENTS)
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        chat_examples(QA, tok, B=4, replay=DOCUMENTS, replay_share=1.5)
    with pytest.raises(ValueError, match=r"no <\|endoftext\|>: train one with specials=RESERVED_SPECIALS"):
        chat_examples(QA, train_bpe("a b c d", vocab_size=258, specials=())[0], B=2)
