"""Answers say the same however they are written: by json.dumps, by orjson, or made plain first."""

import json
import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scoregate.errors import AnswerNotSerializable
from scoregate.scoring import render

ARRAYS = npst.arrays(
    npst.integer_dtypes() | npst.floating_dtypes(sizes=(16, 32, 64)) | npst.boolean_dtypes(),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)


@given(ARRAYS, st.integers(-(2**70), 2**70), st.booleans())
def test_arrays_of_every_type_order_and_shape_are_nested_lists(array, number, turned):
    array = array.T if turned else array
    said = json.loads(render.to({"array": array, "number": number}).body)
    assert said["number"] == number
    back = np.array([np.nan if each is None else each for each in np.ravel(np.array(said["array"], dtype=object))])
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.full(array.shape, True)
    assert back.astype(array.dtype)[finite.ravel()].tolist() == array[finite].tolist()


def test_a_float32_is_written_in_its_shortest_form():
    assert render.to({"scores": np.array([0.1, 2.5], np.float32)}).body == b'{"scores":[0.1,2.5]}'


def test_what_holds_no_array_is_written_as_python_does():
    assert render.to({"a": [1, float("nan")], "b": "ü"}).body == b'{"a": [1, NaN], "b": "\\u00fc"}'


@dataclass
class Scored:
    label: str
    scores: object


class Label(Enum):
    CAT = "cat"


SCALARS = [
    (datetime(2024, 2, 29, 12, 30), "2024-02-29T12:30:00"),
    (datetime(2024, 2, 29, 12, 30, 0, 120_000), "2024-02-29T12:30:00.120000"),
    (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00+00:00"),
    (datetime(2024, 2, 29, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2024-02-29T00:00:00+05:30"),
    (date(2024, 2, 29), "2024-02-29"),
    (time(12, 30), "12:30:00"),
    (np.datetime64("2024"), "2024-01-01"),
    (np.datetime64("2024-02"), "2024-02-01"),
    (np.datetime64("2024-02-29"), "2024-02-29"),
    (np.datetime64("2024-02-29T12", "h"), "2024-02-29T12:00:00"),
    (np.datetime64("2024-02-29T12:30", "s"), "2024-02-29T12:30:00"),
    (np.datetime64("2024-02-29T12:30:00.12", "ms"), "2024-02-29T12:30:00.120000"),
    (np.datetime64("2024-02-29T12:30", "ns"), "2024-02-29T12:30:00"),
    (np.datetime64("2024-02-29T12:30:00.12", "ns"), "2024-02-29T12:30:00.120000"),
    (np.datetime64("2024-02-29T12:30:00.123456789", "ns"), "2024-02-29T12:30:00.123456789"),
    (np.datetime64("12024-02-29"), "12024-02-29"),
    (np.datetime64("NaT"), None),
    (np.datetime64("NaT", "ns"), None),
    (pd.Timestamp("2024-02-29T12:30"), "2024-02-29T12:30:00"),
    (pd.Timestamp("2024-02-29T12:30:00.123456789"), "2024-02-29T12:30:00.123456789"),
    (pd.Timestamp("2024-02-29", tz="Europe/Berlin"), "2024-02-29T00:00:00+01:00"),
    (pd.NaT, None),
    (pd.NA, None),
    (timedelta(hours=1, milliseconds=500), "PT3600.5S"),
    (timedelta(seconds=-1.5), "-PT1.5S"),
    (np.timedelta64(90, "m"), "PT5400S"),
    (np.timedelta64(-1, "ns"), "-PT0.000000001S"),
    (np.timedelta64("NaT", "s"), None),
    (pd.Timedelta(1, "ns"), "PT0.000000001S"),
    (np.int64(3), 3),
    (np.uint8(3), 3),
    (np.float16(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("x"), "x"),
    (b"x", "x"),
    (np.bytes_(b"x"), "x"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Label.CAT, "cat"),
    (Scored("cat", 0.5), {"label": "cat", "scores": 0.5}),
    (2**70, 2**70),
    ("2024-02-29T12:30:00", "2024-02-29T12:30:00"),
]


@pytest.mark.parametrize(("value", "plain"), SCALARS, ids=repr)
def test_a_value_is_written_the_same_wherever_it_stands(value, plain):
    anything = np.empty(2, object)
    anything[:] = [value, value]
    for returned, expected in {
        "alone": (value, plain) if not isinstance(value, bytes) else (None, {}),
        "in lists": ([[value], (value,)], [[plain], [plain]]),
        "in dicts": ({"a": {"b": value}}, {"a": {"b": plain}}),
        "beside an array": ({"a": value, "b": np.ones(1)}, {"a": plain, "b": [1.0]}),
        "beside a key of numpy's": ({"a": value, np.int8(1): 2}, {"a": plain, "1": 2}),
        "in an array": (anything, [plain, plain]),
        "in an array of its own type": (np.array([[value]]) if isinstance(value, np.generic) else [[value]], [[plain]]),
        "in a Series": (pd.Series([value, value], dtype=object), [plain, plain]),
        "in a DataFrame": (pd.DataFrame({"a": pd.Series([value, value], dtype=object)}), [{"a": plain}, {"a": plain}]),
    }.values():
        assert json.loads(render.to(returned).body) == expected


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        (b"cat", "cat"),
        (date(2024, 2, 29), "2024-02-29"),
        (np.datetime64("2024-02-29T12"), "2024-02-29T12:00:00"),
        (pd.Timestamp("2024-02-29"), "2024-02-29T00:00:00"),
        (pd.NaT, "null"),
        (Label.CAT, "cat"),
        (True, "true"),
        (None, "null"),
        (2**70, str(2**70)),
    ],
    ids=repr,
)
def test_a_key_is_the_text_of_its_value(key, text):
    assert json.loads(render.to({key: 1}).body) == {text: 1}
    assert json.loads(render.to([{key: np.ones(1)}]).body) == [{text: [1.0]}]


def test_numpys_keys_do_not_change_how_the_rest_is_written():
    assert render.to({np.int64(3): 1}).body == b'{"3": 1}'


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns"])
def test_no_date_is_null_in_arrays_of_every_unit(unit):
    array = np.array([["NaT", "2024-01-01"]], f"M8[{unit}]")
    expected = [[None, "2024-01-01" + ("" if unit in "YMD" else "T00:00:00")]]
    if unit == "W":
        expected = [[None, str(array[0, 1].astype("M8[D]"))]]
    for each in (array, array.astype(array.dtype.newbyteorder())):
        assert json.loads(render.to(each).body) == expected
        assert json.loads(render.to({"scores": np.ones(1), "dates": each}).body)["dates"] == expected


DATES = np.array([[0], [395_445], [-20_461]]).view("M8[M]")  # orjson ends the process that gives it these
WRITTEN = [["1970-01-01"], ["34923-10-01"], ["0264-12-01"]]


class Kind(Enum):
    DATES = DATES


@pytest.mark.parametrize(
    "inside",
    [
        lambda dates: OrderedDict(a=[dates]),
        lambda dates: type("Rows", (list,), {})([dates]),
        lambda dates: namedtuple("Row", "first")(dates),
        lambda dates: [0] * 10 + [OrderedDict(a=dates)],
        lambda dates: Scored("cat", dates),
        lambda dates: Kind.DATES,
        lambda dates: {np.int8(1): dates},
    ],
)
def test_dates_that_orjson_cannot_write_do_not_end_the_process(inside):
    said = render.to([np.ones(1), inside(DATES)]).body.decode()
    assert json.dumps(WRITTEN) in said


def test_a_duration_in_months_is_told_to_have_no_form():
    with pytest.raises(AnswerNotSerializable):
        render.to(np.timedelta64(1, "M"))


FRAME = pd.DataFrame(
    {
        "count": np.array([1, 2]),
        "score": np.array([0.1, np.nan], np.float32),
        "label": pd.Categorical(["cat", None]),
        "big": pd.array([2**60 + 1, None], "Int64"),
        "sure": pd.array([True, None], "boolean"),
        "name": pd.array(["x", None], "string"),
        "day": pd.to_datetime(["2024-02-29", None]),
        "utc": pd.to_datetime(["2024-02-29", None], utc=True),
        "took": pd.to_timedelta(["1 s", None]),
    },
    index=["first", "second"],
)
RECORDS = [
    {
        "count": 1,
        "score": 0.1,
        "label": "cat",
        "big": 2**60 + 1,
        "sure": True,
        "name": "x",
        "day": "2024-02-29T00:00:00",
        "utc": "2024-02-29T00:00:00+00:00",
        "took": "PT1S",
    },
    dict.fromkeys(FRAME.columns) | {"count": 2},
]


def test_a_frame_is_records_and_its_columns_are_lists():
    assert json.loads(render.to(FRAME).body) == RECORDS
    assert json.loads(render.to([FRAME, {"a": FRAME}]).body) == [RECORDS, {"a": RECORDS}]
    for name in FRAME.columns:
        column = [each[name] for each in RECORDS]
        assert json.loads(render.to(FRAME[name]).body) == column
        assert json.loads(render.to({"a": FRAME[name]}).body) == {"a": column}
        assert json.loads(render.to(pd.Index(FRAME[name])).body) == column
        assert json.loads(render.to(FRAME[name].array).body)[1:] == column[1:]


def test_a_frames_columns_may_be_named_as_keys_may():
    frame = pd.DataFrame([[1, 2]], columns=[np.int64(0), pd.Timestamp("2024-02-29")])
    assert json.loads(render.to(frame).body) == [{"0": 1, "2024-02-29T00:00:00": 2}]
    for columns in (["a", "a"], pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])):
        with pytest.raises(AnswerNotSerializable):
            render.to(pd.DataFrame([[1, 2]], columns=columns))


def test_pandas_is_not_imported_for_a_script_that_does_not():
    program = (
        "import sys, datetime, numpy as np; from scoregate.scoring import render\n"
        "render.to([np.array(['NaT'], 'M8[s]'), {np.int8(1): datetime.date.min}])\n"
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_records_and_masks_of_numpys_are_told_apart_from_numbers():
    records = np.array([(1, "2024-02-29"), (2, "NaT")], [("a", "i4"), ("b", "M8[ns]")])
    expected = [[1, "2024-02-29T00:00:00"], [2, None]]
    assert json.loads(render.to(records).body) == expected
    assert json.loads(render.to({"a": records[0]}).body) == {"a": expected[0]}
    masked = np.ma.masked_array(np.array([[1.5, 2.5]]), [[False, True]])
    assert json.loads(render.to(masked).body) == [[1.5, None]]
    assert json.loads(render.to({"a": masked[0, 1], "b": np.ones(1)}).body) == {"a": None, "b": [1.0]}


@pytest.mark.parametrize("beside", [2**70, "\ud800", {np.int8(1): 2}, np.datetime64("2024", "s"), Label.CAT])
def test_nan_is_null_beside_arrays_whatever_else_is_there(beside):
    said = json.loads(render.to([np.array([np.nan, 0.1], np.float32), float("inf"), np.float64("nan"), beside]).body)
    assert said[:3] == [[None, 0.1], None, None]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=10,
)


def without_nan(value):
    return json.loads(json.dumps(value), parse_constant=lambda _: None)


@given(PLAIN)
def test_what_json_dumps_knows_is_the_same_beside_what_it_does_not(plain):
    expected = without_nan(plain)
    assert json.loads(render.to([plain, np.ones(1)]).body) == [expected, [1.0]]
    assert json.loads(render.to([plain, {np.int8(1): 1}]).body) == [expected, {"1": 1}]
    assert json.loads(render.to([plain, np.array(["NaT"], "M8[s]")]).body) == [expected, [None]]
    if plain is not None:
        assert render.to(plain).body == json.dumps(plain).encode()


@given(npst.arrays(npst.datetime64_dtypes(), npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)))
def test_dates_of_every_unit_can_be_read_back(array):
    said = np.array(json.loads(render.to([array]).body)[0], dtype=object).reshape(array.shape)
    for text, value in zip(said.ravel(), array.ravel(), strict=True):
        assert (text is None) == np.isnat(value)
        assert text is None or np.datetime64(text) == value


@pytest.mark.parametrize(
    "bad",
    [
        {1},
        [np.zeros(1), {1}],
        [np.zeros(1), b"\xff"],
        object(),
        1j,
        np.array([1j]),
        np.clongdouble(1),
        Decimal(1),
        {(1, 2): 3},
        {(1, 2): np.zeros(1)},
        pd.Period("2024"),
        pd.Series([pd.Period("2024")]),
        Scored,
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_json_has_no_form_for_is_told(bad):
    with pytest.raises(AnswerNotSerializable):
        render.to(bad)
