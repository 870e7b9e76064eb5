#!/usr/bin/env python3
"""A client that keeps one connection for everything, as browsers do: Python's http.client.

	http-client.py HOST PORT LOCAL-PORT MARKS STEP...

Bodies of responses go to standard output. Exit status 0: all steps done, on that connection.

	get:TARGET        put:TARGET:FILE:MARK  uploads FILE in chunks; halfway it creates MARK, and waits for `after`
	parts:TARGET:RANGES:MARK  several ranges, whose bytes are written; after some it creates MARK, and waits for `after`
	mark:NAME         creates MARKS/NAME    await:NAME  until it exists
"""
import http.client
import re
import sys
import time
from pathlib import Path

host, port, local_port, marks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
connection = http.client.HTTPConnection(host, port, timeout=40, source_address=("", local_port))
connection.auto_open = 0
connection.connect()


def await_mark(name):
    while not (marks / name).exists():
        time.sleep(0.005)


def chunks(data, name):
    half, size = len(data) // 2, 10000
    for at in list(range(0, half, size)) + [None] + list(range(half // size * size + size, len(data), size)):
        if at is None:
            (marks / name).touch()
            await_mark("after")
        else:
            yield data[at:at + size]


def respond():
    response = connection.getresponse()
    body = response.read()
    if response.status // 100 != 2:
        sys.exit(f"{response.status} {response.reason}")
    return body


def parts_of(response, body):
    """The bytes of a multipart/byteranges body, read as strictly as it gets."""
    boundary = b"--" + response.headers.get_boundary().encode()
    pieces = (b"\r\n" + body).removeprefix(b"\r\n\r\n").removeprefix(b"\r\n").split(b"\r\n" + boundary)
    pieces[0] = pieces[0].removeprefix(boundary)
    if pieces.pop() != b"--\r\n":
        sys.exit("the last boundary is missing")
    for piece in pieces:
        head, data = piece.split(b"\r\n\r\n", 1)
        ranges = re.search(rb"(?i)\r\ncontent-range: bytes (\d+)-(\d+)/\d+", head)
        if int(ranges[2]) - int(ranges[1]) + 1 != len(data):
            sys.exit(f"a part of {len(data)} bytes is called {ranges[0]}")
        yield data


for step in sys.argv[5:]:
    name, *arguments = step.split(":")
    if name == "get":
        connection.request("GET", arguments[0], headers={"Accept-Encoding": "identity"})
        sys.stdout.buffer.write(respond())
        sys.stdout.buffer.flush()
    elif name == "put":
        data = Path(arguments[1]).read_bytes()
        connection.request("PUT", arguments[0], body=chunks(data, arguments[2]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        respond()
    elif name == "parts":
        connection.request("GET", arguments[0], headers={"Range": "bytes=" + arguments[1]})
        response = connection.getresponse()
        body = response.read(300000)
        (marks / arguments[2]).touch()
        await_mark("after")
        sys.stdout.buffer.write(b"".join(parts_of(response, body + response.read())))
    elif name == "mark":
        (marks / arguments[0]).touch()
    elif name == "await":
        await_mark(arguments[0])
