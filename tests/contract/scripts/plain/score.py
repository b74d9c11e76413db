"""Answers with what the request's body names, in the styles that scripts have; an unknown body comes back."""

import asyncio
import builtins
import json
import logging
import multiprocessing
import os
import re
import signal
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import flask
import numpy as np
from azureml.contrib.services.aml_response import AMLResponse

CALLS = {"init": 0, "run": 0}


def init():
    CALLS["init"] += 1


def compute(until=float("inf")):
    while time.monotonic() < until:
        CALLS["run"] += 1


def hold_the_interpreter():
    re.match("(a+)+$", "a" * 64 + "b")  # ends after centuries, and no other Python code runs meanwhile


def stream():
    yield b"first"
    time.sleep(1)
    yield b"second"


def late_stream():
    time.sleep(1.5)
    yield b"late"


def log(level):
    logging.getLogger("my.script").log(level, "said at level %d", level)
    return "logged"


def of_pandas(kind):
    import pandas as pd  # takes a second, which most starts are spared

    if kind == "dates":
        return [pd.Timestamp("2024-02-29T12:30"), pd.NaT]
    if kind == "frame":
        return pd.DataFrame({"label": ["cat", None], "day": pd.to_datetime(["2024-02-29", None])})
    return {"counts": pd.Series([1, None], dtype="Int64")}


def late(*_):
    raise RuntimeError("the alarm")


def limited(wait):
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        wait()
    except RuntimeError as error:
        return str(error)


def in_process():
    process = multiprocessing.Process(target=time.sleep, args=(1.5,))
    process.start()
    process.join()
    return process.exitcode


ANSWERS = {
    "dict": lambda: {"a": 1, "b": [None, True, 2.5]},
    "list": lambda: [1, "x"],
    "number": lambda: 0.1,
    "true": lambda: True,
    "text": lambda: 'say "hello"',
    "empty text": lambda: "",
    "none": lambda: None,
    "tuple": lambda: (1, (2, 3)),
    "unicode": lambda: {"ü": "€"},
    "integer keys": lambda: {1: "one"},
    "not a number": lambda: [float("nan"), float("inf")],
    "flask response": lambda: flask.Response("made by hand", 201, {"X-Own": "yes"}),
    "flask 503": lambda: flask.Response("later", 503),
    "aml": lambda: AMLResponse("hello", 200),
    "aml bytes": lambda: AMLResponse(b"\x00\xff", 202),
    "aml none": lambda: AMLResponse(None, 404),
    "aml json": lambda: AMLResponse({"a": [1]}, 201, json_str=True),
    "aml json text": lambda: AMLResponse("x", 200, json_str=True),
    "aml dates": lambda: AMLResponse([np.array([0.5, np.nan]), date(2024, 2, 29)], 200, json_str=True),
    "aml failed": lambda: AMLResponse("no", 400, run_function_failed=True),
    "aml 500": lambda: AMLResponse("broken", 500),
    "aml headers": lambda: AMLResponse("a,b", 200, {"Content-Type": "text/csv", "X-Own": "1, 2"}),
    "aml json headers": lambda: AMLResponse([1], 200, {"X-Own": "1"}, json_str=True),
    "aml stream": lambda: AMLResponse(stream(), 200),
    "late stream": lambda: AMLResponse(late_stream(), 200),
    "own ids": lambda: AMLResponse("x", 200, {"x-request-id": "script", "x-ms-request-id": "script"}),
    "array": lambda: np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": lambda: np.int64(7),
    "nested arrays": lambda: {"labels": np.array(["cat"]), "scores": [np.float32(0.5)]},
    "array with nan": lambda: {"scores": np.array([0.5, np.nan, np.inf]), "best": float("nan")},
    "dates": lambda: {
        "day": date(2024, 2, 29),
        "time": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
    },
    "dates of numpy": lambda: [
        np.array(["2024-02-29T12:30", "NaT"], "M8[ns]"),
        np.datetime64("2024-02-29"),
        np.datetime64("NaT"),
    ],
    "dates of pandas": lambda: of_pandas("dates"),
    "frame": lambda: of_pandas("frame"),
    "series": lambda: of_pandas("series"),
    "other keys": lambda: {np.int64(3): 1, date(2024, 2, 29): 2, b"cat": 3},
    "bytes": lambda: b"\x00\xff",
    "generator": stream,
    "set": lambda: {1},
    "abort": lambda: flask.abort(418),
    "sleep": lambda: time.sleep(6),
    "compute": compute,
    "compute for 3 s": lambda: compute(until=time.monotonic() + 3),
    "sleep for 3 s": lambda: time.sleep(3),
    "hold the interpreter": hold_the_interpreter,
    "coroutine": lambda: asyncio.run(asyncio.sleep(0.1, "done")),
    "alarm while waiting": lambda: limited(lambda: time.sleep(6)),
    "alarm while computing": lambda: limited(compute),
    "process": in_process,
    "exit": lambda: sys.exit(1),
    "pid": os.getpid,
    "calls of init": lambda: CALLS["init"],
    "module": lambda: [__name__, __file__, str(Path.cwd())],
    "environment": lambda: [os.environ[n] for n in ("AZUREML_MODEL_DIR", "AML_APP_ROOT", "AZUREML_ENTRY_SCRIPT")],
    "debug": lambda: log(logging.DEBUG),
    "info": lambda: log(logging.INFO),
    "warning": lambda: log(logging.WARNING),
    "print": lambda: print("printed by the script"),
}


def run(data, request_headers, unused=None):
    if data == "raise":
        raise ValueError("a secret of the script")
    if data.startswith("raise "):
        raise getattr(builtins, data.removeprefix("raise "))("a secret of the script")
    if data == "timeout error":
        raise TimeoutError("the database took too long")
    if data == "headers":
        return [type(request_headers).__name__, request_headers]
    if data == "parameter":
        return type(data).__name__
    if data.startswith("loads "):
        try:
            return repr(json.loads(data.removeprefix("loads ")))
        except ValueError as error:
            return repr(error)
    if data in ANSWERS:
        return ANSWERS[data]()
    return json.loads(json.dumps(data))
