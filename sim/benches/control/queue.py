"""Instruction queues and token counters: order and synchronization."""

import cocotb
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.control.queue import UnitQueue
from rtl.control.store import InstructionStore
from rtl.control.tokens import TokenCounters
from rtl.spec.isa import WORD_BITS, Load, Op, Sync
from rtl.spec.limits import PC_BITS, TOKEN_COUNTERS, TOKENS_AHEAD
from rtl.spec.payloads import Dispatched
from sim.harness.bench import Sink, Source, cycles, get_port, rng, start


QUEUES = 4


class Queues(wiring.Component):
    """Several queues on one set of counters and one store, which is given one instruction at a
    time.
    """

    def __init__(self, depth):
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(Dispatched)).array(QUEUES),
                "o": Out(stream.Signature(Dispatched)).array(QUEUES),
                "busy": In(1).array(QUEUES),
                "stop": In(1),
                "empty": Out(1).array(QUEUES),
                "passed": Out(1).array(QUEUES),
                "pc": Out(PC_BITS).array(QUEUES),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.tokens = tokens = TokenCounters(QUEUES)
        m.submodules.store = store = InstructionStore([self.depth] * QUEUES)
        given = Const(0)  # to a queue before this one
        for ours, its in zip(self.i, store.i):
            # Only what has room, so that a full queue keeps nothing from the others.
            goes = ours.valid & its.ready & ~given
            given = given | goes
            m.d.comb += [its.valid.eq(goes), ours.ready.eq(goes)]
            with m.If(goes):
                m.d.comb += [each.payload.eq(ours.payload) for each in store.i]
        for n in range(QUEUES):
            queue = m.submodules[f"queue{n}"] = UnitQueue()
            wiring.connect(m, store.o[n], queue.i)
            wiring.connect(m, queue.o, wiring.flipped(self.o[n]))
            wiring.connect(m, queue.tokens, tokens.queues[n])
            m.d.comb += [
                queue.busy.eq(self.busy[n]),
                queue.stop.eq(self.stop),
                self.empty[n].eq(queue.empty & store.empty[n]),
                self.passed[n].eq(queue.passed),
                self.pc[n].eq(queue.pc),
            ]
        return m


CASES = {"deep": lambda: Queues(8), "shallow": lambda: Queues(2)}


class Unit:
    """Takes instructions, is busy with each, and keeps when each began and ended."""

    def __init__(self, dut, n, stall):
        self.dut, self.n, self.random = dut, n, rng(f"unit{n}")
        self.sink = Sink(dut, f"o.{n}", Dispatched, stall=stall)
        self.spans, self.taken = [], []
        cocotb.start_soon(self.run())

    async def run(self):
        busy = get_port(self.dut, f"busy.{self.n}")
        while True:
            self.taken.append(await self.sink.receive())
            began = cocotb.utils.get_sim_time("ns")
            busy.value = 1
            await cycles(self.dut, self.random.choice([1, 2, 9]))
            busy.value = 0
            self.spans.append((began, cocotb.utils.get_sim_time("ns")))


async def watch_empty(dut, n):
    """A queue is empty when every instruction it took has left, one by one."""
    valid, ready, passed, empty = (
        get_port(dut, name)
        for name in (f"i.{n}.valid", f"i.{n}.ready", f"passed.{n}", f"empty.{n}")
    )
    held = 0
    while True:
        await FallingEdge(dut.clk)
        held -= int(passed.value)
        assert int(empty.value) == (held == 0), f"empty is wrong with {held} instructions held"
        held += int(valid.value) and int(ready.value)


def payload(random, insn):
    """An instruction at some place. For a unit's, any bits do: they are not the queue's
    business.
    """
    word, op = insn.encode(), insn.layout["op"]
    if not isinstance(insn, Sync):
        code = random.choice([code for code in range(1 << op.width) if code != Op.SYNC.value])
        word = (
            random.getrandbits(WORD_BITS) & ~((1 << op.width) - 1 << op.offset) | code << op.offset
        )
    return {"word": word, "pc": random.getrandbits(PC_BITS)}


async def execute(dut, programs, *, gap, stall):
    """Run a list of instructions per queue; returns the units."""
    random = rng("payloads")
    sent = [[payload(random, insn) for insn in program] for program in programs]
    for n in range(QUEUES):
        cocotb.start_soon(watch_empty(dut, n))
    units = [Unit(dut, n, stall) for n in range(QUEUES)]
    sources = [
        cocotb.start_soon(Source(dut, f"i.{n}", Dispatched, gap=gap).send_all(payloads))
        for n, payloads in enumerate(sent)
    ]
    for source in sources:
        await source
    works = [
        [sent for sent, insn in zip(payloads, program) if isinstance(insn, Load)]
        for payloads, program in zip(sent, programs)
    ]
    for _ in range(5000):
        await FallingEdge(dut.clk)
        if (
            all(int(get_port(dut, f"empty.{n}").value) for n in range(QUEUES))
            and [unit.taken for unit in units] == works
            and all(len(unit.spans) == len(unit.taken) for unit in units)
        ):
            break
    else:
        raise AssertionError(
            f"queues not empty: units got {[len(u.taken) for u in units]} "
            f"of {[len(w) for w in works]} instructions, or others"
        )
    await cycles(dut)
    return units


WORK = Load(addr=1)


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], stall=[0, 0.4])
async def chain(dut, gap, stall):
    """Item n passes from queue to queue, and two items at most are on the way."""
    await start(dut)
    items = 40
    last = QUEUES - 1
    links = rng(f"counters {gap} {stall}").sample(range(1, TOKEN_COUNTERS), QUEUES)
    programs = [[] for _ in range(QUEUES)]
    programs[last] += [Sync(give=links[0]), Sync(give=links[0])]
    for n in range(QUEUES):
        programs[n] += [Sync(take=links[n]), WORK, Sync(give=links[(n + 1) % QUEUES])] * items
    # Those to spare at the end are taken, so that the counters are at zero again.
    programs[last] += [Sync(take=links[0]), Sync(take=links[0])]
    units = await execute(dut, programs, gap=gap, stall=stall)
    for before, after in zip(units, units[1:]):
        assert all(b[1] < a[0] for b, a in zip(before.spans, after.spans))
    assert all(e[1] < b[0] for e, b in zip(units[last].spans, units[0].spans[2:]))


@cocotb.test()
@cocotb.parametrize(counters=[(7, 8), (8, 7)])  # all bits of their numbers differ
async def shared_counter(dut, counters):
    """Several queues take from one counter what another gives: each token is taken once."""
    await start(dut)
    share, (counter, back) = 15, counters
    programs = [[WORK, Sync(give=counter)] * (share * (QUEUES - 1))]
    programs += [[Sync(take=counter, give=back), WORK] * share for _ in range(QUEUES - 1)]
    programs[0] += [Sync(take=back)] * (share * (QUEUES - 1)) + [WORK]
    units = await execute(dut, programs, gap=0, stall=0)
    given = [end for _, end in units[0].spans]
    taken = sorted(began for unit in units[1:] for began, _ in unit.spans)
    assert all(g < t for g, t in zip(given, taken))


@cocotb.test()
@cocotb.parametrize(counter=range(1, TOKEN_COUNTERS))
async def full_counter(dut, counter):
    """As many tokens as a counter holds, given by all queues at once: all can be taken, and no
    more.
    """
    await start(dut)
    counts = [counter, 2 * counter, 3 * counter]
    counts.append(TOKENS_AHEAD - sum(counts))
    programs = [[Sync(give=counter)] * count for count in counts]
    taker, go = counter % QUEUES, counter % (TOKEN_COUNTERS - 1) + 1
    programs[-1] += [Sync(give=go)]
    programs[taker] += [Sync(take=go)] + [Sync(take=counter)] * TOKENS_AHEAD + [WORK]
    await execute(dut, programs, gap=0, stall=0)
    await Source(dut, f"i.{taker}", Dispatched).send({"word": Sync(take=counter).encode(), "pc": 0})
    for _ in range(50):
        await FallingEdge(dut.clk)
    assert not int(get_port(dut, f"empty.{taker}").value)


@cocotb.test()
async def sync_waits_for_unit(dut):
    """A token is not given while the unit before it is busy; and stop holds everything."""
    await start(dut)
    first = Source(dut, "i.0", Dispatched, gap=0)
    second = Source(dut, "i.1", Dispatched, gap=0)
    one, two = Sink(dut, "o.0", Dispatched, stall=0), Sink(dut, "o.1", Dispatched, stall=0)
    await second.send({"word": Sync(take=3).encode(), "pc": 1})
    await second.send({"word": WORK.encode(), "pc": 2})
    await first.send({"word": WORK.encode(), "pc": 3})
    await first.send({"word": Sync(give=3).encode(), "pc": 4})
    await one.receive()
    get_port(dut, "busy.0").value = 1
    await two.expect_none(30)
    dut.stop.value = 1
    get_port(dut, "busy.0").value = 0
    await two.expect_none(30)
    dut.stop.value = 0
    assert (await two.receive())["pc"] == 2
    await cycles(dut)
    assert int(get_port(dut, "pc.0").value) == 3
    assert int(get_port(dut, "pc.1").value) == 2
