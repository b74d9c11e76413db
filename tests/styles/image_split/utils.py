import io
from collections import namedtuple

import numpy as np
import tritonclient.http as tritonhttpclient
from errors import NotAPicture
from PIL import Image, UnidentifiedImageError
from tritonclientutils import triton_to_np_dtype

Spec = namedtuple("Spec", "input output datatype width height batched")


def connect(url):
    return tritonhttpclient.InferenceServerClient(url=url)


def model_spec(client, model):
    metadata = client.get_model_metadata(model_name=model)
    model_config = client.get_model_config(model_name=model)
    if model_config["input"][0]["format"] != "FORMAT_NHWC":
        raise ValueError(f"{model} does not take rows of pixels")
    _, height, width, _ = metadata["inputs"][0]["shape"]
    return Spec(
        input=metadata["inputs"][0]["name"],
        output=metadata["outputs"][0]["name"],
        datatype=metadata["inputs"][0]["datatype"],
        width=width,
        height=height,
        batched=model_config["max_batch_size"] > 0,
    )


def to_tensor(picture, spec):
    try:
        pixels = Image.open(io.BytesIO(picture)).convert("RGB").resize((spec.width, spec.height))
    except UnidentifiedImageError as error:
        raise NotAPicture("the body is no picture") from error
    array = np.array(pixels, dtype=triton_to_np_dtype(spec.datatype))
    return array[np.newaxis] if spec.batched else array


def rank(client, model, spec, tensor, classes):
    image = tritonhttpclient.InferInput(spec.input, tensor.shape, spec.datatype)
    image.set_data_from_numpy(tensor)
    output = tritonhttpclient.InferRequestedOutput(spec.output, class_count=classes)
    found = client.infer(model, [image], outputs=[output]).as_numpy(spec.output)
    return [entry.decode().split(":")[2] for entry in found.flatten()]
