"""Token counters, by which the queues wait for each other."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.limits import TOKEN_COUNTER_BITS, TOKEN_COUNTERS


__all__ = ["TokenPort", "TokenCounters"]


class TokenPort(wiring.Signature):
    """What a queue shows the counters for the :class:`~rtl.spec.isa.Sync` at its head.

    Members
    -------
    valid : :py:`Out(1)`
        Tokens are wanted or given.
    take : :py:`Out(4)`
        Counter to take a token from; 0 is none.
    give : :py:`Out(4)`
        Counter to give a token to; 0 is none.
    done : :py:`In(1)`
        Both happen in this cycle.
    """

    def __init__(self):
        super().__init__(
            {
                "valid": Out(1),
                "take": Out(range(TOKEN_COUNTERS)),
                "give": Out(range(TOKEN_COUNTERS)),
                "done": In(1),
            }
        )


class TokenCounters(wiring.Component):
    """Count tokens: 15 counters of 8 bits; number 0 is none, and never waits.

    All queues may give in the same cycle. If several take from a counter, the first has priority,
    and the others wait for at least two cycles. A token can be taken two cycles after it was given.
    A counter must not exceed 255: the rule `token` (:mod:`rtl.spec.rules`) bounds how far a queue
    runs ahead.

    Parameters
    ----------
    queues : :class:`int`
        Number of queues.

    Members
    -------
    queues : :py:`In(TokenPort()).array(queues)`
        The queues.
    """

    def __init__(self, queues):
        if not isinstance(queues, int) or queues < 1:
            raise ValueError(f"Number of queues must be a positive integer, not {queues!r}")
        super().__init__({"queues": In(TokenPort()).array(queues)})

    def elaborate(self, platform):
        m = Module()

        some = Signal(TOKEN_COUNTERS, init=1)
        for n, queue in enumerate(self.queues):
            wanted = Const(0)  # by a queue before this one
            for other in self.queues[:n] if n else ():
                wanted = wanted | (other.valid & (other.take == queue.take) & (queue.take != 0))
            m.d.comb += queue.done.eq(queue.valid & some.bit_select(queue.take, 1) & ~wanted)

        # Counters are updated a cycle late, which breaks the path from the queues' arbitration to
        # the counters. Until then, a counter that was taken from reads as empty.
        for k in range(1, TOKEN_COUNTERS):
            count = Signal(TOKEN_COUNTER_BITS, name=f"count{k}")
            given = Signal(range(len(self.queues) + 1), name=f"given{k}")
            taken = Signal(name=f"taken{k}")
            takes = Signal(name=f"takes{k}")
            following = Signal(TOKEN_COUNTER_BITS, name=f"following{k}")
            m.d.comb += [
                takes.eq(Cat(queue.done & (queue.take == k) for queue in self.queues).any()),
                following.eq(count + given - taken),
            ]
            m.d.sync += [
                given.eq(sum(queue.done & (queue.give == k) for queue in self.queues)),
                taken.eq(takes),
                count.eq(following),
                some[k].eq((following != 0) & ~takes),
            ]

        return m
