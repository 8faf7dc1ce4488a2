"""A WAN of our own (see wan.ts): network namespaces, and this process, which forwards packets between them.

    wan.py PREFIX N      namespaces PREFIX1 .. PREFIXN with the addresses 10.77.i.1; 10.77.0.1 is where this program runs

Each line on stdin sets the link from A to B (0: where this program runs), and is answered by "ok":

    A B delay=MS jitter=MS loss=PERCENT cut=0|1

When stdin ends the namespaces go, and whatever still runs in them is cut off. Needs root, and a network namespace that is
not the machine's. Forwarding is done here because not every kernel has netem.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN_NO_PI, CLONE_NEWNET = 0x400454CA, 0x1001, 0x40000000
BATCH = 64

prefix, count = sys.argv[1], int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
places = [None] + [f"{prefix}{i}" for i in range(1, count + 1)]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def open_tunnel(namespace):
    """A TUN device, in the namespace; this process stays where it is."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    if namespace is not None:
        enter(f"/run/netns/{namespace}")
    tunnel = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH", b"wan0", IFF_TUN_NO_PI))
    libc.setns(here, CLONE_NEWNET)
    os.close(here)
    return tunnel


def set_up(number, namespace):
    inside = ["-n", namespace] if namespace is not None else []
    ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "addr", "add", f"10.77.{number}.1/16", "dev", "wan0")
    ip(*inside, "link", "set", "wan0", "mtu", "1500", "txqueuelen", "5000", "up")


class Link:
    def __init__(self):
        self.delay = self.jitter = self.loss = self.last = 0.0
        self.cut = False

    def change(self, words):
        for word in words:
            name, value = word.split("=")
            scale = {"delay": 1e-3, "jitter": 1e-3, "loss": 1e-2, "cut": 1}[name]
            setattr(self, name, float(value) * scale)


def forward(tunnels, links):
    poll = select.epoll()
    where = {tunnel: i for i, tunnel in enumerate(tunnels)}
    for tunnel in tunnels:
        poll.register(tunnel, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    waiting, sequence, typed = [], 0, b""
    while True:
        pause = -1 if not waiting else max(0, waiting[0][0] - time.monotonic())
        for fd, _ in poll.poll(pause):
            if fd == 0:
                chunk = os.read(0, 65536)
                if not chunk:
                    return
                *lines, typed = (typed + chunk).split(b"\n")
                for line in lines:
                    one, other, *words = line.decode().split()
                    links[int(one), int(other)].change(words)
                    os.write(1, b"ok\n")
                continue
            here = where[fd]
            for _ in range(BATCH):
                try:
                    packet = os.read(fd, 65536)
                except OSError:
                    break
                # IPv4, to 10.77.x.x
                if packet[0] >> 4 != 4 or packet[16:18] != b"\x0a\x4d":
                    continue
                there = packet[18]
                link = links.get((here, there))
                if link is None or link.cut or random.random() < link.loss:
                    continue
                # Packets of one link don't overtake each other.
                due = time.monotonic() + link.delay + random.uniform(-1, 1) * link.jitter
                link.last = due = max(due, link.last)
                sequence += 1
                heapq.heappush(waiting, (due, sequence, there, packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, there, packet = heapq.heappop(waiting)
            try:
                os.write(tunnels[there], packet)
            except OSError:
                pass  # Its queue is full: lost, as on any network.


made = []
try:
    for place in places[1:]:
        ip("netns", "add", place)
        made.append(place)
    tunnels = [open_tunnel(place) for place in places]
    for number, place in enumerate(places):
        set_up(number, place)
    os.write(1, b"ok\n")
    forward(tunnels, {(a, b): Link() for a in range(count + 1) for b in range(count + 1) if a != b})
finally:
    for place in made:
        subprocess.run(["ip", "netns", "del", place], check=False)
