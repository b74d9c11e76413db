"""What is asked, with the right answers, and what to think of an answer."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from ..venvs import BENCH

COUNT = 50
PIXELS = 64
COPIES = 6  # of all images, in a large question: 76,800 bytes, and from 32,768 on tensors go through shared memory
HEAD = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
TOLERANCE = 1e-4  # the script rounds to four decimals; the size of its batch changes a float32's last digits
REQUEST = BENCH.parent / "examples" / "digits" / "request.json"


class Outcome(IntEnum):
    """What became of a request; right and clean answers have the number of their status."""

    RIGHT = 200
    BUSY = 429
    UNAVAILABLE = 503
    TIMEOUT = 504
    WRONG = 1  # any other answer
    HUNG = 2  # no answer in time
    LOST = 3  # the connection ended before the answer


BODY_LATE = 408  # the deadline came before the last bytes of the body; there is no Retry-After, since none is needed
CLEAN = (Outcome.BUSY, Outcome.UNAVAILABLE, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Question:
    """Some images. probabilities: for each image those of the digits 0 to 9, the right ones."""

    body: bytes
    probabilities: Sequence[Sequence[float]]

    def request(self, headers: bytes = b"") -> bytes:
        """Write the HTTP request. headers: further ones, each with its line's end."""
        return HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body

    def is_answered_by(self, members: dict[str, Any]) -> bool:
        """Compare with the members of the answer's JSON object. Raises ValueError if there are more or fewer."""
        return members["digit"] == [each.index(max(each)) for each in self.probabilities] and all(
            abs(a - b) <= TOLERANCE
            for answered, right in zip(members["probabilities"], self.probabilities, strict=True)
            for a, b in zip(answered, right, strict=True)
        )


class Questions(NamedTuple):
    """Those of one image, and those of many."""

    small: list[Question]
    large: list[Question]


def questions(triton_port: int) -> Questions:
    """Make the images, the example's moved on by a pixel each; ask Triton itself for the right answers.

    They are a quarter as dark as the example, so that the model is less sure and no two answers are alike.
    """
    (dark,) = json.loads(REQUEST.read_text())["data"]
    pixels = [each / 4 for each in dark]
    images = [pixels[shift:] + pixels[:shift] for shift in range(COUNT)]
    flat = _probabilities(images, triton_port)
    answers = [tuple(flat[at : at + 10]) for at in range(0, len(flat), 10)]
    # Else one caller's answer sent to another might pass for right.
    assert len({tuple(round(each, 3) for each in answer) for answer in answers}) == COUNT
    orders = [range(first - COUNT, first) for first in range(COUNT)]
    return Questions(
        [_question(images[each : each + 1], answers[each : each + 1]) for each in range(COUNT)],
        [_question([images[at] for at in each] * COPIES, [answers[at] for at in each] * COPIES) for each in orders],
    )


def judge(question: Question, status: int, head: str, body: bytes) -> tuple[Outcome, str, int | None]:
    """Tell what to think of an answer; for a wrong one, what is wrong; for a right one, the script's number.

    head: in lower case.
    """
    try:
        members = json.loads(body)
        if status == Outcome.RIGHT:
            if question.is_answered_by(members):
                return Outcome.RIGHT, "", members["script"]
            return Outcome.WRONG, "200 with the answer to something else", None
        code = members["code"]
    except (ValueError, KeyError, TypeError):
        return Outcome.WRONG, f"{status} with a body of another form", None
    if status == BODY_LATE:
        return Outcome.TIMEOUT, "", None
    if status not in CLEAN:
        return Outcome.WRONG, f"{status} {code}", None
    if "\r\nretry-after:" not in head:
        return Outcome.WRONG, f"{status} {code} without Retry-After", None
    return Outcome(status), "", None


def _probabilities(images: list[list[float]], triton_port: int) -> list[float]:
    """Source: Open Inference Protocol, POST v2/models/{model}/infer."""
    tensor = {"name": "image", "shape": [len(images), PIXELS], "datatype": "FP32", "data": images}
    connection = http.client.HTTPConnection("127.0.0.1", triton_port, timeout=30)
    # Triton would wait for a caller that hangs up without a word when it stops.
    connection.request(
        "POST",
        "/v2/models/digits/infer",
        json.dumps({"inputs": [tensor], "outputs": [{"name": "probabilities"}]}),
        {"Connection": "close"},
    )
    (output,) = json.load(connection.getresponse())["outputs"]
    return list(output["data"])


def _question(images: list[list[float]], answers: Sequence[Sequence[float]]) -> Question:
    return Question(json.dumps({"data": images}).encode(), answers)
