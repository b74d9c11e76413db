#!/usr/bin/env python3
"""What these manifests promise, tried on the cluster of the current kubectl context: a table; exit code 1 on a loss.

    deploy/aks/prove.py IMAGE [OVERLAY]

IMAGE: the service's, as the cluster's nodes can get it. OVERLAY: a folder of overlays/, by default `cpu`. Needs Python
3.11 and kubectl 1.21 or newer; works in a namespace of its own, scoregate-prove, and removes it in the end. One proof
drains a node, of this service's pods only, and uncordons it again.
"""
# ruff: noqa: S603, S607, T201

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

AKS = Path(__file__).resolve().parent
NAMESPACE = "scoregate-prove"
PODS = "app.kubernetes.io/name=scoregate"
REPLICAS = 2
PORT = 5001
BODY = (AKS.parent.parent / "examples" / "digits" / "request.json").read_text()
RIGHT = '"digit": [2]'
SETTLE_S = 400.0  # for a change, until all is as it should be
WATCH_S = 10.0  # at least for so long, what should not happen has the time to happen
LATE_S = 0.5  # pods are looked at ten times a second
BAD_STARTS = 3  # of a bad script, before it is taken back

LOAD_POD = """
apiVersion: v1
kind: Pod
metadata: {name: load}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: load
      image: IMAGE
      command: [sleep, infinity]
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
KUSTOMIZATION = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: scoregate-prove
resources: [OVERLAY]
images: [{name: scoregate, newName: "NAME", newTag: "TAG"}]
configMapGenerator: [{name: scoregate-script, behavior: replace, files: [score.py]}]
"""


class Failed(Exception):
    """The cluster did not come to the state that was waited for."""


def kubectl(*arguments: str, given: str | None = None) -> str:
    """Run kubectl in the namespace. Raises Failed with what it said."""
    done = subprocess.run(
        ["kubectl", "--namespace", NAMESPACE, *arguments], input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Pod:
    """What the API server says of a pod. ready: and not about to go, so that the Service sends it requests."""

    name: str
    ip: str
    ready: bool
    restarts: int
    template: str
    node: str

    @classmethod
    def of(cls, members: dict[str, Any]) -> Self:
        """Take it from the pod's JSON."""
        status, metadata = members["status"], members["metadata"]
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return cls(
            name=metadata["name"],
            ip=status.get("podIP", ""),
            ready=conditions.get("Ready") == "True" and "deletionTimestamp" not in metadata,
            restarts=sum(each["restartCount"] for each in status.get("containerStatuses", [])),
            template=metadata["labels"]["pod-template-hash"],
            node=members["spec"].get("nodeName", ""),
        )


class Pods:
    """The service's pods, watched. least_ready: how few were ready at once since it was last set."""

    def __init__(self) -> None:
        self.now: dict[str, Pod] = {}
        self.ready_at: dict[str, float] = {}  # of each pod by name, seconds since the epoch
        self.least_ready = 0
        self.changed: Callable[[], None] = lambda: None
        command = ["get", "pods", "-l", PODS, "--watch", "--output-watch-events", "-o", "json"]
        self._process = subprocess.Popen(
            ["kubectl", "--namespace", NAMESPACE, *command], stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        text = ""
        for line in self._process.stdout or ():
            text += line
            if line.endswith("}\n") and line[0] in "{}":  # one line each, or, of older kubectls, indented
                event, text = json.loads(text), ""
                pod = Pod.of(event["object"])
                pods = {**self.now, pod.name: pod}
                if event["type"] == "DELETED":
                    del pods[pod.name]
                self.now = pods
                if pod.ready:
                    self.ready_at.setdefault(pod.name, time.time())
                self.least_ready = min(self.least_ready, len(self.ready()))
                self.changed()

    def ready(self) -> list[Pod]:
        """List those that take requests."""
        return [each for each in self.now.values() if each.ready]

    def restarts_but_of(self, old: set[str]) -> int:
        """Tell how often a container was started again, of the pods that are not named."""
        return max((each.restarts for name, each in self.now.items() if name not in old), default=0)

    def settled(self) -> bool:
        """Tell whether there are as many as there should be, all of them ready and of the same template."""
        pods = list(self.now.values())
        return len(pods) == REPLICAS and all(each.ready for each in pods) and len({each.template for each in pods}) == 1

    def stop(self) -> None:
        """End the watch."""
        self._process.terminate()


def wait(what: str, condition: Callable[[], object], limit_s: float = SETTLE_S) -> float:
    """Wait until it holds; tell how many seconds it took. Raises Failed."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit_s:
            raise Failed(f"{what}: not within {limit_s:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - begin


class Cluster:
    """The service on the cluster, under a load whenever `load` is open."""

    def __init__(self, image: str, overlay: str, directory: Path) -> None:
        self._directory = directory
        self._key = secrets.token_hex(16)
        name, _, tag = image.rpartition(":")
        values = {"OVERLAY": os.path.relpath(AKS / "overlays" / overlay, directory), "NAME": name, "TAG": tag}
        kustomization = KUSTOMIZATION
        for each, value in values.items():
            kustomization = kustomization.replace(each, value)
        (directory / "kustomization.yaml").write_text(kustomization)
        namespace = (AKS / "base" / "namespace.yaml").read_text().replace("name: scoregate", f"name: {NAMESPACE}")
        kubectl("apply", "-f", "-", given=namespace)
        kubectl("create", "secret", "generic", "scoregate-keys", f"--from-literal=keys={self._key}")
        wait("the default service account", lambda: "default" in kubectl("get", "serviceaccounts", "-o", "name"))
        kubectl("apply", "-f", "-", given=LOAD_POD.replace("IMAGE", image))
        kubectl("wait", "--for=condition=Ready", "pod/load", "--timeout=600s")
        self.pods = Pods()
        self.service: list[tuple[str, int]] = []  # its address, where the cluster gives it one that answers

    def apply(self, script: str) -> None:
        """Deploy the overlay with this script."""
        (self._directory / "score.py").write_text(script)
        kubectl("apply", "-k", str(self._directory))

    def find_service(self) -> None:
        """Find out whether the Service's address answers. Without kube-proxy, callers choose among the ready pods."""
        ip = kubectl("get", "service", "scoregate", "-o", "jsonpath={.spec.clusterIP}")
        connect = f"import socket; socket.create_connection(({ip!r}, 80), 3)"
        with contextlib.suppress(Failed):
            kubectl("exec", "load", "--", "python3", "-c", connect)
            self.service = [(ip, 80)]

    @contextlib.contextmanager
    def load(self) -> Iterator[dict[str, Any]]:
        """Send requests all the while; the record is filled in at the end."""
        text = (AKS / "load.py").read_text()
        command = ["kubectl", "--namespace", NAMESPACE, "exec", "-i", "load", "--", "python3", "-c", text]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout
        stdin.write(json.dumps({"key": self._key, "body": BODY, "right": RIGHT}) + "\n")

        def tell() -> None:
            ready = [(each.ip, PORT) for each in self.pods.ready()]
            pods = {each.name: (each.ip, PORT) for each in self.pods.now.values() if each.ip}
            stdin.write(json.dumps({"chosen": self.service or ready, "pods": pods}) + "\n")
            stdin.flush()

        tell()
        self.pods.changed = tell
        self.pods.least_ready = len(self.pods.ready())
        record: dict[str, Any] = {}
        try:
            yield record
        finally:
            self.pods.changed = lambda: None
            stdin.close()
            record |= json.loads(stdout.read() or "{}")
            process.wait()


@dataclass
class Row:
    """One proof: what was counted, what was seen, what should not have been."""

    proof: str
    record: dict[str, Any]
    least_ready: int
    seen: str
    problems: list[str]

    def cells(self) -> list[str]:
        """Write the row, for HEAD."""
        outcomes = dict(self.record["outcomes"])
        right = outcomes.pop("right", 0)
        return [
            self.proof,
            str(right + sum(outcomes.values())),
            str(right),
            str(sum(outcomes.values())),
            str(self.record["refused"]),
            f"{self.record['longest_s']:.2f}",
            str(self.least_ready),
            self.seen,
        ]


HEAD = ["proof", "requests", "right", "not", "refused connections", "longest s", "least ready", "seen"]


def judge(proof: str, cluster: Cluster, record: dict[str, Any], seen: str, least: int) -> Row:
    """Hold the record against what every proof promises. least: as many pods have to be ready at any time."""
    row = Row(proof, record, cluster.pods.least_ready, seen, [])
    wrong = {what: n for what, n in record["outcomes"].items() if what != "right"}
    if wrong or not record["outcomes"]:
        row.problems.append(f"requests: {wrong or 'none'}")
    if row.least_ready < least:
        row.problems.append(f"only {row.least_ready} pods were ready, not {least}")
    # A pod is ready once it scores, and scores until it is on its way out; then its port closes.
    for name, looks in record["looks"].items():
        since = cluster.pods.ready_at.get(name, float("inf"))
        if (
            looks
            and looks[0][0] < since < float("inf")
            and not any(what == "right" and at < since + LATE_S for at, what in looks)
        ):
            row.problems.append(f"{name} was ready before it scored")
        if late := [what for at, what in looks if at > since and what not in ("right", "refused")]:
            row.problems.append(f"{name}, after it was ready: {', '.join(late)}")
    print(f"{proof}: {'; '.join(row.problems) or 'as promised'} ({seen})", flush=True)
    return row


def first_start(cluster: Cluster, script: str) -> Row:
    """Every pod becomes ready, and not before it scores."""
    begin = time.time()
    with cluster.load() as record:
        cluster.apply(script)
        wait("the first start", cluster.pods.settled)
        time.sleep(WATCH_S)
    seen = []
    for pod in cluster.pods.ready():
        scored = next(at for at, what in record["looks"][pod.name] if what == "right") - begin
        seen.append(f"scores after {scored:.1f} s, ready after {cluster.pods.ready_at[pod.name] - begin:.1f} s")
    return judge("ready only when scoring works", cluster, record, "; ".join(seen), least=0)


def rolling_update(cluster: Cluster, script: str) -> Row:
    """Another script takes over without a lost request."""
    before = {each.template for each in cluster.pods.ready()}
    with cluster.load() as record:
        cluster.apply(script)
        took = wait(
            "the rolling update",
            lambda: cluster.pods.settled() and before.isdisjoint(each.template for each in cluster.pods.ready()),
        )
    return judge("rolling update", cluster, record, f"old pods gone after {took:.0f} s", REPLICAS)


def pod_deletion(cluster: Cluster) -> Row:
    """A deleted pod answers what it was asked, and another one takes its place."""
    gone = cluster.pods.ready()[0]
    with cluster.load() as record:
        kubectl("delete", "pod", gone.name, "--wait=false")
        took = wait("the deletion", lambda: gone.name not in cluster.pods.now and cluster.pods.settled())
    return judge("pod deletion", cluster, record, f"gone and replaced after {took:.0f} s", REPLICAS - 1)


def bad_script(cluster: Cluster, bad: str, good: str) -> Row:
    """A script whose init() raises never gets ready, and the old pods stay."""
    old = {each.name for each in cluster.pods.ready()}
    with cluster.load() as record:
        cluster.apply(bad)
        took = wait("starts of the bad script", lambda: cluster.pods.restarts_but_of(old) >= BAD_STARTS)
        stayed = old == {each.name for each in cluster.pods.ready()}
        restarts = cluster.pods.restarts_but_of(old)
        cluster.apply(good)
        wait("the good script again", lambda: cluster.pods.settled())
    seen = f"{restarts} restarts of the new pod in {took:.0f} s, old pods {'stayed' if stayed else 'went'}"
    row = judge("bad score.py", cluster, record, seen, REPLICAS)
    if not stayed:
        row.problems.append("old pods went")
    return row


def node_drain(cluster: Cluster) -> Row:
    """The budget lets one pod go at a time; the next one when another is ready."""
    node = cluster.pods.ready()[0].node
    there = {each.name for each in cluster.pods.ready() if each.node == node}
    flags = [f"--pod-selector={PODS}", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=600s"]
    with cluster.load() as record, tempfile.TemporaryFile("w+") as said:
        drain = subprocess.Popen(["kubectl", "drain", node, *flags], stdout=said, stderr=said)
        try:
            wait("the first eviction", lambda: len(cluster.pods.ready()) < REPLICAS or drain.poll() is not None)
            elsewhere = [
                each
                for each in json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
                if not each["spec"].get("unschedulable")
            ]
            if not elsewhere:  # only then can the budget be seen to hold for as long as one likes
                time.sleep(3 * WATCH_S)
                kubectl("uncordon", node)
            wait("the drain", lambda: drain.poll() is not None)
            wait("pods in their place", lambda: there.isdisjoint(cluster.pods.now) and cluster.pods.settled())
        finally:
            drain.terminate()
            kubectl("uncordon", node)
        said.seek(0)
        refusals = len(re.findall(r"would violate the pod's disruption budget", said.read()))
    seen = f"{len(there)} pods evicted, {refusals} evictions refused by the budget"
    row = judge("node drain", cluster, record, seen, REPLICAS - 1)
    if drain.returncode:
        row.problems.append(f"kubectl drain ended with {drain.returncode}")
    return row


def main() -> int:
    """Run all proofs, print the table."""
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    # The same script in the clothes of another: a comment is another ConfigMap, and so a rolling update.
    script = (AKS / "base" / "score.py").read_text()
    bad = script + "\n\ndef init():\n    raise RuntimeError('a bad score.py')\n"
    rows: list[Row] = []
    with contextlib.ExitStack() as afterwards:
        directory = afterwards.enter_context(tempfile.TemporaryDirectory())
        afterwards.callback(kubectl, "delete", "namespace", NAMESPACE, "--ignore-not-found")
        try:
            cluster = Cluster(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "cpu", Path(directory))
            afterwards.callback(cluster.pods.stop)
            rows.append(first_start(cluster, script + "\n# 1\n"))
            cluster.find_service()
            rows.append(rolling_update(cluster, script + "\n# 2\n"))
            rows.append(pod_deletion(cluster))
            rows.append(bad_script(cluster, bad, script + "\n# 2\n"))
            rows.append(node_drain(cluster))
        except Failed as error:
            print(error, file=sys.stderr)
            print(kubectl("get", "pods,events"), file=sys.stderr)
            return 1
        version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        through = (
            "the Service" if cluster.service else "the ready pods' addresses (the Service's own does not answer here)"
        )
        print(f"\nKubernetes {version}, {REPLICAS} replicas, callers through {through}\n")
        for cells in (HEAD, ["---"] * len(HEAD), *(each.cells() for each in rows)):
            print(f"| {' | '.join(cells)} |", flush=True)
    return 1 if any(each.problems for each in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
