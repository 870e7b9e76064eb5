#!/usr/bin/env python3
"""Connections that are open before the appliance looks: many kinds, one thread each.

Usage: oldclient.py HOST DIRECTORY CONTROL ROLE=COUNT...

DIRECTORY holds the files that are asked for. CONTROL is the beginning of the names of four files: CONTROL.open appears when
every connection has had its first answer, CONTROL.ready when it is in its phase (for which it waits for CONTROL.go),
and once CONTROL.go-on is there each goes on to its end. Roles:

  idle      asks for files now and then, waits at the cut, asks again
  body      the same, and is in the middle of a body at the cut
  upload    the same as idle; then sends a large body, and asks again
  small     the same as idle, but its answers are so small that they prove nothing
  busy      asks all the time
  download  is in the middle of a body from before the box on
  silent    says nothing between the box's start and the cut

One JSON line for each connection: {"role", "port", "fate": "ok" | "reset" | "hung" | "wrong", "ms", "why"}
"""
import json
import os
import socket
import sys
import threading
import time

PAUSE = 1.2  # longer than what the module takes for a pause
PATIENCE = 25
UPLOAD = 900_000


class Connection(threading.Thread):
    def __init__(self, host, directory, control, role):
        super().__init__(daemon=True)
        self.directory, self.control, self.role = directory, control, role
        self.opened, self.ready = threading.Event(), threading.Event()
        self.fate, self.why, self.ms = "hung", "", 0
        self.socket = socket.create_connection((host, 80))
        self.socket.settimeout(PATIENCE)
        self.buffer = b""

    def wait_file(self, name):
        while not os.path.exists(f"{self.control}.{name}"):
            time.sleep(0.01)

    def read(self, n):
        data = self.socket.recv(n)
        if not data:
            raise ConnectionResetError("closed by the server")
        return data

    def send(self, path, method="GET", body=b""):
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(f"{method} /{path} HTTP/1.1\r\nHost: lab\r\n{length}\r\n".encode() + body)

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.read(65536)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        length = [int(line.split(":")[1]) for line in lines[1:] if line.lower().startswith("content-length:")]
        return int(lines[0].split()[1]), length[0]

    def body(self, n):
        while len(self.buffer) < n:
            self.buffer += self.read(1 << 20)
        body, self.buffer = self.buffer[:n], self.buffer[n:]
        return body

    def expect(self, path, body):
        with open(os.path.join(self.directory, os.path.basename(path)), "rb") as f:
            if f.read() != body:
                raise ValueError(f"{path}: other bytes")

    def get(self, path):
        self.send(path)
        status, length = self.head()
        if status != 200:
            raise ValueError(f"{path}: status {status}")
        self.expect(path, self.body(length))

    def begin(self, path):
        self.send(path)
        _, length = self.head()
        return length, self.body(300_000)

    def before(self):
        """To the phase; what is left of a body that is under way."""
        left = None
        if self.role == "download":
            left = self.begin("paced/20m.bin")
        else:
            self.get("100k.bin" if self.role != "small" else "1k.bin")
        self.opened.set()
        self.wait_file("go")
        if self.role in ("idle", "body", "upload", "small"):
            for _ in range(4):
                time.sleep(PAUSE)
                self.get("100k.bin" if self.role != "small" else "1k.bin")
        if self.role == "body":
            left = self.begin("paced/20m.bin")
        self.ready.set()
        while self.role in ("busy", "download") and not os.path.exists(self.control + ".go-on"):
            time.sleep(0.03)
            if self.role == "busy":
                self.get("100k.bin")
            else:  # so slowly that it lasts
                self.buffer += self.read(32768)
        return left

    def after(self, left):
        self.wait_file("go-on")
        start = time.monotonic()
        try:
            if left:
                self.expect("20m.bin", left[1] + self.body(left[0] - len(left[1])))
            if self.role == "upload":
                self.send("1k.bin", "POST", b"GET / HTTP/1.1\r\n\r\n" * (UPLOAD // 18))
                status, length = self.head()
                self.body(length)
                if status != 405:
                    raise ValueError(f"upload: status {status}")
            self.get("1m.bin")
            self.get("100k.bin")
        finally:
            self.ms = round((time.monotonic() - start) * 1000)

    def run(self):
        try:
            self.after(self.before())
            self.fate = "ok"
        except (ConnectionError, BrokenPipeError) as e:
            self.fate, self.why = "reset", str(e)
        except TimeoutError:
            self.fate = "hung"
        except ValueError as e:
            self.fate, self.why = "wrong", str(e)
        self.opened.set()
        self.ready.set()


def main():
    host, directory, control = sys.argv[1:4]
    all_ = []
    for item in sys.argv[4:]:
        role, count = item.split("=")
        all_ += [Connection(host, directory, control, role) for _ in range(int(count))]
    for c in all_:
        c.start()
    for name, event in (("open", "opened"), ("ready", "ready")):
        for c in all_:
            getattr(c, event).wait()
        open(f"{control}.{name}", "w").close()
    for c in all_:
        c.join()
        port = c.socket.getsockname()[1] if c.socket.fileno() >= 0 else 0
        print(json.dumps({"role": c.role, "port": port, "fate": c.fate, "ms": c.ms, "why": c.why}))


main()
