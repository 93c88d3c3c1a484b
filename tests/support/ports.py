"""Ports of loopback that a process keeps for itself while it lives.

They lie below those that the kernel hands out: neither a server on port 0 nor a call on its way out gets one between its choice and its use, nor while the
server that listens on it is started anew. Who has one is told to the other tests by a socket's name.
"""
import random
import socket
from pathlib import Path

LOWEST, RANGE = 10000, Path("/proc/sys/net/ipv4/ip_local_port_range")
kept = []


def choices():
    first = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32768
    return range(LOWEST, first) if first > LOWEST + 1000 else range(LOWEST, 65536)


def unused(port):
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return True
    except OSError:
        return False


def keep(n):
    """n different ports."""
    found, of = [], choices()
    while len(found) < n:
        port, name = random.SystemRandom().choice(of), socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0gantry-port-{port}")
        except OSError:  # another test's
            name.close()
            continue
        kept.append(name)
        if unused(port):
            found.append(port)
    return found
