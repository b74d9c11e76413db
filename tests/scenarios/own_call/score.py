"""Uses the service's own small call, on JSON and on raw bytes."""

from __future__ import annotations

import json
import threading

import gevent
import scoregate as sg
from scoregate import TritonModel


def init():
    global models
    models = {name: TritonModel(name) for name in ("digits", "strings", "integers", "bytes", "halves", "booleans")}


def run(body: sg.Body):
    if not body.data.startswith(b"{"):
        return models["digits"](image=body.array("<f4", (-1, 64)))["probabilities"].tobytes()
    asked = json.loads(body.data) if b'"echo"' in body.data else body.json  # which has no NaN
    match asked["do"]:
        case "digits":
            return models["digits"](image=body.json_array("data"))["probabilities"]
        case "echo":
            return models[asked["model"]](data=asked["data"])["echo"]
        case "names":
            return models["digits"](**{name: [[0.0]] for name in asked["names"]})
        case "unknown model":
            return TritonModel("unknown").inputs
        case "thread":  # one of the system's, not of gevent's
            return gevent.get_hub().threadpool.apply(in_thread, (body.json_array("data"),))


def in_thread(images):
    is_another = threading.get_native_id() != threading.main_thread().native_id
    return [is_another, *models["digits"](image=images)["probabilities"].shape]
