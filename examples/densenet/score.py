"""Photos: {"image": "<JPEG or PNG in base64>"} in, the three likeliest ImageNet labels out.

The weights of this example's DenseNet-121 are synthetic, each of them 0.02: THE LABELS MEAN NOTHING, the path to
them is the real one. For a trained model in its place, give preprocess() the scaling it was trained with.
"""

import base64
import io
import json

import numpy as np
import tritonhttpclient  # the name of tritonclient.http in older scripts
from PIL import Image
from tritonclient.utils import triton_to_np_dtype

MODEL = "densenet"


def init():
    global client, model_input, model_output, input_shape
    client = tritonhttpclient.InferenceServerClient(url="localhost:8000")

    metadata = client.get_model_metadata(MODEL)
    config = client.get_model_config(MODEL)
    (model_input,) = metadata["inputs"]
    (model_output,) = metadata["outputs"]
    # A model that Triton batches has -1 as its first dimension; one request brings one image.
    input_shape = [1, *model_input["shape"][1:]] if config["max_batch_size"] > 0 else model_input["shape"]


def run(data):
    photo = Image.open(io.BytesIO(base64.b64decode(json.loads(data)["image"])))
    image = preprocess(photo)

    image_input = tritonhttpclient.InferInput(model_input["name"], image.shape, model_input["datatype"])
    image_input.set_data_from_numpy(image, binary_data=True)
    top3 = tritonhttpclient.InferRequestedOutput(model_output["name"], binary_data=True, class_count=3)
    result = client.infer(MODEL, inputs=[image_input], outputs=[top3], request_id="1")

    return [classification(entry) for entry in result.as_numpy(model_output["name"]).flatten()]


def preprocess(photo):
    """The photo in the model's size, each colour a plane of values from -1 to 1."""
    height, width = input_shape[-2:]
    pixels = np.asarray(photo.convert("RGB").resize((width, height)), dtype=np.float32)
    planes = (pixels / 127.5 - 1).transpose(2, 0, 1)
    return planes.reshape(input_shape).astype(triton_to_np_dtype(model_input["datatype"]))


def classification(entry):
    """b"0.98:281:tabby", which is score, index, label, as a dict."""
    score, _, label = entry.decode().split(":", 2)
    return {"label": label, "score": float(score)}
