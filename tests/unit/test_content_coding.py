"""Unpacking a body: what comes out, what is refused, and that it takes no more memory and time than it may."""

import gzip
import io
import random
import tracemalloc
import zlib

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoregate.errors import BadInput, BodyTooLarge, UnsupportedCoding
from scoregate.script import arguments
from scoregate.script.content_coding import ROOM_BYTES, STEP_BYTES, format_of, unpacked

LIMIT = 32 * 2**20
NOISE = random.Random(0).randbytes(3 * STEP_BYTES + 1)


def raw(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "GZip": gzip.compress, "deflate": zlib.compress}
BODIES = {
    "empty": b"",
    "one": b"x",
    "noise": NOISE,
    "zeros": bytes(5 * ROOM_BYTES),
    "as large as the room": bytes(ROOM_BYTES),
    "one more": bytes(ROOM_BYTES + 1),
    "mixed": NOISE + bytes(3 * ROOM_BYTES) + NOISE,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("coding", "pack"), [*PACKERS.items(), ("deflate", raw)])
def test_a_packed_body_comes_out_as_it_went_in(coding, pack, body):
    assert unpacked(pack(body), format_of(coding), LIMIT) == body


@given(st.lists(st.binary(), max_size=4), st.integers(0, 9))
def test_several_members_are_one_body(parts, level):
    packed = b"".join(gzip.compress(part, level) for part in parts) or gzip.compress(b"")
    assert unpacked(packed, format_of("gzip"), LIMIT) == b"".join(parts) == gzip.decompress(packed)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw])
@pytest.mark.parametrize("name", ["one", "noise", "zeros"])
def test_what_breaks_off_or_is_something_else_is_refused(pack, name):
    wanted = format_of("gzip" if pack is gzip.compress else "deflate")
    packed = pack(BODIES[name])
    for broken in (b"", packed[:1], packed[: len(packed) // 2], packed[:-1], packed + b"\xff\xff", b"plain text"):
        with pytest.raises(BadInput, match="cannot be unpacked"):
            unpacked(broken, wanted, LIMIT)


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not():
    packed = gzip.compress(bytes(LIMIT))
    assert len(unpacked(packed, format_of("gzip"), LIMIT)) == LIMIT
    with pytest.raises(BodyTooLarge):
        unpacked(packed, format_of("gzip"), LIMIT - 1)


def test_a_bomb_takes_little_memory():
    """What it would have become is 32 times the limit."""
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        for _ in range(64):
            file.write(bytes(2**24))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpacked(packed.getvalue(), format_of("gzip"), LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [gzip.compress(bytes(LIMIT)), gzip.compress(b"") * 20_000], ids=["large", "members"])
def test_others_have_their_turn_meanwhile(packed):
    turns = []

    def others():
        while True:
            turns.append(1)
            gevent.sleep()

    running = gevent.spawn(others)
    gevent.sleep()
    unpacked(packed, format_of("gzip"), LIMIT)
    running.kill()
    assert len(turns) >= LIMIT // ROOM_BYTES


def environ(body, coding):
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": coding,
        "wsgi.input": io.BytesIO(body),
    }


def test_a_body_for_fast_reading_is_unpacked_too():
    read = arguments.bytes_and_arrays("body", 100)
    assert read(environ(gzip.compress(b"\x01\x02"), "gzip"))["body"].array("u1").tolist() == [1, 2]
    assert read(environ(b"\x01\x02", "identity"))["body"].data == b"\x01\x02"


def test_an_unknown_coding_is_refused_before_the_body_is_received():
    request = environ(b"x", "zstd")
    with pytest.raises(UnsupportedCoding, match="'zstd'"):
        arguments.json_text("data", 100)(request)
    assert request["wsgi.input"].tell() == 0
