"""The kernel as the judge of the page pool: traces of operations, run here and on the real thing.

A trace is text, one operation a line. It is executed by :class:`~pool_trace.executor.Executor` on
our :class:`~pagering.page_pool.PagePool`, and by the module in ``tests/kernel`` on Linux's
``page_pool``. Both print the same lines; every statistic is on each of them.
"""
