#!/usr/bin/python3
"""One conversation with a deterministic server, through a stock client library or a plain socket.

replay-client.py CLIENT PORT MARKS STEP...
	CLIENT     redis, memcache (the libraries) or plain
	PORT       of the service on $HOST, by default 10.9.0.1
	MARKS      a folder; a mark is a file in it

Steps, in order. What is received is written to standard output.
	CMD:A:B    redis: the command with its arguments; memcache: the method
	say:TEXT   plain: send it (escapes of Python)
	hear:N     plain: receive N bytes
	slow:N:R   plain: receive N bytes, R a second
	mark:NAME  make a mark
	await:NAME wait for one
	end        plain: everything up to the end of the stream
The connection is one, from the port $FROM: a library that connects a second time is an error.
"""
import os
import socket
import sys
import time

HOST = os.environ.get("HOST", "10.9.0.1")
made = []


class Once(socket.socket):
    def connect(self, address):
        made.append(address)
        if len(made) > 1:
            sys.exit("a second connection")
        self.bind(("", int(os.environ["FROM"])))
        super().connect(address)


class Redis:
    def __init__(self, port):
        import redis
        self.c = redis.Redis(HOST, port, socket_timeout=20, single_connection_client=True)

    def step(self, words):
        return repr(self.c.execute_command(*words))


class Memcache:
    def __init__(self, port):
        from pymemcache.client.base import Client
        self.c = Client((HOST, port), timeout=20, default_noreply=False)

    def step(self, words):
        if words[0] == "incr":
            words[2] = int(words[2])
        return repr(getattr(self.c, words[0])(*words[1:]))


class Plain:
    def __init__(self, port):
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.s.settimeout(20)
        self.s.connect((HOST, port))

    def hear(self, n, rate=0):
        start, got = time.monotonic(), 0
        while got < n:
            b = self.s.recv(min(n - got, 16384))
            if not b:
                sys.exit("the stream ends")
            got += len(b)
            sys.stdout.buffer.write(b)
            sys.stdout.buffer.flush()
            if rate:
                time.sleep(max(0, start + got / rate - time.monotonic()))

    def step(self, words):
        if words[0] == "say":
            self.s.sendall(":".join(words[1:]).encode().decode("unicode_escape").encode("latin1"))
        elif words[0] == "hear":
            self.hear(int(words[1]))
        elif words[0] == "slow":
            self.hear(int(words[1]), int(words[2]))
        elif words[0] == "end":
            while b := self.s.recv(16384):
                sys.stdout.buffer.write(b)
        return None


def main(kind, port, marks, steps):
    socket.socket = Once
    c = {"redis": Redis, "memcache": Memcache, "plain": Plain}[kind](int(port))
    for step in steps:
        words = step.split(":")
        if words[0] == "mark":
            open(os.path.join(marks, words[1]), "w").close()
        elif words[0] == "await":
            while not os.path.exists(os.path.join(marks, words[1])):
                time.sleep(0.01)
        else:
            said = c.step(words)
            if said is not None:
                print(said, flush=True)
    sys.stdout.flush()


main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
