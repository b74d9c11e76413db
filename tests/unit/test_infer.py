"""What infer() sends is what tritonclient sends, by whichever way."""

import json

import gevent
import numpy as np
import pytest
from scoregate.triton.client import KNOWN_S, InferenceServerClient, takes_timeout
from scoregate.triton.connections import Response
from scoregate.triton.failures import Dead, Failed, Refused, TimedOut, Unsupported, explain
from scoregate.triton.upstream_types import InferInput
from tritonclient.http import InferRequestedOutput
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

Upstream = InferenceServerClient.__base__

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
TEXTS = np.array([b"a", b"", "é".encode()], dtype=np.object_)


class Size(tuple):
    """As torch.Size: a tuple that is none to orjson."""

    __slots__ = ()


def tensor(name, array, datatype, shape=None, **options):
    return InferInput(name, shape or array.shape, datatype).set_data_from_numpy(array, **options)


def in_region(name):
    return InferInput(name, [2, 3], "FP32").set_shared_memory("theirs", 24, offset=64)


PLAIN = {
    "one input": ("m", [tensor("n", NUMBERS, "FP32")], {}),
    "several": ("m", [tensor("t", TEXTS, "BYTES"), tensor("n", NUMBERS, "FP32")], {}),
    "a shape of another class": ("m", [tensor("n", NUMBERS, "FP32", Size((2, 3)))], {}),
    "empty": ("m", [tensor("n", NUMBERS[:0], "FP32")], {}),
    "outputs": (
        "m",
        [tensor("n", NUMBERS, "FP32")],
        {"outputs": [InferRequestedOutput("a"), InferRequestedOutput("b", binary_data=False, class_count=3)]},
    ),
    "outputs, none": ("m", [tensor("n", NUMBERS, "FP32")], {"outputs": None}),
    "a name with all sorts in it": ("ü m?", [tensor("é\n", NUMBERS, "FP32")], {}),
    "in shared memory": ("m", [in_region("n"), tensor("k", NUMBERS, "FP32")], {}),
}
OTHER = {
    "numbers in JSON": ("m", [tensor("n", NUMBERS, "FP32", binary_data=False)], {}),
    "numbers in JSON and binary": (
        "m",
        [tensor("n", NUMBERS, "FP32", binary_data=False), tensor("k", NUMBERS, "FP32")],
        {"outputs": [InferRequestedOutput("a")]},
    ),
    "an id": ("m", [tensor("n", NUMBERS, "FP32")], {"request_id": "7"}),
    "a version": ("m", [tensor("n", NUMBERS, "FP32")], {"model_version": "2"}),
    "headers": ("m", [tensor("n", NUMBERS, "FP32")], {"headers": {"x": "y"}}),
    "a query": ("m", [tensor("n", NUMBERS, "FP32")], {"query_params": {"x": "y"}}),
    "gzip": ("m", [tensor("n", NUMBERS, "FP32")], {"request_compression_algorithm": "gzip"}),
}

ANSWER = b'{"outputs":[{"name":"o","datatype":"INT32","shape":[1],"data":[7]}]}'


class Recorder:
    """At the end of the connections: keeps what would be sent, and always gives the same answer."""

    def __init__(self, status, body):
        self.sent = []
        self.answer = status, {"content-length": str(len(body))}, memoryview(body)

    def call(self, head, *body):
        self.sent.append(b"".join((head, *body)))
        return Response(*self.answer)


@pytest.fixture
def made(monkeypatch):
    """Make a client, and what records it."""

    def make(status=200, body=ANSWER, **options):
        client = InferenceServerClient("localhost:8000", **options)
        recorder = Recorder(status, body)
        monkeypatch.setattr(client._client_stub, "call", recorder.call)
        monkeypatch.setattr("scoregate.triton.client.takes_timeout", lambda *_: False)
        return client, recorder

    return make


def read(sent):
    """Method and URI, the other lines, the JSON header, what follows it."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    fields = {name.lower(): int(value) if value.isdigit() else value for name, value in (x.split(b": ") for x in lines)}
    assert fields.pop(b"content-length") == len(body)
    at = fields.pop(b"inference-header-content-length", len(body))
    return first, fields, json.loads(body[:at]) if body[:1] == b"{" else len(body[:at]), body[at:]


@pytest.mark.parametrize(("model", "inputs", "options"), [*PLAIN.values(), *OTHER.values()], ids=[*PLAIN, *OTHER])
def test_it_asks_as_tritonclient_does(made, model, inputs, options):
    client, recorder = made()
    assert client.infer(model, inputs, **options).as_numpy("o").tolist() == [7]
    Upstream.infer(client, model, inputs, **options)
    ours, theirs = map(read, recorder.sent)
    assert ours == theirs


@pytest.mark.parametrize(("model", "inputs", "options"), PLAIN.values(), ids=PLAIN)
def test_what_nearly_all_scripts_ask_takes_the_short_way(made, monkeypatch, model, inputs, options):
    client, recorder = made()
    monkeypatch.setattr(Upstream, "infer", None)
    client.infer(model, inputs, **options)
    assert len(recorder.sent) == 1


def test_a_plugin_sees_every_request(made):
    client, recorder = made()
    client.register_plugin(lambda request: request.headers.update({"x-added": "1"}))
    client.infer("m", PLAIN["one input"][1], headers={})
    client.infer("m", PLAIN["one input"][1], request_id="7", headers={})
    assert [read(sent)[1][b"x-added"] for sent in recorder.sent] == [1, 1]


def test_a_verbose_client_prints(made, capsys):
    client, _ = made(verbose=True)
    client.infer("m", PLAIN["one input"][1])
    assert "POST /v2/models/m/infer" in capsys.readouterr().out


def test_the_old_name_gives_what_it_gave(monkeypatch, install):
    """Texts as numpy.bytes_ and arrays that can be written to, as tritonclient gave them until 2.7."""
    install(None, "test")
    import tritonhttpclient

    texts, numbers = serialize_byte_tensor(TEXTS).item(), NUMBERS.tobytes()
    outputs = [
        {"name": "t", "datatype": "BYTES", "shape": [3, 1], "parameters": {"binary_data_size": len(texts)}},
        {"name": "n", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": len(numbers)}},
        {"name": "j", "datatype": "BYTES", "shape": [1], "data": ["in JSON"]},
    ]
    header = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    client = tritonhttpclient.InferenceServerClient("localhost:8000")
    recorder = Recorder(200, header + texts + numbers)
    recorder.answer[1]["inference-header-content-length"] = str(len(header))
    monkeypatch.setattr(client._client_stub, "call", recorder.call)
    monkeypatch.setattr("scoregate.triton.client.takes_timeout", lambda *_: False)
    asked = [("m", [tensor("n", NUMBERS, "FP32")])]
    for result in (client.infer(*asked[0]), client.async_infer(*asked[0]).get_result()):
        assert isinstance(result, tritonhttpclient.InferResult)
        got = result.as_numpy("t")
        assert (got.dtype.type, got.tolist()) == (np.bytes_, [[b"a"], [b""], ["é".encode()]])
        got = result.as_numpy("n")
        got[0, 0] = 7
        assert got.tolist() == [[7, 1, 2], [3, 4, 5]]
        assert result.as_numpy("j").tolist() == ["in JSON"]
        assert result.as_numpy("nosuch") is None


def test_a_queue_policy_is_not_remembered_for_long(monkeypatch):
    now, policy = 0.0, {}
    monkeypatch.setattr("scoregate.triton.client.monotonic", lambda: now)
    monkeypatch.setattr(
        InferenceServerClient,
        "get_model_config",
        lambda *_: {"dynamic_batching": {"default_queue_policy": policy}},
    )
    assert not takes_timeout("its policy changes")
    policy["allow_timeout_override"] = True
    assert not takes_timeout("its policy changes")
    now = KNOWN_S
    assert takes_timeout("its policy changes")


def test_a_result_that_does_not_come_in_time_is_told_as_that(made, monkeypatch, install):
    install(None, "test")
    client, _ = made()
    monkeypatch.setattr(client._client_stub, "call", lambda *_: gevent.sleep(60))
    with pytest.raises(TimedOut):
        client.async_infer("m", PLAIN["one input"][1]).get_result(timeout=0.01)


@pytest.mark.parametrize(
    ("status", "text", "failure"),
    [
        ("500", "Stub process 'm_0_0' is not healthy.", Dead),
        ("500", "in ensemble 'e', Stub process 'm_0_0' is not healthy.", Dead),
        ("500", "Stub process is not healthy.", Dead),
        ("500", "no model is called Stub process 'm_0_0' is not healthy.", Failed),
        ("400", "Stub process 'm_0_0' is not healthy.", Refused),
        ("404", "Request for unknown model: 'Stub process 'x' is not healthy.' is not found", Refused),
        ("501", "HTTP end point doesn't support models with decoupled transaction policy", Unsupported),
        (None, "model version must be a string", Refused),
    ],
)
def test_what_a_failure_means_is_told_by_its_status_first(status, text, failure):
    assert type(explain(InferenceServerException(text, status))) is failure


@pytest.mark.parametrize("body", [b'{"error":"no such thing"}', b"no JSON"])
@pytest.mark.parametrize("options", [{}, {"request_id": "7"}])
def test_a_refusal_is_one_by_either_way(made, body, options):
    client, _ = made(400, body)
    with pytest.raises(Refused) as raised:
        client.infer("m", PLAIN["one input"][1], **options)
    assert isinstance(raised.value, InferenceServerException)


def test_a_connection_that_breaks_is_told_in_either_way(made, monkeypatch):
    client, _ = made()

    def broken(*_):
        raise ConnectionResetError("broken")

    monkeypatch.setattr(client._client_stub, "call", broken)
    told = []
    for options in ({}, {"request_id": "7"}):
        with pytest.raises(ConnectionError) as raised:
            client.infer("m", PLAIN["one input"][1], **options)
        told.append(str(raised.value))
    assert told[0] == told[1]
