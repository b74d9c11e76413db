"""json.loads as entry scripts call it: simdjson, several times as fast, wherever that makes the same of a text."""

import json
from functools import wraps
from typing import Any

import simdjson

_loads = json.loads


@wraps(_loads)
def loads(s: Any, **options: Any) -> Any:  # noqa: ANN401 - as the standard library has it
    """Parse JSON as json.loads() does, with its results and its exceptions.

    What simdjson refuses is left to the standard library, which takes more: NaN, integers of more than 64 bits, single
    surrogates, UTF-16; or refuses it, too, in its own words.
    """
    if not options and (type(s) is str or type(s) is bytes):
        try:
            data = s.encode() if type(s) is str else s
            if data[:1] != b"\xef":  # a byte order mark, which the standard library takes in bytes only
                return _objects(simdjson.Parser().parse(data))
        except (ValueError, RuntimeError):  # of simdjson, RecursionError among them
            pass
    return _loads(s, **options)


def _objects(document: Any) -> Any:  # noqa: ANN401
    if isinstance(document, simdjson.Array):
        return document.as_list()
    if isinstance(document, simdjson.Object):
        return document.as_dict()
    return document


def install() -> None:
    """Put loads() in the place of json.loads(), for whoever in this process looks for it from here on."""
    json.loads = loads
