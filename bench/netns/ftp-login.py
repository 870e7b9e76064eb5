#!/usr/bin/env python3
"""ftp-login.py HOST USER PASSWORD PATH FILE: gives the user name, says "password" when it was asked for
it, waits for a line, and goes on: logs in, goes to the directory, and fetches the file."""
import ftplib
import os
import sys

host, user, password, path, name = sys.argv[1:]
ftp = ftplib.FTP(host, timeout=20)
ftp.trust_server_pasv_ipv4_address = True  # as older versions of it, and many clients, do
if not ftp.sendcmd("USER " + user).startswith("331"):
    sys.exit("no password was asked for")
print("password", flush=True)
sys.stdin.readline()
ftp.sendcmd("PASS " + password)
ftp.cwd(os.path.dirname(path))
with open(name, "wb") as f:
    ftp.retrbinary("RETR " + os.path.basename(path), f.write)
ftp.quit()
