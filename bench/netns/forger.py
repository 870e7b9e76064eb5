"""Says that a server lives which does not: forger.py INTERFACE SERVER CLIENT SERVER-MAC BOX-MAC

Four TCP segments a second with the server's address (wrong checksum; another MAC; to nobody; of no
connection, from the server's own MAC) and 20 ARP replies a second, to the box, that it is at a stranger's MAC.
"""
import socket
import struct
import sys
import time

interface, server, client, mac, box = sys.argv[1:6]
STRANGER, NOBODY, ALL = b"\2\0\0\0\0\x66", b"\2\0\0\0\0\x99", b"\xff" * 6
real = bytes.fromhex(mac.replace(":", ""))
source, target = socket.inet_aton(server), socket.inet_aton(client)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((interface, 0))


def checksum(b):
    b += b"\0" * (len(b) % 2)
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


def segment(to, sender, port, right):
    tcp = struct.pack("!HHIIBBHHH", 80, port, 1 << 31, 1 << 30, 5 << 4, 0x10, 65535, 0, 0) + b"x" * 20
    n = checksum(source + target + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", n if right else n ^ 0x5555) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source, target)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    s.send(to + sender + b"\x08\x00" + ip + tcp)


def arp():
    s.send(bytes.fromhex(box.replace(":", "")) + STRANGER + b"\x08\x06\0\1\x08\0\6\4\0\2" + STRANGER + source + STRANGER + source)


print("forging", flush=True)
turn = 0
while True:
    arp()
    if turn % 5 == 0:
        [
            lambda: segment(ALL, real, 40000, False),
            lambda: segment(ALL, STRANGER, 40001, True),
            lambda: segment(NOBODY, real, 40002, True),
            lambda: segment(ALL, real, 40003, True),
        ][turn // 5 % 4]()
    turn += 1
    time.sleep(0.05)
