#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""h2-client HOST PORT MARKS NAME STEP...

One connection in HTTP/2 with prior knowledge, by python3-h2. Steps, one after the other:

	get:PATH          asked at once; all that are open run side by side
	put:PATH:BYTES    uploads so many bytes, whose value is that of their place, modulo 251; in small steps until MARKS/after
	                  is there
	reach:BYTES       until each open download has so many
	mark              makes the file MARKS/NAME
	await:FILE        until MARKS/FILE is there
	done              until nothing is open any more

For each request one line: its path, status, how many bytes, their SHA-256. Exit status 1 when the server has reset
something, or ended early."""
import hashlib
import os
import select
import socket
import sys

import h2.config
import h2.connection
import h2.events


class Client:
    def __init__(self, host, port, hurry):
        self.hurry = hurry
        self.sock = socket.create_connection((host, port))
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.host = host
        self.h2.initiate_connection()
        self.open, self.lines = {}, []

    def flush(self):
        out = self.h2.data_to_send()
        if out:
            self.sock.sendall(out)

    def ask(self, method, path, upload=0):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", self.host), (":path", path)]
        if upload:
            head.append(("content-length", str(upload)))
        self.h2.send_headers(stream, head, end_stream=not upload)
        self.open[stream] = {"path": path, "status": "-", "n": 0, "sum": hashlib.sha256(), "upload": upload, "sent": 0}
        self.lines.append(self.open[stream])

    def send_uploads(self):
        for stream, s in self.open.items():
            while s["sent"] < s["upload"]:
                n = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, s["upload"] - s["sent"])
                if not os.path.exists(self.hurry):
                    n = min(n, 4000)
                if n <= 0:
                    break
                self.h2.send_data(stream, bytes(i % 251 for i in range(s["sent"], s["sent"] + n)))
                s["sent"] += n
                if s["sent"] == s["upload"]:
                    self.h2.end_stream(stream)
                elif not os.path.exists(self.hurry):
                    break

    def take(self, e):
        s = self.open.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.ConnectionTerminated):
            sys.exit(f"the server leaves: {e.error_code}")
        if s is None:
            return
        if isinstance(e, h2.events.ResponseReceived):
            s["status"] = dict(e.headers)[":status"]
        elif isinstance(e, h2.events.DataReceived):
            s["n"] += len(e.data)
            s["sum"].update(e.data)
            if e.flow_controlled_length:
                self.h2.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamEnded):
            del self.open[e.stream_id]
        elif isinstance(e, h2.events.StreamReset):
            sys.exit(f"{s['path']}: reset, error {e.error_code}, after {s['n']} bytes")

    def until(self, condition):
        while not condition():
            self.send_uploads()
            self.flush()
            if not select.select([self.sock], [], [], 0.02)[0]:
                continue
            b = self.sock.recv(65536)
            if not b:
                sys.exit("the server has ended")
            for e in self.h2.receive_data(b):
                self.take(e)
        self.flush()

    def downloads_have(self, n):
        return all(s["n"] >= n for s in self.open.values() if not s["upload"])


def main(host, port, marks, name, steps):
    c = Client(host, int(port), os.path.join(marks, "after"))
    for step in steps:
        what, _, rest = step.partition(":")
        if what == "get":
            c.ask("GET", rest)
        elif what == "put":
            path, _, n = rest.partition(":")
            c.ask("PUT", path, int(n))
        elif what == "reach":
            c.until(lambda: c.downloads_have(int(rest)))
        elif what == "mark":
            open(os.path.join(marks, name), "w").close()
        elif what == "await":
            c.until(lambda: os.path.exists(os.path.join(marks, rest)))
        elif what == "done":
            c.until(lambda: not c.open)
    for s in c.lines:
        print(s["path"], s["status"], s["n"], s["sum"].hexdigest())


main(*sys.argv[1:5], sys.argv[5:])
