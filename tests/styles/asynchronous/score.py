"""async def run: waits without holding up others, also for Triton."""

import asyncio
import json

import numpy as np
import tritonclient.http as httpclient
import tritonclient.http.aio as aioclient


def init():
    global client
    client = httpclient.InferenceServerClient("localhost:8000")


def tensor_of(row):
    rows = np.array([row], dtype=np.float32)
    return httpclient.InferInput("rows", rows.shape, "FP32").set_data_from_numpy(rows)


def ask(row):
    return client.infer("sleepy", [tensor_of(row)]).as_numpy("total")


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
    if asked["do"] == "aio":
        async with aioclient.InferenceServerClient("localhost:8000") as aio:
            result = await aio.infer(asked.get("model", "sleepy"), [tensor_of(asked["row"])])
        return result.as_numpy("total")
    return asked["do"]
