"""Disjoint sets of numbered things, in an array of parents (Tarjan, J. ACM 22, 1975).

A set is known by its root, the one that is its own parent. With path halving and the smaller root
above the larger, the parents are never larger than their children: one pass upwards numbers the
sets in the order of their first members.
"""

from typing import Any

from dipstream.compiled import compiled

__all__ = ["find", "number", "unite"]


@compiled
def find(parent: Any, i: Any) -> Any:
    """Return the root of the set that `i` is in; paths become half as long on the way."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def unite(parent: Any, i: Any, j: Any) -> None:
    """Make one set of those that `i` and `j` are in; its root is the smaller of both roots."""
    i = find(parent, i)
    j = find(parent, j)
    if i < j:
        parent[j] = i
    else:
        parent[i] = j


@compiled
def number(parent: Any) -> int:
    """Replace parents by numbers of sets, 0 … n − 1 by first member; return n.

    Holds where no parent is larger than its child.
    """
    n = 0
    for i in range(parent.size):
        above = parent[i]
        if above == i:
            parent[i] = n
            n += 1
        else:
            parent[i] = parent[above]  # smaller, so it is a number already
    return n
