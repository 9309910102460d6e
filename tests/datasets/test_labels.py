"""Shared steps from raw numbers to an annotation's arrays."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from headstart.datasets.labels import field, from_matlab_pixels, is_empty, joints_box, masked, numbers, structs
from headstart.errors import DataError

FILE = Path("labels.json")


def test_numbers_leave_uint8_behind():
    values = numbers(FILE, 0, "x", np.array([60, 100], np.uint8), (2,))
    assert values[0] - values[1] == -40


@pytest.mark.parametrize("value", ["text", None, [1, None], [1, [2, 3]], [1, 2, 3], [np.nan, 1], {}])
def test_numbers_name_file_and_record_when_the_value_is_not_two_numbers(value):
    with pytest.raises(DataError, match=r"labels\.json, record 7: expected joints as 2 number"):
        numbers(FILE, 7, "joints", value, (2,))


def test_nan_is_let_through_only_where_it_means_unlabelled():
    assert np.isnan(numbers(FILE, 0, "coords", [np.nan, 1], (2,), finite=False)[0])


def test_field_reads_objects_of_json_and_of_matlab():
    assert field(FILE, 0, {"a": 1}, "a") == 1
    assert field(FILE, 0, SimpleNamespace(a=0), "a") == 0
    for holder in ({"b": 1}, SimpleNamespace(b=1), [1], "x" * 500):
        with pytest.raises(DataError, match=r"labels\.json, record 0: expected a field 'a'") as caught:
            field(FILE, 0, holder, "a")
        assert len(str(caught.value)) < 200


def test_structs_come_out_of_lone_structs_arrays_and_emptiness():
    struct = SimpleNamespace(_fieldnames=["x"])
    assert structs(struct) == [struct]
    assert structs(np.array([struct, struct], object)) == [struct, struct]
    assert structs(np.array([])) == structs([]) == structs("") == []


def test_empty_is_only_what_matlab_left_empty():
    assert is_empty("")
    assert is_empty(np.array([]))
    assert is_empty([])
    assert not any(is_empty(value) for value in ("0", 0, np.uint8(0), np.array([0])))


def test_masked_removes_placeholders_of_unlabelled_joints():
    points = masked(np.array([[0.0, 0.0], [0.0, 0.0], [5.5, 2.0]]), np.array([0, 1, 2], np.uint8))
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, [[np.nan, np.nan], [0, 0], [5.5, 2]])


def test_joints_box_spans_whole_pixels_of_labelled_joints():
    points = np.array([[10.0, 50.0], [np.nan, np.nan], [40.0, 20.0]])
    np.testing.assert_array_equal(joints_box(points), [10, 20, 31, 31])


def test_a_lone_joint_gets_a_box_of_minimum_size_around_it():
    np.testing.assert_array_equal(joints_box(np.array([[100.0, 50.0]])), [92.5, 42.5, 16, 16])


def test_a_thin_box_stays_thin():
    np.testing.assert_array_equal(joints_box(np.array([[3.0, 0.0], [3.0, 99.0]])), [3, 0, 1, 100])


def test_matlab_counts_pixels_from_one():
    np.testing.assert_array_equal(from_matlab_pixels(np.array([[1.0, 2.5]])), [[0, 1.5]])
