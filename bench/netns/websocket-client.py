#!/usr/bin/python3
"""One WebSocket connection to an echo server, through a stock client library.

websocket-client.py LIBRARY URL MARKS STEP...
	LIBRARY  websocket (python3-websocket) or websockets (python3-websockets)
	MARKS    a folder; a mark is a file in it

Steps, in order. What is received is written to standard output, a line each.
	say:N:LENGTH  send N messages of LENGTH characters, each another
	hear:N        receive N messages
	talk:N:LENGTH:R  say and hear N messages, R a second, at most 30 of them on their way: websocketd
	              stops for ever when its program has a pipe full to say and one to hear
	mark:NAME     make a mark
	await:NAME    wait for one
It ends with a close, and an error if the server does not answer that.
"""
import asyncio
import os
import sys
import time


AHEAD = 30


def messages(first, n, length):
    return [(f"message {i} " + "abcdefghij" * (length // 10 + 1))[:length] for i in range(first, first + n)]


class Plain:
    def __init__(self, url):
        import websocket
        self.ws = websocket.create_connection(url, timeout=20)

    def say(self, text):
        self.ws.send(text)

    def hear(self):
        return self.ws.recv()

    def close(self):
        self.ws.close(timeout=10)


class Async:
    def __init__(self, url):
        import websockets
        self.loop = asyncio.new_event_loop()

        async def connect():
            return await websockets.connect(url, open_timeout=20, compression=None, max_queue=4, read_limit=4096)
        self.ws = self.loop.run_until_complete(connect())

    def do(self, what):
        return self.loop.run_until_complete(asyncio.wait_for(what, 20))

    def say(self, text):
        self.do(self.ws.send(text))

    def hear(self):
        return self.do(self.ws.recv())

    def close(self):
        self.do(self.ws.close())


def main(library, url, marks, steps):
    c = {"websocket": Plain, "websockets": Async}[library](url)
    said = 0
    for step in steps:
        word, *rest = step.split(":")
        if word == "mark":
            open(os.path.join(marks, rest[0]), "w").close()
        elif word == "await":
            while not os.path.exists(os.path.join(marks, rest[0])):
                time.sleep(0.01)
        elif word == "say":
            for m in messages(said, int(rest[0]), int(rest[1])):
                c.say(m)
                said += 1
        elif word == "hear":
            for _ in range(int(rest[0])):
                print(c.hear(), flush=True)
        elif word == "talk":
            n, length, rate = map(int, rest)
            start, texts = time.monotonic(), messages(said, n, length)
            for m in texts[:AHEAD]:
                c.say(m)
            for i in range(n):
                print(c.hear(), flush=True)
                if i + AHEAD < n:
                    c.say(texts[i + AHEAD])
                time.sleep(max(0, start + (i + 1) / rate - time.monotonic()))
            said += n
    c.close()


if sys.argv[1] == "expect":  # what an echo server makes a client print
    n = 0
    for step in sys.argv[2:]:
        if step.startswith(("say:", "talk:")):
            count, length = map(int, step.split(":")[1:3])
            print("\n".join(messages(n, count, length)))
            n += count
else:
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
