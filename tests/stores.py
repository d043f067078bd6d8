"""Whether tests store to in-memory cards as a host may: each word whole, and once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from pagering.fake import FakeCard
from pagering.store_watch import StoreWatch

__all__ = ["watched"]


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Look at the stores to all cards that are made in the block, whoever makes them."""
    watches: list[StoreWatch] = []
    make = FakeCard.__init__

    def made(card: FakeCard, **options: Any) -> None:
        make(card, **options)
        watches.append(card.stores)

    with mock.patch.object(FakeCard, "__init__", made):
        yield
    problems = [problem for watch in watches for problem in watch.take_problems()]
    assert not problems, (
        f"the card saw {len(problems)} wrong stores, the first of them: {problems[0]}")
