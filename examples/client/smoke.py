"""Asks a deployment what a caller and a probe would, one line for each answer: `python smoke.py URL`. Exit code 0 or 1.

Without a URL it asks the service that this environment (HOST, PORT, TLS_CERT_FILE) starts here. Needs only Python.
"""

import argparse
import http.client
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

REQUEST = Path(__file__).parent.parent / "digits" / "request.json"
PAUSE_S = 1.0  # between two looks at readiness


class Deployment:
    def __init__(self, url, key, request):
        self.url = (url or own_url()).rstrip("/")
        host = urllib.parse.urlsplit(self.url).hostname or ""
        handlers = []
        if not url or host in ("localhost", "::1") or host.startswith("127."):
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy would look for it on its own machine
        if not url:  # by an address that is in no certificate
            handlers.append(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
        self.open = urllib.request.build_opener(*handlers).open
        self.request = request
        self.with_key = {"Authorization": f"Bearer {key}"} if key else {}

    def ask(self, path, body=None, headers=None):
        """Returns status, headers and body; a failure's status, too, or 0 and the reason when nobody answered."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"} | (headers or {}))
        try:
            with self.open(request, timeout=60) as reply:
                return reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, {}, str(error).encode()

    def live(self):
        return expect(200, self.ask("/health/live"))

    def ready(self):
        return expect(200, self.ask("/health/ready"))

    def api_document(self):
        answer = self.ask("/swagger.json", headers=self.with_key)
        good, said = expect(200, answer)
        return good and b'"/score"' in answer[2], said

    def scored(self):
        return expect(200, self.ask("/score", self.request, self.with_key))

    def refused_without_key(self):
        return expect(401, self.ask("/score", self.request))

    def id_echoed(self):
        sent = str(uuid.uuid4())
        _, headers, _ = self.ask("/score", self.request, self.with_key | {"x-request-id": sent})
        got = headers.get("x-request-id")
        return got == sent, f"sent {sent}, got {got}"


def own_url():
    host = os.environ.get("HOST", "").strip("[]") or "0.0.0.0"
    host = {"0.0.0.0": "127.0.0.1", "::": "localhost"}.get(host, host)
    scheme = "https" if os.environ.get("TLS_CERT_FILE") else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT') or 5001}"


def expect(wanted, answer):
    status, _, body = answer
    return status == wanted, f"{status or 'no answer'} {' '.join(body.decode(errors='replace').split())[:160]}"


def wait(check, end):
    """Check until it is good, or the time is over."""
    while not (result := check())[0] and time.monotonic() < end:
        time.sleep(PAUSE_S)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", nargs="?", metavar="URL", help="without /score (that of the service here)")
    parser.add_argument("--key", help="one of the service's keys; that it is needed is checked, too")
    parser.add_argument("--request", type=Path, default=REQUEST, metavar="FILE", help="body to score (digits')")
    parser.add_argument("--wait", type=float, default=120, metavar="S", help="how long it may take to get ready (120)")
    given = parser.parse_args()

    deployment = Deployment(given.url, given.key, given.request.read_bytes())
    end = time.monotonic() + given.wait
    checks = {
        "live": lambda: wait(deployment.live, end),
        "ready": lambda: wait(deployment.ready, end),
        "API document": deployment.api_document,
        "scored": deployment.scored,
        "refused without a key": deployment.refused_without_key,
        "request id echoed": deployment.id_echoed,
    }
    if not given.key:
        del checks["refused without a key"]
    all_good = True
    for name, check in checks.items():
        good, said = check()
        all_good &= good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {said}", flush=True)
    return 0 if all_good else 1


if __name__ == "__main__":
    sys.exit(main())
