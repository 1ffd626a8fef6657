# amaranth: UnusedElaboratable=no

import pytest

from rtl.control.queue import UnitQueue
from rtl.control.tokens import TokenCounters


@pytest.mark.parametrize("depth", [0, 1, -8, "8"])
def test_queue_depth_wrong(depth):
    with pytest.raises(
        ValueError, match=rf"^Queue depth must be an integer of at least 2, not {depth!r}$"
    ):
        UnitQueue(depth)


@pytest.mark.parametrize("queues", [0, 2.0])
def test_queues_wrong(queues):
    with pytest.raises(
        ValueError, match=rf"^Number of queues must be a positive integer, not {queues!r}$"
    ):
        TokenCounters(queues)
