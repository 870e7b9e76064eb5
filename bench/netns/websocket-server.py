#!/usr/bin/python3
"""An echo server of python3-websockets. websocket-server.py PORT"""
import asyncio
import sys

import websockets


async def echo(ws, path=None):
    try:
        async for message in ws:
            await ws.send(message)
    except websockets.ConnectionClosed:
        pass


async def main():
    async with websockets.serve(echo, None, int(sys.argv[1]), compression=None, ping_interval=None):
        await asyncio.Future()


asyncio.run(main())
