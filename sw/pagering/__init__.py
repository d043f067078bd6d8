"""Driver of the Pagering receive engine: a card that keeps its free pages itself.

Open a card, give it memory, receive in place::

    with Card(transport) as card:
        queue = card.add_queue(card.add_pool())
        card.steer_to(queue)
        card.receive = True
        with queue.recv(timeout=1.0) as burst:
            for frame in burst:
                print(len(frame), frame.view[:14].hex())

The same as arrays, without an object for each frame, if numpy is there, or in an event loop::

        with queue.recv_arrays(timeout=1.0) as burst:
            print(burst.length.sum(), burst.rows(14)[:, 12:])
        with await queue.recv_async() as burst:
            ...

Importing this package needs nothing but the standard library.
"""

from pagering.abi import L3, L4, DropCause, Event, Fault, Policy
from pagering.burst import Burst
from pagering.capabilities import Capabilities
from pagering.card import Card
from pagering.card_pool import CardPool
from pagering.clock import Clock
from pagering.errors import (
    CaptureError,
    CardError,
    CardGone,
    FrameReleased,
    PageringError,
    PoolError,
)
from pagering.flow_rules import FlowRule
from pagering.frame import Frame
from pagering.header_split import HeaderSplit
from pagering.mapped_providers import FileProvider, HugePageProvider, SharedProvider
from pagering.mapped_window import MappedWindow
from pagering.mapping_provider import MappingProvider
from pagering.page_pool import PagePool
from pagering.page_pool_area import PageArea
from pagering.page_pool_params import PagePoolParams
from pagering.providers import TransportProvider
from pagering.queue_stats import QueueStats
from pagering.registers import RegisterMap
from pagering.rx_queue import RxQueue
from pagering.shared_reader import SharedReader
from pagering.transport import DmaMemory, EventfdTransport, Transport

__version__ = "0.1.0"

__all__ = [
    "L3",
    "L4",
    "Burst",
    "Capabilities",
    "CaptureError",
    "Card",
    "CardError",
    "CardGone",
    "CardPool",
    "Clock",
    "DmaMemory",
    "DropCause",
    "Event",
    "EventfdTransport",
    "Fault",
    "FileProvider",
    "FlowRule",
    "Frame",
    "FrameReleased",
    "HeaderSplit",
    "HugePageProvider",
    "MappingProvider",
    "PageArea",
    "MappedWindow",
    "PagePool",
    "PagePoolParams",
    "PageringError",
    "Policy",
    "PoolError",
    "QueueStats",
    "RegisterMap",
    "RxQueue",
    "SharedProvider",
    "SharedReader",
    "Transport",
    "TransportProvider",
]
