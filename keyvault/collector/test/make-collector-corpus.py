#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seeds of fuzz-collector: make-collector-corpus.py DIR. Each is named for what it comes to."""
import os
import struct
import sys

STEPS = "message hello keys gone turn frame lost store connect deaf later many".split()
CLOSED, TWO, ALL = 1, 2, 4
ROOT, ONE = 0, 3  # bytes in a hello: a server of many, and one of the connection with client port 10003
STORED, REFUSED = 16, 17
FOREIGN, NO_EPOCH, OTHER, FULL, FAILED = 2, 3, 4, 5, 8


def step(name, data=b"", who=0):
    data = bytes(data) if not isinstance(data, int) else bytes(data)
    return bytes([STEPS.index(name) + len(STEPS) * who]) + struct.pack(">H", len(data)) + data


def keys(port=10003, server=(10, 9, 0, 1), server_port=443):
    """session-keys of TLS 1.3, as session-keys.h has it."""
    secret = struct.pack("<I", port) + b"\x5a" * 44
    out = b"\x01\x01\x04" + bytes(server) + struct.pack(">H", server_port) + bytes([10, 9, 0, 10]) + struct.pack(">H", port)
    out += b"\x03\x04\x13\x02\x00" + secret[:32] + b"\x04"
    for label in range(1, 5):
        out += bytes([label, len(secret)]) + secret
    return out


def own(port=10003):
    """Of the server that a process of one connection has."""
    return keys(port, server_port=22)


def answer(request, why=0):
    body = struct.pack(">I", request) + (bytes([why, 0]) if why else b"")
    return struct.pack(">I", len(body) + 1) + bytes([REFUSED if why else STORED]) + body


def later(tenths):
    return step("later", struct.pack(">I", tenths))


def misses(n, who=0):
    return b"".join(step("keys", keys(10003 + i), who) + step("turn", 50) + step("turn") for i in range(n))


one = step("hello", ROOT) + step("keys", keys())
sent = one + step("turn")
late = step("hello", ROOT) + misses(3)
seeds = {
    "stored": (0, sent + step("store")),
    "foreign": (0, step("hello", ROOT) + step("keys", keys(server=(10, 9, 0, 7))) + step("turn") + step("store")),
    "lost": (0, sent + step("lost") + step("keys", keys(10004)) + step("turn") + step("store")),
    "full": (0, sent + step("frame", answer(2, FULL)) + step("turn", 300) + step("turn") + step("store")),
    "no-epoch": (0, sent + step("frame", answer(1, FAILED)) + step("frame", answer(2, NO_EPOCH)) + step("turn", 300) + step("turn") + step("store")),
    "refused": (0, one + step("keys", keys(10004)) + step("turn") + step("frame", answer(2, OTHER)) + step("frame", answer(3, OTHER))
                + step("frame", answer(4, FOREIGN)) + step("turn") + step("store")),
    "malformed": (0, step("connect") + step("message", b"\x01\x03\x00\x00\x00\x09" + keys()) + step("connect", who=1) + step("message", b"\x01\x01\x04test\x00", 1)
                  + step("message", b"\x01\x01\x04test\x02", 1) + step("hello", ROOT, 2) + step("message", b"\x01\x01\x04test\x00", 2)),
    "missed-and-late": (0, sent + step("turn", 60) + step("turn") + step("store")),
    "nobody-waits": (0, late + step("keys", keys(10020)) + step("turn")),
    "asked-and-waits-again": (0, late + step("store") + step("turn") + step("store") + step("keys", keys(10020)) + step("turn") + step("store")),
    "asked-and-refused": (0, late + step("store") + step("turn") + step("frame", answer(5, FAILED)) + later(11) + step("turn", 10) + step("store")),
    "asked-and-lost": (0, late + step("store") + step("turn") + step("lost") + later(11) + step("turn") + step("store")),
    "dropped": (0, one + step("many", [200]) + step("turn") + step("keys", keys(10020)) + step("turn", 10) + step("turn")),
    "dropped-partly": (TWO, one + step("many", [60]) + step("turn") + step("store", who=1) + step("many", [60]) + step("turn", 10) + step("turn")),
    "all": (TWO | ALL, sent + step("store") + step("store", who=1)),
    "all-and-one-lost": (TWO | ALL, late + step("store") + step("store", who=1) + step("turn") + step("store") + step("lost") + later(11)
                         + step("turn") + step("store") + step("store", who=1)),
    "closed": (CLOSED, late),
    "expired": (0, sent + step("store") + later(400 * 864000) + step("keys", keys(10004)) + step("turn")),
    "expired-closed": (CLOSED, step("hello", ROOT) + later(400 * 864000) + step("keys", keys(10004)) + step("turn")),
    "next-epoch": (0, sent + step("store") + later(36001) + step("keys", keys(10004)) + step("turn") + step("store")),
    "of-one-session": (0, step("hello", ONE) + step("keys", own()) + step("keys", own(10004)) + step("turn") + step("store")
                       + step("gone") + later(21) + step("turn") + step("store")),
    "ended-and-full": (0, step("hello", ONE) + step("keys", own()) + step("turn") + step("gone") + later(21) + step("frame", answer(2, FULL)) + step("turn", 300) + step("store")),
    "comes-back": (0, step("hello", ONE) + step("keys", own()) + step("turn") + step("gone") + step("turn", 100) + step("hello", ONE, 1)
                   + later(21) + step("turn") + step("store")),
    "too-fast": (0, step("hello", ONE) + step("keys", own()) + step("many", [70]) + step("turn") + step("store")),
    "silent": (0, step("connect") + step("hello", ROOT, 1) + later(21) + step("turn")),
    "deaf": (0, one + step("deaf") + step("turn") + step("store")),
    "gathered": (0, sent + step("keys", keys(10004)) + step("turn") + step("keys", keys(10005)) + step("turn", 3) + step("turn") + step("store")),
    "lingered": (0, one + step("keys", keys(10004)) + step("turn") + step("store") + step("keys", keys(10005)) + step("turn") + step("turn", 1)
                 + step("turn") + step("store")),
    "gone-unsealed": (0, one + step("gone") + step("turn") + step("store")),
    "two-taps": (0, step("hello", ROOT) + step("hello", 1, 1) + step("keys", keys()) + step("keys", keys(10004), 1) + step("turn") + step("frame", answer(1))
                 + step("frame", answer(2)) + step("gone", who=1) + later(60) + step("store")),
    "answers-nothing-asked": (0, sent + step("frame", answer(77)) + step("turn") + step("store")),
}
os.makedirs(sys.argv[1], exist_ok=True)
for name, (settings, steps) in seeds.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(bytes([settings]) + steps)
