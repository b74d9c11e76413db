"""How to stop listening, and how to hang up, without cutting anybody off."""

import ctypes
import socket
import struct
from contextlib import suppress

import gevent

LINGER_S = 2.0
SO_ATTACH_FILTER = 26  # Linux's; Python's socket module has no name for it


def refuse(listener: socket.socket) -> None:
    """Let nobody begin to connect to this listener; those who have begun come through.

    A socket filter that drops each packet with the flag SYN. Its sender tries again, and finds the port closed or
    another service there. Source: Linux, Documentation/networking/filter.rst.
    """
    code = struct.pack(
        "HBBI HBBI HBBI HBBI",
        *(0x30, 0, 0, 13),  # load the byte of the TCP header that holds the flags
        *(0x45, 0, 1, 2),  # go on if SYN is set, else skip one
        *(0x06, 0, 0, 0),  # return: drop
        *(0x06, 0, 0, 0xFFFFFFFF),  # return: keep all of it
    )
    instructions = ctypes.create_string_buffer(code, len(code))
    with suppress(OSError):  # where the kernel has no such filter, a connection of that moment may be reset
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 4, ctypes.addressof(instructions)))


def close(sock: socket.socket) -> None:
    """Hang up as soon as the caller has, or after LINGER_S.

    To close with data unread resets the connection, and a caller who still sends may never read the answer.
    Source: RFC 9112, section 9.6.
    """
    with suppress(OSError), gevent.Timeout(LINGER_S, False):  # type: ignore[arg-type]  # as documented: silent
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            gevent.sleep()  # recv() lets no other greenlet run while data keeps coming
    sock.close()
