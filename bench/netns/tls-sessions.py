#!/usr/bin/env python3
"""Holds TLS sessions open, half of them of TLS 1.2, half of 1.3; each has had an answer of HTTP.

	tls-sessions.py HOST:PORT N KEYLOG

Says "ready" when all are there, and ends, closing them, at the end of its standard input. A line there is one more request
in each: says how many were answered. The line "end" is the end.
"""
import socket
import ssl
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
host, port = sys.argv[1].rsplit(":", 1)
held = []
for i in range(int(sys.argv[2])):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2 if i % 2 else ssl.TLSVersion.TLSv1_3
    context.keylog_filename = sys.argv[3]
    s = context.wrap_socket(socket.create_connection((host, int(port)), 10))
    s.sendall(REQUEST)
    assert s.recv(4096).startswith(b"HTTP/1.1 200"), "no answer"
    held.append(s)
print("ready", flush=True)
for line in sys.stdin:
    if line == "end\n":
        break
    answered = 0
    for s in held:
        try:
            s.sendall(REQUEST)
            answered += s.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            pass
    print("answered", answered, flush=True)
