"""Memory that is not a pool's to allocate: the hooks of Linux's ``memory_provider_ops``.

A pool with hooks never allocates on its own. It asks them when no page is idle and tells them when
it lets go of one, so a fixed area of memory can serve it: a device's, another process's, an
application's. Such pages have no memory references of their own (``refcount`` stays 1) and are on
no memory node, so they are always fit to be recycled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pagering.page_pool import PagePool
    from pagering.page_pool_page import Page

__all__ = ["MemoryProviderHooks"]


@runtime_checkable
class MemoryProviderHooks(Protocol):
    """What a pool calls. All but ``release_page`` come from the allocating thread."""

    def init(self, pool: PagePool) -> None:
        """Get ready for ``pool``, last of all that happens when it is created.

        Raises
        ------
        PoolError
            If the pool's parameters do not suit this memory; the pool is then not created.
        """

    def destroy(self, pool: PagePool) -> None:
        """The pool is finished: no page of it is in flight any more."""

    def alloc_page(self, pool: PagePool) -> Page | None:
        """Return a page that was given to ``pool.memory.adopt``, or ``None``.

        More pages may be put in the pool's cache on the way, with ``pool.place_in_cache``.
        """

    def release_page(self, pool: PagePool, page: Page) -> bool:
        """Take a page back that ``pool`` lets go of, from any thread.

        Returns
        -------
        bool
            Whether the pool must drop its memory reference of the page.
        """
