"""The curve that caps attention's scores: cap * tanh(s / cap), in straight pieces.

Scores are in the log2 domain with `FRACTION` bits of fraction, steps of 2**-10. So the cap, which
models state in natural units, is cap * log2(e) * 2**10 steps. The curve is odd; of a score's
magnitude, the bits above `shift` choose a piece, and those below a place within. Beyond the last
piece it is at its limit, to half a step.

A chord of a concave curve lies below it. Nodes lie above the curve by half of the most that a
chord would be below, so that pieces are as far above as below: 0.2 steps for a cap of 50, at most
0.6 for any.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil, cosh, e, log, log2, tanh

from .numbers import FRACTION


__all__ = ["MIN_CAP", "MAX_CAP", "PIECES", "EXTRA", "Curve", "curve"]


MIN_CAP, MAX_CAP = 1, 100
PIECES = 1024
EXTRA = 3  # bits of a node below a step


@dataclass(frozen=True)
class Curve:
    """Nodes of a capped score's magnitude.

    Attributes
    ----------
    shift : :class:`int`
        A piece has 2**shift steps.
    nodes : tuple of :class:`int`
        `PIECES` + 1 values, not falling, with `EXTRA` bits below a step.
    """

    shift: int
    nodes: tuple

    @property
    def slopes(self):
        """Of each piece, how far its end is above its start."""
        return tuple(end - start for start, end in zip(self.nodes, self.nodes[1:]))


@cache
def curve(cap):
    """The :class:`Curve` of a cap in natural units."""
    limit = cap * log2(e) * (1 << FRACTION)  # steps
    # limit * (1 - tanh(x)) is about 2 * limit * exp(-2x), and half a step there.
    flat = limit * log(4 * limit) / 2
    shift = (ceil(flat / PIECES) - 1).bit_length()
    piece = 1 << shift

    def node(x):
        bend = 2 * tanh(x) / cosh(x) ** 2 / limit  # less the second derivative, per step
        return round((limit * tanh(x) + piece**2 / 16 * bend) * (1 << EXTRA))

    return Curve(shift, tuple(node(n * piece / limit) for n in range(PIECES + 1)))
