#!/usr/bin/env python3
"""Looks for the secrets of a key log, as they are and in hex, in a process's memory, or in files.

	find-secrets.py [--locked | --not-locked] KEYLOG PID|PATH...

Looks for the first six, and for the keys that follow from those of TLS 1.3. Prints how many of them were found. Memory that even
root cannot read has nothing to be found. Of processes, with --locked only memory that is locked and in no dump, with
--not-locked only what is not.
"""
import hmac
import os
import re
import sys

which = sys.argv.pop(1) if sys.argv[1].startswith("--") else None
lines = [words for words in map(str.split, open(sys.argv[1])) if len(words) == 3 and words[0] != "EXPORTER_SECRET"][:6]
secrets = [words[2] for words in lines]


def record_keys(secret):
    """RFC 8446 section 7.3: of 16 and 32 bytes."""
    name = "sha256" if len(secret) == 32 else "sha384"
    for n in (16, 32):
        label = n.to_bytes(2, "big") + bytes([9]) + b"tls13 key" + b"\0"
        yield hmac.digest(secret, label + b"\1", name)[:n]


wanted = [bytes.fromhex(s) for s in secrets] + [s.encode() for s in secrets]
wanted += [key for words in lines if "TRAFFIC_SECRET" in words[0] for key in record_keys(bytes.fromhex(words[2]))]
assert wanted, "no secrets"
found = set()


def look(data):
    for w in wanted:
        if w not in found and w in data:
            found.add(w)


def is_locked(pid):
    """Where areas begin that are locked and in no dump."""
    begin = set()
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            words = line.split()
            if re.match("[0-9a-f]+-", line):
                at = int(words[0].split("-")[0], 16)
            elif words[0] == "VmFlags:" and {"lo", "dd"} <= set(words):
                begin.add(at)
    return begin


def resident(pid):
    """The pieces that are in memory, and of no file: files are looked at as such."""
    page = os.sysconf("SC_PAGE_SIZE")
    locked = is_locked(pid) if which else set()
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            words = line.split()
            begin, end = (int(x, 16) // page for x in words[0].split("-"))
            if words[1][0] != "r" or (words[4] != "0" and "memfd" not in line):
                continue
            if which and (begin * page in locked) != (which == "--locked"):
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
