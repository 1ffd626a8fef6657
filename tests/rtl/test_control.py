# amaranth: UnusedElaboratable=no

import pytest

from rtl.control.queue import UnitQueue
from rtl.control.store import InstructionStore
from rtl.control.tokens import TokenCounters
from rtl.spec.isa import Insn, Unit
from rtl.spec.payloads import queue_bits


@pytest.mark.parametrize("depth", [0, 1, 12, -8, "8"])
def test_queue_depth_wrong(depth):
    with pytest.raises(
        ValueError, match=rf"^Queue depth must be a power of two of at least 2, not {depth!r}$"
    ):
        InstructionStore([8, depth])


@pytest.mark.parametrize("bits", [15, 257, "20"])
def test_queue_bits_wrong(bits):
    with pytest.raises(
        ValueError, match=rf"^Bits of an instruction must be from 20 to 256, not {bits!r}$"
    ):
        UnitQueue(bits)


def test_queue_bits():
    """All that a unit reads, and no register's number."""
    for unit in Unit:
        bits = queue_bits(unit)
        for op, cls in Insn.by_op.items():
            fields = [name for name, _ in cls.layout if name not in cls.relative.values()]
            if op.value >> 4 == unit.value:
                ends = [cls.layout[name].offset + cls.layout[name].width for name in fields]
                assert max(ends) <= bits < 256
    assert queue_bits(Unit.STREAM) == 8 + 32 + 28


@pytest.mark.parametrize("queues", [0, 2.0])
def test_queues_wrong(queues):
    with pytest.raises(
        ValueError, match=rf"^Number of queues must be a positive integer, not {queues!r}$"
    ):
        TokenCounters(queues)
