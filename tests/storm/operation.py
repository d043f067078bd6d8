"""What an operation of a program is.

Every operation means something in any state of the card, whatever came before it: queues, pools and
tokens are named by numbers that the executor takes modulo what there is. So a program stays a
program when operations are taken out of it, which is how one that fails is made short.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Operation"]


@dataclass(frozen=True)
class Operation:
    """One thing that happens."""
