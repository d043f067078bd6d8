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

_CREATION = """\
# What no pool can be made of: a sync without a mapping, and an order above the largest.
create 0 0 64 -1 2
create 0 11 64 -1 0
create 0 11 64 -1 2
create 0 10 64 -1 3
destroy 0
# A ring of no size has 1024 slots, and one of more than 16384 has as many.
create 0 0 0 -1 0
allocs 0 0 1100
puts 0 1100 -1 0
destroy 0
create 0 0 40000 -1 1
allocs 0 0 16500
puts 0 16500 -1 0
allocs 0 0 40
destroy 0
puts 0 30 -1 0
tick 0
puts 30 10 -1 0
"""

_CACHE = """\
# The cache has 128 places and is filled by 64 at a time; what finds it full goes to the ring.
create 0 0 8 -1 4
allocs 0 0 300
puts 0 140 -1 1
puts 140 10 -1 0
allocs 0 0 150
bulk 150 151 152 153 154 155 156 157 158 159 160 161 162 163 164 165
nid 0 -1
alloc 0 400
puts 0 150 -1 1
puts 166 134 -1 0
destroy 0
put 400 -1 0
"""

WRITTEN = {"cache": _CACHE, "creation": _CREATION, "double-return": _DOUBLE_RETURN}
"""By name."""
