"""Token counters, by which the queues wait for each other."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
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

    The counters are in LUTs' memory, and one Sync is served at a time: in a cycle, and one more for
    each of its counters. Of several the first queue has priority. A token can be taken two cycles
    after it was given, three if its Sync took one as well. A counter must not exceed 255: the rule
    `token` (:mod:`rtl.spec.rules`) bounds how far a queue runs ahead.

    After a reset nothing is served for 16 cycles, in which the counters are cleared.

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

        m.submodules.counts = memory = Memory(
            shape=TOKEN_COUNTER_BITS, depth=TOKEN_COUNTERS, init=[]
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        some = Signal(TOKEN_COUNTERS, init=1)  # counters that are not at zero
        at = Signal(range(TOKEN_COUNTERS))  # of the counter that changes
        after = Signal(range(TOKEN_COUNTERS), reset_less=True)  # the one that does next, or 0
        m.d.comb += [read.addr.eq(at), write.addr.eq(at)]

        # What changes now: it is clear afterwards whether that counter is at zero.
        changes, becomes = Signal(), Signal()
        for n in range(1, TOKEN_COUNTERS):
            with m.If(changes & (at == n)):
                m.d.sync += some[n].eq(becomes)

        take, give = Signal.like(at), Signal.like(at)
        serves, served = Signal(), Const(0)
        for queue in self.queues:
            able = queue.valid & some.bit_select(queue.take, 1)
            m.d.comb += queue.done.eq(able & serves & ~served)
            served = served | able
        for queue in reversed(self.queues):
            with m.If(queue.valid & some.bit_select(queue.take, 1)):
                m.d.comb += [take.eq(queue.take), give.eq(queue.give)]

        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += write.en.eq(1)
                m.d.sync += at.eq(at + 1)
                with m.If(at == TOKEN_COUNTERS - 1):
                    m.next = "SERVE"
            with m.State("SERVE"):
                m.d.comb += serves.eq(1)
                m.d.sync += [at.eq(Mux(take == 0, give, take)), after.eq(give)]
                with m.If(served & (take != 0)):
                    m.next = "TAKE"
                with m.Elif(served & (give != 0)):
                    m.next = "GIVE"
            with m.State("TAKE"):
                m.d.comb += [changes.eq(1), becomes.eq(read.data != 1)]
                m.d.comb += [write.en.eq(1), write.data.eq(read.data - 1)]
                m.d.sync += at.eq(after)
                m.next = "SERVE"
                with m.If(after != 0):
                    m.next = "GIVE"
            with m.State("GIVE"):
                m.d.comb += [changes.eq(1), becomes.eq(1)]
                m.d.comb += [write.en.eq(1), write.data.eq(read.data + 1)]
                m.next = "SERVE"

        return m
