"""What a student writes on the first day, line by line: the public names are a contract."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmlab as lab

PROMPT = "the stock market crashed and investors"


@pytest.mark.slow
def test_from_counts_to_a_trained_model(tmp_path: Path) -> None:
    town = lab.load("town")
    assert town.name in lab.widgets.NextToken(town, prompt=PROMPT).sentence

    corpus = lab.corpus("town", documents=20_000, seed=0)
    tok, merges = lab.train_bpe(corpus.text, vocab_size=2048)
    assert "No merge yet" in repr(lab.widgets.BPEMerges(merges))

    trigram = lab.TextModel(lab.NGram.fit(corpus.ids(tok), n=3, vocab_size=tok.vocab_size), tok, name="trigram")
    both = lab.widgets.NextToken(trigram, town, prompt=PROMPT).shown
    assert both.columns == ("truth", "trigram", "town")
    assert both.rows[0].shown[0] == "60\u202f%"

    model = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size))
    run = lab.TrainingRun(model, lab.windows(corpus, tok, T=128, B=4), lab.next_token, steps=6, seed=0)
    mine = run.start().wait().save(tmp_path / "first", tok)
    again = lab.load(tmp_path / "first")
    assert again.log_prob(" panicked", given=PROMPT) == pytest.approx(
        mine.log_prob(" panicked", given=PROMPT), abs=1e-4
    )
    assert (
        "of its attention" in lab.widgets.Attention(mine, prompt="the stock market crashed", layer=1, head=0).sentence
    )
    sampler = lab.Sampler(temperature=0.8)
    text = mine.generate("the stock market", max_new_tokens=20, sampler=sampler, seed=0).text
    assert text == again.generate("the stock market", max_new_tokens=20, sampler=sampler, seed=0).text
    assert lab.widgets.QuantizationBins(mine, bits=2).sentence
