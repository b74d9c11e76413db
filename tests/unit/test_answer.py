"""Answers that hold numpy arrays are written another way, and say the same."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scoregate import answer
from scoregate.errors import AnswerNotSerializable

ARRAYS = npst.arrays(
    npst.integer_dtypes() | npst.floating_dtypes(sizes=(16, 32, 64)) | npst.boolean_dtypes(),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)


@given(ARRAYS, st.integers(-(2**70), 2**70), st.booleans())
def test_arrays_of_every_type_order_and_shape_are_nested_lists(array, number, turned):
    array = array.T if turned else array
    said = json.loads(answer.to({"array": array, "number": number}).body)
    assert said["number"] == number
    back = np.array([np.nan if each is None else each for each in np.ravel(np.array(said["array"], dtype=object))])
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.full(array.shape, True)
    assert back.astype(array.dtype)[finite.ravel()].tolist() == array[finite].tolist()


def test_a_float32_is_written_in_its_shortest_form():
    assert answer.to({"scores": np.array([0.1, 2.5], np.float32)}).body == b'{"scores":[0.1,2.5]}'


def test_what_holds_no_array_is_written_as_python_does():
    assert answer.to({"a": [1, float("nan")], "b": "ü"}).body == b'{"a": [1, NaN], "b": "\\u00fc"}'


@pytest.mark.parametrize("bad", [{1}, [np.zeros(1), {1}], [np.zeros(1), b"\xff"], object()])
def test_what_json_has_no_form_for_is_told(bad):
    with pytest.raises(AnswerNotSerializable):
        answer.to(bad)
