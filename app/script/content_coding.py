"""A body that its sender has packed (Content-Encoding: gzip or deflate), unpacked within bounds.

Source: RFC 9110, section 8.4.1. "deflate" is zlib's format; some send it without zlib's header, which is taken, too.
"""

import zlib
from io import BytesIO

import gevent

from ..errors import BadInput, BodyTooLarge, UnsupportedCoding

STEP_BYTES = 2**16  # packed ones, looked at in one go
ROOM_BYTES = 2**20  # for what comes of them: a millisecond or two

# As zlib calls its formats.
_GZIP, _ZLIB, _RAW = 31, 15, -15
_FORMATS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


def format_of(coding: str) -> int:
    """Find the format that a Content-Encoding names. Raises UnsupportedCoding."""
    try:
        return _FORMATS[coding.lower()]
    except KeyError:
        raise UnsupportedCoding(
            f"Content-Encoding {coding!r} is not known here. Send the body as gzip, as deflate, or as it is."
        ) from None


def unpacked(body: bytes, packed_as: int, limit: int) -> bytes:
    """Unpack a body. Raises BodyTooLarge for one of more than limit bytes, BadInput for one that is broken.

    In steps, between which other requests have their turn. What is beyond the limit is not kept.
    """
    if packed_as == _ZLIB and (body[:1] or b"\0")[0] & 15 != 8:  # zlib's header names its method, 8
        packed_as = _RAW
    whole = BytesIO()
    unpacker = zlib.decompressobj(packed_as)
    try:
        for start in range(0, len(body), STEP_BYTES):
            rest = body[start : start + STEP_BYTES]
            is_full = False
            while rest or is_full:
                if unpacker.eof:  # the next one: a gzip file may have several members
                    unpacker = zlib.decompressobj(packed_as)
                part = unpacker.decompress(rest, ROOM_BYTES)
                if whole.write(part) and whole.tell() > limit:
                    raise BodyTooLarge(limit)
                rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                is_full = len(part) == ROOM_BYTES and not unpacker.eof  # more may come of what it has taken
                if rest:
                    gevent.sleep()
    except zlib.error as error:
        raise BadInput(f"The request's body cannot be unpacked: {error}.") from error
    if not unpacker.eof:
        raise BadInput("The request's body cannot be unpacked: it breaks off.")
    return whole.getvalue()
