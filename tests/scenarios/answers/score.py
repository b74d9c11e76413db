"""Answers with a value of the kind that the request names."""

import logging

import numpy as np
from flask import Response

ANSWERS = {
    "dict": {"a": 1},
    "list": [1, 2.5, "x", None, True],
    "tuple": (1, 2),
    "text": 'say "hello", ü',
    "none": None,
    "bytes": b"\x00\xff",
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "strings": np.array([b"one", b"two"], dtype=object),
    "scalar": np.float32(0.5),
    "integer": np.int64(7),
    "boolean": np.bool_(True),
    "nested": {"shape": np.array([1, 2]), "label": b"cat", "score": np.float16(0.25)},
    "empty": np.zeros((0, 3)),
    "response": Response("made by hand", status=201, headers={"X-Own": "yes"}),
    "no content": Response("none the less", status=204),
    "short": Response("longer than said", headers={"Content-Length": "6"}),
    "of the server": Response("x", headers={"Connection": "close", "Server": "mine", "X-Own": "yes"}),
    "cookies": Response("x", headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
    "closed": [],
    "set": {1},
    "not text": [b"\xff"],
}

ANSWERS["response"].call_on_close(lambda: ANSWERS["closed"].append(1))


def init():
    pass


def run(data):
    if data == "raise":
        raise ValueError("a secret of the script")
    if data == "exit":
        raise SystemExit(1)
    if data == "log":
        logging.getLogger("my.script").info("said by the script")
        return "logged"
    if data.startswith("body:"):
        return [type(data).__name__, data]
    return ANSWERS[data]
