"""The body is a picture; the answer is a page with the classes that Triton ranked."""

import io

import numpy as np
import tritonhttpclient
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from PIL import Image
from tritonclientutils import triton_to_np_dtype

MODEL = "colours"
CLASSES = 2


def init():
    global triton, spec
    triton = tritonhttpclient.InferenceServerClient(url="localhost:8000", verbose=False)
    if not (triton.is_server_live() and triton.is_model_ready(MODEL, "1")):
        raise RuntimeError(f"Triton does not serve {MODEL}")
    metadata = triton.get_model_metadata(model_name=MODEL, model_version="1")
    config = triton.get_model_config(model_name=MODEL, model_version="1")
    spec = read_spec(metadata, config)
    print("The model takes", spec)


def read_spec(metadata, config):
    (given,), (wanted,) = metadata["inputs"], metadata["outputs"]
    layout = config["input"][0]["format"]
    shape = given["shape"]
    channels, height, width = shape if layout == "FORMAT_NCHW" else (shape[2], *shape[:2])
    return {
        "input": given["name"],
        "output": wanted["name"],
        "datatype": given["datatype"],
        "format": layout,
        "batched": config["max_batch_size"] > 0,
        "size": (width, height),
        "channels": channels,
    }


def to_tensor(picture):
    pixels = np.asarray(picture.convert("RGB").resize(spec["size"]))
    scaled = (pixels / 255).astype(triton_to_np_dtype(spec["datatype"]))
    return scaled.transpose(2, 0, 1) if spec["format"] == "FORMAT_NCHW" else scaled


@rawhttp
def run(request):
    if request.method == "GET":
        return AMLResponse(f"Post a picture to {request.path}", 200)
    if request.method != "POST":
        return AMLResponse("Only POST", 405)
    try:
        tensor = to_tensor(Image.open(io.BytesIO(request.get_data(False))))
    except OSError as error:
        return AMLResponse(f"Not a picture: {error}", 400)

    image = tritonhttpclient.InferInput(spec["input"], tensor.shape, spec["datatype"])
    image.set_data_from_numpy(tensor, binary_data=True)
    ranking = tritonhttpclient.InferRequestedOutput(spec["output"], binary_data=True, class_count=CLASSES)
    answer = triton.infer(MODEL, [image], request_id="0", model_version="1", outputs=[ranking])

    rows = []
    ranked = answer.as_numpy(spec["output"])
    for entry in ranked.flatten():
        # As in the samples of 2020. A text of a later tritonclient is a bytes object, which has no split(str).
        text = "".join(chr(letter) for letter in entry) if ranked.dtype.type == np.bytes_ else entry
        value, index, label = text.split(":")
        rows.append(f"<li>{label} ({index}): {float(value):.2f}</li>")
    return AMLResponse(f"<ol>{''.join(rows)}</ol>", 200)
