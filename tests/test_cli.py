"""The command line: one sentence for a mistake, the right exit code, nothing half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lmlab
from lmlab import cli

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}


def lmlab_command(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "lmlab", *arguments]
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8", timeout=120, **options
    )


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tokenise", "x"], "there is no command 'tokenise': did you mean tokenize?"),
        (["frobnicate"], "there is no command 'frobnicate': there is lab, present"),
        (["labs", "rum"], "there is no action 'rum': did you mean run?"),
        (["tokenize"], "required: TEXT"),
        (["train", "recipe.toml"], "required: --out"),
        (["generate", "x", "--seed", "seven"], "--seed: invalid int value: 'seven'"),
        (["lab", "--colour"], "unrecognized arguments: --colour"),
        (["doctor", "now"], "unrecognized arguments: now"),
    ],
)
def test_a_wrong_use_costs_one_sentence_and_code_2(arguments, sentence, capsys):
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert "--help" in said.err, "the sentence names the next step"
    assert said.out == ""


def test_no_command_at_all_shows_what_there_is(capsys):
    assert cli.main([]) == 2
    assert "lmlab doctor" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["", "lab", "present", "labs", "train", "tokenize", "generate", "fetch", "doctor"])
def test_help_and_version_are_no_mistakes(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lmlab")
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"lmlab {lmlab.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "there-is-no.toml", "--out", "out"],
        ["tokenize", "x", "--model", "no-such-model"],
        ["generate", "x", "--model", "no-such-model"],
        ["generate", "x", "--temperature", "-1"],
        ["generate", "x", "--temperature", "nan"],
        ["generate", "x", "--max-new-tokens", "-1"],
        ["generate", "x", "--model", "smollm2"],
        ["lab", "there-is-no-folder", "--in-place"],
        ["present", "99"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_costs_one_sentence_and_code_1(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("lmlab: ")]
    assert len(lines) == 1
    assert said.endswith(lines[0] + "\n"), "nothing comes after it"
    assert len(lines[0]) > len("lmlab: xxxxxxxxxx")


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("LMLAB_DEBUG", "1")
    with pytest.raises(ValueError, match="no tokenizer"):
        cli.main(["tokenize", "x", "--model", str(tmp_path)])


# ---------------------------------------------------------------- the system's ways


def with_doctor(body: str) -> str:
    """A program that is lmlab with another `lmlab doctor`."""
    return (
        "import sys, time, lmlab.cli as c\n"
        f"def other(options):\n    {body}\n"
        "c._doctor = other\n"
        "sys.exit(c.main(['doctor']))"
    )


@pytest.mark.skipif(os.name == "nt", reason="signals are another matter there")
def test_ctrl_c_is_130_and_quiet():
    # a shell may have started the tests in the background, where SIGINT is ignored and inherited so
    listen = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code = listen + with_doctor("print('in', flush=True); time.sleep(60)")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, text=True, **pipes)
    assert running.stdout.readline() == "in\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, "", "")


def test_a_closed_pipe_is_quiet():
    code = with_doctor("for _ in range(10**9): print('x' * 1000)")
    running = subprocess.Popen(
        [sys.executable, "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    running.stdout.read(10)
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(30) == 141


def test_a_terminal_that_lacks_a_character_shows_a_question_mark():
    environment = {**ENVIRONMENT, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "lmlab", "tokenize", "x", "--model", "gibt-es-nicht-ü"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"gibt-es-nicht-?" in done.stderr


def test_help_does_not_wait_for_torch():
    code = "import sys, lmlab.cli as c; c.main(['--help']); assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=60).returncode == 0


def test_python_m_lmlab_is_lmlab():
    done = lmlab_command("--version")
    assert (done.returncode, done.stdout) == (0, f"lmlab {lmlab.__version__}\n")


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize("text", ["the stock market crashed", "", "a\tb\n", "Größe 🦦 世界", "<|endoftext|>"])
def test_tokenize_prints_ids_that_decode_to_the_text(text, capsys):
    assert cli.main(["tokenize", text, "--ids"]) == 0
    ids = [int(id) for id in capsys.readouterr().out.split()]
    assert lmlab.load_tokenizer(lmlab.asset("models/town/tokenizer.json")).decode(ids) == text


def test_tokenize_shows_one_token_a_line_and_the_ratio(capsys):
    cli.main(["tokenize", "the market\x1b[31m"])
    out = capsys.readouterr().out
    assert "\x1b" not in out, "what a text says is not done to the terminal"
    assert "·market" in out
    lines = out.splitlines()
    assert lines[-1].startswith(f"{len(lines) - 1} tokens, 15 bytes, {15 / (len(lines) - 1):.2f} bytes a token")


def test_tokenize_reads_standard_input():
    done = lmlab_command("tokenize", "-", "--ids", input="the stock market\n")
    expected = lmlab_command("tokenize", "--ids", "--", "the stock market\n")
    assert done.stdout == expected.stdout != "\n"


def test_generate_continues_the_prompt_and_repeats_with_its_seed(capsys):
    texts = []
    for seed in ("3", "3", "4"):
        assert cli.main(["generate", "the stock market", "--max-new-tokens", "12", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("the stock market") for text in texts)
    expected = lmlab.load("town").generate(
        "the stock market", max_new_tokens=12, sampler=lmlab.Sampler(temperature=1.0), seed=3
    )
    assert texts[0] == "the stock market" + expected.text + "\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes are read in another way there")
def test_generate_writes_as_it_goes():
    command = [sys.executable, "-m", "lmlab", "generate", "the", "--max-new-tokens", "3000"]
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE)
    try:
        assert running.stdout.read(3) == b"the"
        assert running.stdout.read(1)
        assert running.poll() is None, "the first token is there before the last is drawn"
    finally:
        running.kill()
        running.wait(10)


# ---------------------------------------------------------------- the machine


@pytest.mark.slow
def test_doctor_says_that_this_machine_is_ready():
    done = lmlab_command("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "ready: True"
    for name in ("python", "torch", "device", "threads", "memory", "model town", "will be slow"):
        assert any(line.startswith(name) for line in done.stdout.splitlines()), name


def test_the_report_says_the_same_on_every_machine_that_is_ready():
    report = lmlab.doctor()
    assert repr(report) == "ready: True"
    table = report.table()
    assert "<td" in table._repr_html_()
    assert len(repr(table).splitlines()) == table._repr_html_().count("<tr>")


def test_the_report_names_what_is_wrong(monkeypatch):
    from lmlab import machine_report, text_model

    def broken(name):
        raise ValueError("model.safetensors is cut off\nat byte 12")

    monkeypatch.setattr(text_model, "load", broken)
    monkeypatch.setattr(machine_report, "_VERSIONS", ("torch", "no-such-package"))
    report = lmlab.doctor()
    assert not report.ready
    assert repr(report).startswith("ready: False (")
    assert "model.safetensors is cut off" in repr(report)
    assert "no-such-package is not installed" in repr(report)
    assert "\n" not in repr(report)


def test_the_table_shows_text_and_never_html():
    from lmlab.machine_report import FactTable

    table = FactTable((("<img src=x onerror=alert(1)>", "<script>"),))
    assert "<img" not in table._repr_html_()
    assert "&lt;script&gt;" in table._repr_html_()


def test_the_answer_of_the_town_comes_soon():
    """To the first distribution in under 1.5 s in a fresh process after torch is imported, of its own time."""
    code = (
        "import torch, time; t = time.process_time(); import lmlab\n"
        "lmlab.load('town').next('the stock market crashed and investors')\n"
        "print(time.process_time() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1.5
