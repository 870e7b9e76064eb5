#!/usr/bin/env python3
"""Proves what the key tap told: keytap-prove.py CAPTURE RECORDS [KEYLOG]

RECORDS is what keyvault/tap/test/collector.py printed, KEYLOG the client's SSLKEYLOGFILE. Every TLS and SSH connection of
CAPTURE is decrypted with what was recorded of it: each record and packet, both directions, tags and MACs checked. Prints for
each port of a server

	{"443": {"handshakes": 4, "recorded": 4, "decrypted": 4, "as_client": 4, "resumed": 1, "retried": 0, "lead_ms": 0.1}, ...}

handshakes  ClientHellos, or key exchanges of SSH
recorded    those of which there is exactly one record, of the same ends
decrypted   those of which everything on the wire decrypts (a handshake that ended in between too)
as_client   those whose secrets are what the client logged (TLS)
retried     those with a HelloRetryRequest
lead_ms     the shortest time from the collector's answer to the first byte of the server under the new keys
why         what was wrong with the first of them that is
"""
import hashlib
import hmac
import json
import socket
import struct
import sys
from collections import defaultdict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.poly1305 import Poly1305


class Wrong(Exception):
    pass


# ---- capture ----------------------------------------------------------------------------------


class Stream:
    """One direction: its bytes from the first on, and when each was there."""

    def __init__(self):
        self.base, self.pieces, self.data, self.times = None, [], b"", []

    def put(self, seq, time, data, syn):
        if syn:
            self.base = (seq + 1) & 0xFFFFFFFF
        if data:
            self.pieces.append((seq + syn, time, data))

    def close(self):
        if self.base is None:
            return
        out = bytearray()
        for at, time, data in sorted(((s - self.base) & 0xFFFFFFFF, t, d) for s, t, d in self.pieces):
            if at > len(out):
                break  # not captured
            if at + len(data) > len(out):
                self.times.append((len(out), time))
                out += data[len(out) - at :]
        self.data = bytes(out)

    def time(self, at):
        return [t for begin, t in self.times if begin <= at][-1]


def capture(path):
    """[((client, server), (stream of the client, stream of the server))], ends as (address, port). A port may be used again."""
    b = open(path, "rb").read()
    order = "<" if b[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    tick = 1e-9 if b[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e-6
    at, flows, every, begun = 24, {}, [], {}
    while at + 16 <= len(b):
        s, us, n, _ = struct.unpack_from(order + "IIII", b, at)
        f, at = b[at + 16 : at + 16 + n], at + 16 + n
        if f[12:14] == b"\x08\x00" and f[23] == 6:
            total, head, ip = struct.unpack_from(">H", f, 16)[0], (f[14] & 15) * 4, f[14:]
            src, dst = (socket.inet_ntoa(ip[o : o + 4]) for o in (12, 16))
        elif f[12:14] == b"\x86\xdd" and f[20] == 6:
            total, head, ip = 40 + struct.unpack_from(">H", f, 18)[0], 40, f[14:]
            src, dst = (socket.inet_ntop(socket.AF_INET6, ip[o : o + 16]) for o in (8, 24))
        else:
            continue
        tcp = ip[head:total]
        sport, dport, seq = struct.unpack_from(">HHI", tcp)
        syn, ack = tcp[13] & 2, tcp[13] & 16
        a, c = (src, sport), (dst, dport)
        if syn and not ack:
            if begun.get((a, c)) != seq:
                begun[a, c], flows[a, c] = seq, (Stream(), Stream())
                every.append(((a, c), flows[a, c]))
        key, way = ((a, c), 0) if (a, c) in flows else ((c, a), 1)
        if key in flows:
            flows[key][way].put(seq, s + us * tick, tcp[(tcp[12] >> 4) * 4 :], bool(syn))
    for _, streams in every:
        for s in streams:
            s.close()
    return every


# ---- TLS --------------------------------------------------------------------------------------

SUITES = {  # hash, AEAD, key
    0x1301: ("sha256", "gcm", 16), 0x1302: ("sha384", "gcm", 32), 0x1303: ("sha256", "chacha", 32),
    0xC02B: ("sha256", "gcm", 16), 0xC02C: ("sha384", "gcm", 32), 0xC02F: ("sha256", "gcm", 16), 0xC030: ("sha384", "gcm", 32),
    0xCCA8: ("sha256", "chacha", 32), 0xCCA9: ("sha256", "chacha", 32),
}
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def expand_label(secret, label, n, name):
    info = struct.pack(">HB", n, len(label) + 6) + b"tls13 " + label + b"\0"
    return hmac.new(secret, info + b"\1", name).digest()[:n]


def prf(secret, seed, n, name):
    a, out = seed, b""
    while len(out) < n:
        a = hmac.new(secret, a, name).digest()
        out += hmac.new(secret, a + seed, name).digest()
    return out[:n]


def aead(kind, key):
    return AESGCM(key) if kind == "gcm" else ChaCha20Poly1305(key)


def xor(iv, n):
    return (int.from_bytes(iv, "big") ^ n).to_bytes(len(iv), "big")


def tls_records(s, at):
    while at + 5 <= len(s.data):
        n = struct.unpack_from(">H", s.data, at + 3)[0]
        if at + 5 + n > len(s.data):
            return
        yield s.data[at], s.data[at : at + 5], s.data[at + 5 : at + 5 + n], s.time(at)
        at += 5 + n


def tls_begin(c, s):
    """Where TLS begins in both streams, also behind STARTTLS or AUTH TLS; None: nowhere."""
    at = 0 if c.data[:2] == b"\x16\x03" else c.data.find(b"\n\x16\x03") + 1
    if at == 0 and c.data[:2] != b"\x16\x03":
        return None
    other = 0 if s.data[:2] == b"\x16\x03" else s.data.find(b"\n\x16\x03") + 1
    return at, other


class Tls:
    def __init__(self, c, s, begin):
        self.c, self.s = list(tls_records(c, begin[0])), list(tls_records(s, begin[1]))
        hello = self.c[0][2]
        self.random, self.hellos = hello[6:38], [r[2] for r in self.s if r[0] == 22 and self.is_hello(r[2])]
        self.suite = self.version = None
        for h in self.hellos:
            if h[6:38] == RETRY:
                continue
            at = 39 + h[38]
            self.server_random, self.suite = h[6:38], struct.unpack_from(">H", h, at)[0]
            self.version = 0x0304 if b"\x00\x2b\x00\x02\x03\x04" in h[at:] else 0x0303

    @staticmethod
    def is_hello(b):
        """And not something encrypted that begins alike."""
        return b[0] == 2 and 4 + int.from_bytes(b[1:4], "big") <= len(b) and b[4:6] == b"\3\3"

    def open(self, secrets):
        """Returns when the server's first byte under the new keys was seen (None: there was none)."""
        name, kind, size = SUITES[self.suite]
        if self.version == 0x0304:
            get = lambda who, what: bytes.fromhex(secrets[f"{who}_{what}"])
            self.way13(self.c, get("CLIENT", "HANDSHAKE_TRAFFIC_SECRET"), get("CLIENT", "TRAFFIC_SECRET_0"), name, kind, size)
            return self.way13(self.s, get("SERVER", "HANDSHAKE_TRAFFIC_SECRET"), get("SERVER", "TRAFFIC_SECRET_0"), name, kind, size)
        master, salt = bytes.fromhex(secrets["CLIENT_RANDOM"]), 4 if kind == "gcm" else 12
        block = prf(master, b"key expansion" + self.server_random + self.random, 2 * (size + salt), name)
        keys = block[:size], block[size : 2 * size]
        ivs = block[2 * size : 2 * size + salt], block[2 * size + salt :]
        self.way12(self.c, keys[0], ivs[0], kind)
        return self.way12(self.s, keys[1], ivs[1], kind)

    @staticmethod
    def way13(records, handshake, application, name, kind, size):
        def use(secret):
            return aead(kind, expand_label(secret, b"key", size, name)), expand_label(secret, b"iv", 12, name)

        (key, iv), n, through, first, messages = use(handshake), 0, False, None, b""
        for content, head, body, time in records:
            if content != 23:
                continue
            inner = key.decrypt(xor(iv, n), body, head).rstrip(b"\0")
            n += 1
            if through:
                first = first or time
            elif inner[-1] == 22:
                messages += inner[:-1]
                while len(messages) >= 4 and len(messages) >= 4 + int.from_bytes(messages[1:4], "big"):
                    through = through or messages[0] == 20
                    messages = messages[4 + int.from_bytes(messages[1:4], "big") :]
                if through:
                    (key, iv), n = use(application), 0
        return first

    @staticmethod
    def way12(records, key, iv, kind):
        n, protected, first = 0, False, None
        for content, head, body, time in records:
            if content == 20:
                protected = True
                continue
            if not protected:
                continue
            first = first or time
            if kind == "gcm":
                nonce, body = iv + body[:8], body[8:]
            else:
                nonce = xor(iv, n)
            extra = struct.pack(">Q", n) + head[:3] + struct.pack(">H", len(body) - 16)
            aead(kind, key).decrypt(nonce, body, extra)
            n += 1
        return first


# ---- SSH --------------------------------------------------------------------------------------


def derive(r, letter, n):
    k, h, sid = (bytes.fromhex(r[x]) for x in ("k", "h", "id"))
    out = hashlib.new(r["hash"], k + h + letter + sid).digest()
    while len(out) < n:
        out += hashlib.new(r["hash"], k + h + out).digest()
    return out[:n]


class Opener:
    """The packets of one direction under one set of keys."""

    def __init__(self, cipher, mac, r, letters):
        iv, key, integrity = letters
        self.cipher, self.blocks, self.count = cipher, 0, 0
        if cipher == "chacha20-poly1305@openssh.com":
            self.key = derive(r, key, 64)
        elif cipher.endswith("-gcm@openssh.com"):
            self.key, self.iv = AESGCM(derive(r, key, int(cipher[3:6]) // 8)), derive(r, iv, 12)
        elif cipher.endswith("-ctr") and mac in ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"):
            self.name = "sha" + mac[10:13]
            self.mac = derive(r, integrity, int(mac[10:13]) // 8)
            self.dec = Cipher(algorithms.AES(derive(r, key, int(cipher[3:6]) // 8)), modes.CTR(derive(r, iv, 16))).decryptor()
        else:
            raise Wrong(f"no {cipher} with {mac} here")

    def chacha(self, key, seq, counter, data):
        nonce = struct.pack("<Q", counter) + struct.pack(">Q", seq)
        return Cipher(algorithms.ChaCha20(key, nonce), None).encryptor().update(data)

    def packet(self, data, at, seq):
        """Returns the payload and the length on the wire; None: it is not all there."""
        if self.cipher.startswith("chacha"):
            head = self.chacha(self.key[32:], seq, 0, data[at : at + 4])
            size, tag = int.from_bytes(head, "big"), 16
        else:
            size, tag = int.from_bytes(data[at : at + 4], "big"), len(self.mac) if self.cipher.endswith("-ctr") else 16
        if size > 300000:
            raise Wrong(f"a packet of {size} bytes")
        if at + 4 + size + tag > len(data):
            return None
        whole, end = data[at : at + 4 + size], data[at + 4 + size : at + 4 + size + tag]
        if self.cipher.startswith("chacha"):
            Poly1305.verify_tag(self.chacha(self.key[:32], seq, 0, bytes(32)), whole, end)
            plain = self.chacha(self.key[:32], seq, 1, whole[4:])
        elif self.cipher.endswith("-ctr"):
            if hmac.new(self.mac, struct.pack(">I", seq) + whole, self.name).digest() != end:
                raise Wrong("MAC")
            plain = self.dec.update(whole[4:])
        else:
            nonce = self.iv[:4] + ((int.from_bytes(self.iv[4:], "big") + self.count) & (2**64 - 1)).to_bytes(8, "big")
            plain = self.key.decrypt(nonce, whole[4:] + end, whole[:4])
            self.count += 1
        return plain[1 : len(plain) - plain[0]], 4 + size + tag


def kexinit(payload):
    at, lists = 17, []
    for _ in range(10):
        n = int.from_bytes(payload[at : at + 4], "big")
        lists.append(payload[at + 4 : at + 4 + n].decode().split(","))
        at += 4 + n
    return lists


class Ssh:
    """Both directions side by side: a new key needs the KEXINITs of both."""

    def __init__(self, c, s, records):
        self.streams, self.records = (c, s), records
        self.inits, self.generations, self.first_times, self.strict = ([], []), [0, 0], [], False

    def way(self, way):
        data, at, seq, opener, generation = self.streams[way].data, 0, 0, None, 0
        at = data.index(b"\n") + 1
        waiting = False
        while at + 4 <= len(data):
            if opener:
                got = opener.packet(data, at, seq)
            else:
                size = int.from_bytes(data[at : at + 4], "big")
                got = (data[at + 5 : at + 4 + size - data[at + 4]], 4 + size) if at + 4 + size <= len(data) else None
            if got is None:
                break
            if waiting:
                waiting = False
                if way:
                    self.first_times.append((generation - 1, self.streams[way].time(at)))
            payload, size = got
            at, seq = at + size, (seq + 1) & 0xFFFFFFFF
            if payload[0] == 20:
                self.inits[way].append(kexinit(payload))
            elif payload[0] == 21:
                while len(self.inits[1 - way]) <= generation:
                    yield
                opener, waiting = self.next_keys(way, generation), True
                generation += 1
                self.generations[way] = generation
                seq = 0 if self.strict else seq
    def next_keys(self, way, generation):
        client, server = self.inits[0][generation], self.inits[1][generation]
        if generation == 0:
            self.strict = "kex-strict-c-v00@openssh.com" in client[0] and "kex-strict-s-v00@openssh.com" in server[0]
        if generation >= len(self.records):
            raise Wrong(f"no record of key exchange {generation}")
        cipher = next(x for x in client[2 + way] if x in server[2 + way])
        mac = next(x for x in client[4 + way] if x in server[4 + way])
        return Opener(cipher, mac, self.records[generation], [bytes([x]) for x in (b"ACE", b"BDF")[way]])

    def open(self):
        ways = [self.way(0), self.way(1)]
        moved = True
        while ways and moved:
            moved, left = False, []
            for w in ways:
                before = (len(self.inits[0]), len(self.inits[1]))
                if next(w, "end") != "end":
                    left.append(w)
                    moved = moved or before != (len(self.inits[0]), len(self.inits[1]))
                else:
                    moved = True
            ways = left
        if ways:
            raise Wrong("a KEXINIT is missing")


# ---- the account ------------------------------------------------------------------------------


def main():
    records = [json.loads(line)["record"] for line in open(sys.argv[2]) if line.startswith('{"record"')]
    of_random, of_ends = defaultdict(list), defaultdict(list)
    for r in records:
        ends = (tuple(r["client"]), tuple(r["server"]))
        if r["protocol"] == "tls":
            of_random[r["random"]].append((ends, r))
        else:
            of_ends[ends].append(r)
    logged = defaultdict(dict)
    for line in open(sys.argv[3]) if len(sys.argv) > 3 else ():
        if not line.startswith("#"):
            label, random, secret = line.split()
            logged[random][label] = secret
    ports = defaultdict(lambda: dict(handshakes=0, recorded=0, decrypted=0, as_client=0, resumed=0, retried=0, lead_ms=None, why=None))

    def lead(p, answered, first):
        if answered is None:
            raise Wrong("it was not answered")
        if first is not None:
            ms = round((first - answered) * 1000, 3)
            p["lead_ms"] = ms if p["lead_ms"] is None else min(ms, p["lead_ms"])

    def tls(p, ends, t):
        p["handshakes"] += 1
        p["retried"] += any(h[6:38] == RETRY for h in t.hellos)
        mine = of_random[t.random.hex()]
        if len(mine) != 1 or mine[0][0] != ends:
            raise Wrong(f"{len(mine)} records of {ends}, of {[m[0] for m in mine]}")
        r = mine[0][1]
        if (r["version"], r["suite"]) != (t.version, t.suite):
            raise Wrong(f"version {t.version:x}, suite {t.suite:x}: told {r['version']:x}, {r['suite']:x}")
        p["recorded"] += 1
        p["resumed"] += r["resumed"]
        p["as_client"] += bool(r["secrets"]) and all(logged[r["random"]].get(k) == v for k, v in r["secrets"].items())
        lead(p, r.get("answered"), t.open(r["secrets"]))
        p["decrypted"] += 1

    def ssh(p, ends, c, s):
        mine = sorted(of_ends[ends], key=lambda r: r["at"])
        session = Ssh(c, s, mine)
        try:
            session.open()
        finally:
            p["handshakes"] += max(1, session.generations[1])
        # Of an exchange that the end of the connection cut off there may be one, or none.
        if not session.generations[1] <= len(mine) <= len(session.inits[1]):
            raise Wrong(f"{len(mine)} records of {session.generations} key exchanges of {ends}")
        if len({r["id"] for r in mine}) != 1 or mine[0]["id"] != mine[0]["h"]:
            raise Wrong(f"not one session: {ends}")
        p["recorded"] += session.generations[1]
        p["decrypted"] += session.generations[1]
        for generation, first in session.first_times:
            lead(p, mine[generation].get("answered"), first)

    for ends, (c, s) in capture(sys.argv[1]):
        p = ports[str(ends[1][1])]
        try:
            begin = tls_begin(c, s)
            if c.data[:4] == b"SSH-":
                ssh(p, ends, c, s)
            elif begin:
                tls(p, ends, Tls(c, s, begin))
        except (Wrong, InvalidTag, KeyError, IndexError, StopIteration, struct.error) as e:
            p["why"] = p["why"] or f"{ends}: {e!r}"
    print(json.dumps({k: v for k, v in ports.items() if v["handshakes"]}))


main()
