"""Gears: one beat fewer than steps, where beats have bits left over.

The groups of a tile go in runs of one more step than beats. What the beats of a run have left over
holds the codes of its last step. The last groups of a tile, when too few for a run, take a beat
each, with zeros for the step that is not there.
"""

import numpy as np


__all__ = ["runs"]


def runs(groups, length):
    """Steps of a tile that have a beat, int (beats,); steps that have none, int (carried,); and the
    places among the beats of those that carry each of the latter, int (carried, length - 1)."""
    step = np.arange(groups)
    own = step[step % length != length - 1]
    carried = step[step % length == length - 1]
    carriers = carried[:, None] - (length - 1) + np.arange(length - 1)
    return own, carried, np.searchsorted(own, carriers)
