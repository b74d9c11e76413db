"""[context, query] in, the words of the context that answer the query out."""

import json
import re
import string

import numpy as np
import tritonhttpclient

MODEL = "bidaf"
CHARACTERS = 16


def init():
    global client
    client = tritonhttpclient.InferenceServerClient(url="localhost:8000")
    tensors = client.get_model_metadata(MODEL)["inputs"]
    assert {each["datatype"] for each in tensors} == {"BYTES"}


def tokenise(text):
    words = re.findall(rf"\w+|[{re.escape(string.punctuation)}]", text)
    spelled = [list(word.lower())[:CHARACTERS] for word in words]
    padded = [letters + [""] * (CHARACTERS - len(letters)) for letters in spelled]
    lowered = np.array([word.lower() for word in words], dtype=object).reshape(-1, 1)
    return words, lowered, np.array(padded, dtype=object).reshape(-1, 1, 1, CHARACTERS)


def run(data):
    context, query = json.loads(data)
    words, context_word, context_char = tokenise(context)
    _, query_word, query_char = tokenise(query)
    tensors = {
        "context_word": context_word,
        "context_char": context_char,
        "query_word": query_word,
        "query_char": query_char,
    }
    inputs = []
    for name, array in tensors.items():
        inputs.append(tritonhttpclient.InferInput(name, array.shape, "BYTES"))
        inputs[-1].set_data_from_numpy(array, binary_data=name.startswith("context"))
    wanted = [tritonhttpclient.InferRequestedOutput(name) for name in ("start_pos", "end_pos")]
    result = client.infer(MODEL, inputs, outputs=wanted)
    start, end = result.as_numpy("start_pos"), result.as_numpy("end_pos")
    assert (start.dtype, start.shape) == (np.int32, (1,))
    return [word.encode() for word in words[start.item() : end.item() + 1]]
