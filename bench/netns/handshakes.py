#!/usr/bin/env python3
"""handshakes.py HOST PORT THREADS DIR: handshakes of TLS, one connection and one request each, until it is ended by SIGTERM.

DIR/served: the key log of those that were answered. DIR/count: how many were, as it goes on. At the end a line of JSON: served,
failed (the server closed, or refused), hung (nothing came within 5 s), and of the longest that did not hang how long it took,
from its end back to connect(), ClientHello and request, in ms.
"""
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time

HANGS = 5
host, port, threads, where = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
ended, lock = threading.Event(), threading.Lock()
total = dict(served=0, failed=0, hung=0, longest_ms=[0])
signal.signal(signal.SIGTERM, lambda *_: ended.set())


def ask(log, times):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.keylog_filename = log
    with socket.create_connection((host, port), HANGS) as s:
        times.append(time.monotonic())
        t = context.wrap_socket(s)
        t.settimeout(HANGS)
        t.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        times.append(time.monotonic())
        return t.recv(100).startswith(b"HTTP/1.1 200")


def go_on(i):
    log = os.path.join(where, f"keylog.{i}")
    while not ended.is_set():
        open(log, "w").close()
        times, what = [time.monotonic()], "failed"
        try:
            what = "served" if ask(log, times) else "failed"
        except TimeoutError:
            what = "hung"
        except OSError:
            time.sleep(0.005)  # who is refused does not ask without end
        ms = [round((time.monotonic() - t) * 1000) for t in times]
        with lock:
            total[what] += 1
            if what != "hung":
                total["longest_ms"] = max(total["longest_ms"], ms)
            if what == "served":
                served.write(open(log).read())
                served.flush()
                os.pwrite(count, b"%d\n" % total["served"], 0)


served = open(os.path.join(where, "served"), "a")
count = os.open(os.path.join(where, "count"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
all_of_them = [threading.Thread(target=go_on, args=(i,)) for i in range(threads)]
for t in all_of_them:
    t.start()
for t in all_of_them:
    t.join()
print(json.dumps(total))
