#!/usr/bin/env python3
"""Puts forged segments of a TCP connection on the wire, as somebody who sees it can.

	forge.py INTERFACE PORT MARKS NAME WHAT...

Watches what leaves on INTERFACE from or to the client's PORT. When MARKS/NAME is there, one segment of each
WHAT follows at the next sequence number; then MARKS/NAME.done is made. WHAT is data, rst or fin, a colon, and
what is wrong with it: sum (the TCP checksum), ipsum, mac (for somebody else), noack, window (500 further).
"""
import os
import select
import socket
import struct
import sys

ETH_P_ALL = 3
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def sum16(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def own_segment(frame, port):
    """Ethernet, addresses, ports, numbers and options of an IPv4 segment that this port has sent or gets."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return None
    ip = frame[14:]
    tcp = ip[(ip[0] & 15) * 4:struct.unpack("!H", ip[2:4])[0] or len(ip)]
    source, target, seq, ack = struct.unpack("!HHII", tcp[:12])
    header = (tcp[12] >> 4) * 4
    if port not in (source, target) or tcp[13] & SYN:
        return None
    end = (seq + len(tcp) - header + (tcp[13] & FIN)) & 0xFFFFFFFF
    return {"ethernet": frame[:14], "addresses": ip[12:20], "ports": tcp[:4], "end": end, "ack": ack, "options": tcp[20:header]}


def forged(seen, what):
    kind, wrong = what.split(":")
    flags = {"data": PSH, "rst": RST, "fin": FIN}[kind] | (0 if wrong == "noack" else ACK)
    payload = b"forged, and for nobody" if kind == "data" else b""
    seq = (seen["end"] + (500 if wrong == "window" else 0)) & 0xFFFFFFFF
    options = seen["options"]
    tcp = seen["ports"] + struct.pack("!IIBBHHH", seq, seen["ack"] if flags & ACK else 0, (20 + len(options)) // 4 << 4,
                                      flags, 500, 0, 0) + options + payload
    right = sum16(seen["addresses"] + struct.pack("!HH", 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", right ^ (0x1234 if wrong == "sum" else 0)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0x4000, 64, 6, 0) + seen["addresses"]
    ip = ip[:10] + struct.pack("!H", sum16(ip) ^ (0x1234 if wrong == "ipsum" else 0)) + ip[12:]
    ethernet = seen["ethernet"]
    if wrong == "mac":
        ethernet = b"\x02\x66\x66\x66\x66\x66" + ethernet[6:]
    return ethernet + ip + tcp


def drained(wire):
    return not select.select([wire], [], [], 0)[0]


def main():
    interface, port, mark = sys.argv[1], int(sys.argv[2]), os.path.join(sys.argv[3], sys.argv[4])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    wire.bind((interface, ETH_P_ALL))
    wire.settimeout(0.05)
    seen = None
    open(mark + ".ready", "w").close()
    while True:
        asked = os.path.exists(mark)
        try:
            frame, address = wire.recvfrom(1 << 17)
            if address[2] == socket.PACKET_OUTGOING:
                seen = own_segment(frame, port) or seen
            empty = False
        except socket.timeout:
            empty = True
        if seen and asked and (empty or drained(wire)):
            break
    for what in sys.argv[5:]:
        wire.send(forged(seen, what))
    open(mark + ".done", "w").close()


if __name__ == "__main__":
    main()
