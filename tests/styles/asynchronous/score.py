"""async def run: waits without holding up others, also for Triton."""

import asyncio
import json

import numpy as np
import tritonclient.http as httpclient


def init():
    global client
    client = httpclient.InferenceServerClient("localhost:8000")


def ask(row):
    rows = np.array([row], dtype=np.float32)
    tensor = httpclient.InferInput("rows", rows.shape, "FP32")
    tensor.set_data_from_numpy(rows)
    return client.infer("sleepy", [tensor]).as_numpy("total")


async def run(data):
    asked = json.loads(data)
    if asked["do"] == "exit":
        raise SystemExit("enough")
    if asked["do"] == "compute":
        number = 0
        while True:
            number += 1
    await asyncio.sleep(asked.get("seconds", 0))
    if asked["do"] == "fail":
        raise LookupError("of the script")
    if asked["do"] == "infer":
        return await asyncio.to_thread(ask, asked["row"])
    return asked["do"]
