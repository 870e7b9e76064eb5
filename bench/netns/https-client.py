#!/usr/bin/env python3
"""Many connections of HTTP/1.1, in TLS or not, over the death of their server.

	https-client.py [--tls] --host H --port P --count N --cut FILE --ready FILE PATH ASKED

A quarter of them reads PATH, the others have read ASKED, and ask again when FILE (--cut) is there, which is when the server has been
cut off. READY is made when all have begun. Each must get all bytes, which are the same each time. Says one line of JSON: the waits in
milliseconds since the cut, each of the longest one of a connection.
"""
import argparse
import asyncio
import hashlib
import json
import os
import ssl
import time


class Client:
    def __init__(self, options, tls):
        self.options, self.tls, self.path = options, tls, options.path
        self.began, self.longest, self.last = asyncio.Event(), 0.0, 0.0

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection(
            self.options.host, self.options.port, ssl=self.tls, limit=1 << 16)

    def ask(self):
        self.writer.write(f"GET {self.path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())

    def came(self):
        now = time.monotonic()
        if Client.cut:
            self.longest = max(self.longest, now - max(self.last, Client.cut))
        self.last = now

    async def answer(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.came()
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head.split(b"\r\n")[0].decode())
        left = int(next(l for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:"))[15:])
        sum_ = hashlib.sha256()
        while left:
            b = await self.reader.read(min(left, 1 << 14))
            if not b:
                raise EOFError(f"{left} bytes are missing")
            self.came()
            self.began.set()
            left -= len(b)
            sum_.update(b)
            if self.pace and not Client.cut:
                await asyncio.sleep(self.pace)
        return sum_.hexdigest()

    async def live(self, is_reader):
        self.pace = 0.5 if is_reader else 0
        self.path = self.options.path if is_reader else self.options.asked
        self.ask()
        sums = {await self.answer()}
        if not is_reader:
            self.began.set()
            await Client.cut_event.wait()
            self.last = time.monotonic()
            self.ask()
            sums.add(await self.answer())
        return sums

Client.cut = None


async def look(path):
    while not os.path.exists(path):
        await asyncio.sleep(0.002)
    Client.cut = time.monotonic()
    Client.cut_event.set()


async def main():
    a = argparse.ArgumentParser()
    for name in "host", "ready", "cut":
        a.add_argument("--" + name, required=True)
    a.add_argument("--port", type=int, required=True)
    a.add_argument("--count", type=int, required=True)
    a.add_argument("--tls", action="store_true")
    a.add_argument("path")
    a.add_argument("asked")
    options = a.parse_args()
    tls = ssl.create_default_context() if options.tls else None
    if tls:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    Client.cut_event = asyncio.Event()
    clients = [Client(options, tls) for _ in range(options.count)]
    for i in range(0, len(clients), 50):
        await asyncio.gather(*(c.connect() for c in clients[i : i + 50]))
    lives = [asyncio.ensure_future(c.live(i % 4 == 0)) for i, c in enumerate(clients)]
    await asyncio.gather(*(c.began.wait() for c in clients))
    open(options.ready, "w").close()
    await look(options.cut)
    ended = await asyncio.gather(*lives, return_exceptions=True)
    broken = [e for e in ended if isinstance(e, Exception)]
    sums = [e for e in ended if not isinstance(e, Exception)]
    contents = max(len(set().union(*(e for i, e in enumerate(sums) if (i % 4 == 0) == r))) for r in (True, False)) if not broken else 0
    waits = sorted(round(c.longest * 1000) for c in clients)
    part = lambda p: waits[int((len(waits) - 1) * p)]
    print(json.dumps({"connections": len(clients), "broken": len(broken), "contents": contents,
                      "why": sorted({repr(e) for e in broken})[:3],
                      "stall_ms": {"p50": part(0.5), "p90": part(0.9), "max": waits[-1]}}))


asyncio.run(main())
