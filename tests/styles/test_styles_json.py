"""Scripts that take JSON: as text, in KServe's form, and declared with inference-schema."""

import json
import re

import pytest
import requests
from service import wait_until
from style_models import TOTALS, put_onnx, put_totals


@pytest.fixture(scope="module")
def styles(start_style, tmp_path_factory):
    directory = tmp_path_factory.mktemp("registered")
    put_totals(directory / "triton")
    several = tmp_path_factory.mktemp("azureml-models")
    put_onnx(several / "accounting" / "2" / "triton", "superseded", TOTALS)
    (several / "accounting" / "3").mkdir()
    (several / "accounting" / "3" / "triton").symlink_to(directory / "triton")
    return {
        "json_list": start_style("json_list", directory, WORKER_PRELOAD="true", WORKER_COUNT=2),
        "kserve": start_style("kserve", several),
        "schema_numpy": start_style("schema_numpy", directory, SERVICE_NAME="totals", SERVICE_PATH_PREFIX="api/v1"),
        "schema_pandas": start_style("schema_pandas", directory),
    }


@pytest.fixture
def json_list(styles):
    service = styles["json_list"].wait_ready()
    # One worker of the two is enough to be ready; the other answers 503 until its init() is done, too.
    wait_until(lambda: service.log.read_text().count("totals: init") == 2, 20, "both workers ready", service.log)
    return service


@pytest.fixture
def kserve(styles):
    return styles["kserve"].wait_ready()


@pytest.fixture
def schema_numpy(styles):
    return styles["schema_numpy"].wait_ready()


@pytest.fixture
def schema_pandas(styles):
    return styles["schema_pandas"].wait_ready()


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_a_json_text_comes_in_and_a_list_goes_out(json_list, content_type):
    body = json.dumps({"data": [[1, 2, 3], [0.5, 0.25, 0]]})
    reply = json_list.score(body, headers={"Content-Type": content_type})
    assert (reply.status_code, reply.json()) == (200, [[6.0], [0.75]])
    assert reply.headers["Content-Type"] == "application/json"


def test_each_worker_of_a_preloaded_script_asks_triton(json_list):
    """The client was made before the workers started; a worker's id is in the line that its run() logged."""

    def workers():
        assert json_list.score({"data": [[1, 1, 1]]}).json() == [[3.0]]
        return set(re.findall(r"\[(\d+)\] \[[^]]{36}\] totals: totals: logged", json_list.log.read_text()))

    wait_until(lambda: len(workers()) == 2, 20, "both workers have answered", json_list.log)
    assert json_list.log.read_text().count("totals: init") == 2


def test_what_a_script_prints_and_logs_is_in_the_log(json_list):
    assert json_list.score({"data": [[1, 1, 1]] * 7}, headers={"x-request-id": "seven"}).status_code == 200
    json_list.wait_log("\ntotals: printed (7, 3)\n")
    log = json_list.wait_log("totals: logged (7, 3)\n")
    assert re.search(r"INFO \[\d+\] \[seven\] totals: totals: logged \(7, 3\)\n", log)


ROWS = {"name": "rows", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize("outputs", [{}, {"outputs": [{"name": "total"}]}], ids=["all outputs", "named outputs"])
def test_a_kserve_request_passes_through_the_script(kserve, outputs):
    reply = kserve.score({"id": "mine", "inputs": [ROWS], **outputs})
    assert reply.status_code == 200, reply.text
    assert reply.json() == {
        "id": "mine",
        "model_name": "totals",
        "model_version": "1",
        "outputs": [{"name": "total", "datatype": "FP32", "shape": [2, 1], "data": [6.0, 15.0]}],
        "parameters": {"units": ["EUR", "per", "night"]},
    }


def test_the_highest_version_of_a_registered_model_is_served(kserve):
    """Model.get_model_path() gives that one, too: its units.txt has been read."""
    log = kserve.log.read_text()
    assert ("totals" in log, "superseded" in log) == (True, False)


def test_what_triton_refuses_of_a_kserve_request_is_the_callers_fault(kserve):
    reply = kserve.score({"inputs": [ROWS | {"shape": [3, 2]}]})
    assert (reply.status_code, reply.json()["code"]) == (400, "triton_refused")
    assert "'totals' takes rows FP32 [-1, 3]" in reply.json()["message"]
    reply = kserve.score({"inputs": [ROWS]}, headers={"model-name": "nothing"})
    assert (reply.status_code, "nothing" in reply.json()["message"]) == (400, True)


def test_a_numpy_parameter_arrives_as_an_array(schema_numpy):
    assert schema_numpy.score({"data": [[1, 2, 3], [0.25, 0.5, 0.06]]}).json() == [6.0, 0.8]
    assert schema_numpy.score({"data": [[0.25, 0.5, 0.06]], "digits": 2, "else": None}).json() == [0.81]


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({"json": {"digits": 2}}, 400, "A value is not provided for the 'data' parameter."),
        ({"json": [[1, 2, 3]]}, 400, "POST body should be a JSON dictionary."),
        ({"data": "{}"}, 415, "Expects Content-Type to be application/json"),
    ],
)
def test_what_a_declared_script_does_not_take_is_the_callers_fault(schema_numpy, sent, status, message):
    reply = requests.post(schema_numpy.url + "/score", timeout=10, **sent)
    assert (reply.status_code, reply.json()["message"]) == (status, message)


def document(service, version):
    return requests.get(service.url + "/swagger.json", params={"version": version}, timeout=5).json()


NUMPY_INPUT = {
    "data": {
        "type": "array",
        "format": "numpy.ndarray",
        "items": {"type": "array", "items": {"type": "number", "format": "float"}},
    },
    "digits": {"type": "integer", "format": "int64"},
}


def test_swagger_2_describes_the_array(schema_numpy):
    swagger = document(schema_numpy, 2)
    assert (swagger["swagger"], swagger["info"]["title"]) == ("2.0", "totals")
    takes = swagger["definitions"]["ServiceInput"]
    assert takes["properties"] == NUMPY_INPUT
    assert takes["example"] == {"data": [[1.5, 2.0, 0.5]], "digits": 2}
    gives = swagger["definitions"]["ServiceOutput"]
    numbers = {"type": "number", "format": "float"}
    assert gives == {"type": "array", "format": "numpy.ndarray", "items": numbers, "example": [4.0]}
    (body,) = swagger["paths"]["/api/v1/score"]["post"]["parameters"]
    assert (body["in"], body["schema"]) == ("body", {"$ref": "#/definitions/ServiceInput"})


@pytest.mark.parametrize(("version", "openapi"), [("3", "3.0.3"), ("3.1", "3.1.0")])
def test_swagger_3_describes_the_array(schema_numpy, version, openapi):
    swagger = document(schema_numpy, version)
    assert swagger["openapi"] == openapi
    takes = swagger["components"]["schemas"]["ServiceInput"]
    assert takes["properties"] == NUMPY_INPUT
    content = swagger["paths"]["/api/v1/score"]["post"]["requestBody"]["content"]
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/ServiceInput"}}}


@pytest.mark.parametrize("version", ["2", "3"])
def test_the_example_of_the_document_is_a_request_that_works(schema_numpy, schema_pandas, version):
    for service, answer in [(schema_numpy, [4.0]), (schema_pandas, {"Results": ["12.40 EUR"]})]:
        swagger = document(service, version)
        schemas = swagger["definitions"] if version == "2" else swagger["components"]["schemas"]
        reply = service.score(schemas["ServiceInput"]["example"])
        assert (reply.status_code, reply.json()) == (200, answer)
        assert schemas["ServiceOutput"]["example"] == answer


def test_a_nested_pandas_parameter_arrives_as_a_table(schema_pandas):
    bills = [{"net": 20, "tax": 3.8, "tip": 1}, {"net": 5.5, "tax": 0, "tip": 0}]
    reply = schema_pandas.score({"Inputs": {"bills": bills}, "GlobalParameters": {"currency": "CHF"}})
    assert (reply.status_code, reply.json()) == (200, {"Results": ["24.80 CHF", "5.50 CHF"]})
    assert schema_pandas.score({"Inputs": {"bills": bills[1:]}}).json() == {"Results": ["5.50 EUR"]}


def test_swagger_describes_the_table_by_its_columns(schema_pandas):
    takes = document(schema_pandas, 3)["components"]["schemas"]["ServiceInput"]["properties"]
    bills = takes["Inputs"]["properties"]["bills"]
    assert bills["type"] == "array"
    assert {name: column["type"] for name, column in bills["items"]["properties"].items()} == {
        "net": "number",
        "tax": "number",
        "tip": "number",
    }
    assert takes["GlobalParameters"]["properties"] == {"currency": {"type": "string"}}
