#!/usr/bin/env python3
"""Looks for the secrets of a key log, as they are and in hex, in a process's memory, or in files.

	find-secrets.py KEYLOG PID|PATH...

Looks for the first six. Prints how many of them were found. Memory that even root cannot read has nothing to be found.
"""
import os
import sys

secrets = [words[2] for words in map(str.split, open(sys.argv[1])) if len(words) == 3 and words[0] != "EXPORTER_SECRET"][:6]
wanted = [bytes.fromhex(s) for s in secrets] + [s.encode() for s in secrets]
assert wanted, "no secrets"
found = set()


def look(data):
    for w in wanted:
        if w not in found and w in data:
            found.add(w)


def resident(pid):
    """The pieces that are in memory, and of no file: files are looked at as such."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            words = line.split()
            begin, end = (int(x, 16) // page for x in words[0].split("-"))
            if words[1][0] != "r" or (words[4] != "0" and "memfd" not in line):
                continue
            entries = os.pread(pagemap.fileno(), (end - begin) * 8, begin * 8)
            state = bytes(1 if e & 0xC0 else 0 for e in entries[7::8])  # present, or swapped
            at = state.find(1)
            while at >= 0:
                to = state.find(0, at)
                to = len(state) if to < 0 else to
                yield (begin + at) * page, (to - at) * page
                at = state.find(1, to)


def memory(pid):
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for begin, n in resident(pid):
            try:
                look(os.pread(mem.fileno(), n, begin))
            except OSError:
                pass


def look_in(path):
    with open(path, "rb") as f:
        end, at = os.fstat(f.fileno()).st_size, 0
        while at < end:
            try:  # not in holes
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            to = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            look(os.pread(f.fileno(), to - at, at))
            at = to


def files(path):
    for folder, _, names in os.walk(path) if os.path.isdir(path) else [(os.path.dirname(path), [], [os.path.basename(path)])]:
        for name in names:
            full = os.path.join(folder, name)
            if os.path.isfile(full):
                look_in(full)


for where in sys.argv[2:]:
    memory(where) if where.isdigit() else files(where)
print(len(found))
