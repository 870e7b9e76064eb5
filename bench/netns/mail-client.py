#!/usr/bin/python3
"""One SMTP session, by smtplib or by hand.

mail-client.py CLIENT FROM_PORT PORT MARKS STEP...
	CLIENT     smtplib or socket
	FROM_PORT  of this client
	PORT       of the service on 10.9.0.1
	MARKS      a folder; a mark is a file in it

Steps, in order. The code of each reply that is heard goes to standard output.
	mark:NAME await:NAME
	smtplib:	mail:ID:SIZE	a whole mail; told 4xx, once more
	socket:		say:TEXT	send it (escapes of Python)
		hear:N		that many replies
		tls		shakes hands, behind STARTTLS
		text:ID:SIZE:FROM:TO	that part of a mail; TO 0: to the end, and the final dot; -1: without a dot
		bdat:ID:SIZE:FROM:TO	that part as a chunk, the last one says LAST
		chunk:ID:SIZE:FROM:TO:HALF	the chunk up to HALF only; text: sends the rest

A mail ID SIZE is always the same one. Its lines begin with dots now and then.
"""
import os
import random
import smtplib
import socket
import ssl
import sys
import time


def mail(name, size):
    r = random.Random(name)
    lines = ["X-Test: %s" % name, "Subject: test", ""]
    n = sum(len(line) + 2 for line in lines)
    while n < size:
        line = "." * r.randrange(3) + "%x" % r.getrandbits(r.choice([8, 100, 250, 280]))
        lines.append(line)
        n += len(line) + 2
    return ("\r\n".join(lines) + "\r\n").encode()


def stuffed(b):
    b = b.replace(b"\r\n.", b"\r\n..")
    return b


class Client:
    def __init__(self, port, marks):
        self.port, self.marks = port, marks

    def step(self, name, words):
        if name == "mark":
            open(os.path.join(self.marks, words[0]), "w").close()
        elif name == "await":
            while not os.path.exists(os.path.join(self.marks, words[0])):
                time.sleep(0.01)
        else:
            getattr(self, name)(*words)


class Lib(Client):
    def __init__(self, port, own, marks):
        super().__init__(port, marks)
        self.s = smtplib.SMTP("10.9.0.1", port, local_hostname="lib.example.org", timeout=30, source_address=("", own))

    def mail(self, name, size):
        try:
            self.s.sendmail("a@example.org", ["user@example.net"], mail(name, int(size)))
            print(250)
        except smtplib.SMTPResponseException as e:
            print(e.smtp_code)
            if e.smtp_code // 100 != 4:
                raise
            self.s.sendmail("a@example.org", ["user@example.net"], mail(name, int(size)))
            print(250)


class Socket(Client):
    def __init__(self, port, own, marks):
        super().__init__(port, marks)
        self.s = socket.socket()
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.bind(("", own))
        self.s.settimeout(30)
        self.s.connect(("10.9.0.1", port))
        self.f = self.s.makefile("rb")

    def say(self, *words):
        self.s.sendall(":".join(words).encode().decode("unicode_escape").encode("latin1"))

    def tls(self):
        x = ssl.create_default_context()
        x.check_hostname, x.verify_mode = False, ssl.CERT_NONE
        self.s = x.wrap_socket(self.s)
        self.f = self.s.makefile("rb")
        print("tls", flush=True)

    def hear(self, n):
        for _ in range(int(n)):
            while True:
                line = self.f.readline()
                if not line.endswith(b"\r\n") or not line[:3].isdigit():
                    sys.exit("no reply: %r" % line)
                print(line.decode(errors="replace").rstrip(), file=sys.stderr)
                if line[3:4] != b"-":
                    break
            print(line[:3].decode(), flush=True)

    def text(self, name, size, begin, end):
        b, end = stuffed(mail(name, int(size))), int(end)
        self.s.sendall(b[int(begin):end if end > 0 else len(b)] + (b".\r\n" if end == 0 else b""))

    def part(self, name, size, begin, end):
        b, end = mail(name, int(size)), int(end)
        return b[int(begin):end or len(b)], end == 0

    def bdat(self, name, size, begin, end):
        b, last = self.part(name, size, begin, end)
        self.s.sendall(b"BDAT %d%s\r\n" % (len(b), b" LAST" if last else b"") + b)

    def chunk(self, name, size, begin, end, half):
        b, last = self.part(name, size, begin, end)
        half = int(half)
        self.s.sendall(b"BDAT %d%s\r\n" % (len(b), b" LAST" if last else b"") + b[:half])
        self.rest_of_chunk = b[half:]

    def rest(self):
        self.s.sendall(self.rest_of_chunk)


def main(kind, own, port, marks, *steps):
    if kind == "write":  # mail-client.py write ID SIZE FILE: the mail as a file, its lines ended by LF
        with open(marks, "wb") as f:
            f.write(mail(own, int(port)).replace(b"\r\n", b"\n"))
        return
    c = (Lib if kind == "smtplib" else Socket)(int(port), int(own), marks)
    for step in steps:
        name, *words = step.split(":")
        c.step(name, words)


main(*sys.argv[1:])
