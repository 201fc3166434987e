"""
The machine that a run is on: what it is, and what can be done to keep it still.

Where it is allowed (root, as a rule), a run has a network namespace of its own: its loopback has
one fixed congestion control, and its ports are nobody else's.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import resource
import socket
import ssl
import struct
from pathlib import Path

from attrs import frozen

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
STEADY = "reno"
"""Every kernel has it. BBR paces what it sends: on a loopback it stalls for tens of ms."""

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_REAL_TIME_PRIORITY = 1


@frozen
class Cpus:
    """
    Which CPU is whose.

    Attributes:
        load: for the generator and the backends.
        gateways: for the gateways, each in its turn; the same if there is only one.
    """

    load: int
    gateways: int

    @classmethod
    def choose(cls) -> Cpus:
        """Return two of those that this process may use, as far as there are two."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1])

    @property
    def both(self) -> frozenset[int]:
        return frozenset({self.load, self.gateways})


def take_cpu(cpu: int, *, real_time: bool = False) -> None:
    """
    Keep this process, and what it starts from now on, on one CPU.

    Args:
        cpu: its number.
        real_time: put it before all that is not in the real-time class.

    Raises:
        PermissionError: real time is not allowed.
    """
    os.sched_setaffinity(0, {cpu})
    if real_time:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_REAL_TIME_PRIORITY))


def leave_network() -> bool:
    """Enter a network namespace of our own, with a loopback; return whether that was allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:
        request = struct.pack("16sh22x", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
    CONGESTION.write_text(STEADY)
    return True


def allow_files() -> int:
    """Raise the limit of open files as far as it goes; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe(cpus: Cpus, *, has_network: bool, real_time: bool) -> dict[str, str]:
    """Return what has to be known about the machine to judge the figures, by name."""
    from cryptography.hazmat.backends.openssl import backend

    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cpus": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl of ssl": ssl.OPENSSL_VERSION,
        "openssl of pyopenssl": backend.openssl_version_text(),
        "network": "a namespace of its own" if has_network else "the machine's own",
        "congestion control": CONGESTION.read_text().strip(),
        "gateways on cpu": str(cpus.gateways),
        "load on cpu": str(cpus.load),
        "real time": "yes" if real_time else "no",
    }
