"""`lmlab generate`: streaming to a terminal, stop strings, budgets, chat."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmlab
from lmlab import cli
from lmlab.commands import text as text_command
from lmlab.models.transformer import Transformer
from lmlab.sampling import GREEDY
from lmlab.text_model import TextModel
from lmlab.tokenizer.chat_template import default_template
from tests.models.models_under_test import small_config


@pytest.fixture(scope="module")
def town() -> TextModel:
    return lmlab.load("town")


@pytest.fixture(scope="module")
def chatty(town: TextModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a chat model that has learned nothing."""
    model = Transformer(small_config(vocab_size=town.vocab_size, max_seq_len=64), seed=3)
    folder = tmp_path_factory.mktemp("models") / "chatty"
    return TextModel(model, town.tokenizer, name="chatty", chat_template=default_template()).save(folder)


def test_the_text_ends_before_a_stop_string(town: TextModel, capsys: pytest.CaptureFixture[str]):
    arguments = ["generate", "the stock market", "--temperature", "0", "--max-new-tokens", "30"]
    whole = town.generate("the stock market", 30, sampler=GREEDY).text
    stop = whole[8:10]
    assert cli.main([*arguments, "--stop", stop, "--stop", "zzz"]) == 0
    assert capsys.readouterr().out == "the stock market" + whole[: whole.index(stop)] + "\n"


def test_a_line_break_is_written_with_a_backslash(monkeypatch: pytest.MonkeyPatch):
    given = {}

    def watched(_model: TextModel, _prompt: str, **limits: object) -> None:
        given.update(limits)
        raise ValueError("seen")

    monkeypatch.setattr(TextModel, "generate", watched)
    assert cli.main(["generate", "a", "--stop", r"\n\n", "--max-seconds", "2.5"]) == 1
    assert given["stop"] == ["\n\n"]
    assert given["max_seconds"] == 2.5


def test_a_text_that_ran_out_of_time_says_so_beside_the_text(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["generate", "the", "--max-new-tokens", "3000", "--max-seconds", "0.000001"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("the")
    assert said.out.count("\n") == 1
    assert said.err == "lmlab: stopped after 1 token: the time is over\n"


def test_chat_prints_the_answer_alone_and_says_when_the_context_is_full(
    chatty: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["generate", "Where is it?", "--chat", "--model", str(chatty), "--temperature", "0"]
    assert cli.main([*arguments, "--max-new-tokens", "5"]) == 0
    answer = lmlab.load(chatty).chat("Where is it?", 5, sampler=GREEDY).text
    assert answer
    assert capsys.readouterr().out == text_command._harmless(answer) + "\n"
    assert cli.main([*arguments, "--max-new-tokens", "500"]) == 0
    assert "the model's context is full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--chat"], "town has no chat template"),
        (["--stop", ""], "stop must be a text to stop before"),
        (["--max-seconds", "0"], "max_seconds must be a number of seconds above 0"),
        (["--max-seconds", "nan"], "max_seconds must be"),
        (["--max-new-tokens", "1000000000"], "max_new_tokens must be a whole number"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["generate", "x", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


def test_ctrl_c_leaves_a_whole_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    shown = iter(range(3))

    def interrupt(text: str) -> str:
        if next(shown, None) is None:
            raise KeyboardInterrupt
        return text

    monkeypatch.setattr(text_command, "_harmless", interrupt)
    assert cli.main(["generate", "the stock market", "--max-new-tokens", "200"]) == 130
    assert capsys.readouterr().out.endswith("\n")


def test_what_a_terminal_would_act_on_is_shown_as_an_escape():
    assert text_command._harmless("a\x1b[2Jb\n\tc\x9b é😀\r") == "a\\x1b[2Jb\n\tc\\x9b é😀\\r"
