"""The command line: parse, import what the verb needs, call one function, print. One file a family of verbs.

Nothing heavy is imported before the verb is known: ``headstart --help`` must answer at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any

import tyro

from headstart import __version__
from headstart.cli.cleaning import clean
from headstart.cli.datasets import data, pack, synth
from headstart.cli.docstrings import about, summary, unwrapped, wrapped
from headstart.cli.exporting import export
from headstart.cli.predicting import predict
from headstart.cli.reporting import report
from headstart.cli.scoring import score
from headstart.cli.serving import serve
from headstart.cli.showing import show
from headstart.cli.studying import study
from headstart.cli.training import TrainArguments, evaluate, train
from headstart.display import is_main_process
from headstart.errors import HeadstartError, Interrupted

_ABOUT = "2D pre-training for 3D human pose estimation."
_VERBS: dict[str, Any] = {
    "data": data,
    "pack": pack,
    "synth": synth,
    "clean": clean,
    "show": show,
    "train": TrainArguments,
    "eval": evaluate,
    "score": score,
    "export": export,
    "predict": predict,
    "serve": serve,
    "study": study,
    "report": report,
}


def main() -> None:
    """Entry point.

    Exit code 0; 2 for bad input or configuration; 130 if a signal stopped a run; 141 if the reader of the output ended.
    """
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    # One of the processes of torchrun says how a run goes; each says what goes wrong.
    logging.getLogger("headstart").setLevel(logging.INFO if is_main_process() else logging.WARNING)
    logging.getLogger("huggingface_hub").propagate = False  # it prints by itself: each line came twice
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may be unable to show the name of a file
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"headstart {__version__}")
        return
    try:
        _run(arguments)
        sys.stdout.flush()
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        sys.exit(130 if isinstance(error, Interrupted) else 2)
    except OSError as error:  # a folder that cannot be written, a full disk
        if isinstance(error, BrokenPipeError):
            _end_if_nobody_reads()
        print(f"headstart: {f'{error.filename}: {error.strerror}' if error.filename else error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("headstart: interrupted", file=sys.stderr)
        sys.exit(130)


def _run(arguments: list[str]) -> None:
    """Run the verb; without a known one, tyro prints the list of verbs or an error, and exits."""
    name = arguments[0] if arguments else ""
    if name == "train":
        train(arguments[1:])
    elif name in _VERBS:
        verb = _VERBS[name]
        tyro.cli(unwrapped(verb), prog=f"headstart {name}", description=about(verb), args=arguments[1:])
    else:
        first_lines = {verb: _summary(function) for verb, function in _VERBS.items()}
        tyro.extras.subcommand_cli_from_dict(first_lines, prog="headstart", description=wrapped(_ABOUT), args=arguments)


def _summary(verb: Any) -> Callable[[], None]:
    """A function that has the first paragraph of a verb's docstring, for the list of verbs."""

    def listed() -> None: ...

    listed.__doc__ = summary(verb)
    return listed


def _end_if_nobody_reads() -> None:
    """Exit if the broken pipe is the output's (`headstart eval ... | head -1`), not for example that of a worker."""
    try:
        print(flush=True)  # not just a flush: what failed before may have left the buffer empty
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes what is left at exit
        sys.exit(141)  # as the shell reports a process that SIGPIPE ended
