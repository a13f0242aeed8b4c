"""The first frames of Lockstep's wire (docs/wire.md), spoken by somebody who is no Lockstep: for strangers.py."""

import os
import socket
import struct

from lab import expect

HEADER = struct.Struct("<4sBBHIIIII")
HELLO, CHALLENGE, REFUSAL = 128, 129, 132
MALFORMED, NO_VERSION, OTHER_RESOURCE, WRONG_NODE = 1, 2, 3, 4  # codes of refusals
DATA, CONTROL = 0, 1


def _table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


_TABLE = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(kind, body):
    header = HEADER.pack(b"LSPF", 1, kind, 0, len(body), 0, crc32c(body), 0, 0)
    return header + struct.pack("<I", crc32c(header)) + body


def hello(resource, versions=(1, 1), seats=(1, 0), lane=CONTROL):
    return frame(HELLO, struct.pack("<HHQ", *versions, 0) + resource + bytes([*seats, lane]) + os.urandom(16 + 32))


def receive(sock):
    """The next frame's type and body, or None where the other side has closed."""
    try:
        header = sock.recv(32, socket.MSG_WAITALL)
        if len(header) < 32:
            return None
        magic, _, kind, _, length, _, checksum, _, _ = HEADER.unpack(header[:28])
        expect(magic == b"LSPF" and crc32c(header[:28]) == struct.unpack("<I", header[28:])[0], f"a bad header: {header}")
        body = sock.recv(length, socket.MSG_WAITALL) if length else b""
    except ConnectionResetError:
        return None
    expect(crc32c(body) == checksum, "a bad checksum of a body")
    return kind, body


def refusal(code, text):
    return frame(REFUSAL, struct.pack("<BH", code, len(text)) + text)


def dial(host, port, *frames):
    """Says these frames; returns the code and text of the refusal, or (None, '') if it is only hung up on or challenged."""
    with socket.create_connection((host, port), timeout=20) as sock:
        for one in frames:
            sock.sendall(one)
        answer = receive(sock)
        if answer is None or answer[0] != REFUSAL:
            return None, ""
        code, length = struct.unpack("<BH", answer[1][:3])
        text = answer[1][3:3 + length]
        expect(all(32 <= byte < 127 for byte in text), f"a refusal's text is not printable: {text}")
        expect(receive(sock) is None, "the connection goes on after a refusal")
        return code, text.decode("ascii")
