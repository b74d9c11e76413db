"""json.loads() of the standard library and ours make the same of everything."""

import inspect
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scoregate.script import fast_json

standard = inspect.unwrap(fast_json.loads)

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.integers(min_value=-(2**63) - 2, max_value=-(2**63) + 2),
    st.integers(min_value=2**63 - 2, max_value=2**64 + 2),
)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


def made_of(parse: object, text: object) -> str:
    """The result with all types and signs, or the exception with its words."""
    try:
        return repr(parse(text))  # type: ignore[operator]
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_the_same_objects(document: object, ascii_only: bool, indent: int | None) -> None:
    """Of what json.dumps() writes, as text and as bytes."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert made_of(fast_json.loads, text) == made_of(standard, text)
    data = text.encode("utf-8", "surrogatepass")
    assert made_of(fast_json.loads, data) == made_of(standard, data)


@given(st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?", fullmatch=True))
def test_the_same_numbers(number: str) -> None:
    """Of numbers in all their forms, rounded alike."""
    assert made_of(fast_json.loads, f"[{number}]") == made_of(standard, f"[{number}]")


@given(st.text(alphabet='[]{}",:\\ \n\ttrufalsn01-+.eE\ufeff\x00\ud800é'))
@example('{"a": 1, "b": 3, "a": 2}')
@example('["\\ud83d\\ude00", "\\ud800", "\\u0000"]')
@example("[1e400, -0, -0.0]")
@example("\ufeff[1]")
@example("")
def test_the_same_words(text: str) -> None:
    """Of what is hardly ever JSON: the same exception, or the same result after all."""
    assert made_of(fast_json.loads, text) == made_of(standard, text)


@given(st.binary())
@example(b"\xef\xbb\xbf[1]")
@example('{"a": 1}'.encode("utf-16"))
@example(b'["\xff"]')
def test_the_same_of_bytes(data: bytes) -> None:
    """In any encoding, or none."""
    assert made_of(fast_json.loads, data) == made_of(standard, data)


@pytest.mark.parametrize("given", [bytearray(b"[1]"), None, 1, ["[1]"]])
def test_the_same_of_other_types(given: object) -> None:
    """A bytearray is parsed, all else is a TypeError."""
    assert made_of(fast_json.loads, given) == made_of(standard, given)


def test_options_are_obeyed() -> None:
    """Whoever wants other objects gets them."""
    assert fast_json.loads('{"a": 1.5}', parse_float=str, object_pairs_hook=list) == [("a", "1.5")]
