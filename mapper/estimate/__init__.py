"""A model of cycles: what a step takes, from the image, the position and the columns, without RTL.

A program never looks at data, so a step can be followed event by event without values. Each part of
the accelerator is a process that takes the cycles that the component takes; how long that is comes
from the components (:mod:`.hardware`).
"""

from .estimate import Estimate, NodeCycles, estimate


__all__ = ["Estimate", "NodeCycles", "estimate"]
