"""What the two hosts of the shipped capture say to each other.

The servers run in one network namespace and the client in the other; both are plain sockets of
their own Linux stack. Contents and order come from a fixed seed; ports, sequence numbers and dates
are the kernel's.
"""

from __future__ import annotations

import contextlib
import http.server
import random
import socket
import socketserver
import struct
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

__all__ = ["Traffic"]

HTTP_PORT, NAME_PORT, BULK_PORT = 8080, 5353, 9000
PLAIN = ("192.0.2.2", "2001:db8::2")
TAGGED = ("192.0.2.66", "2001:db8:0:1::2")
_WORDS = "page ring chunk token region pool queue window frame card host return".split()


def _text(size: int, seed: int) -> bytes:
    """Return readable filler, the same for the same arguments."""
    words = random.Random(seed)
    text = " ".join(words.choice(_WORDS) for _ in range(size // 4 + 1))
    return text.encode()[:size]


class _Pages(http.server.BaseHTTPRequestHandler):
    """Answers ``GET /<size>`` with that many bytes."""

    protocol_version = "HTTP/1.1"
    server_version = "pagering"
    sys_version = ""

    def do_GET(self) -> None:
        body = _text(int(self.path[1:]), len(self.path))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


class _Names(socketserver.BaseRequestHandler):
    """Answers a query of the form of DNS with a text record as long as the query asks for."""

    def handle(self) -> None:
        query, server = self.request
        size = int(query[13:13 + query[12]])
        answer = bytearray(query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0" + query[12:])
        answer += b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 60, size) + _text(size, size)
        server.sendto(bytes(answer), self.client_address)


class _Sink(socketserver.BaseRequestHandler):
    """Reads until the other side is done, then says how much it was."""

    def handle(self) -> None:
        total = 0
        while data := self.request.recv(1 << 16):
            total += len(data)
        self.request.sendall(str(total).encode())


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True


class _Http6(_Http):
    address_family = socket.AF_INET6


class _Udp6(socketserver.UDPServer):
    address_family = socket.AF_INET6


class _Tcp6(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    daemon_threads = True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@dataclass
class Traffic:
    """The conversation; ``between`` is called now and then, where nothing is under way."""

    between: Callable[[], None]
    pages: int = 36
    """HTTP requests to each address."""
    queries: int = 150
    """UDP queries to each address."""
    pings: int = 24
    """Pings to each address."""
    bulk_bytes: int = 200_000
    """Bytes of the bulk transfer over each address family."""

    def servers(self) -> contextlib.ExitStack:
        """Start the servers in this thread's namespace; leaving the stack stops them."""
        stack = contextlib.ExitStack()
        for address in (*PLAIN, *TAGGED):
            six = ":" in address
            for server in (
                (_Http6 if six else _Http)((address, HTTP_PORT), _Pages),
                (_Udp6 if six else socketserver.UDPServer)((address, NAME_PORT), _Names),
                (_Tcp6 if six else socketserver.ThreadingTCPServer)((address, BULK_PORT), _Sink),
            ):
                stack.enter_context(server)
                stack.callback(server.shutdown)
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return stack

    def client(self) -> None:
        """Do everything once, in this thread's namespace."""
        rounds = 4
        for turn in range(rounds):
            self.between()
            for address in PLAIN:
                self._ping(address, self.pings // rounds, turn)
            self._exchange(PLAIN, self.pages // rounds, self.queries // rounds, turn)
            self.between()
            self._exchange(TAGGED, self.pages // rounds // 3, self.queries // rounds // 5, turn)
            for address in TAGGED:
                self._ping(address, 2, turn)
            self._bulk(PLAIN[turn % 2], self.bulk_bytes * 2 // rounds, turn)
        time.sleep(0.3)  # the last connections close

    def _exchange(self, addresses: tuple[str, ...], pages: int, queries: int, turn: int) -> None:
        """Fetch pages and ask names over all addresses at once, so that flows interleave."""
        with ThreadPoolExecutor(2 * len(addresses)) as workers:
            jobs = [workers.submit(work, address, count, turn) for address in addresses
                    for work, count in ((self._fetch, pages), (self._ask, queries))]
            for job in jobs:
                job.result()

    def _fetch(self, address: str, count: int, turn: int) -> None:
        sizes = random.Random(f"fetch {address} {turn}")
        for _ in range(count):
            size = int(10 ** sizes.uniform(1, 3.9))
            host = f"[{address}]" if ":" in address else address
            with urllib.request.urlopen(f"http://{host}:{HTTP_PORT}/{size}", timeout=5) as answer:
                if len(answer.read()) != size:
                    raise OSError("an HTTP answer was cut")

    def _ask(self, address: str, count: int, turn: int) -> None:
        choices = random.Random(f"ask {address} {turn}")
        for number in range(count):
            # One large answer in each turn: it crosses the link in IP fragments.
            size = 3000 if number == count // 2 else choices.randrange(16, 220)
            label = str(size).encode().rjust(choices.choice((4, 8, 15)), b"0")
            query = (struct.pack("!HHHHHH", choices.randrange(1 << 16), 0x0100, 1, 0, 0, 0)
                     + bytes([len(label)]) + label + b"\7example\0" + struct.pack("!HH", 16, 1))
            with socket.socket(_family(address), socket.SOCK_DGRAM) as client:
                client.settimeout(5)
                client.sendto(query, (address, NAME_PORT))
                client.recv(1 << 16)

    def _ping(self, address: str, count: int, turn: int) -> None:
        """Send echo requests over a raw socket: ``ping`` itself is not installed everywhere."""
        six = ":" in address
        kind = 128 if six else 8
        protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
        with socket.socket(_family(address), socket.SOCK_RAW, protocol) as client:
            client.settimeout(5)
            for number in range(count):
                size = (0, 18, 56, 56, 56, 1400)[number % 6]
                echo = struct.pack("!BBHHH", kind, 0, 0, 0x5047 + turn, number) + _text(size, 0)
                # ICMPv6 covers a pseudo-header, so there the kernel fills in the checksum.
                client.sendto(echo if six else _with_checksum(echo), (address, 0))
                while client.recv(1 << 16)[0 if six else 20] != kind + (1 if six else -8):
                    pass

    def _bulk(self, address: str, size: int, seed: int) -> None:
        with socket.create_connection((address, BULK_PORT), timeout=10) as client:
            client.sendall(_text(size, seed))
            client.shutdown(socket.SHUT_WR)
            if int(client.recv(64)) != size:
                raise OSError("the bulk transfer was cut")


def _with_checksum(packet: bytes) -> bytes:
    """Fill in bytes 2 and 3 with the Internet checksum (RFC 1071) of an ICMP packet."""
    even = packet + b"\0" * (len(packet) % 2)
    total = sum(struct.unpack(f"!{len(even) // 2}H", even)) % 0xFFFF
    return packet[:2] + struct.pack("!H", 0xFFFF - total) + packet[4:]
