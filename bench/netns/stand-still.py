#!/usr/bin/env python3
# stand-still.py THREAD...: stops these threads, and none of their process' others, until it ends itself.
# "all stand still" on standard output when they do.
import ctypes
import os
import signal
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

for thread in map(int, sys.argv[1:]):
    for request in SEIZE, INTERRUPT:
        if libc.ptrace(request, thread, None, None) < 0:
            sys.exit(f"{thread}: {os.strerror(ctypes.get_errno())}")
    os.waitpid(thread, WALL)
print("all stand still", flush=True)
signal.pause()
