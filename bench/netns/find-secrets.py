#!/usr/bin/env python3
"""Looks for the secrets of a key log, as they are and in hex, in a process's memory, or in files.

	find-secrets.py KEYLOG PID|PATH...

Prints how many of them were found. Memory that even root cannot read has nothing to be found.
"""
import os
import sys

PIECE = 1 << 24
LONGEST = 128  # of what is looked for

wanted = set()
for line in open(sys.argv[1]):
    words = line.split()
    if len(words) == 3 and words[0] != "EXPORTER_SECRET":
        wanted.add(bytes.fromhex(words[2]))
        wanted.add(words[2].encode())
wanted = sorted(wanted)[:24]
assert wanted, "no secrets"
found = set()


def look(data):
    for w in wanted:
        if w not in found and w in data:
            found.add(w)


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            words = line.split()
            begin, end = (int(x, 16) for x in words[0].split("-"))
            # What is of a file is looked for there.
            if words[1][0] != "r" or (words[4] != "0" and "memfd" not in line):
                continue
            for at in range(begin, end, PIECE):
                try:
                    look(os.pread(mem.fileno(), min(PIECE + LONGEST, end - at), at))
                except OSError:
                    pass


def files(path):
    for folder, _, names in os.walk(path) if os.path.isdir(path) else [(os.path.dirname(path), [], [os.path.basename(path)])]:
        for name in names:
            full = os.path.join(folder, name)
            if os.path.isfile(full):
                with open(full, "rb") as f:
                    look(f.read())


for where in sys.argv[2:]:
    memory(where) if where.isdigit() else files(where)
print(len(found))
