#!/usr/bin/env python3
"""late-relay.py PORT HOST:PORT MS: a TCP relay on 127.0.0.1 that brings answers later by so many milliseconds."""
import heapq
import select
import socket
import sys
import time

port, (host, to), late = int(sys.argv[1]), sys.argv[2].rsplit(":", 1), float(sys.argv[3]) / 1000
listener = socket.create_server(("127.0.0.1", port), backlog=16)
poll = select.poll()
poll.register(listener, select.POLLIN)
other, server_side, queue, order = {}, set(), [], 0


def close(s):
    for x in (s, other.pop(s, None)):
        if x is not None and x.fileno() >= 0:
            poll.unregister(x)
            other.pop(x, None)
            x.close()


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        close(s)


def accept():
    a = listener.accept()[0]
    try:
        b = socket.create_connection((host, int(to)), 2)
    except OSError:
        a.close()
        return
    server_side.add(b)
    for x, y in ((a, b), (b, a)):
        x.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other[x] = y
        poll.register(x, select.POLLIN)


def by_number(fd):
    return next((s for s in other if s.fileno() == fd), None)


while True:
    wait = max(0, queue[0][0] - time.monotonic()) * 1000 if queue else None
    for fd, _ in poll.poll(wait):
        if fd == listener.fileno():
            accept()
            continue
        s = by_number(fd)
        if s is None:
            continue
        try:
            data = s.recv(65536)
        except OSError:
            data = b""
        if not data:
            close(s)
        elif s in server_side:
            order += 1
            heapq.heappush(queue, (time.monotonic() + late, order, other[s], data))
        else:
            send(other[s], data)
    while queue and queue[0][0] <= time.monotonic():
        _, _, s, data = heapq.heappop(queue)
        if s.fileno() >= 0:
            send(s, data)
