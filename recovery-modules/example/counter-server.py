#!/usr/bin/env python3
"""The server that counter.so recovers: each connection has a total. counter-server.py PORT"""
import re
import socketserver
import sys


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        total = 0
        for line in self.rfile:
            number = re.fullmatch(rb"add (\d{1,19})\n", line)
            if number:
                total = (total + int(number[1])) % 2**64
            # In two pieces, so that an answer can be cut.
            self.wfile.write(b"= " if number else b"?")
            self.wfile.write(b"%d\n" % total if number else b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    disable_nagle_algorithm = True
    request_queue_size = 64


Connection.disable_nagle_algorithm = True
Server(("", int(sys.argv[1])), Connection).serve_forever()
