"""Does what the request says: waits, computes, asks a slow model, streams, ends the process."""

import json
import logging
import os
import sys
import time

import numpy as np
import tritonhttpclient


def init():
    global client
    client = tritonhttpclient.InferenceServerClient(url="localhost:8000")


def compute():
    number = 0
    while True:
        try:
            number += sum(range(1000))
        except Exception:
            print("nothing to see here")


def infer():
    rows = np.ones((1, 3), dtype=np.float32)
    tensor = tritonhttpclient.InferInput("rows", rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    return client.infer("asleep", [tensor]).as_numpy("total")


def stream(count):
    for number in range(count):
        time.sleep(0.3)
        yield f"part {number}\n"


def run(data):
    asked = json.loads(data)
    print("about to", asked["do"])
    logging.info("asked for %s", asked["do"])
    if asked["do"] == "compute":
        compute()
    if asked["do"] == "infer":
        return infer()
    if asked["do"] == "exit":
        sys.exit("the script has had enough")
    if asked["do"] == "stream":
        return stream(asked["count"])
    time.sleep(asked.get("seconds", 0))
    return os.getpid()
