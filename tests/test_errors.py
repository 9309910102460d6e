"""Messages that a user reads: one line that names file, record, what was expected, what was found and what to do."""

import pickle
from pathlib import Path

import pytest

from headstart.errors import ConfigError, DataError, HeadstartError, TrainingError, first_few, first_line, shortened


def test_a_full_data_error_is_one_line_in_a_fixed_order():
    error = DataError("mpii.mat", "16 joints", record=7, found="15 joints", fix="Download it again.")
    assert str(error) == "mpii.mat, record 7: expected 16 joints, found 15 joints. Download it again."
    assert error.path == Path("mpii.mat")


def test_parts_that_are_not_known_leave_no_trace():
    assert str(DataError(Path("a/b.json"), "a list")) == "a/b.json: expected a list"


def test_record_zero_and_an_empty_finding_are_still_named():
    assert str(DataError("x", "a number", record=0, found="''")) == "x, record 0: expected a number, found ''"


def test_a_data_error_travels_between_processes():
    """Known defect: it could not be unpickled, which breaks a whole ProcessPoolExecutor for one bad file."""
    error = DataError("mpii.mat", "16 joints", record=7, found="15 joints")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.path) == (DataError, str(error), Path("mpii.mat"))


@pytest.mark.parametrize("kind", [ConfigError, DataError, TrainingError])
def test_every_error_that_a_user_can_mend_has_one_base(kind: type[Exception]):
    assert issubclass(kind, HeadstartError)
    assert not issubclass(kind, (OSError, ValueError)), "a broad except for disk errors must not swallow it"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("no such file\nor folder"), "no such file"),
        (ValueError("\n  not a number\nat all"), "not a number"),
        (RuntimeError(), "RuntimeError"),
        (KeyError(), "KeyError"),
        (ValueError(" \n "), "ValueError"),
    ],
)
def test_the_first_line_of_an_error_is_never_empty(error: Exception, line: str):
    """Known defect: an IndexError in place of what another library raised without a word."""
    assert first_line(error) == line


def test_long_values_are_cut_to_one_line():
    assert shortened("[1,\n  2]") == "[1, 2]"
    assert shortened("x" * 60) == "x" * 60
    assert shortened("x" * 61) == "x" * 57 + "..."


def test_of_many_parts_the_rest_is_counted():
    assert first_few(["a", "b"], 2) == "a; b"
    assert first_few(["a", "b", "c", "d"], 2) == "a; b; and 2 more"
