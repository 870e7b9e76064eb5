#!/usr/bin/env python3
"""An HTTP server that can be held in any TCP state, where nginx would hurry on.

	tcp-server.py DIRECTORY MARKS [ADDRESS [mptcp]]

On port 80 of that address, or of all.

Serves the files of DIRECTORY with the validators nginx gives them. What the query asks for:

	hold=N&gate=G   sends N bytes of the body, creates MARKS/G.held, and waits for MARKS/G
	                before it goes on
	eof             no Content-Length: the connection's end is the body's
	close           FIN behind the response, then reads on until the client's
	tos=N           the traffic class of this connection
	upload          answers with the SHA-256 of the request's body, in hexadecimal
	unread          never reads what follows the head of the request
"""
import hashlib
import os
import socket
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

IPPROTO_MPTCP = 262


def await_file(path):
    while not path.exists():
        time.sleep(0.005)


class Connection:
    def __init__(self, sock, files, marks):
        self.sock, self.files, self.marks = sock, files, marks
        self.pending = b""

    def request(self):
        """The next head, or None at the end."""
        while b"\r\n\r\n" not in self.pending:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.pending += data
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        return head.decode("latin-1").split("\r\n")

    def upload_digest(self, lines):
        length = next(int(l.split(":")[1]) for l in lines if l.lower().startswith("content-length:"))
        digest = hashlib.sha256()
        while True:
            part, self.pending = self.pending[:length], self.pending[length:]
            digest.update(part)
            length -= len(part)
            if length == 0:
                return digest.hexdigest().encode()
            self.pending = self.sock.recv(65536)
            if not self.pending:
                raise OSError("the upload ended too early")

    def drain(self):
        while self.sock.recv(65536):
            pass

    def answer_head(self, path, query, close):
        stat = os.stat(path)
        lines = [
            "HTTP/1.1 200 OK",
            "Date: " + formatdate(usegmt=True),
            "Content-Type: application/octet-stream",
            "Last-Modified: " + formatdate(int(stat.st_mtime), usegmt=True),
            f'ETag: "{int(stat.st_mtime):x}-{stat.st_size:x}"',
            "Connection: " + ("close" if close else "keep-alive"),
        ]
        if "eof" not in query:
            lines.append(f"Content-Length: {stat.st_size}")
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())

    def answer(self, lines):
        """Whether the connection goes on."""
        method, target, version = lines[0].split(" ")
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        close = "close" in query or "eof" in query or version == "HTTP/1.0"
        if "upload" in query:
            digest = self.upload_digest(lines)
            self.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest)
            return True
        path = self.files / Path(url.path).name
        if "tos" in query:
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(query["tos"][0]))
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, int(query["tos"][0]))
        if "unread" in query:
            (self.marks / (query["gate"][0] + ".held")).touch()
            await_file(self.marks / query["gate"][0])
        body = path.read_bytes()
        self.answer_head(path, query, close)
        held = int(query.get("hold", [len(body)])[0])
        self.sock.sendall(body[:held])
        if held < len(body):
            gate = query["gate"][0]
            (self.marks / (gate + ".held")).touch()
            await_file(self.marks / gate)
            self.sock.sendall(body[held:])
        if close:
            self.sock.shutdown(socket.SHUT_WR)
            self.drain()
        return not close

    def serve(self):
        try:
            lines = self.request()
            while lines and self.answer(lines):
                lines = self.request()
        except OSError:
            pass
        self.sock.close()


def main():
    files, marks = Path(sys.argv[1]), Path(sys.argv[2])
    address = sys.argv[3] if len(sys.argv) > 3 else "::"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if "mptcp" in sys.argv else 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if address == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((address, 80))
    listener.listen(512)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(sock, files, marks).serve, daemon=True).start()


if __name__ == "__main__":
    main()
