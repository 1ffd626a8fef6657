"""Tests of a step's format."""

from functools import reduce
from operator import or_

from amaranth import *


__all__ = ["among"]


def among(fmt, formats):
    """Value of "`fmt` is one of `formats`"."""
    # In a fixed order, unlike a set's: builds are reused while the Verilog stays the same.
    return reduce(or_, (fmt == f for f in sorted(formats, key=lambda f: f.value)), C(0, 1))
