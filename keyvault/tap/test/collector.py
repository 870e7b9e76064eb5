#!/usr/bin/env python3
"""A collector for tests: takes what taps say and prints it as lines of JSON.

	collector.py --socket PATH [--answer-ms N] [--hang] [--result stored|not-stored|not-allowed|refused]
	             [--wait-ms N] [--closed] [--drop-after N] [--mode OCTAL]

--hang welcomes, and never answers; --drop-after closes each connection after so many records. Each record's line has the time it came
("at") and the one it was answered ("answered"), both as captures tell time.
"""
import argparse
import heapq
import json
import os
import select
import socket
import struct
import sys
import time

HELLO, WELCOME, KEYS, ANSWER = 1, 2, 3, 4
RESULTS = ("stored", "not-stored", "not-allowed", "refused")
SECRETS = ("CLIENT_RANDOM", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
           "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")


class Bytes:
    def __init__(self, b):
        self.b, self.at = b, 0

    def take(self, n):
        if self.at + n > len(self.b):
            raise ValueError("it ends too early")
        self.at += n
        return self.b[self.at - n : self.at]

    def u(self, n):
        return int.from_bytes(self.take(n), "big")

    def ends(self):
        family = self.u(1)
        size, af = {4: (4, socket.AF_INET), 6: (16, socket.AF_INET6)}[family]
        return {k: [socket.inet_ntop(af, self.take(size)), self.u(2)] for k in ("server", "client")}


def keys(r):
    if r.u(1) != 1:
        raise ValueError("version")
    protocol = r.u(1)
    out = {"protocol": {1: "tls", 2: "ssh"}[protocol], **r.ends()}
    if protocol == 1:
        out["version"], out["suite"], out["resumed"] = r.u(2), r.u(2), r.u(1)
        out["random"] = r.take(32).hex()
        out["secrets"] = {SECRETS[r.u(1)]: r.take(r.u(1)).hex() for _ in range(r.u(1))}
    else:
        out["hash"] = {1: "sha1", 2: "sha256", 3: "sha384", 4: "sha512"}[r.u(1)]
        for name in ("k", "h", "id"):
            out[name] = r.take(r.u(2)).hex()
    if r.at != len(r.b):
        raise ValueError("it goes on")
    return out


def say(**what):
    print(json.dumps(what), flush=True)


class Collector:
    def __init__(self, o):
        self.o, self.later, self.records = o, [], {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.path.exists(o.socket):
            os.unlink(o.socket)
        self.listener.bind(o.socket + ".new")
        os.chmod(o.socket + ".new", int(o.mode, 8))
        self.listener.listen(128)
        os.rename(o.socket + ".new", o.socket)
        self.poll = select.poll()
        self.poll.register(self.listener, select.POLLIN)
        self.peers = {}

    def accept(self):
        s, _ = self.listener.accept()
        pid, uid, _ = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.peers[s.fileno()] = [s, {"pid": pid, "uid": uid}, 0]
        self.poll.register(s, select.POLLIN)

    def gone(self, s):
        if s.fileno() >= 0:
            self.poll.unregister(s)
            del self.peers[s.fileno()]
            s.close()

    @staticmethod
    def send(s, b):
        try:
            s.send(b)
        except OSError:
            pass  # a peer may end at any time

    def answer(self, s, number, record):
        if s.fileno() < 0:
            return
        # Before it is sent: behind that, this process may stand still while the server goes on.
        record["answered"] = time.time()
        self.send(s, struct.pack(">BBIB", 1, ANSWER, number, RESULTS.index(self.o.result)))
        say(record=record)

    def message(self, s, peer, b):
        r = Bytes(b)
        if r.u(1) != 1:
            raise ValueError("version")
        kind = r.u(1)
        if kind == HELLO:
            peer[1]["program"] = r.take(r.u(1)).decode()
            peer[1]["one"] = r.ends() if r.u(1) else None
            say(hello=peer[1])
            self.send(s, struct.pack(">BBIB", 1, WELCOME, self.o.wait_ms, self.o.closed))
            return
        if kind != KEYS or "program" not in peer[1]:
            raise ValueError("unexpected")
        number, record = r.u(4), {"at": time.time(), **peer[1]}
        record.update(keys(r_rest(r)))
        if self.o.hang:
            say(record=record)
        elif self.o.answer_ms:
            heapq.heappush(self.later, (record["at"] + self.o.answer_ms / 1000, id(record), s, number, record))
        else:
            self.answer(s, number, record)
        peer[2] += 1
        if self.o.drop_after and peer[2] >= self.o.drop_after:
            self.gone(s)

    def run(self):
        while True:
            wait = max(0, self.later[0][0] - time.time()) * 1000 if self.later else None
            for fd, _ in self.poll.poll(wait):
                if fd == self.listener.fileno():
                    self.accept()
                    continue
                peer = self.peers[fd]
                try:
                    b = peer[0].recv(65536)
                except OSError:
                    b = b""
                try:
                    self.message(peer[0], peer, b) if b else self.gone(peer[0])
                except (ValueError, KeyError, IndexError) as e:
                    say(malformed=repr(e), bytes=b.hex())
                    self.gone(peer[0])
            while self.later and self.later[0][0] <= time.time():
                self.answer(*heapq.heappop(self.later)[2:])


def r_rest(r):
    return Bytes(r.take(len(r.b) - r.at))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--socket", required=True)
    p.add_argument("--answer-ms", type=float, default=0)
    p.add_argument("--hang", action="store_true")
    p.add_argument("--result", choices=RESULTS, default="stored")
    p.add_argument("--wait-ms", type=int, default=50)
    p.add_argument("--closed", action="store_true")
    p.add_argument("--mode", default="600")
    p.add_argument("--drop-after", type=int, default=0)
    collector = Collector(p.parse_args())
    say(ready=True)
    try:
        collector.run()
    except KeyboardInterrupt:
        sys.exit(0)


main()
