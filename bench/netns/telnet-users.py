#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""telnet-users.py DIRECTORY SUM USER...

Users at stock Telnet clients. USER is NAME:CLIENT:PORT:PHASE:WHERE, CLIENT one of telnet, binary (telnet -8), busybox,
plink, curl; PHASE where the user is when the server dies. When all are there, DIRECTORY/ready appears; when
DIRECTORY/pulled appears those go on whose name begins with "early", the others when DIRECTORY/taken does. WHERE is what the backup's shell says of itself. In the end each has logged in there, knows
that its terminal is right, and has got a file whose SHA-256 is SUM. One line of JSON for each."""
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

NOTICE = b"[taken over: a new shell on the backup]"
HOST = os.environ.get("LAB_HOST", "10.9.0.1")


class Gone(Exception):
    pass


class User:
    def __init__(self, spec):
        self.name, self.client, self.port, self.phase, self.where = spec.split(":")
        self.seen, self.at = b"", 0
        self.steps = None
        self.fate = None
        argv = {
            "telnet": ["telnet", HOST, self.port],
            "binary": ["telnet", "-8", HOST, self.port],
            "busybox": ["busybox", "telnet", HOST, self.port],
            "plink": ["plink", "-telnet", "-P", self.port, HOST],
            "curl": ["curl", "-sSN", f"telnet://{HOST}:{self.port}"],
        }[self.client]
        self.pipes = self.client in ("plink", "curl")
        env = dict(os.environ, TERM="vt220")
        if self.pipes:
            self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
            self.out, self.inp = self.process.stdout.fileno(), self.process.stdin.fileno()
        else:
            ours, theirs = pty.openpty()
            self.out = self.inp = ours
            self.size(24, 80)
            self.process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True,
                                            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            os.close(theirs)

    def size(self, rows, columns):
        if not self.pipes:
            fcntl.ioctl(self.out, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.inp, text.encode())

    def enter(self, text=""):
        # What the Return key is, is the client's affair on a terminal, and ours in a pipe.
        self.type(text + ("\n" if self.client == "curl" else "\r"))

    def read(self):
        try:
            b = os.read(self.out, 65536)
        except OSError:
            b = b""
        if not b:
            raise Gone
        # inetutils-telnetd says NUL when its terminal's flow control changes.
        self.seen += b if self.client == "plink" else b.replace(b"\0", b"")

    def has(self, pattern):
        if callable(pattern):
            return pattern()
        m = re.compile(pattern, re.S).search(self.seen, self.at)
        if m:
            self.at = m.end()
            self.match = m
        return bool(m)

    # ---- steps: generators that yield what is waited for ------------------------------------------

    def log_in(self):
        yield rb"login: $"
        self.enter("demo")
        yield rb"assword: $"
        self.enter("s3cret")
        yield rb"\$ $"

    def before(self):
        if self.phase == "head":
            return
        if self.phase in ("login", "name"):
            yield rb"login: $"
        elif self.phase == "password":
            yield rb"login: $"
            self.enter("demo")
            yield rb"assword: $"
        elif self.phase == "again":
            yield rb"login: $"
            self.enter("demo")
            yield rb"assword: $"
            self.enter("guess")
            yield rb"login: $"
        else:
            yield from self.log_in()
        if self.phase == "name":
            self.type("de")
            yield rb"de$"
        elif self.phase == "password":
            self.type("s3c")
        elif self.phase == "half":
            self.type("echo ha")
            yield rb"echo ha$"
        elif self.phase in ("shell", "running", "unanswered", "replayed"):
            self.size(50, 140)
            self.enter("cd /usr; echo in-$PWD")
            yield rb"in-/usr\r*\n.*\$ $"
            if self.phase == "running":
                self.enter("echo begun; sleep 1000")
                yield rb"begun\r*\n"
            elif self.phase == "replayed":
                self.enter("sleep 3; echo ran-$LAB_NAME")
                yield rb"ran-.LAB_NAME\r*\n"
            elif self.phase == "unanswered":
                self.enter("sleep 1000")
                yield rb"sleep 1000\r*\n"

    def after(self):
        if not self.name.startswith("early"):
            yield lambda: os.path.exists(f"{sys.argv[1]}/taken")
        if self.phase == "head":
            yield from self.log_in()
        elif self.phase == "login":
            if self.where != "lab":
                yield NOTICE_PATTERN
                yield rb"login: $"
            self.enter("demo")
            yield rb"assword: $"
            self.enter("s3cret")
            yield rb"\$ $"
        elif self.phase == "again":
            yield NOTICE_PATTERN
            yield from self.log_in()
        elif self.phase == "name":
            self.enter("mo")
            yield rb"assword: $"
            self.enter("s3cret")
            yield rb"\$ $"
        elif self.phase == "password":
            self.enter("ret")
            yield rb"\$ $"
        else:
            yield NOTICE_PATTERN
            if self.phase == "replayed":
                yield b"ran-" + self.where.encode() + rb"\r*\n"
            yield rb"\$ $"
        yield from self.checks()

    def checks(self):
        self.enter("echo \"<$LAB_NAME $PWD>\"")
        yield b"\n<" + self.where.encode() + rb" (/[^>]*)>\r*\n.*\$ $"
        if not self.pipes:
            # busybox tells its size once.
            resized = self.phase in ("shell", "running", "unanswered", "replayed") and self.client != "busybox"
            rows, columns = (50, 140) if resized else (24, 80)
            self.enter("stty size")
            yield b"\n%d %d\r*\n" % (rows, columns)
            yield rb"\$ $"
        self.enter("echo ab | tr ab AB; base64 -w 60 $LAB_FILE; echo END | tr D d")
        yield rb"\nAB\r*\n(.*)\nENd\r*\n"
        import base64
        text = self.match.group(1)
        yield rb"\$ $"
        self.sum = hashlib.sha256(base64.b64decode(text)).hexdigest()
        if self.client == "plink":
            yield from self.raw()
        self.enter("exit")
        self.fate = "ok"
        yield None

    def raw(self):
        """The file itself, every byte of it, through plink, which undoes what Telnet does to them."""
        self.enter("stty raw -echo; echo RAW | tr W w; cat $LAB_FILE; stty sane; echo END | tr D d")
        yield rb"\nRAw\r*\n(.*)ENd\r*\n"
        raw = self.match.group(1)
        if hashlib.sha256(raw).hexdigest() != self.sum:
            self.fate = f"raw: {len(raw)} other bytes"
        yield rb"\$ $"


NOTICE_PATTERN = re.escape(NOTICE) + rb"\r\n"


def run(users, which, seconds):
    """Until all have done the steps of that name, or are gone."""
    waiting = {}
    deadline = time.monotonic() + seconds

    def step(u):
        try:
            waiting[u][1] = next(waiting[u][0])
        except StopIteration:
            del waiting[u]
            return False
        return True

    def go_on(u):
        while u in waiting and waiting[u][1] is not None and u.has(waiting[u][1]):
            step(u)

    for u in users:
        waiting[u] = [getattr(u, which)(), None]
        if step(u):
            go_on(u)
    while waiting and time.monotonic() < deadline:
        ready = select.select([u.out for u in waiting], [], [], 0.05)[0]
        for u in list(waiting):
            go_on(u)
        for u in [u for u in list(waiting) if u.out in ready]:
            try:
                u.read()
            except Gone:
                if u.fate is None:
                    u.fate = "gone"
                del waiting[u]
                continue
            go_on(u)
    for u, w in waiting.items():
        if u.fate is None:
            u.fate = f"waits for {w[1]!r}"


def main(directory, total, specs):
    users = [User(s) for s in specs]
    run(users, "before", 20)
    for u in users:
        if u.fate:
            sys.exit(f"{u.name} never came to its phase: {u.fate}; saw {u.seen[-200:]!r}")
    open(f"{directory}/ready", "w").close()
    while not os.path.exists(f"{directory}/pulled"):
        time.sleep(0.01)
    run(users, "after", 25)
    bad = 0
    for u in users:
        if u.fate == "ok" and u.sum != total:
            u.fate = "other bytes"
        if b"s3cret" in u.seen:
            u.fate = "the password was shown"
        told = u.seen.count(NOTICE)
        print(json.dumps({"name": u.name, "fate": u.fate, "told": told, "prompts": u.seen.count(b"login: "),
                          "repeat": b"may have been carried out" in u.seen,
                          "tail": "" if u.fate == "ok" else repr(u.seen[-300:])}), flush=True)
        u.process.kill()
    sys.exit(0)


main(sys.argv[1], sys.argv[2], sys.argv[3:])
