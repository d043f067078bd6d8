"""Records the capture that the repository ships: real traffic of two Linux network stacks.

Two network namespaces, joined by a veth pair with every offload off, talk HTTP over IPv4 and IPv6,
DNS-like UDP (some answers large enough to be fragmented), ping, a bulk transfer of full frames,
and the same on VLAN 5, while a packet socket on the server's end records both directions. ARP and
neighbour discovery come by themselves, and again whenever the neighbour caches are flushed.

Run as root on Linux: ``python -m pagering_tb.record_capture [FILE]``. Nothing outside the two
namespaces is touched, and they are removed at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path

from pagering.capture import write_frames
from pagering.errors import CaptureError
from pagering_tb.record_traffic import Traffic
from pagering_tb.shipped import SHIPPED

__all__ = ["main", "record"]

CLIENT, SERVER = "pagering-client", "pagering-server"
WIRE, TAGGED = "wire", "tagged"
"""The veth device and the VLAN's, by the same names in both namespaces."""
VLAN_ID = 5

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL, _ETH_P_VLAN = 0x0003, 0x8100
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_AUXDATA, _PACKET_IGNORE_OUTGOING = 263, 6, 8, 23
_STATUS_VLAN_VALID, _STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_SIOCETHTOOL = 0x8946
_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_OFFLOADS = {  # ETHTOOL_S* command -> value
    0x17: 0,  # transmit checksums: the stack computes them, so that the capture has real ones
    0x15: 0,  # receive checksums
    0x19: 0,  # scatter-gather
    0x1F: 0, 0x24: 0, 0x2C: 0,  # TSO, GSO, GRO: frames stay as long as on a wire
}


@contextlib.contextmanager
def namespace(name: str) -> Iterator[None]:
    """Run this thread in a network namespace: sockets and threads made here belong to it."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12

    def enter(handle: int) -> None:
        if libc.setns(handle, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the network namespace")

    with open("/proc/thread-self/ns/net") as home, open(f"/var/run/netns/{name}") as there:
        enter(there.fileno())
        try:
            yield
        finally:
            enter(home.fileno())


def ip(*words: str) -> None:
    """Run ``ip`` and pass its complaint on."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CaptureError(f"ip {' '.join(words)} failed: {done.stderr.strip()}; recording needs "
                           f"root and Linux with network namespaces")


def offloads_off(device: str) -> None:
    """Switch segmentation and checksum offloads of ``device`` off, as ``ethtool -K`` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command, value in _OFFLOADS.items():
            setting = ctypes.create_string_buffer(struct.pack("II", command, value))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(setting))
            with contextlib.suppress(OSError):  # an offload the device lacks is off already
                fcntl.ioctl(control, _SIOCETHTOOL, request)


def _in_thread(work: Callable[[], None]) -> Future[None]:
    """Start ``work``; the future hands its failure to whoever waits for it."""
    executor = ThreadPoolExecutor(1)
    future = executor.submit(work)
    executor.shutdown(wait=False)
    return future


class Recorder:
    """Everything that passes a device, both ways, from construction to :meth:`stop`."""

    def __init__(self, device: str) -> None:
        self.frames: list[bytes] = []
        self.timestamps_ns: list[int] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 26)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._socket.bind((device, _ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._stopping = False
        self._running = _in_thread(self._run)

    def _run(self) -> None:
        while True:
            try:
                data, control, flags, _ = self._socket.recvmsg(1 << 16, 256)
            except TimeoutError:
                if self._stopping:
                    return
                continue
            if flags & socket.MSG_TRUNC:
                raise CaptureError("a frame did not fit the recorder's buffer")
            date = 0
            for level, kind, value in control:
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack("qq", value)
                    date = seconds * 10**9 + nanoseconds
                elif (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
                    data = _with_tag(data, value)
            self.frames.append(data)
            self.timestamps_ns.append(date)

    def stop(self) -> None:
        """Record what has arrived, then end; complain if the kernel had to drop a frame."""
        self._stopping = True
        self._running.result(timeout=10)
        seen = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._socket.close()
        # Two processors may queue frames in another order than they dated them.
        dated = sorted(zip(self.timestamps_ns, self.frames, strict=True), key=itemgetter(0))
        self.timestamps_ns = [date for date, _ in dated]
        self.frames = [frame for _, frame in dated]
        if struct.unpack("II", seen)[1]:
            raise CaptureError("the kernel dropped frames while recording; record again")


def _with_tag(frame: bytes, auxiliary: bytes) -> bytes:
    """Put back the VLAN tag that the kernel takes out of received frames."""
    status, _, _, _, _, tag, ethertype = struct.unpack("IIIHHHH", auxiliary)
    if not status & _STATUS_VLAN_VALID:
        return frame
    known = status & _STATUS_VLAN_TPID_VALID
    return frame[:12] + struct.pack("!HH", ethertype if known else _ETH_P_VLAN, tag) + frame[12:]


class TaggedPort:
    """A VLAN sub-interface in user space: a tap device whose frames cross ``device`` tagged.

    The kernel's own (``ip link add type vlan``) is a module that containers and small virtual
    machines often lack; the frames are the same.
    """

    def __init__(self, device: str, name: str, vlan: int) -> None:
        self._tag = struct.pack("!HH", _ETH_P_VLAN, vlan)
        self._vlan = vlan
        self._tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("16sH22x", name.encode(),
                                                       _IFF_TAP | _IFF_NO_PI))
        self._trunk = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._trunk.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self._trunk.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        self._trunk.bind((device, _ETH_P_ALL))
        self._stopping = False
        self._running = _in_thread(self._run)

    def _run(self) -> None:
        ends: list[int | socket.socket] = [self._tap, self._trunk]
        while not self._stopping:
            ready, _, _ = select.select(ends, [], [], 0.1)
            if self._tap in ready:
                frame = os.read(self._tap, 1 << 16)
                self._trunk.send(frame[:12] + self._tag + frame[12:])
            if self._trunk in ready:
                frame, control, _, _ = self._trunk.recvmsg(1 << 16, 256)
                for _, _, auxiliary in control:
                    status, _, _, _, _, tag, _ = struct.unpack("IIIHHHH", auxiliary)
                    if status & _STATUS_VLAN_VALID and tag & 0xFFF == self._vlan:
                        os.write(self._tap, frame)

    def stop(self) -> None:
        """Take the port away."""
        self._stopping = True
        self._running.result(timeout=10)
        self._trunk.close()
        os.close(self._tap)


def record(traffic: Callable[[], None], servers: Callable[[], contextlib.ExitStack],
           ) -> Recorder:
    """Build the two hosts, run ``servers`` on one and ``traffic`` on the other, record.

    The network is gone again when this returns or raises.
    """
    with contextlib.ExitStack() as undo:
        for name in (CLIENT, SERVER):
            ip("netns", "add", name)
            undo.callback(ip, "netns", "del", name)
        ip("-n", CLIENT, "link", "add", WIRE, "type", "veth", "peer", "name", WIRE, "netns", SERVER)
        hosts = [(SERVER, 2), (CLIENT, 1)]  # nothing passes before the client's end is up
        for name, host in hosts:
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", WIRE, "address", f"02:00:00:00:00:0{host}")
            with namespace(name):
                offloads_off(WIRE)
                ip("link", "set", WIRE, "up")  # packet sockets bind to devices that are up
                if name == SERVER:
                    recorder = Recorder(WIRE)
                    undo.callback(recorder.stop)
                port = TaggedPort(WIRE, TAGGED, VLAN_ID)
                undo.callback(port.stop)
            ip("-n", name, "link", "set", TAGGED, "address", f"02:00:00:00:01:0{host}", "up")
            for subnet, device in enumerate((WIRE, TAGGED)):
                ip("-n", name, "address", "add", f"192.0.2.{64 * subnet + host}/26", "dev", device)
                ip("-n", name, "address", "add", f"2001:db8:0:{subnet}::{host}/64", "dev", device)
        time.sleep(2.5)  # duplicate address detection
        with namespace(SERVER):
            undo.enter_context(servers())
        with namespace(CLIENT):
            traffic()
    return recorder


def flush_neighbours() -> None:
    """Make both hosts ask for each other's address again."""
    for name in (CLIENT, SERVER):
        ip("-n", name, "neigh", "flush", "all")


def main(arguments: list[str] | None = None) -> int:
    """Record to the file named on the command line, else over the shipped capture."""
    words = sys.argv[1:] if arguments is None else arguments
    target = Path(words[0]) if words else SHIPPED
    traffic = Traffic(between=flush_neighbours)
    try:
        recorder = record(traffic.client, traffic.servers)
        write_frames(target, recorder.frames, recorder.timestamps_ns)
    except (CaptureError, OSError) as error:
        print(f"not recorded: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {len(recorder.frames)} frames, {sum(map(len, recorder.frames))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
