"""Syncs at the heads of queues, and beside them."""

import pytest

from mapper.estimate.events import Clock
from mapper.estimate.hardware import hardware
from mapper.estimate.queues import Queue, Tokens
from rtl.spec.config import CONFIGS
from rtl.spec.isa import MatMul, Sync, Unit


BUSY = 100


class Unhurried:
    """Takes an instruction in a cycle, and completes it much later."""

    def __init__(self, clock):
        self.clock, self.idle_at = clock, 0.0

    @property
    def complete_at(self):
        return self.idle_at

    def execute(self, insn):
        yield 1
        self.idle_at = self.clock.now + BUSY


@pytest.mark.parametrize("beside", [True, False])
def test_sync_that_gives(beside):
    """Beside the queue it waits while what follows is taken; the token comes as late."""
    clock, latencies, taken, given = Clock(), hardware(CONFIGS["small"]), [], []
    tokens = Tokens(clock, latencies)
    unit = Unhurried(clock)
    queue = Queue(
        clock, latencies, tokens, unit, 8, beside, lambda pc, start, end: taken.append((pc, start))
    )

    def push():
        insn = MatMul(rows=16, groups=1)
        for pc, each in enumerate([insn, Sync(unit=Unit.LINEAR, give=1), insn]):
            yield from queue.push(pc, each)

    def wait():
        yield from tokens.take(1)
        given.append(clock.now)

    clock.start(push())
    clock.start(wait())
    clock.run()
    assert [pc for pc, _ in taken] == [0, 1, 2]
    assert (taken[2][1] < BUSY) == beside
    assert BUSY < given[0] < BUSY + 20
