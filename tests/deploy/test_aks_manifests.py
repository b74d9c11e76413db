"""The manifests of deploy/aks as kustomize renders them, held against Kubernetes' schemas and against the service."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
AKS = ROOT / "deploy" / "aks"
SETTINGS = (ROOT / "app" / "settings.py").read_text()
KUBERNETES = "1.32"  # and newer: what the manifests are for
# Not Kubernetes' own, and what only the overlay for an old version has.
WITHOUT_SCHEMA = ("monitoring.coreos.com/v1", "keda.sh/v1alpha1", "policy/v1beta1")

COMPONENTS = ["ingress", "monitoring", "keda", "models-azure-files"]
RENDERED = [
    ("cpu",),
    ("gpu",),
    ("kubernetes-1.20",),
    ("cpu", *COMPONENTS),
    ("gpu", *COMPONENTS),
]


@cache
def _render(folder, overlay, components):
    """What `kubectl apply -k` would send."""
    folder.mkdir()
    lines = [f"resources: [{_up(folder, 'overlays', overlay)}]"]
    if components:
        lines.append(f"components: [{', '.join(_up(folder, 'components', each) for each in components)}]")
    (folder / "kustomization.yaml").write_text("\n".join(lines))
    kubectl = Path(sys.executable).with_name("kubectl")
    text = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def _up(folder, *path):
    """A path from there, since kustomize takes no absolute one."""
    return str(Path(*[".."] * (len(folder.resolve().parts) - 1)) / AKS.joinpath(*path).relative_to("/"))


@pytest.fixture(params=RENDERED, ids="-".join)
def objects(request, tmp_path_factory):
    overlay, *components = request.param
    return _render(tmp_path_factory.getbasetemp() / "-".join(request.param), overlay, tuple(components))


def _the(objects, kind):
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def _container(objects):
    (container,) = _the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def _settings(objects):
    (source,) = _container(objects)["envFrom"]
    name = source["configMapRef"]["name"]
    (found,) = [each for each in objects if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name]
    return found["data"]


def _setting(objects, name):
    """A setting's value, set or default, as a number."""
    default = re.search(rf'"{name}",\s+default="(\d+)"', SETTINGS)
    return int(_settings(objects).get(name, default[1]))


def test_each_object_fits_its_schema(objects):
    for each in objects:
        if each["apiVersion"] not in WITHOUT_SCHEMA:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_selectors_find_the_pods(objects):
    labels = _the(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [_the(objects, "Service")["spec"]["selector"]]
    selectors += [
        _the(objects, kind)["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")
    ]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"]
    spread = _the(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    selectors += [each["labelSelector"]["matchLabels"] for each in spread]
    assert all(each == labels for each in selectors)


def test_service_ingress_and_monitor_find_the_port(objects):
    (port,) = _container(objects)["ports"]
    assert port["containerPort"] == int(re.search(r'"PORT", default="(\d+)"', SETTINGS)[1])
    (served,) = _the(objects, "Service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    for each in objects:
        if each["kind"] == "Ingress":
            backends = [path["backend"]["service"] for rule in each["spec"]["rules"] for path in rule["http"]["paths"]]
            assert all(one == {"name": "scoregate", "port": {"name": served["name"]}} for one in backends)
        if each["kind"] == "ServiceMonitor":
            assert [(one["port"], one["path"]) for one in each["spec"]["endpoints"]] == [(served["name"], "/metrics")]
            assert each["spec"]["selector"]["matchLabels"] == _the(objects, "Service")["metadata"]["labels"]


@pytest.mark.parametrize(
    ("probe", "route"),
    [("startupProbe", "/health/ready"), ("readinessProbe", "/health/ready"), ("livenessProbe", "/health/live")],
)
def test_probes_ask_the_services_routes(objects, probe, route):
    assert _container(objects)[probe]["httpGet"] == {"path": route, "port": "http"}
    assert f'"{route}"' in (ROOT / "app" / "web" / "routes.py").read_text()


def test_the_figures_follow_from_the_lifecycle(objects):
    container = _container(objects)
    spec = _the(objects, "Deployment")["spec"]
    drain_s = _setting(objects, "DRAIN_SECONDS")
    readiness, liveness, startup = (container[f"{each}Probe"] for each in ("readiness", "liveness", "startup"))
    # The service stops in DRAIN_SECONDS, the longest request (Settings.stop_s), and what Triton may take.
    triton_s = int(re.search(r"stopwaitsecs=(\d+)", (ROOT / "supervisord.conf").read_text())[1])
    stop_s = drain_s + _setting(objects, "SCORING_TIMEOUT_MS") // 1000 + 10 + triton_s
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > stop_s
    # Load balancers have heard of it before the port closes, also if only the probe tells them.
    assert drain_s > readiness["periodSeconds"] * readiness["failureThreshold"] + readiness["timeoutSeconds"]
    # The service's own remedy, which costs one worker, comes before the kubelet's.
    assert liveness["periodSeconds"] * liveness["failureThreshold"] > _setting(objects, "WORKER_TIMEOUT")
    assert spec["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]
    assert spec["minReadySeconds"] > _setting(objects, "READY_PROBE_SECONDS")
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_settings_are_the_services(objects):
    assert [name for name in _settings(objects) if f'"{name}"' not in SETTINGS] == []


def test_what_settings_point_at_is_mounted(objects):
    mounts = {each["mountPath"]: each["name"] for each in _container(objects)["volumeMounts"]}
    volumes = {each["name"]: each for each in _the(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]}
    assert set(mounts.values()) == set(volumes)
    settings = _settings(objects)
    assert settings["APP_ROOT"] in mounts
    assert str(Path(settings["AUTH_KEYS_FILE"]).parent) in mounts
    assert settings.get("MODEL_DIR", "/models") in mounts or "MODEL_DIR" not in settings
    script = volumes[mounts[settings["APP_ROOT"]]]["configMap"]["name"]
    (found,) = [each for each in objects if each["metadata"]["name"] == script]
    assert "score.py" in found["data"]
    # What Triton's Python backend writes to, while all else is read-only.
    assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
    assert "emptyDir" in volumes[mounts["/tmp"]]


def test_pods_ask_for_no_rights(objects):
    spec = _the(objects, "Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert _container(objects)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_scales_asks_for_a_metric_of_the_service(objects):
    metrics = [
        *(
            each["pods"]["metric"]["name"]
            for one in objects
            if one["kind"] == "HorizontalPodAutoscaler"
            for each in one["spec"]["metrics"]
        ),
        *(
            each["metadata"]["query"]
            for one in objects
            if one["kind"] == "ScaledObject"
            for each in one["spec"]["triggers"]
        ),
    ]
    ours = set(re.findall(r"scoregate_\w+", " ".join(metrics)))
    assert ours == ({"scoregate_requests_in_flight"} if metrics else set())
    assert all(f'"{each}"' in (ROOT / "app" / "telemetry" / "metrics.py").read_text() for each in ours)
    scaling = [each["kind"] for each in objects if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    assert len(scaling) == ("replicas" not in _the(objects, "Deployment")["spec"])


def test_the_adapter_has_the_autoscalers_metric():
    values = yaml.safe_load((AKS / "components" / "monitoring" / "prometheus-adapter-values.yaml").read_text())
    (rule,) = values["rules"]["custom"]
    scaler = yaml.safe_load((AKS / "base" / "horizontalpodautoscaler.yaml").read_text())
    (metric,) = scaler["spec"]["metrics"]
    assert rule["seriesQuery"].startswith(metric["pods"]["metric"]["name"] + "{")


def test_the_script_is_the_examples():
    assert (AKS / "base" / "score.py").read_text().endswith((ROOT / "examples" / "digits" / "score.py").read_text())


def test_all_is_in_one_namespace(objects):
    assert {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"} == {"scoregate"}
    assert _the(objects, "Namespace")["metadata"]["name"] == "scoregate"
