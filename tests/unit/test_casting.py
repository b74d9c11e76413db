"""Values fit a dtype or do not, whatever holds them: arrays, lists, or the JSON of a body."""

import json
import math
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scoregate.errors import BadInput
from scoregate.script.body import Body
from scoregate.triton.casting import AT_ONCE, MANY, Misfit, cast

DTYPES = [np.dtype(each) for each in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "O")]
INTEGERS = st.integers(-(2**65), 2**65) | st.sampled_from([2**53 + 1, 2**63, 2**63 - 1, 2**64 - 1, -(2**63), 10**400])
FLOATS = st.floats() | st.floats(width=16) | st.integers(-300, 300).map(float) | st.sampled_from([2.0**63, 65520.0])
VALUES = INTEGERS | FLOATS | st.booleans() | st.none() | st.text(max_size=3) | st.binary(max_size=3)


def fits(value, dtype):
    """The rule, in Python's own numbers."""
    if dtype.kind == "O":
        return isinstance(value, str | bytes)
    if dtype.kind == "b" or isinstance(value, bool):
        return dtype.kind == "b" and isinstance(value, bool)
    if not isinstance(value, int | float):
        return False
    if dtype.kind == "f":
        try:
            as_float = float(value)
        except OverflowError:
            return False
        with np.errstate(over="ignore"):
            return not math.isfinite(as_float) or bool(np.isfinite(np.float64(as_float).astype(dtype)))
    if isinstance(value, float) and not value.is_integer():
        return False
    return np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def plainly(value, dtype):
    if dtype.kind == "O":
        return value.encode() if isinstance(value, str) else value
    return np.array(int(value) if dtype.kind in "iu" else value, dtype).item()


def same(made, expected):
    return made == expected or (made != made and expected != expected)


@given(st.lists(VALUES, min_size=1, max_size=4), st.sampled_from(DTYPES), st.integers(1, 3))
@example([1, 2.0], np.dtype("u1"), 1)
@example([2**53 + 1, 1.0], np.dtype("i8"), 1)
@example([2**63 + 1, -1], np.dtype("f4"), 1)
@example([1.0, True], np.dtype("f4"), 1)
def test_lists_are_cast_by_value(values, dtype, rows):
    for given_values, repeated in ((values, 1), (values * MANY, MANY), (np.array([*values, None], object)[:-1], 1)):
        nested = [list(given_values)] * rows if isinstance(given_values, list) else np.stack([given_values] * rows)
        misfits = [index for index, value in enumerate(values) if not fits(value, dtype)]
        if misfits:
            with pytest.raises(Misfit) as caught:
                cast(nested, dtype)
            assert caught.value.place in [(0, index) for index in misfits]
            assert f" at {list(caught.value.place)}, which " in str(caught.value)
            assert len(str(caught.value)) < 150
        else:
            made = cast(nested, dtype)
            assert (made.dtype, made.shape) == (dtype, (rows, len(values) * repeated))
            expected = [plainly(value, dtype) for value in values] * repeated
            assert all(same(*pair) for row in made.tolist() for pair in zip(row, expected, strict=True))


@given(
    npst.arrays(
        npst.integer_dtypes() | npst.floating_dtypes(sizes=(16, 32, 64)) | npst.boolean_dtypes(),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    st.sampled_from(DTYPES),
)
def test_arrays_are_cast_as_lists_of_the_same_values(array, dtype):
    if not array.size:
        assert cast(array, dtype).shape == array.shape
        assert cast(array, dtype).dtype == dtype
        return
    made = []
    for given_values in (array, array.T.copy().T, array.tolist(), array.astype(object)):
        try:
            made.append(cast(given_values, dtype))
        except Misfit as misfit:
            made.append((misfit.place, str(misfit)))
    for each in made[1:]:
        assert type(each) is type(made[0])
        if isinstance(each, tuple):
            assert each == made[0]
        else:
            assert each.dtype == dtype
            np.testing.assert_array_equal(each, made[0])


@pytest.mark.parametrize(
    ("values", "dtype", "says"),
    [
        ([[1, 2], [3, 1e300]], "f4", "1e+300 at [1, 1], which is out of the range of float32"),
        ([[1, 2], [3, 70000]], "f2", "70000 at [1, 1], which is out of the range of float16"),
        ([1.0, 2.5], "i8", "2.5 at [1], which is no whole number"),
        ([1.0, float("nan")], "i8", "nan at [1], which is no whole number"),
        ([256], "u1", "256 at [0], which is out of the range of uint8"),
        ([10**400], "f8", "a number of more than 40 digits at [0], which is out of the range of float64"),
        ([True, 1], "?", "1 at [1], which is no boolean"),
        ([1, True], "i8", "true at [1], which is no number"),
        ([1, None], "f4", "null at [1], which is no number"),
        (["a", None], "O", "null at [1], which is no text"),
        (["a", 1], "O", "1 at [1], which is no text"),
        (["a", "\ud800"], "O", "'\\ud800' at [1], which has half of a surrogate pair"),
        ([1, "x" * 100], "f4", f"'{'x' * 40}'... at [1], which is no number"),
        ([1, [2]], "f4", "a list at [1], which is no number"),
        ([1, {"a": 1}], "f4", "an object at [1], which is no number"),
        ([[1], 2], "f4", "2 at [1], where [0] is a list"),
        ([["c", "d"], "ab"], "O", "'ab' at [1], where [0] is a list"),
        ([[1, 2], [3]], "f4", "a list at [1], of 1 elements where [0] has 2"),
        ([[[1], [2]], [[3], [4, 5]]], "f4", "a list at [1, 1], of 2 elements where [1, 0] has 1"),
        ("x", "f4", "'x', which is no number"),
        ({"a": 1}, "f4", "an object, which is no number"),
        (object(), "f4", "a value of type object, which is no number"),
        (np.array(["2024"], "M8[D]"), "f4", "a value of type date at [0], which is no number"),
        (np.array([1j]), "f4", "a value of type complex at [0], which is no number"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "f4", "null at [1], which is no number"),
        ([np.ones(2), np.array([1, np.inf])], "i4", "inf at [1, 1], which is no whole number"),
        ([np.ones(2), np.ones(3)], "i4", "a value of type ndarray at [1], which is not of shape [2] as the first is"),
        ([np.ones(2), 1], "i4", "1 at [1], which is not of shape [2] as the first is"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_a_misfit_is_named_with_its_place_and_the_reason(values, dtype, says):
    with pytest.raises(Misfit) as caught:
        cast(values, np.dtype(dtype))
    assert str(caught.value) == says


def test_what_is_no_plain_list_is_cast_too():
    for given_values in (
        [np.arange(2.0), np.arange(2)],
        (range(2), (0, 1)),
        [np.float32([0, 1])] * 2,
    ):
        made = cast(
            [list(each) for each in given_values] if isinstance(given_values, tuple) else given_values, np.dtype("i4")
        )
        assert made.tolist() == [[0, 1], [0, 1]]
    assert cast([np.array(["a\0b"], object), ["c"]], np.dtype("O")).tolist() == [[b"a\0b"], [b"c"]]
    assert cast([b"a\0", np.bytes_(b"b"), np.str_("c")], np.dtype("O")).tolist() == [b"a\0", b"b", b"c"]


def test_bfloat16_is_a_float():
    brain = np.dtype(ml_dtypes.bfloat16)
    assert cast([1, 1e38, math.inf], brain).dtype == brain
    assert cast(cast([1.5], brain), np.dtype("f4")).tolist() == [1.5]
    assert cast(cast([1.0], brain), np.dtype("i4")).tolist() == [1]
    with pytest.raises(Misfit, match="out of the range of bfloat16"):
        cast(np.array([3.4e38], np.float32), brain)


def nested(depth, value):
    for _ in range(depth):
        value = [value]
    return value


def test_lists_as_deep_as_numpy_has_dimensions_are_cast_and_deeper_ones_are_not():
    for deepest in (nested(32, 1.0), nested(32, [])[0]):
        body = Body(json.dumps({"data": deepest}).encode())
        assert body.json_array("data").ndim == cast(deepest, np.dtype("f4")).ndim == 32
    for depth in (33, 34, 500, 1100):
        with pytest.raises(Misfit, match="more than 32 lists deep"):
            cast(nested(depth, 1.0), np.dtype("f4"))
        for text in (nested(depth, 1.0) if depth < 900 else 1, 1):
            body = Body(json.dumps({"data": text}).encode().replace(b"1}", b"[" * depth + b"]" * depth + b"}"))
            with pytest.raises(BadInput, match=r"more than 32 lists deep|not JSON"):
                body.json_array("data")


@given(
    st.lists(VALUES.filter(lambda value: not isinstance(value, bytes)), min_size=1, max_size=4), st.sampled_from(DTYPES)
)
@example([2**64], np.dtype("f4"))
@example([1.0, 2], np.dtype("i4"))
def test_a_body_is_cast_as_the_lists_in_it(values, dtype):
    values = [value for value in values if not isinstance(value, float) or math.isfinite(value)]
    body = Body(json.dumps({"data": [values, values]}).encode())
    beside = Body(json.dumps({"brackets": [[]], "data": [values, values]}).encode())
    big = [isinstance(value, int) and not -(2**63) <= value < 2**64 for value in values]
    if any(big):
        values = [
            float(value) if each and abs(value) < 10**300 else value for value, each in zip(values, big, strict=True)
        ]
    if 10**400 in values:
        return  # neither parser reads it
    expected, fault = cast_or_not([values, values], dtype)
    for each in (body, beside):
        if fault:
            with pytest.raises(BadInput) as caught:
                each.json_array("data", dtype)
            assert str(caught.value).startswith(f"The member 'data' takes {dtype.name}. The request gave ")
            assert str(caught.value).endswith(f" at {list(fault.place)}, {fault.reason}.")
        else:
            made = each.json_array("data", dtype)
            assert made.dtype == dtype
            assert made.flags.writeable
            np.testing.assert_array_equal(made, expected)


def cast_or_not(values, dtype):
    try:
        return cast(values, dtype), None
    except Misfit as misfit:
        return None, misfit


@pytest.mark.parametrize(
    "number", ["1e30", "1.5", "-0.12345678901234567890123", "1e-12345678901234567890", "18446744073709551615"]
)
def test_integers_of_more_than_64_bits_are_floats_and_nothing_else_is(number):
    text = '"10000000000000000000000, \\\\\\""'
    body = Body(f'{{"data": [100000000000000000000, -9223372036854775809, {number}], {text}: {text}}}'.encode())
    expected = [1e20, -(2.0**63), float(number)]
    assert body.json_array("data", "f8").tolist() == expected
    assert list(body._parsed()) == ["data", json.loads(text)]
    with pytest.raises(BadInput, match=r"gave 1e\+20 at \[0\], which is out of the range of uint64"):
        body.json_array("data", "u8")
    exact = Body(b'{"id": 100000000000000000000, "data": [18446744073709551615, 9007199254740993]}')
    assert exact.json_array("data", "u8").tolist() == [2**64 - 1, 2**53 + 1]


def test_of_members_with_one_name_the_last_counts_as_in_json_loads():
    body = Body(b'{"data": [1], "other": [[2]], "data": [3]}')
    assert body.json_array("data").tolist() == body.json["data"] == [3]


BODIES = {
    "numbers": "1,",
    "one text": None,
    "texts": '"ab",',
    "empty lists": "[],",
    "lists of one": "[1],",
    "lists in lists": "[[]],",
    "empty objects": "{},",
    "objects": '{"":0},',
    "booleans": "true,",
    "nulls": "null,",
}


def test_no_body_takes_more_memory_than_a_list_of_numbers():
    """Of 8 MB each, since a small one hides in what the process has anyway."""
    program = """
import sys
from pathlib import Path
from scoregate.script.body import Body
from scoregate.errors import BadInput

unit, dtype, more = sys.argv[1:]
many = unit * (8_000_000 // len(unit)) if unit else "1," * 3_999_000 + '"' + "x" * 500_000 + '",'
body = Body(b'{"data": [%s]%s}' % (many[:-1].encode(), more.encode()))
del many
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
Path("/proc/self/clear_refs").write_text("5")
before = peak()
try:
    body.json_array("data", dtype)
except BadInput:
    pass
print((peak() - before) / len(body.data))
"""

    def times_the_body(unit, dtype="f4", more=""):
        asked = [unit or "", dtype, more]
        run = subprocess.run([sys.executable, "-c", program, *asked], capture_output=True, check=True)
        return float(run.stdout)

    numbers = times_the_body("1,")
    assert numbers < 24
    assert times_the_body("[1],", "f4", ', "id": 100000000000000000000') <= numbers + 0.5
    for kind, unit in BODIES.items():
        assert times_the_body(unit) <= numbers + 0.5, kind
    assert times_the_body("true,", "?") <= numbers


def test_one_text_among_numbers_is_refused_without_an_array_of_texts():
    body = Body(json.dumps({"data": [*range(10_000), "x" * 50_000]}).encode())
    assert AT_ONCE < 10_000
    with pytest.raises(BadInput, match=r"gave 'x{40}'... at \[10000\], which is no number"):
        body.json_array("data")
    with pytest.raises(Misfit, match=r"at \[10000\], which is no number"):
        cast(body.json["data"], np.dtype("f4"))
