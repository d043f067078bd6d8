"""Run in a network namespace of its own: frames of this machine's network stack reach a driver.

Frames go into one end of a pair of virtual interfaces, the card listens at the other.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pagering.card import Card
from pagering.rx_queue import RxQueue
from pagering.vfio_user import VfioUserCard
from pagering_tb.virtual.model_core import ModelCore
from pagering_tb.virtual.sources import InterfaceSource
from virtual_card import served

HOST, CARD = "pgr0", "pgr1"
CARD_MAC = "02:00:00:00:00:01"
SOURCE_PORT = 5000


def set_up() -> None:
    """Make the pair; the host's end has an address, and knows the card's."""
    for command in (f"link add {HOST} type veth peer name {CARD}", f"link set {HOST} up",
                    f"link set {CARD} up", f"addr add 192.0.2.1/24 dev {HOST}",
                    f"neigh add 192.0.2.2 lladdr {CARD_MAC} dev {HOST}"):
        subprocess.run(["ip", *command.split()], check=True)


def send_all() -> list[bytes]:
    """Send datagrams, the beginning of a connection, and a tagged frame; return their marks."""
    marks = [bytes([at]) * (200 + at) for at in range(20)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("", SOURCE_PORT))
        for mark in marks:
            datagrams.sendto(mark, ("192.0.2.2", 9))
    with socket.socket() as connection, contextlib.suppress(OSError):
        connection.settimeout(0.1)
        connection.connect(("192.0.2.2", 80))
    marks.append(bytes.fromhex("c0000201 c0000202"))  # addresses: the connection's first segment
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((HOST, 0))
        mark = bytes.fromhex("8100 2123 88b5") + b"tagged" * 10
        raw.send(bytes.fromhex(CARD_MAC.replace(":", "")) + bytes.fromhex("020000000002") + mark)
    return [*marks, mark]


def receive(queue: RxQueue, marks: list[bytes]) -> None:
    """Receive until each mark was in a frame."""
    missing = list(marks)
    end = time.monotonic() + 20
    while missing and time.monotonic() < end:
        with queue.recv(timeout=1.0) as burst:
            for frame in burst:
                data = bytes(frame)
                missing = [mark for mark in missing if mark not in data]
    if missing:
        sys.exit(f"{len(missing)} of {len(marks)} never came, the first of them {missing[0].hex()}")


def main() -> None:
    """Send and receive."""
    set_up()
    path = Path(tempfile.mkdtemp()) / "card"
    with (served(path, ModelCore(region_pages=64), InterfaceSource(CARD)),
          Card(VfioUserCard(str(path))) as card):
        send_all()  # while the card takes nothing: lost
        queue = card.add_queue(card.add_pool())
        card.steer_to(0)
        card.receive = True
        time.sleep(0.1)
        with queue.recv() as burst:
            early = [bytes(frame) for frame in burst]
        if any(b"tagged" in frame for frame in early):
            sys.exit("a frame came that was sent before the card received")
        receive(queue, send_all())


if __name__ == "__main__":
    main()
