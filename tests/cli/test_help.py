"""What the verbs say of themselves: things, not types, and no more than is asked for."""

from __future__ import annotations

import re

import pytest

from headstart import cli
from test_cli import fails, headstart, succeeds

#: What tyro writes where nothing is said of a value or of its default.
TYPES = re.compile(r"\b(STR|PATH)\b|\{None\}|\(default: (None|''|)\)|``")


@pytest.mark.parametrize("verb", list(cli._VERBS))
@pytest.mark.parametrize("columns", ["80", "120"])
def test_values_are_called_what_they_are(verb: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_cli.COLUMNS", columns)
    text = succeeds(verb, "--help")
    assert TYPES.findall(text) == []
    assert "--help" in text


def test_inputs_and_optional_values() -> None:
    usage = "usage: headstart predict [-h] [OPTIONS] INPUT [INPUT ...]\n"
    assert succeeds("predict", "--help").startswith(usage)
    assert "--json FILE" in succeeds("predict", "--help")
    assert "--json, --no-json" in succeeds("data", "--help")
    assert "RECIPE" in headstart("train").stderr
    assert fails("predict") == "predict: expected images, folders, globs or videos"


def test_the_list_of_verbs_has_a_sentence_each() -> None:
    """The rest of what `clean` says of itself is for those who ask for it."""
    listed, asked = succeeds("--help"), " ".join(succeeds("clean", "--help").split())
    assert "Copy a packed split without the labels" in listed
    assert "doubts.csv" not in listed
    assert "look at it before you train with --root NAME=OUT. Never clean what you score on" in asked
    entries = re.findall(r"• (\w+) ", listed)
    assert entries == list(cli._VERBS)
    assert len(listed.splitlines()) < 12 + 2 * len(entries)


def test_a_verb_is_found_before_anything_else_is_parsed() -> None:
    assert headstart("data").returncode == 2
    assert "--root DIR" in headstart("data").stderr
    assert headstart().returncode == 2
    assert "report" in headstart("reprot").stderr


def test_recipes_say_claim_command_cost_and_measure_on_lines_of_their_own() -> None:
    shown = succeeds("show", "recipes")
    *recipes, others = [block.splitlines() for block in shown.strip().split("\n\n")]
    assert others[0] == "Other recipes"
    assert len(recipes) == shown.count("    Measured: ")
    for name, about, *rest in recipes:
        assert not name.startswith(" ")
        assert about.startswith("    ")
        assert [line.split(":")[0] for line in rest] == [
            f"    {part}" for part in ("Claim", "Command", "Cost", "Measured")
        ]
    assert "``" not in shown
