#!/usr/bin/env python3
"""A TCP client that can be held in any state: it does the steps it is told, one after the other.

Bodies of responses go to standard output, so that the lab's stallcat can judge them. Exit status:
0 all steps done, 1 the connection was reset or ended too early, 2 timeout, 3 anything else.

	port:N          local port (SO_REUSEADDR); before connect
	rcvbuf:N        receive buffer, hence the window; before connect
	mptcp           IPPROTO_MPTCP; before connect
	keepalive       TCP keep-alive after a second; before connect
	isn:N           its own initial sequence number; before connect
	high_isn:N:NAME connects until the server's number is within N before 2^32; its port is in NAME, the number in NAME.seq
	get_wrap:TARGET GET; {hold} in it becomes so many bytes of body that the number is then 4000 before 2^32
	read_held       these bytes
	connect         (done by the first step that needs it)
	get:TARGET      GET, HTTP/1.1           get10:TARGET   GET, HTTP/1.0
	post:TARGET:N   the head of a POST of N bytes; put:TARGET:N
	body:N          N bytes of an upload    paced:N:RATE   the same, RATE bytes per second
	read:N          N bytes more of the body
	response        to the end of a body with Content-Length
	eof             to the end of the connection
	fin             shutdown(SHUT_WR)
	reset           close with a RST        again          a new socket for the next steps
	mark:NAME       creates NAME            await:NAME     until NAME exists
"""
import socket
import struct
import sys
import time
from pathlib import Path

STEP_TIMEOUT = 40
RESPONSE_HEAD = 230  # of tcp-server.py, about
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
TCP_RECV_QUEUE, TCP_SEND_QUEUE, TCP_REPAIR_OFF_NO_WP = 1, 2, -1
UPLOAD = bytes(range(256)) * 256


class Ended(Exception):
    pass


class Client:
    def __init__(self, host, port, marks):
        self.address = (host, port)
        self.marks = Path(marks)
        self.fresh()

    def fresh(self):
        self.sock = None
        self.connected = False
        self.options = []
        self.local_port = 0
        self.protocol = 0
        self.isn = None
        self.pending = b""  # read, not yet judged
        self.in_head = True
        self.left = 0  # of the body, by Content-Length

    def socket(self):
        if self.connected:
            return self.sock
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM, self.protocol)
        self.sock.settimeout(STEP_TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in self.options:
            self.sock.setsockopt(*option)
        if self.local_port:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(("", self.local_port))
        if self.isn is not None:
            self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
            self.sock.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("I", self.isn))
            self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
        self.sock.connect(self.address)
        self.connected = True
        return self.sock

    def send_head(self, first, *lines):
        head = "\r\n".join([first, f"Host: {self.address[0]}", *lines, "", ""])
        self.socket().sendall(head.encode())
        self.in_head = True

    # ---- what is received

    def more(self):
        data = self.socket().recv(65536)
        self.pending += data
        return bool(data)

    def head(self):
        while b"\r\n\r\n" not in self.pending:
            if not self.more():
                raise Ended("end of file in the head")
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        if " 200 " not in lines[0] + " ":
            raise Ended(lines[0])
        self.left = None
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                self.left = int(value)
        self.in_head = False

    def take(self, n):
        """n bytes of the body to standard output; None: all until the end."""
        if self.in_head:
            self.head()
        while n is None or n > 0:
            if not self.pending and not self.more():
                if n is None:
                    break
                raise Ended("end of file in the body")
            part = self.pending if n is None else self.pending[:n]
            self.pending = self.pending[len(part):]
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            if n is not None:
                n -= len(part)
            if self.left is not None:
                self.left -= len(part)

    # ---- steps

    def do_port(self, n):
        self.local_port = int(n)

    def do_rcvbuf(self, n):
        self.options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, int(n)))

    def do_mptcp(self):
        self.protocol = 262

    def do_keepalive(self):
        self.options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        self.options.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1))
        self.options.append((socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1))

    def do_isn(self, n):
        self.isn = int(n, 0)

    def received_seq(self):
        """The sequence number of the next byte of the server."""
        self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE)
        seq = self.sock.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ)
        self.sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP)
        return seq & 0xFFFFFFFF

    def do_high_isn(self, within, name):
        for _ in range(200000):
            self.socket()
            self.to_wrap = 2**32 - self.received_seq()
            if 200000 < self.to_wrap <= int(within):
                (self.marks / (name + ".seq")).write_text(str(2**32 - self.to_wrap))
                (self.marks / name).write_text(str(self.sock.getsockname()[1]))
                return
            self.do_reset()
            self.fresh()  # another port, another number
        raise Ended("no high initial sequence number")

    def do_get_wrap(self, target):
        self.held = self.to_wrap - RESPONSE_HEAD - 4000
        self.do_get(target.replace("{hold}", str(self.held)))

    def do_read_held(self):
        self.take(self.held)

    def do_connect(self):
        self.socket()

    def do_get(self, target):
        self.send_head(f"GET {target} HTTP/1.1")

    def do_get10(self, target):
        self.send_head(f"GET {target} HTTP/1.0")

    def do_post(self, target, n):
        self.send_head(f"POST {target} HTTP/1.1", f"Content-Length: {n}")

    def do_put(self, target, n):
        self.send_head(f"PUT {target} HTTP/1.1", f"Content-Length: {n}")

    def do_body(self, n):
        self.do_paced(n, 0)

    def do_paced(self, n, rate):
        n, rate = int(n), int(rate)
        while n > 0:
            part = UPLOAD[:min(n, rate // 50 if rate else n)]
            self.socket().sendall(part)
            n -= len(part)
            if rate:
                time.sleep(0.02)

    def do_read(self, n):
        self.take(int(n))

    def do_response(self):
        if self.in_head:
            self.head()
        self.take(self.left)

    def do_eof(self):
        self.take(None)
        if self.left:
            raise Ended(f"end of file, {self.left} bytes too early")

    def do_fin(self):
        self.socket().shutdown(socket.SHUT_WR)

    def do_reset(self):
        self.socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def do_again(self):
        if self.sock:
            self.sock.close()
        port = self.local_port
        self.fresh()
        self.local_port = port

    def do_mark(self, name):
        (self.marks / name).touch()

    def do_await(self, name):
        deadline = time.monotonic() + STEP_TIMEOUT
        while not (self.marks / name).exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited for {name}")
            time.sleep(0.005)


def main():
    host, port, marks, *steps = sys.argv[1:]
    client = Client(host, int(port), marks)
    step = ""
    try:
        for step in steps:
            name, *arguments = step.split(":", 2)
            getattr(client, "do_" + name)(*arguments)
        return 0
    except (TimeoutError, socket.timeout) as e:
        print(f"{step}: timeout: {e}", file=sys.stderr)
        return 2
    except (Ended, ConnectionError, OSError) as e:
        print(f"{step}: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
