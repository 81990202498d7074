"""The command line: `lmlab lab`, `present`, `labs`, `train`, `evaluate`, `tokenize`, `generate`, `fetch`,
`doctor`.

Exit codes: 0 done, 1 could not (one sentence says why), 2 used wrongly, 130 interrupted by Ctrl-C, 141 the
reader of our output went away. LMLAB_DEBUG=1 shows the traceback behind a sentence.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import lmlab
from lmlab.devices import leave_a_core_free

COULD_NOT, USED_WRONGLY, INTERRUPTED, NOBODY_READS = 1, 2, 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing that a user's mistake could cause."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a Windows console that lacks a character shows ? and goes on
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, so that a pipe that has closed is noticed here
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes once more at exit, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except (ValueError, OSError, RuntimeError) as mistake:
        if os.environ.get("LMLAB_DEBUG"):
            raise
        print(f"lmlab: {_sentence(mistake)}", file=sys.stderr)
        return COULD_NOT


def _run(arguments: list[str]) -> int:
    ours, theirs = _split_at_dashes(arguments)
    parser = _parser()
    if not ours:
        parser.print_help(sys.stderr)
        return USED_WRONGLY
    try:
        options = parser.parse_args(ours)
        if theirs and options.command not in ("lab", "present"):
            parser.error(f"{options.command} takes nothing after --")
    except SystemExit as stop:  # argparse ends the program itself, for --help too
        return stop.code if isinstance(stop.code, int) else USED_WRONGLY
    options.extra = tuple(theirs)
    leave_a_core_free()
    return int(options.run(options))


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What follows `--` goes to Jupyter as it stands. (For a text that begins with a dash there is stdin.)"""
    if arguments[:1] in (["lab"], ["present"]) and "--" in arguments:
        at = arguments.index("--")
        return arguments[:at], arguments[at + 1 :]
    return arguments, []


def _sentence(mistake: Exception) -> str:
    if isinstance(mistake, OSError) and mistake.strerror:
        named = f"{mistake.filename}: " if mistake.filename else ""
        return f"{named}{mistake.strerror}"
    return str(mistake) or type(mistake).__name__


class _Parser(argparse.ArgumentParser):
    """argparse, with one sentence for a mistake in place of a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USED_WRONGLY, f"{self.prog}: {message}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            near = difflib.get_close_matches(str(value), choices, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there is {', '.join(choices)}"
            raise argparse.ArgumentError(None, f"there is no {action.metavar or action.dest} {value!r}: {meant}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="lmlab", description="A lecture on language models made touchable.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"lmlab {lmlab.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for add in (
        _add_lab,
        _add_present,
        _add_labs,
        _add_train,
        _add_evaluate,
        _add_tokenize,
        _add_generate,
        _add_fetch,
        _add_doctor,
    ):
        add(commands)
    return parser


def _add_lab(commands: Any) -> None:
    lab = commands.add_parser(
        "lab",
        help="open JupyterLab on the labs",
        description="Open JupyterLab on the tour. The labs are copied into DIR; what you have changed there is kept.",
        epilog="What follows -- goes to Jupyter as it stands.",
    )
    lab.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="your copies of the labs (lmlab-labs)")
    lab.add_argument("--in-place", action="store_true", help="open DIR itself, copying nothing")
    _add_server_options(lab)
    lab.set_defaults(run=_lab)


def _add_present(commands: Any) -> None:
    present = commands.add_parser(
        "present",
        help="show one lab alone and large, for a projector",
        description="Show one notebook alone and large. LAB is its number or name, or a notebook file.",
    )
    present.add_argument("notebook", metavar="LAB", nargs="?", default="00", help="such as 02 (default: the tour)")
    _add_server_options(present)
    present.set_defaults(run=_present)


def _add_server_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-browser", action="store_true", help="start the server and print its address")
    command.add_argument("--port", type=int, help="the port to listen on, on this machine alone")


def _add_labs(commands: Any) -> None:
    labs = commands.add_parser(
        "labs",
        help="run, clean or check notebooks (for authors)",
        description="run: execute and write cleaned outputs. clean: normalize without running. check: say what "
        "is not as it should be.",
    )
    labs.add_argument("action", metavar="action", choices=("run", "clean", "check"), help="run, clean or check")
    labs.add_argument("notebooks", metavar="NOTEBOOK", nargs="*", type=Path, help="default: all the labs")
    labs.set_defaults(run=_labs)


def _add_train(commands: Any) -> None:
    train = commands.add_parser("train", help="train a model from a recipe", description="Train as RECIPE says.")
    train.add_argument("recipe", metavar="RECIPE", type=Path, help="a TOML file")
    train.add_argument("--out", metavar="DIR", type=Path, required=True, help="the run's folder")
    train.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in DIR")
    train.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="change one setting of the recipe, such as training.steps=200; may be repeated",
    )
    train.set_defaults(run=_train)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a model of the town against the truth",
        description="Loss beside the floor, and answers, family by family. MODEL is a shipped model or a folder.",
    )
    evaluate.add_argument("model", metavar="MODEL", nargs="?", default="town", help="default: town")
    evaluate.add_argument("--documents", metavar="N", type=int, default=100, help="documents a family (100)")
    evaluate.add_argument("--seed", type=int, default=1, help="which documents (1)")
    evaluate.add_argument("--dialect", default="worried", help="worried or bargain-hunting (worried)")
    evaluate.set_defaults(run=_evaluate)


def _add_tokenize(commands: Any) -> None:
    tokenize = commands.add_parser("tokenize", help="show a text's tokens", description="Show a text's tokens.")
    tokenize.add_argument("text", metavar="TEXT", help="the text; - reads it from standard input")
    tokenize.add_argument("--model", default="town", help="whose tokenizer: a shipped model or a folder (town)")
    tokenize.add_argument("--ids", action="store_true", help="print the ids alone, in one line")
    tokenize.set_defaults(run=_tokenize)


def _add_generate(commands: Any) -> None:
    generate = commands.add_parser("generate", help="continue a prompt", description="Continue a prompt.")
    generate.add_argument("prompt", metavar="PROMPT", help="the prompt; - reads it from standard input")
    generate.add_argument("--model", default="town", help="a shipped model or a folder (town)")
    generate.add_argument("--max-new-tokens", metavar="N", type=int, default=40, help="stop after N tokens (40)")
    generate.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest token (1.0)")
    generate.add_argument("--top-k", metavar="K", type=int, help="draw from the K likeliest tokens")
    generate.add_argument("--top-p", metavar="P", type=float, help="draw from the likeliest that make up P")
    generate.add_argument("--min-p", metavar="P", type=float, help="leave out what is below P times the likeliest")
    generate.add_argument("--seed", type=int, default=0, help="the same seed, the same text (0)")
    generate.add_argument(
        "--chat", action="store_true", help="ask a chat model: PROMPT is a question, the answer comes"
    )
    generate.add_argument(
        "--stop", metavar="TEXT", action="append", default=[], help=r"end before TEXT (\n: a new line)"
    )
    generate.add_argument("--max-seconds", metavar="S", type=float, help="stop after S seconds of computing")
    generate.set_defaults(run=_generate)


def _add_fetch(commands: Any) -> None:
    fetch = commands.add_parser(
        "fetch",
        help="bring a real model or real plays to this machine",
        description="Fetch smollm2, shakespeare or hub:ORG/NAME[@REVISION]; what is here already is compared. "
        "Without NAME: what there is, how large, and what of it is here.",
    )
    fetch.add_argument("name", metavar="NAME", nargs="?", help="smollm2, shakespeare or hub:ORG/NAME")
    fetch.add_argument("--remove", action="store_true", help="remove NAME from this machine")
    fetch.set_defaults(run=_fetch)


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="is this machine ready?",
        description="Say what this machine has, whether the shipped model answers, and what will be slow and why.",
    )
    doctor.set_defaults(run=_doctor)


# What follows imports when it is asked to, so that `lmlab --help` does not wait for torch.


def _lab(options: argparse.Namespace) -> int:
    from lmlab.commands.jupyter import open_lab

    return open_lab(
        options.folder,
        in_place=options.in_place,
        browser=not options.no_browser,
        port=options.port,
        extra=options.extra,
    )


def _present(options: argparse.Namespace) -> int:
    from lmlab.commands.jupyter import open_presentation

    return open_presentation(options.notebook, browser=not options.no_browser, port=options.port, extra=options.extra)


def _labs(options: argparse.Namespace) -> int:
    from lmlab.commands.labs import labs_command

    return labs_command(options.action, options.notebooks)


def _train(options: argparse.Namespace) -> int:
    from lmlab.training.command import train_command

    return train_command(options.recipe, options.out, options.resume, options.overrides)


def _evaluate(options: argparse.Namespace) -> int:
    from lmlab.commands.evaluate import evaluate_command

    return evaluate_command(options.model, documents=options.documents, seed=options.seed, dialect=options.dialect)


def _tokenize(options: argparse.Namespace) -> int:
    from lmlab.commands.text import tokenize_command

    return tokenize_command(options.text, model=options.model, ids_only=options.ids)


def _generate(options: argparse.Namespace) -> int:
    from lmlab.commands.text import generate_command

    sampling = {name: getattr(options, name) for name in ("temperature", "top_k", "top_p", "min_p")}
    limits = {name: getattr(options, name) for name in ("max_new_tokens", "seed", "stop", "max_seconds")}
    return generate_command(options.prompt, model=options.model, chat=options.chat, sampling=sampling, limits=limits)


def _fetch(options: argparse.Namespace) -> int:
    from lmlab.commands.fetch import fetch_command

    return fetch_command(options.name, remove=options.remove)


def _doctor(options: argparse.Namespace) -> int:
    from lmlab.machine_report import doctor

    report = doctor()
    print(report.table())
    print(report)
    return 0 if report.ready else COULD_NOT
