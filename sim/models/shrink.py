"""Shrink a failing case to the smallest on which both machines still differ."""

from host.errors import UserError

from ..programs.compare import Difference
from .case import smaller


__all__ = ["shrink"]


TRIES = 200


def shrink(pair, case):
    """Make a case smaller as long as the difference stays; returns it and the :exc:`Difference`."""

    def difference(case):
        try:
            pair.compare(case, case.shape.image(pair.config))
        except Difference as found:
            return found
        except UserError:  # the configuration does not take it
            return None
        return None

    found, left = difference(case), TRIES
    while True:
        for candidate in smaller(case):
            left -= 1
            other = difference(candidate) if candidate.steps else None
            if other is not None:
                case, found = candidate, other
                break
            if not left:
                return case, found
        else:
            return case, found
