"""deploy/aci, deploy/azureml and deploy/compose, without Azure: by the SDK's models, each other, and the service."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from azure.mgmt.containerinstance import models
from azure.mgmt.containerinstance._serialization import Deserializer, Serializer
from pycep import BicepParser

ROOT = Path(__file__).parent.parent.parent
ACI, AZUREML, COMPOSE = (ROOT / "deploy" / name for name in ("aci", "azureml", "compose"))
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SETTINGS = set(re.findall(r"`([A-Z_]+)`", REFERENCE[REFERENCE.index("## Settings") :]))
ROUTES = set(re.findall(r"^\| `GET (/[^`]*)`", REFERENCE, re.MULTILINE)) | {"/score"}
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def load(path):
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def group():
    return load(ACI / "container-group.yaml")


@pytest.fixture(scope="module")
def container(group):
    (only,) = group["properties"]["containers"]
    return only["properties"]


def holds_in_the_sdk(group):
    classes = {name: each for name, each in vars(models).items() if isinstance(each, type)}
    understood = Deserializer(classes)("ContainerGroup", group)
    # apiVersion, type and name are the request's, not its body's. A key that the SDK does not know is lost on the way.
    body = {key: value for key, value in group.items() if key not in ("apiVersion", "type", "name")}
    assert Serializer(classes).body(understood, "ContainerGroup") == body
    assert list(missing(understood)) == []


def test_the_sdk_knows_every_key_of_the_container_group(group):
    holds_in_the_sdk(group)


def test_the_sdk_knows_what_the_readme_adds_for_https(group):
    (lines,) = re.findall(r"^  ```yaml\n(.*?)^  ```", (ACI / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    added = yaml.safe_load(lines)
    secured = copy.deepcopy(group)
    container = secured["properties"]["containers"][0]["properties"]
    container["environmentVariables"] += [each for each in added if "value" in each]
    container["volumeMounts"] += [each for each in added if "mountPath" in each]
    secured["properties"]["volumes"] += [each for each in added if "secret" in each]
    assert len(added) == 4
    holds_in_the_sdk(secured)


def missing(model):
    """What the SDK calls required and is not there, in a model and those in it."""
    for name, kind in model._attribute_map.items():
        value = getattr(model, name)
        if value is None and model._validation.get(name, {}).get("required"):
            yield f"{type(model).__name__}.{kind['key']}"
        for each in value if isinstance(value, list) else [value]:
            if hasattr(each, "_attribute_map"):
                yield from missing(each)


def test_its_words_are_those_that_the_sdk_allows(group):
    properties = group["properties"]
    assert properties["restartPolicy"] in list(models.ContainerGroupRestartPolicy)
    assert properties["osType"] in list(models.OperatingSystemTypes)
    assert properties["ipAddress"]["type"] in list(models.ContainerGroupIpAddressType)
    assert properties["diagnostics"]["logAnalytics"]["logType"] in list(models.LogAnalyticsLogType)
    assert group["identity"]["type"] in list(models.ResourceIdentityType)


def test_bicep_says_the_same_as_yaml(group):
    resources = BicepParser().parse(text=(ACI / "container-group.bicep").read_text())["resources"]
    (made,) = [each for each in resources.values() if not each["existing"]]
    assert made["type"] == group["type"]
    assert list(differences(made["config"], {k: v for k, v in group.items() if k not in ("apiVersion", "type")})) == []


def differences(bicep, plain, path=""):
    """Where the two differ; where YAML has a placeholder, Bicep has an expression."""
    if isinstance(plain, str) and PLACEHOLDER.search(plain):
        if not bicep or PLACEHOLDER.sub("", plain) not in str(bicep):
            yield f"{path}: {bicep!r}, {plain!r}"
    elif isinstance(plain, dict) and isinstance(bicep, dict) and all(map(PLACEHOLDER.match, plain)) and plain:
        if len(bicep) != len(plain):  # the identity, which is a key
            yield path
    elif isinstance(plain, dict) and isinstance(bicep, dict):
        for key in plain.keys() | bicep.keys():
            yield from differences(bicep.get(key), plain.get(key), f"{path}.{key}")
    elif isinstance(plain, list) and isinstance(bicep, list) and len(plain) == len(bicep):
        for index, (left, right) in enumerate(zip(bicep, plain, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif bicep != plain:
        yield f"{path}: {bicep!r}, {plain!r}"


def test_no_secret_stands_in_a_plain_value(container):
    secret = {each["name"] for each in container["environmentVariables"] if "secureValue" in each}
    assert secret == {"AUTH_KEYS"}
    assert "@secure()" in (ACI / "container-group.bicep").read_text()


def test_the_readme_sets_each_placeholder():
    wanted = set(PLACEHOLDER.findall((ACI / "container-group.yaml").read_text()))
    assert wanted == set(re.findall(r"^export (\w+)=", (ACI / "README.md").read_text(), re.MULTILINE))


def test_volumes_ports_and_probes_of_the_group_fit_the_container(group, container):
    assert {each["name"] for each in container["volumeMounts"]} == {v["name"] for v in group["properties"]["volumes"]}
    ports = [each["port"] for each in container["ports"]]
    assert ports == [each["port"] for each in group["properties"]["ipAddress"]["ports"]] == [5001]
    for probe in ("livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert (asked["port"], asked["path"] in ROUTES) == (5001, True)


@pytest.mark.parametrize("kind", ["managed", "kubernetes"])
def test_azure_mls_files_name_each_other(kind):
    model, environment = load(AZUREML / "model.yml"), load(AZUREML / "environment.yml")
    endpoint, deployment = load(AZUREML / f"{kind}-endpoint.yml"), load(AZUREML / f"{kind}-deployment.yml")
    assert deployment["endpoint_name"] == endpoint["name"]
    assert deployment["model"] == f"azureml:{model['name']}:{model['version']}"
    assert deployment["environment"] == f"azureml:{environment['name']}:{environment['version']}"
    assert (AZUREML / model["path"] / "triton").is_dir()
    # The folder's own name comes below AZUREML_MODEL_DIR, and this one is looked for there.
    assert Path(model["path"]).name == "models"
    code = deployment["code_configuration"]
    assert (AZUREML / code["code"] / code["scoring_script"]).is_file()


def test_azure_ml_asks_routes_that_there_are():
    routes = load(AZUREML / "environment.yml")["inference_config"]
    assert {each["port"] for each in routes.values()} == {5001}
    paths = {name: each["path"] for name, each in routes.items()}
    assert paths == {"liveness_route": "/health/live", "readiness_route": "/health/ready", "scoring_route": "/score"}
    assert set(paths.values()) <= ROUTES


@pytest.mark.parametrize(("kind", "most_ms"), [("managed", 180_000), ("kubernetes", 300_000)])
def test_azure_mls_limits_and_ours_meet(kind, most_ms):
    deployment = load(AZUREML / f"{kind}-deployment.yml")
    ours, theirs = deployment["environment_variables"], deployment["request_settings"]
    # Our answer comes before their front end gives up, and no worker refuses what that has let in.
    assert int(ours["SCORING_TIMEOUT_MS"]) + 5000 <= theirs["request_timeout_ms"] <= most_ms
    assert int(ours["MAX_IN_FLIGHT"]) == theirs["max_concurrent_requests_per_instance"]


def test_compose_mounts_a_directory_of_keys_and_gives_the_gpu():
    (service,) = load(COMPOSE / "compose.yaml")["services"].values()
    assert service["ports"] == ["5001:5001"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    mounts = {each.rsplit(":", 2)[1] for each in service["volumes"]}
    assert mounts == {"/models", "/score", str(Path(service["environment"]["AUTH_KEYS_FILE"]).parent)}
    # Compose stops a container that takes longer: DRAIN_SECONDS, the longest request, Triton.
    assert int(service["stop_grace_period"].rstrip("s")) > 5 + int(service["environment"]["SCORING_TIMEOUT_MS"]) / 1000


def environments():
    group = load(ACI / "container-group.yaml")["properties"]["containers"][0]["properties"]
    yield "aci", {each["name"]: each.get("value", each.get("secureValue")) for each in group["environmentVariables"]}
    for kind in ("managed", "kubernetes"):
        yield kind, load(AZUREML / f"{kind}-deployment.yml")["environment_variables"]
    yield "compose", load(COMPOSE / "compose.yaml")["services"]["scoregate"]["environment"]


@pytest.mark.parametrize("environment", [pytest.param(env, id=name) for name, env in environments()])
def test_each_variable_is_a_setting_and_a_text(environment):
    assert set(environment) <= SETTINGS
    assert {type(value) for value in environment.values()} == {str}
