"""Docstrings as the help of the verbs shows them.

tyro wraps the texts of options, but keeps a line break of the source before a line that is indented, as those of field
docstrings are, or that does not begin with a letter. It does not wrap what is said of a verb, and shows the markup of
cross-references.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import docstring_parser

from headstart.ranges import Choice, ranges

Target = TypeVar("Target")
#: Of the terminal, in characters: the least that tyro takes as its width, and the most that is easy to read.
_LEAST_WIDTH, _LARGEST_WIDTH = 40, 120


def unwrapped(target: Target) -> Target:
    """The same function or dataclass; its docstring, and those of the dataclasses in it, have no line breaks to keep.

    Each paragraph and each option is one line then. Docstrings of fields move to the ``Args`` of their class, with the
    ranges of numbers that their types state.
    """
    for documented in _documented(target):
        documented.__doc__ = _rewritten(documented)
    return target


def about(target: Any) -> str:
    """What a docstring says before its options, as :func:`wrapped`."""
    return wrapped(docstring_parser.parse(target.__doc__).description or "")


def summary(target: Any) -> str:
    """The first paragraph of a docstring on one line."""
    return _one_line(docstring_parser.parse(target.__doc__).short_description or "")


def wrapped(text: str) -> str:
    """Paragraphs as wide as the terminal, in line with the text of the boxes below; tyro joins lines without indent."""
    width = min(max(shutil.get_terminal_size().columns, _LEAST_WIDTH), _LARGEST_WIDTH)
    wrapper = textwrap.TextWrapper(
        width, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n\n".join(wrapper.fill(_one_line(paragraph)) for paragraph in text.split("\n\n"))


def _documented(target: Any) -> Iterator[Any]:
    """A function or a dataclass, and the dataclasses that its arguments or fields are made of."""
    yield target
    for kind in get_type_hints(target).values():
        for part in (kind, *get_args(kind)):
            if is_dataclass(part):
                yield from _documented(part)


def _rewritten(documented: Any) -> str:
    found = docstring_parser.parse_from_object(documented)
    paragraphs = [_one_line(one) for one in (found.description or "").split("\n\n")]
    said = {one.arg_name: _one_line(one.description) for one in found.params if one.description}
    for name, limit in ranges(documented):
        if "." not in name and not isinstance(limit, Choice):  # tyro shows choices
            expected = f"Expected {limit.expected}."
            said[name] = f"{said.get(name, '').removesuffix(expected).strip()} {expected}".strip()
    options = [f"    {name}: {text}" for name, text in said.items()]
    return "\n\n".join([*paragraphs, "\n".join(["Args:", *options])] if options else paragraphs)


def _one_line(text: str) -> str:
    """Without line breaks; code and cross-references between single backticks."""
    return re.sub(r":\w+:(?=`)", "", " ".join(text.split())).replace("``", "`")
