"""Small SavedModels in a model repository, and what TensorFlow itself answers. Run by a Python that has TensorFlow.

python tensorflow_models.py <repository> <answers>: the answers are a pickle of model name to (inputs, outputs).
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

FLOAT = tf.float32
NUMBERS = [tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.int8, tf.int16, tf.int32, tf.int64]
DTYPES = [tf.bool, *NUMBERS, tf.float16, tf.float32, tf.float64, tf.string]


class Model(tf.Module):
    """compute: tensors in, tensors by name out. inputs: name to (type, shape)."""

    def __init__(self, compute, **inputs):
        self.function = tf.function(
            compute, input_signature=[tf.TensorSpec(shape, dtype, name) for name, (dtype, shape) in inputs.items()]
        )


def put(repository, name, model, *signatures):
    directory = repository / name / "1" / "model.savedmodel"
    tf.saved_model.save(model, directory, dict.fromkeys(signatures or ["serving_default"], model.function))


def network():
    """As Keras exports one."""
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input((8, 8, 3), name="image"),
            tf.keras.layers.Conv2D(4, 3, activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(10, activation="softmax"),
        ]
    )


def put_of_tensorflow_1(repository, name):
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(FLOAT, [None, 3])
        factor = v1.get_variable("factor", initializer=[1.0, 2.0, 3.0])
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(repository / name / "1" / "model.savedmodel"))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x * factor})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def put_with_optimizer(repository, name):
    """As Keras 2 saves a trained model: with an optimizer whose slots TensorFlow cannot make anew."""
    model = Model(lambda x: {"y": x @ model.weights}, x=(FLOAT, [None, 3]))
    model.weights = tf.Variable([[1.0], [2.0], [3.0]])
    model.optimizer = tf.compat.v1.train.AdamOptimizer()
    model.optimizer.apply_gradients([(tf.zeros([3, 1]), model.weights)])
    put(repository, name, model)


def counting():
    """y = x + how often it was asked."""
    model = Model(lambda x: {"y": x + model.count.assign_add(1.0)}, x=(FLOAT, [None, 3]))
    model.count = tf.Variable(0.0)
    return model


def lookup(index):
    row = tf.gather(tf.range(10.0) * 10, index)
    return {"y": row, "negative": -row}


def main(repository, answers):
    network().export(repository / "network" / "1" / "model.savedmodel", verbose=False)
    put_of_tensorflow_1(repository, "tensorflow_1")
    dtypes = {dtype.name: (dtype, [None, None]) for dtype in DTYPES}
    put(
        repository,
        "dtypes",
        Model(lambda *tensors: {f"{x.dtype.name}_out": tf.identity(x) for x in tensors}, **dtypes),
    )
    put_with_optimizer(repository, "keras_2")
    put(repository, "counting", counting())
    put(repository, "speech", Model(lambda x: {"y": tf.transpose(x, [2, 0, 1])}, x=(FLOAT, [None, 4, None])))
    put(repository, "centred", Model(lambda x: {"y": x - tf.reduce_mean(x, 0)}, x=(FLOAT, [None, 3])))
    put(repository, "lookup", Model(lookup, index=(tf.int64, [None])), "predict")
    put(
        repository,
        "unbatched",
        Model(
            lambda number, text, matrix: {
                "sum": tf.reduce_sum(matrix) + number,
                "text": text + "!",
                "same": matrix * 1,
            },
            number=(FLOAT, []),
            text=(tf.string, []),
            matrix=(FLOAT, [2, None]),
        ),
    )

    double = Model(lambda x: {"y": 2 * x}, x=(FLOAT, [None, 3]))
    put(repository, "type", double)
    put(repository, "unsigned", double, "one", "two")
    put(repository, "bfloat16", Model(lambda x: {"y": tf.cast(x, tf.bfloat16)}, x=(FLOAT, [None, 3])))
    put(repository, "unranked", Model(lambda x: {"y": 2 * x}, x=(FLOAT, None)))
    broken = repository / "broken" / "1" / "model.savedmodel"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"no SavedModel")

    rows = {"bool": [[True, False]], "string": [[b"a", "ünï-漢字".encode()], [b"\xff", b""]], "int8": [[-128, 127]]}
    asked = {
        "network": {"image": np.random.default_rng(0).random((2, 8, 8, 3), np.float32)},
        "tensorflow_1": {"x": np.ones((2, 3), np.float32)},
        "dtypes": {
            dtype.name: np.resize(np.array(rows.get(dtype.name, [[0, 100]]), dtype.as_numpy_dtype), (2, 2))
            for dtype in DTYPES
        },
        "speech": {"x": np.arange(24, dtype=np.float32).reshape(2, 4, 3)},
        "centred": {"x": np.arange(6, dtype=np.float32).reshape(2, 3)},
        "lookup": {"index": np.array([1, 5])},
        "unbatched": {
            "number": np.float32(3),
            "text": np.array(b"a", object),
            "matrix": np.ones((2, 5), np.float32),
        },
    }
    answered = {}
    for name, inputs in asked.items():
        signatures = tf.saved_model.load(repository / name / "1" / "model.savedmodel").signatures
        outputs = next(iter(signatures.values()))(**{key: tf.constant(array) for key, array in inputs.items()})
        arrays = {key: np.asarray(tensor.numpy(), tensor.dtype.as_numpy_dtype) for key, tensor in outputs.items()}
        answered[name] = (inputs, arrays)
    answered["keras_2"] = ({"x": np.ones((2, 3), np.float32)}, {"y": np.full((2, 1), 6, np.float32)})
    answers.write_bytes(pickle.dumps(answered))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
