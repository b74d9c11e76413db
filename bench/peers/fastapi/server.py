# mypy: ignore-errors
# Its packages are in a venv of its own.
"""JSON or bytes in, one call to Triton, the same form out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import tritonclient.http.aio as httpclient
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

MODEL = os.environ["MODEL"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Have one client; it opens up to 100 connections."""
    async with httpclient.InferenceServerClient(os.environ["TRITON_URL"]) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/score")
async def score(request: Request) -> Response:
    """Answer with the probabilities."""
    is_json = request.headers["content-type"] == "application/json"
    if is_json:
        image = np.array((await request.json())["data"], dtype=np.float32)
    else:
        image = np.frombuffer(await request.body(), dtype="<f4").reshape(1, 3, 64, 64)
    tensor = httpclient.InferInput("image", image.shape, "FP32")
    tensor.set_data_from_numpy(image)
    result = await app.state.client.infer(MODEL, [tensor])
    probabilities = result.as_numpy("probabilities")
    if is_json:
        return JSONResponse({"probabilities": probabilities.tolist()})
    return Response(probabilities.tobytes(), media_type="application/octet-stream")
