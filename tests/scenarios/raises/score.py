"""Raises, where the request says so, what it names."""

import builtins
import json
import logging
import os

import flask
import gevent
from greenlet import GreenletExit
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.schema_decorators import input_schema


class PanicException(BaseException):
    """As pyo3 raises it when a library in Rust panics."""


KINDS = {"PanicException": PanicException, "GreenletExit": GreenletExit}


def error(name):
    if name == "gevent.Timeout":
        return gevent.Timeout(1)
    return (KINDS.get(name) or getattr(builtins, name))("a secret of the script")


def init():
    pass


def raise_(name):
    raise error(name)


async def awaited(name):
    raise error(name)


def closed(name):
    response = flask.Response("closed later")
    response.call_on_close(lambda: raise_(name))
    return response


def flawed(name):
    return flask.Response("x", headers={"X-Own": "no\x01header"})


class Unwritable(dict):
    """Raises while it is written as JSON."""

    def __init__(self, name):
        super().__init__(a=1)
        self.name = name

    def items(self):
        raise error(self.name)


def spawned(name):
    gevent.spawn(raise_, name).join()
    return "spawned"


class Unconvertible(AbstractParameterType):
    """Raises while inference-schema converts a value for run()."""

    def input_to_swagger(self):
        return {"type": "integer", "example": self.sample_input}

    def deserialize_input(self, name):
        raise error(name)


@input_schema("name", Unconvertible(1))
def converted(name):
    return name


def value_error(text):
    raise ValueError(text)


def logs(text):
    logging.getLogger("my.script").info("%s", text)
    return "logged"


WHERE = {
    "run": raise_,
    "coroutine": awaited,
    "conversion": converted,
    "close": closed,
    "answer": Unwritable,
    "greenlet": spawned,
    "header": flawed,
}


def run(data):
    if data == "pid":
        return os.getpid()
    if data.startswith("{"):
        said = json.loads(data)
        return (value_error if said["raise"] else logs)(said["text"])
    where, name = data.split(" ")
    return WHERE[where](name=name)
