"""Traces by hand, of what no legal random trace does."""

from __future__ import annotations

__all__ = ["WRITTEN"]

_DOUBLE_RETURN = """\
# A page that is returned twice is in the pool twice and is handed out twice: first by way of the
# cache, then by way of the ring. One of the two is forgotten each time, since a page that is still
# there twice at the end would be freed twice.
create 0 0 64 -1 8
allocs 0 0 4
twice 0 9
put 0 -1 1
put 9 -1 1
alloc 0 10
alloc 0 11
forget 11
twice 10 12
put 10 -1 0
put 12 -1 0
allocs 0 100 60
alloc 0 200
alloc 0 201
forget 201
puts 100 60 -1 1
puts 1 3 -1 0
put 200 -1 0
destroy 0
"""

WRITTEN = {"double-return": _DOUBLE_RETURN}
"""By name."""
