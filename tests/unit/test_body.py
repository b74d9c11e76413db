"""Body: the fast ways give what the slow ones give."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scoregate.errors import BadInput
from scoregate.script.body import Body

NUMBERS = st.floats(-1e6, 1e6, width=32) | st.integers(-(2**24), 2**24)
NESTED = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=12).filter(
    lambda value: isinstance(value, list)
)


@given(npst.arrays(np.float32, npst.array_shapes(max_dims=4, max_side=4), elements=NUMBERS))
def test_any_even_list_of_numbers_is_its_array(array):
    body = Body(json.dumps({"other": "[", "data": array.tolist()}).encode())
    plain = Body(json.dumps({"data": array.tolist()}).encode())
    for read in (body.json_array("data"), plain.json_array("data")):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, array)


@given(NESTED)
def test_any_nested_list_is_what_numpy_makes_of_it_or_refused(nested):
    body = Body(json.dumps({"data": nested}).encode())
    try:
        expected = np.array(nested, np.float32)
    except ValueError:
        with pytest.raises(BadInput):
            body.json_array("data")
    else:
        np.testing.assert_array_equal(body.json_array("data"), expected)


@given(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1, max_size=4))
def test_integers_are_exact_or_refused(numbers):
    body = Body(json.dumps({"data": numbers}).encode())
    for dtype in (np.int8, np.int32, np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if all(limits.min <= number <= limits.max for number in numbers):
            assert body.json_array("data", dtype).tolist() == numbers
        else:
            with pytest.raises(BadInput):
                body.json_array("data", dtype)


@pytest.mark.parametrize(
    "text",
    [
        "[1, [2]]",
        "[[1], 2]",
        "[[1], 2, [3]]",
        '[[1], {"a": [2]}]',
        "[[1, 2], [3, 4, 5], [6]]",
        "[1, null]",
        '["1"]',
        "1e999",
        '"1"',
    ],
)
def test_what_is_no_array_of_numbers_is_refused(text):
    with pytest.raises(BadInput):
        Body(b'{"data": %s}' % text.encode()).json_array("data")


def test_raw_numbers_are_viewed_not_copied():
    body = Body(np.arange(6, dtype="<f4").tobytes())
    array = body.array("<f4", (2, -1))
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert np.shares_memory(array, np.frombuffer(body.data, np.uint8))


@pytest.mark.parametrize("shape", [(7,), (2, 4), (-1, 4)])
def test_bytes_that_do_not_fill_the_shape_are_refused(shape):
    with pytest.raises(BadInput, match="24 bytes"):
        Body(bytes(24)).array("<f4", shape)
