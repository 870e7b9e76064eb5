#!/usr/bin/python3
"""mail-delivered.py FOLDER ID:SIZE:COUNT...: is each mail there so often, byte for byte, and no other?"""
import hashlib
import os
import sys
from collections import Counter


def digest(b):
    return hashlib.sha256(b).hexdigest()


def delivered(folder):
    for where in ("new", "cur"):
        path = os.path.join(folder, where)
        for name in os.listdir(path) if os.path.isdir(path) else ():
            with open(os.path.join(path, name), "rb") as f:
                b = f.read()
            at = b.find(b"X-Test: ")
            yield b[at + 8:b.find(b"\n", at)].decode(), digest(b[b.find(b"\n\n") + 2:])


def main(write, folder, *wanted):
    have, want = Counter(delivered(folder)), Counter()
    for w in wanted:
        name, size, count = w.split(":")
        path = os.path.join(folder, "..", "expected")
        os.spawnlp(os.P_WAIT, sys.executable, sys.executable, write, "write", name, size, path)
        with open(path, "rb") as f:
            b = f.read()
        want[name, digest(b[b.find(b"\n\n") + 2:])] += int(count)
    want = +want
    if have != want:
        sys.exit("missing: %s; too much: %s" % (sorted(want - have), sorted(have - want)))


main(os.path.join(os.path.dirname(__file__), "mail-client.py"), *sys.argv[1:])
