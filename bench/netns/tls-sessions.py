#!/usr/bin/env python3
"""Holds TLS sessions open, half of them of TLS 1.2, half of 1.3; each has had an answer of HTTP.

	tls-sessions.py HOST:PORT N KEYLOG

Says "ready" when all are there, and ends, closing them, at the end of its standard input.
"""
import socket
import ssl
import sys

host, port = sys.argv[1].rsplit(":", 1)
held = []
for i in range(int(sys.argv[2])):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2 if i % 2 else ssl.TLSVersion.TLSv1_3
    context.keylog_filename = sys.argv[3]
    s = context.wrap_socket(socket.create_connection((host, int(port)), 10))
    s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    assert s.recv(4096).startswith(b"HTTP/1.1 200"), "no answer"
    held.append(s)
print("ready", flush=True)
sys.stdin.read()
