#!/usr/bin/env python3
"""Tags and untags frames between two interfaces, as an access port of a switch and a VLAN device do.

	vlan-relay.py TRUNK ACCESS VID LATE-MS

For kernels without 802.1Q devices. What comes from ACCESS leaves on TRUNK with one tag more; what comes
from TRUNK with this tag leaves on ACCESS without it, LATE-MS later once there was a SIGUSR1.
"""
import collections
import os
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 1, 1
AUXDATA = struct.Struct("@IIIHHHH")
VLAN_VALID = 1 << 4


def raw(interface):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    s.bind((interface, ETH_P_ALL))
    membership = struct.pack("iHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b"")
    s.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    return s


def receive(s):
    """A frame, and the outermost tag, which the kernel takes off it; None: it had none."""
    frame, ancillary, _, _ = s.recvmsg(65536, socket.CMSG_SPACE(AUXDATA.size))
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[:AUXDATA.size])
            if status & VLAN_VALID:
                return frame, (tpid, tci)
    return frame, None


def tagged(frame, tpid, tci):
    return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]


def main():
    trunk, access, vid = raw(sys.argv[1]), raw(sys.argv[2]), int(sys.argv[3])
    delay, late = 0.0, collections.deque()

    def become_late(*_):
        nonlocal delay
        delay = float(sys.argv[4]) / 1000

    # It stands for a switch, which waits for no other process.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    signal.signal(signal.SIGUSR1, become_late)
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        for s in select.select([trunk, access], [], [], wait)[0]:
            frame, tag = receive(s)
            if s is access:
                inner = tagged(frame, *tag) if tag else frame
                trunk.send(tagged(inner, 0x8100, vid))
            elif tag and tag[1] & 0xFFF == vid:
                if delay:
                    late.append((time.monotonic() + delay, frame))
                else:
                    access.send(frame)
        while late and late[0][0] <= time.monotonic():
            access.send(late.popleft()[1])


if __name__ == "__main__":
    main()
