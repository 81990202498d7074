"""A corpus of the town, and the files that students really have."""

import os

import pytest
import torch

from lmlab.data.corpus import corpus
from lmlab.data.town import Town
from lmlab.tokenizer.bpe import RESERVED_SPECIALS, train_bpe

UMLAUTS = "Grüße aus Köln.\n\nZweiter Absatz, naïve café."


def test_the_town_is_a_corpus():
    town = corpus("town", documents=300, seed=5)
    assert list(town.documents) == Town().sample(300, 5)
    assert town.text == "\n".join(town.documents)
    news = corpus("town", documents=20, dialect="bargain-hunting", families=["news"])
    assert list(news.documents) == Town("bargain-hunting", ["news"]).sample(20, 0)
    with pytest.raises(ValueError, match="documents"):
        corpus("town", documents=0)


def test_training_and_validation_never_overlap_and_nothing_is_lost():
    town = corpus("town", documents=2000)
    train, validation = town.split(validation=0.1)
    assert not set(train.documents) & set(validation.documents)
    assert sorted(train.documents + validation.documents) == sorted(town.documents)
    assert 0.05 < len(validation.documents) / 2000 < 0.15
    assert town.split(validation=0.1)[1].documents == validation.documents
    for share in (0, 1, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            town.split(validation=share)
    with pytest.raises(ValueError, match="one document"):
        corpus(text="all in one").split()


def test_ids_are_the_documents_joined_by_bos():
    town = corpus("town", documents=200)
    tok, _ = train_bpe(town.text, vocab_size=600, specials=RESERVED_SPECIALS)
    ids = town.ids(tok)
    assert ids.dtype == torch.int64
    pieces, piece = [], []
    for i in ids[1:].tolist():
        if i == tok.bos_id:
            pieces.append(tok.decode(piece))
            piece = []
        else:
            piece.append(i)
    assert int(ids[0]) == tok.bos_id
    assert piece == []
    assert tuple(pieces) == town.documents


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (UMLAUTS.encode(), None),
        (UMLAUTS.encode("utf-8-sig"), None),
        (UMLAUTS.replace("\n", "\r\n").encode(), None),
        (UMLAUTS.replace("\n", "\r").encode(), None),
        (UMLAUTS.encode("latin-1"), "Latin-1"),
        (UMLAUTS.encode("utf-16"), "UTF-16"),
        (b"\xfe\xff" + UMLAUTS.encode("utf-16-be"), "UTF-16"),
        (UMLAUTS.encode("utf-16-le"), "UTF-16"),
        (UMLAUTS.encode("utf-16-be"), "UTF-16"),
    ],
)
def test_text_is_read_in_any_usual_encoding(tmp_path, data, note):
    file = tmp_path / "mine.txt"
    file.write_bytes(data)
    mine = corpus(file)
    assert mine.documents == tuple(UMLAUTS.split("\n\n"))
    assert [note in text for text in mine.notes] == ([True] if note else [])


@pytest.mark.parametrize(
    "data", [b"some text\0more", bytes(range(256)) * 40, b"\x7fELF\x02\x01\x01" + b"\0" * 90, os.urandom(5000)]
)
def test_what_is_no_text_is_refused_in_one_sentence(tmp_path, data):
    file = tmp_path / "mine.bin"
    file.write_bytes(data)
    with pytest.raises(ValueError, match="not text") as refused:
        corpus(file)
    assert "mine.bin" in str(refused.value)
    assert len(str(refused.value)) < 200


def test_nothing_and_nowhere_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_bytes(b" \n\n \n")
    with pytest.raises(ValueError, match="empty"):
        corpus(tmp_path / "empty.txt")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        corpus(tmp_path / "nowhere.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="no text"):
        corpus(tmp_path / "folder")


def test_a_folder_is_read_in_order_and_what_is_no_text_is_noted(tmp_path):
    (tmp_path / "b.md").write_text("second\n\nthird", encoding="utf-8")
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\0\1\2\3" * 50)
    (tmp_path / ".hidden.txt").write_text("no", encoding="utf-8")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG")
    mine = corpus(tmp_path)
    assert mine.documents == ("first", "second", "third")
    assert len(mine.notes) == 1
    assert "c.txt" in mine.notes[0]


def test_one_line_of_50_mb_is_cut_into_documents(tmp_path):
    file = tmp_path / "line.txt"
    line = "word " * 10_000_000
    file.write_text(line, encoding="utf-8")
    mine = corpus(file)
    assert max(map(len, mine.documents)) <= 100_000
    assert len(mine.documents) >= 500
    assert sum(map(len, mine.documents)) >= len(line) - 1


def test_a_file_beyond_the_cap_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "huge.txt"
    with file.open("wb") as handle:
        handle.truncate(300_000_000)  # sparse: takes no room
    with pytest.raises(ValueError, match=r"300 MB.*200 MB"):
        corpus(file)


def test_the_plays_are_a_corpus_where_they_were_fetched_and_a_sentence_where_not(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="`lmlab fetch shakespeare`"):
        corpus("shakespeare")
    for folder, speech in ((tmp_path / "shakespeare", "Mine."), (tmp_path / "home/cache/shakespeare", "To be?")):
        folder.mkdir(parents=True)
        (folder / "play.md").write_text(f"# Play\n\n{speech}", encoding="utf-8")
        (folder / ".fetched.json").write_text("{}", encoding="utf-8")
        assert corpus("shakespeare").documents == ("# Play", speech)
