#!/usr/bin/env python3
"""Gives the route to 10.9.0.0/24 on eth0 the feature tcp_usec_ts (Linux 6.7, which iproute2 6.1 cannot say):
connections over it have timestamps in microseconds. Exit status 1: the kernel does not know it."""
import socket
import struct
import sys

RTM_NEWROUTE, NLM_F = 24, 0x1 | 0x4 | 0x100 | 0x400  # request, ack, replace, create
RTA_DST, RTA_OIF, RTA_METRICS, RTAX_FEATURES, TCP_USEC_TS = 1, 4, 8, 12, 1 << 4


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def main():
    route = struct.pack("BBBBBBBBI", socket.AF_INET, 24, 0, 0, 254, 3, 253, 1, 0)
    route += attribute(RTA_DST, socket.inet_aton("10.9.0.0"))
    route += attribute(RTA_OIF, struct.pack("I", socket.if_nametoindex("eth0")))
    route += attribute(RTA_METRICS, attribute(RTAX_FEATURES, struct.pack("I", TCP_USEC_TS)))
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.send(struct.pack("IHHII", 16 + len(route), RTM_NEWROUTE, NLM_F, 1, 0) + route)
    (error,) = struct.unpack_from("i", s.recv(4096), 16)
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
