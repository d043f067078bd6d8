"""What the package raises: one class to catch, one sentence each."""

from __future__ import annotations

__all__ = ["CardError", "CardGone", "CaptureError", "FrameReleased", "PageringError", "PoolError"]


class PageringError(Exception):
    """Base of every error of this package. Its text says what, where and what to do."""


class CardError(PageringError):
    """The card is not what the driver expects, or did not answer as it must."""


class CardGone(CardError):
    """The card is not there any more: unplugged, or its process ended.

    It writes to no memory, so all of it can be freed. Writes to its registers are lost.
    """


class PoolError(PageringError):
    """Memory was asked for, returned or destroyed in a way that a pool forbids."""


class FrameReleased(PageringError, ValueError):
    """A frame's bytes were used after its page went back to the card."""


class CaptureError(PageringError):
    """A capture file cannot be read or written."""
