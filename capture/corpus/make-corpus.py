#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes capture/corpus/decode and capture/corpus/pcap-file, from nothing but this file."""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
TIMESTAMP = b"\x01\x01\x08\x0a" + struct.pack(">II", 111, 222)
SYN_OPTIONS = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"
MPTCP = b"\x1e\x0c\x00\x81" + bytes(8) + b"\x22\x0acookie12"
SACK = b"\x01\x01\x05\x12" + bytes(16)
MD5 = b"\x13\x12" + bytes(16) + b"\x01\x00"


def tcp(options=TIMESTAMP, payload=b"hello", flags=0x18):
    words = (20 + len(options)) // 4
    return struct.pack(">HHIIBBHI", 40000, 80, 7, 9, words << 4, flags, 501, 0) + options + payload


def ipv4(body, fragment=0x4000, protocol=6, options=b"", total=None):
    n = 20 + len(options) + len(body) if total is None else total
    return (struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, n, 1, fragment, 64, protocol, 0)
            + bytes([10, 9, 0, 1, 10, 9, 0, 2]) + options + body)


def ipv6(body, next_header=6, length=None):
    n = len(body) if length is None else length
    return (struct.pack(">IHBB", 0x60000000, n, next_header, 64)
            + b"\xfd" + bytes(14) + b"\x01" + b"\xfd" + bytes(14) + b"\x02" + body)


def ethernet(body, *types):
    return b"\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a" + b"".join(struct.pack(">H", t) for t in types) + body


FRAMES = {
    # name: (flags: link type and more, see fuzz-decode.c; bytes)
    "ethernet-ipv4": (0, ethernet(ipv4(tcp()), 0x0800)),
    "ethernet-ipv6": (0, ethernet(ipv6(tcp()), 0x86DD)),
    "syn": (0, ethernet(ipv4(tcp(SYN_OPTIONS, b"", 2)), 0x0800)),
    "mptcp-tfo": (0, ethernet(ipv4(tcp(MPTCP, b"", 2)), 0x0800)),
    "sack": (0, ethernet(ipv4(tcp(SACK)), 0x0800)),
    "md5": (0, ethernet(ipv4(tcp(MD5)), 0x0800)),
    "padded": (0, ethernet(ipv4(tcp(b"", b"")) + bytes(6), 0x0800)),
    "cut": (0x20, ethernet(ipv4(tcp(), total=1500), 0x0800)),
    "length-zero": (0, ethernet(ipv4(tcp(), total=0), 0x0800)),
    "ip-options": (0, ethernet(ipv4(tcp(), options=b"\x94\x04\0\0" * 3), 0x0800)),
    "fragment": (0, ethernet(ipv4(tcp(), fragment=0x2000), 0x0800)),
    "udp": (0, ethernet(ipv4(bytes(8), protocol=17), 0x0800)),
    "arp": (0, ethernet(bytes(28), 0x0806)),
    "vlan": (0, ethernet(ipv4(tcp()), 0x8100, 100, 0x0800)),
    "qinq": (0x10, ethernet(ipv6(tcp()), 0x88A8, 100, 0x8100, 200, 0x86DD)),
    "pppoe": (0, ethernet(struct.pack(">BBHHH", 0x11, 0, 1, 59, 0x21) + ipv4(tcp()), 0x8864)),
    "ipv6-extensions": (0, ethernet(ipv6(b"\x2b\0" + bytes(6) + b"\x3c\1" + bytes(14) + b"\x2c\0"
                                         + bytes(6) + b"\x06\0" + bytes(6) + tcp(), 0), 0x86DD)),
    "ipv6-fragment": (0, ethernet(ipv6(b"\x06\0\0\x09" + bytes(4) + tcp(), 44), 0x86DD)),
    "ipv6-jumbo": (0, ethernet(ipv6(b"\x06\0\xc2\x04\0\x01\0\0" + tcp(), 0, 0), 0x86DD)),
    "null-v4": (1, b"\x02\0\0\0" + ipv4(tcp())),
    "null-v6": (1, b"\0\0\0\x1e" + ipv6(tcp())),
    "raw-v4": (2, ipv4(tcp())),
    "raw-v6": (3, ipv6(tcp())),
    "loop": (4, b"\0\0\0\x02" + ipv4(tcp())),
    "sll": (5, b"\0\4\0\1\0\6" + bytes(8) + b"\x08\0" + ipv4(tcp())),
    "link-ipv4": (6, ipv4(tcp())),
    "link-ipv6": (7, ipv6(tcp())),
    "sll2": (8, b"\x86\xdd" + bytes(18) + ipv6(tcp())),
    "link-unknown": (9, ipv4(tcp())),
}


def pcap(order, magic, packets, header=b""):
    out = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, 1)
    for i, data in enumerate(packets):
        out += struct.pack(order + "IIII", 1700000000 + i, 5, len(data), len(data) + i) + header + data
    return out


class Section:
    """One pcapng section."""

    def __init__(self, order):
        self.order = order
        self.out = b""
        self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def pack(self, form, *values):
        return struct.pack(self.order + form, *values)

    def block(self, kind, body):
        body += bytes(-len(body) % 4)
        n = len(body) + 12
        self.out += self.pack("II", kind, n) + body + self.pack("I", n)
        return self

    def interface(self, link=1, options=b""):
        return self.block(1, self.pack("HHI", link, 0, 65535) + options)

    def option(self, code, value):
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def enhanced(self, interface, ticks, data):
        return self.block(6, self.pack("IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF,
                                       len(data), len(data)) + data)

    def obsolete(self, interface, ticks, data):
        return self.block(2, self.pack("HHIIII", interface, 0, ticks >> 32, ticks & 0xFFFFFFFF,
                                       len(data), len(data)) + data)

    def simple(self, data):
        return self.block(3, self.pack("I", len(data)) + data)


def files():
    packets = [FRAMES["syn"][1], FRAMES["ethernet-ipv4"][1], b""]
    for name, order in (("le", "<"), ("be", ">")):
        yield f"us-{name}", pcap(order, 0xA1B2C3D4, packets)
        yield f"ns-{name}", pcap(order, 0xA1B23C4D, packets)
        yield f"modified-{name}", pcap(order, 0xA1B2CD34, packets, bytes(8))
        s = Section(order)
        s.interface().interface(113, s.option(9, b"\x09") + s.option(14, s.pack("q", -5)) + s.option(0, b""))
        s.enhanced(0, 1700000000000000, packets[0]).enhanced(1, 1700000000000000000, packets[1])
        s.obsolete(0, 1700000000000001, packets[1]).simple(packets[0]).block(0x0BADC0DE, b"skipped")
        yield f"ng-{name}", s.out
    binary = Section("<")
    binary.interface(1, binary.option(9, b"\x8a")).enhanced(0, 1536, packets[1])
    yield "ng-binary-time", binary.out
    one, other = Section("<").interface(), Section(">").interface(228)
    yield "ng-sections", one.enhanced(0, 1, packets[0]).out + other.enhanced(0, 2, packets[1]).out
    yield "truncated", pcap("<", 0xA1B2C3D4, packets)[:-20]
    yield "ng-length-mismatch", one.out[:-4] + b"\x40\0\0\0"
    yield "ng-long-unknown", Section("<").out + struct.pack("<II", 0x0BADC0DE, 0x200000) + bytes(64)
    yield "not-a-capture", b"GET / HTTP/1.1\r\n\r\n"


def write(folder, name, content):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as f:
        f.write(content)


for frame_name, (flags, frame) in FRAMES.items():
    write("decode", frame_name, bytes([flags]) + frame)
for file_name, data in files():
    write("pcap-file", file_name, data)
