"""Heads of plain requests: what is read, and what of it is remembered."""

import gc
import secrets
import socket

import pytest
from scoregate.server import plain_http


def parse(*headers):
    lines = ["POST /score HTTP/1.1", "Host: x", *headers, "Content-Length: 2", "", "{}"]
    ours, _ = socket.socketpair()
    with ours, _:
        return plain_http.parse("\r\n".join(lines).encode("latin-1"), ours, {}, plain_http.SPECIAL)


def is_kept(backwards):
    """Whether something in this process holds a text in which this one is, read forwards."""
    gc.collect()
    text = backwards[::-1]
    wanted = text, text.encode()
    for holder in gc.get_objects():
        if holder is wanted:
            continue
        held = gc.get_referents(holder)
        while held:
            each = held.pop()
            if (isinstance(each, str) and wanted[0] in each) or (isinstance(each, bytes) and wanted[1] in each):
                return True
            if not gc.is_tracked(each):  # as dicts and tuples of texts are not: no holders themselves
                held += gc.get_referents(each)
    return False


@pytest.mark.parametrize(
    "name",
    ["Authorization", "authorization", "AUTHORIZATION", "Proxy-Authorization", "Cookie", "api-key", "x-auth-token"],
)
def test_a_callers_secret_reaches_the_script_and_no_cache(name):
    backwards = secrets.token_hex(16)
    for _ in range(2):
        environ = parse(f"{name}:  Bearer {backwards[::-1]} ", "Accept: */*").environ
        assert environ.pop(f"HTTP_{name.upper().replace('-', '_')}") == f"Bearer {backwards[::-1]}"
        assert environ.pop("HTTP_ACCEPT") == "*/*"
        del environ
    assert not is_kept(backwards)


def test_other_heads_are_remembered():
    backwards = secrets.token_hex(16)
    assert parse(f"x-request-id: {backwards[::-1]}").environ["HTTP_X_REQUEST_ID"] == backwards[::-1]
    assert is_kept(backwards)


@pytest.mark.parametrize(
    "headers",
    [
        ["Authorization: Bearer a", "Authorization: Bearer b"],
        ["Authorization: Bearer a", "authorization: Bearer a"],
        ["Authorization : Bearer a"],
        ["Authorization: Bearer\ta"],
        ["Authorization: Bearer \xe9"],
        ["Authorization: a\rb"],
        ["Authorization: a\nb"],
        ["Authorization: a\x00b"],
        ["Authorization: a", " folded"],
        ["Authorization: a", *(f"x-{number}: 1" for number in range(98))],
        ["Authorization: a", "Expect: 100-continue"],
        ["Authorization: a", "Content-Length: 2"],
        ["Authorization: a", "Connection: close"],
    ],
)
def test_a_head_with_authorization_is_as_plain_as_any(headers):
    assert parse(*headers) is None
    assert parse(*(each.replace("uthorization", "ccept") for each in headers)) is None


def test_authorization_may_stand_anywhere():
    for headers in (
        ["Host: x", "Content-Length: 2", "Authorization: a"],
        ["Authorization: a", "Host: x", "Content-Length: 2"],
    ):
        data = "\r\n".join(["POST /score HTTP/1.1", *headers, "", "{}"]).encode()
        fields = {"HTTP_HOST": "x", "CONTENT_LENGTH": "2", "HTTP_AUTHORIZATION": "a"}
        assert fields.items() <= plain_http.parse(data, None, {}, plain_http.SPECIAL).environ.items()
