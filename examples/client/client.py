"""Calls the service: one connection kept open, a key, an id for each request, and patience while it is busy.

    service = Client("http://localhost:5001", key="…")
    answer = service.score({"data": [[5.1, 3.4, 1.5, 0.2]]})

Needs only requests; copy it.
"""

import random
import time
import uuid

import requests

BUSY = (429, 503)  # the request was not scored; after Retry-After seconds it may be


class Failed(Exception):
    """The service answered with a failure; `status`, `code`, `request_id` and, as its text, all of it."""

    def __init__(self, reply):
        try:
            told = reply.json()
        except requests.JSONDecodeError:  # a proxy in front, or Azure ML's front end
            told = {}
        self.status = reply.status_code
        self.code = told.get("code", "")
        self.request_id = reply.headers.get("x-request-id", reply.request.headers["x-request-id"])
        super().__init__(f"{self.status} {self.code} (request {self.request_id}): {told.get('message', reply.text)}")


class Client:
    def __init__(self, url, key=None, timeout_s=60.0):
        """url: without /score. key: one of AUTH_KEYS. timeout_s: how long a call may take, with waits and retries."""
        self.url = url.rstrip("/") + "/score"
        self.timeout_s = timeout_s
        self.session = requests.Session()  # keeps its connection open, and is for one thread; others make their own
        if key:
            self.session.headers["Authorization"] = f"Bearer {key}"

    def score(self, request):
        """Send what JSON can say, or bytes; returns the answer's JSON, or its bytes.

        Raises Failed, or requests' Timeout and ConnectionError. After a lost connection nobody knows whether the
        request was scored, so that is left to the caller.
        """
        body = {"data": request} if isinstance(request, bytes) else {"json": request}
        headers = {"x-request-id": str(uuid.uuid4())}  # the same for each try: one search in the log finds all of them
        end = time.monotonic() + self.timeout_s
        while True:
            left_s = max(end - time.monotonic(), 0.001)
            # The service, too, stops working on what nobody waits for any more.
            headers["x-request-timeout-ms"] = str(max(int(left_s * 1000), 1))
            # A second more than that, so that its answer comes first: it says what took the time.
            reply = self.session.post(self.url, headers=headers, timeout=left_s + 1, **body)
            if reply.ok:
                return reply.json() if "json" in reply.headers.get("Content-Type", "") else reply.content
            if reply.status_code not in BUSY or time.monotonic() + (wait_s := retry_after_s(reply)) > end:
                raise Failed(reply)
            time.sleep(wait_s)


def retry_after_s(reply):
    """Seconds to wait: what the service says, and up to a fifth more, so that not all callers come back at once."""
    told = reply.headers.get("Retry-After", "")
    return (int(told) if told.isdecimal() else 1) * random.uniform(1, 1.2)
