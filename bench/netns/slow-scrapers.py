#!/usr/bin/env python3
# Clients of the metrics port that keep a connection and do nothing with it.
#	slow-scrapers.py HOST PORT COUNT ADDRESS...
# COUNT of them, from these addresses in turn: silent ones, ones that send a byte each 0.2 s, ones that ask much and read
# nothing. "all here" on standard output when each has been connected; whoever is closed is back after 0.1 s.
# With COUNT 1 it is one that drips, and the seconds until it was closed are printed.
import select
import socket
import sys
import time

PAUSE = 0.2
BACK = 0.1
host, port, count, own = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]


class Client:
    def __init__(self, number):
        self.address = own[number % len(own)]
        self.kind = "drip" if count == 1 else ("silent", "drip", "deaf")[number // len(own) % 3]
        self.socket = None
        self.next = 0

    def connect(self):
        self.socket = socket.socket()
        if self.kind == "deaf":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(5)
        self.socket.bind((self.address, 0))
        self.socket.connect((host, port))
        self.socket.setblocking(False)
        self.next = 0
        if self.kind != "silent":
            self.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + (b"X: " if self.kind == "drip" else b"\r\n"))

    def send(self, data):
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def close(self):
        self.socket.close()
        self.socket = None
        self.next = time.monotonic() + BACK

    def step(self, now):
        if now < self.next:
            return
        if self.socket is None:
            self.connect()
        self.next = now + PAUSE
        if self.kind == "drip":
            self.send(b"x")
        elif self.kind == "deaf":
            self.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

    def look(self):
        """One that does not read sees a reset only."""
        try:
            if self.socket and self.kind != "deaf" and self.socket.recv(65536) == b"":
                self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()


clients = [Client(i) for i in range(count)]
for client in clients:
    client.connect()
begun = time.monotonic()
print("all here", flush=True)
while count > 1 or clients[0].socket:
    ready = {c.socket: c for c in clients if c.socket and c.kind != "deaf"}
    for s in select.select(list(ready), [], [], 0.02)[0]:
        ready[s].look()
    for client in clients:
        if count > 1 or client.socket:
            client.step(time.monotonic())
print(f"{time.monotonic() - begun:.1f}")
