#!/usr/bin/env python3
"""ftps-idle.py CA P|C HOST USER PASSWORD PATH FILE: logs in over TLS (AUTH TLS), says "idle", waits for a line, and goes on: lists
the file's directory, and fetches it; data connections are in TLS (P) or in the clear (C)."""
import ftplib
import os
import ssl
import sys

ca, prot, host, user, password, path, name = sys.argv[1:]
ftp = ftplib.FTP_TLS(host, timeout=20, context=ssl.create_default_context(cafile=ca))
ftp.login(user, password)
if prot == "P":
    ftp.prot_p()
else:
    ftp.prot_c()
print("idle", flush=True)
sys.stdin.readline()
ftp.cwd(os.path.dirname(path))
if os.path.basename(path) not in ftp.nlst():
    sys.exit("it is not in the list")
with open(name, "wb") as f:
    ftp.retrbinary("RETR " + os.path.basename(path), f.write)
ftp.quit()
