#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""telnet-server.py PORT PROGRAM ARGUMENT...

An inetd for the lab: each connection to PORT (both families) gets a PROGRAM of its own, with the
socket as its standard input, output and error."""
import os
import signal
import socket
import sys


def main(port, argv):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    while True:
        c, _ = s.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            s.close()
            for fd in range(3):
                os.dup2(c.fileno(), fd)
            c.close()
            os.setsid()
            os.execv(argv[0], argv)
        c.close()


main(int(sys.argv[1]), sys.argv[2:])
