"""Scripts in front of models that are not plain arrays in, arrays out: strings, Python backends, an ensemble."""

import pytest
import style_models
from style_models import put, put_onnx, put_python, put_totals


@pytest.fixture(scope="module")
def styles(start_style, tmp_path_factory):
    directory = tmp_path_factory.mktemp("registered")
    put_onnx(directory / "triton", "bidaf", style_models.BIDAF)
    texts = tmp_path_factory.mktemp("texts")
    put_totals(texts / "triton")
    put_python(texts / "triton", "features", style_models.FEATURES)
    put(texts / "triton", "rate_text", file="", content=b"", config=style_models.RATE_TEXT_CONFIG)
    return {"reading": start_style("reading", directory), "pipeline": start_style("pipeline", texts)}


@pytest.fixture
def reading(styles):
    return styles["reading"].wait_ready()


@pytest.fixture
def pipeline(styles):
    return styles["pipeline"].wait_ready()


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("Wo ist die Élysée-Wache?", ["Élysée", "-", "Wache"]),
        ("FOX", ["fox"]),
        ("quick to jump?", ["quick", "brown", "fox", "is", "said", "to", "jump"]),
    ],
)
def test_a_text_and_a_question_go_to_the_model_as_words_and_letters(reading, query, answer):
    context = "The quick brown fox is said to jump over the lazy dog of the Élysée-Wache."
    reply = reading.score([context, query])
    assert (reply.status_code, reply.json()) == (200, answer)


def test_an_ensemble_and_the_python_model_in_it_answer_the_script(pipeline):
    reply = pipeline.score({"texts": ["Grüße from Köln", "nothing"], "explain": True})
    assert (reply.status_code, reply.json()) == (200, {"scores": [10.0, 8.0], "features": [[3, 2, 5], [1, 0, 7]]})


def test_what_a_python_model_refuses_can_be_caught_by_the_script(pipeline):
    reply = pipeline.score({"texts": ["one", " "]})
    assert (reply.status_code, "a text is empty" in reply.json()["problem"]) == (200, True)
