#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes appliance/drill/corpus/dry-run: small conversations for fuzz-dry-run, from nothing but this file."""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
SYN, FIN, RST, PSH, ACK, URG = 2, 1, 4, 8, 16, 32
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
OK = b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 50\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1"
BODY = bytes(range(65, 115))
OPTIONS = b"\x02\x04\x05\xb4\x04\x02\x01\x01\x01\x03\x03\x07"


class Talk:
    """One connection; positions are offsets of the streams, whatever the initial numbers."""

    def __init__(self, out, port=40000, isn=(1000, 5000), v6=False, options=OPTIONS, service=80):
        self.out, self.port, self.isn, self.v6, self.options, self.service = out, port, isn, v6, options, service
        self.said = [0, 0]

    def put(self, to_client, flags, seq, ack, payload=b"", options=b"", fragment=0):
        ports = (self.service, self.port) if to_client else (self.port, self.service)
        isn = self.isn[::-1] if to_client else self.isn
        numbers = [(isn[0] + 1 + seq) & 0xffffffff, (isn[1] + 1 + ack) & 0xffffffff if flags & ACK else 0]
        tcp = struct.pack(">HHIIBBHI", *ports, *numbers, (20 + len(options)) << 2, flags, 500, 0) + options + payload
        ends = [bytes([10, 1, 0, 7]), bytes([10, 9, 0, 1])] if not self.v6 else [
            b"\xfd\1" + bytes(13) + b"\7", b"\xfd\x09" + bytes(13) + b"\1"]
        ends = b"".join(ends[::-1] if to_client else ends)
        if self.v6:
            self.out.append(struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + ends + tcp)
        else:
            self.out.append(struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, fragment, 64, 6, 0) + ends + tcp)

    def c(self, flags, seq, ack, *more, **named):
        self.put(False, flags, seq, ack, *more, **named)

    def s(self, flags, seq, ack, *more, **named):
        self.put(True, flags, seq, ack, *more, **named)

    def open(self):
        self.c(SYN, -1, 0, options=self.options)
        self.s(SYN | ACK, -1, 0, options=self.options)
        self.c(ACK, 0, 0)
        return self

    def say(self, who, payload, flags=ACK | PSH, lacks=0):
        """The next bytes of "c" or "s"; everything of the other one has come but so many bytes."""
        to_client = who == "s"
        self.put(to_client, flags, self.said[to_client], self.said[not to_client] - lacks, payload)
        self.said[to_client] += len(payload) + (flags & FIN)

    def lines(self, text):
        """Line by line: who, a blank, what is said."""
        for line in text.strip().splitlines():
            self.say(line[0], line[2:].encode() + b"\r\n")
        return self

    def asked(self, question=GET):
        self.open().c(ACK | PSH, 0, 0, question)
        return self


def keep_alive(out):
    t = Talk(out).asked()
    answer, q = OK + BODY, len(GET)
    t.s(ACK, 0, q, answer)
    t.c(ACK | PSH, q, len(answer), GET + GET)
    t.s(ACK, len(answer), 3 * q, answer + OK + BODY[:7])
    t.c(ACK, 3 * q, len(answer) + 9)


def chunked(out):
    t = Talk(out, v6=True).asked()
    t.s(ACK, 0, len(GET), CHUNKED)
    t.s(ACK, len(CHUNKED), len(GET), b"0\r\nabcdefghij")


def out_of_order(out):
    t, a, q = Talk(out, isn=(0xfffffff0, 0xffffffe0)).asked(), OK + BODY, len(GET)
    t.s(ACK, 30, q, a[30:60])
    t.c(ACK, q, 0, options=b"\1\1\5\x0a" + struct.pack(">II", (t.isn[1] + 31) & 0xffffffff, (t.isn[1] + 61) & 0xffffffff))
    t.s(ACK, 0, q, a[:40])
    t.s(ACK, 50, q, a[50:])
    t.c(ACK, q, 60)


def other_bytes_again(out):
    t, q = Talk(out).asked(), len(GET)
    t.s(ACK, 0, q, OK)
    t.s(ACK, 0, q, OK.replace(b"50", b"60") + BODY)
    t.c(ACK, q - 3, len(OK), b"XYZW")


def holes(out):
    t, a, q = Talk(out).asked(), OK + BODY, len(GET)
    t.s(ACK, 0, q, a[:20])
    t.c(ACK, q, 40)
    t.s(ACK, 40, 2 * q, a[40:])
    t.c(ACK | PSH, 2 * q, len(a), GET)


def closing(out):
    t, a, q = Talk(out).asked(POST), OK + BODY, len(POST)
    t.c(FIN | ACK, q, 0)
    t.s(ACK, 0, q + 1, a)
    t.s(FIN | ACK, len(a), q + 1)
    t.c(ACK, q + 1, len(a) + 1)
    u = Talk(out, isn=(77777, 99999)).asked()
    u.s(RST | ACK, 0, len(GET))
    Talk(out, isn=(177777, 199999)).asked()


def marks(out):
    Talk(out, 40001).asked().c(ACK | URG, len(GET), 0, b"u")
    Talk(out, 40002, options=OPTIONS + b"\x1e\x0c\0\x81" + bytes(8)).asked()
    Talk(out, 40003).asked().s(ACK, 0, len(GET), b"x", options=b"\x13\x12" + bytes(16) + b"\1\1")
    Talk(out, 40004).c(ACK, 0, 0, GET)
    Talk(out, 40005).open()
    Talk(out, 40006).c(SYN, -1, 0)


def fragments(out):
    t = Talk(out).asked()
    t.s(ACK, 0, len(GET), OK, fragment=0x2000)
    Talk(out, v6=True).asked()


def zero_window(out):
    t, q = Talk(out).asked(), len(GET)
    t.s(ACK, 0, q, OK)
    t.c(ACK, q, len(OK))
    t.s(ACK, len(OK) - 1, q)
    t.c(ACK, q - 1, len(OK), b"\0")
    t.s(ACK, len(OK), q, BODY[:1])


MAIL = """
s 220 mx ESMTP
c EHLO c
s 250-mx
s 250-PIPELINING
s 250 CHUNKING
c MAIL FROM:<a@c>
s 250 ok
c RCPT TO:<b@mx>
s 250 ok
c DATA
s 354 go on
c Subject: x
c 
c ..dot
c .
s 250 queued as 1
c MAIL FROM:<a@c>
c RCPT TO:<b@mx>
s 250 ok
s 250 ok
c BDAT 4 LAST
c ab
s 250 queued as 2
c QUIT
s 221 bye
"""

def mail(out):
    Talk(out, service=25).open().lines(MAIL)


def detected(out):
    mail(out)
    keep_alive(out)


def said_again(out):
    t = Talk(out, service=6379).open()
    for question, answer in ((b"PING", b"+PONG"), (b"SET a 1", b"+OK"), (b"GET a", b"$1\r\n1")):
        t.say("c", question + b"\r\n")
        t.say("s", answer + b"\r\n")


LOGIN = """
s 220 ftp
c USER anonymous
s 331 password
c PASS x
s 230 in
c TYPE I
s 200 I
"""


def ftp_data(out, port, service, content):
    """Somebody sends all he has; both finish."""
    data = Talk(out, port, isn=(3000, 7000), service=service).open()
    data.say("s", content[:20])
    data.c(ACK, 0, 20)
    data.say("s", content[20:])
    data.say("s", b"", FIN | ACK)
    data.say("c", b"", FIN | ACK)


def files(out):
    t = Talk(out, service=21).open().lines(LOGIN)
    t.lines("c PASV\ns 227 Entering Passive Mode (10,9,0,1,156,64)\nc RETR a\ns 150 here")
    ftp_data(out, 40001, 40000, BODY)
    t.lines("s 226 done\nc CWD /b\ns 250 ok\nc EPSV\ns 229 Extended (|||40003|)\nc LIST\ns 150 here")
    ftp_data(out, 40004, 40003, b"-rw-r--r-- 1 0 0 50 Jan 1 00:00 a\r\n")
    t.lines("s 226 done\nc SIZE a\ns 550 none\nc QUIT\ns 221 bye")


IAC, SE, SB, WILL, DO = 255, 240, 250, 251, 253
ASKED = bytes([IAC, DO, 24, IAC, WILL, 1, IAC, WILL, 3, IAC, DO, 31])
AGREED = bytes([IAC, WILL, 24, IAC, DO, 1, IAC, DO, 3, IAC, WILL, 31, IAC, SB, 31, 0, 80, 0, 24, IAC, SE])


def login(out, lacks=0):
    t = Talk(out, service=23).open()
    t.say("s", ASKED)
    t.say("c", AGREED, lacks=lacks)
    t.say("s", bytes([IAC, SB, 24, 1, IAC, SE]))
    t.say("c", bytes([IAC, SB, 24, 0]) + b"xterm" + bytes([IAC, SE]))
    t.say("s", b"\r\nlogin: ")
    for key in b"ann":
        t.say("c", bytes([key]))
        t.say("s", bytes([key]))
    t.say("c", b"\r\0")
    t.say("s", b"\r\nPassword: ")
    t.say("c", b"x\r\0")
    t.say("s", b"\r\n$ ")


def half_an_option(out):
    """The client answers when only one byte of what it is asked has been acknowledged."""
    login(out, len(ASKED) - 1)


PROTOCOLS = ("http", "auto", "smtp", "replay", "ftp", "telnet")  # of fuzz-dry-run.c


def write(name, packets, protocol="http", sealed=0):
    zone = PROTOCOLS.index(protocol) | sealed << 8
    content = struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, zone, 0, 65535, 101)
    for i, p in enumerate(packets):
        ms = 7 * i
        content += struct.pack("<IIII", 1700000000 + ms // 1000, ms % 1000 * 1000, len(p), len(p)) + p
    with open(os.path.join(HERE, "dry-run", name), "wb") as f:
        f.write(content)


os.makedirs(os.path.join(HERE, "dry-run"), exist_ok=True)
for make in (keep_alive, chunked, out_of_order, other_bytes_again, holes, closing, marks, fragments, zero_window):
    written = []
    make(written)
    write(make.__name__.replace("_", "-"), written)
for make, protocol in ((mail, "smtp"), (detected, "auto"), (said_again, "replay"), (keep_alive, "http"),
                       (files, "ftp"), (login, "telnet"), (half_an_option, "telnet")):
    written = []
    make(written)
    write(f"{protocol}-{make.__name__}".replace("_", "-"), written, protocol, 1)
