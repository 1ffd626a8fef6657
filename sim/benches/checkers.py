"""Bench of the AXI checkers: breaks each rule, which must be reported."""

import cocotb
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, AXI4Lite
from sim.checkers.rules import RULES
from sim.harness.bench import case, cycles, start, violation


class Wires(wiring.Component):
    """A manager's port and memory's, whose signals are whatever the bench tells them to be."""

    # Read by :func:`sim.checkers.rules.limits_of`.
    limits = {"read": {"WHOLE": 1, "MOST": 8}, "write": {"WHOLE": 1, "MOST": 2}}

    def __init__(self, bus):
        super().__init__({"i": In(bus), "o": Out(bus), "time": Out(8)})

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.sync += self.time.eq(self.time + 1)  # Checkers need a clock.
        return m


CASES = {"axi": lambda: Wires(AXI4(16, 32, 2)), "lite": lambda: Wires(AXI4Lite(8))}

AR, R, AW, W, B = "ar", "r", "aw", "w", "b"


def take(channel, **payload):
    """A transfer: valid and ready for one cycle."""
    return {
        f"{channel}valid": 1,
        f"{channel}ready": 1,
        **{channel + name: value for name, value in payload.items()},
    }


def offer(channel, **payload):
    return take(channel, **payload) | {f"{channel}ready": 0}


def burst(channel, len=0, addr=0, id=0, size=2, burst=1):
    return take(channel, len=len, addr=addr, id=id, size=size, burst=burst)


# Cycles, each a mapping from signals to values, the others 0; the rule that they break.
AXI = {
    "read": ([burst(AR, 1), take(R), take(R, last=1)], ""),
    "interleaved": (
        [
            burst(AR, 1, id=1),
            burst(AR, 0, id=2),
            take(R, id=1),
            take(R, id=2, last=1),
            take(R, id=1, last=1),
        ],
        "",
    ),
    "end_of_page": ([burst(AR, 7, 4096 - 32)], ""),
    "page": ([burst(AR, 7, 4096 - 28)], "CROSSES"),
    "page_write": ([burst(AW, 7, 4096 - 28)], "CROSSES"),
    "narrow": ([burst(AR, size=1)], "SIZE"),
    "unaligned": ([burst(AW, addr=2)], "SIZE"),
    "fixed": ([burst(AR, burst=0)], "SIZE"),
    "wide": ([burst(AR, size=3)], "WIDE"),
    "unasked": ([take(R, last=1)], "UNASKED"),
    "too_soon": ([burst(AR) | offer(R, last=1)], "UNASKED"),
    "other_id": ([burst(AR, id=1), take(R, id=2, last=1)], "UNASKED"),
    "once_more": ([burst(AR), take(R, last=1), take(R, last=1)], "UNASKED"),
    "early_rlast": ([burst(AR, 1), take(R, last=1)], "LAST"),
    "no_rlast": ([burst(AR), take(R)], "LAST"),
    "most_reads": ([burst(AR, 3), burst(AR, 3)], ""),
    "more_reads": ([burst(AR, 3), burst(AR, 4)], "TOO_MANY"),
    "reads_again": ([burst(AR), take(R, last=1), burst(AR, 7)], ""),
    "write": ([burst(AW, 1), take(W), take(W, last=1), take(B)], ""),
    "data_first": ([take(W), take(W, last=1), burst(AW, 1), take(B)], ""),
    "at_once": ([burst(AW) | take(W, last=1), take(B)], ""),
    "second_first": (
        [
            burst(AW, id=1),
            take(W, last=1),
            burst(AW, id=2),
            take(W, last=1),
            take(B, id=2),
            take(B, id=1),
        ],
        "",
    ),
    "early_wlast": ([burst(AW, 1), take(W, last=1)], "LAST"),
    "no_wlast": ([burst(AW, 1), take(W), take(W)], "LAST"),
    "late_length": ([take(W), take(W, last=1), burst(AW)], "LAST"),
    "run_on": ([take(W), take(W), burst(AW)], "LAST"),
    "no_data": ([burst(AW), take(B)], "UNASKED"),
    "no_address": ([take(W, last=1), take(B)], "UNASKED"),
    "in_last": ([burst(AW), take(W, last=1) | offer(B)], "UNASKED"),
    "other_bid": ([burst(AW, id=3), take(W, last=1), take(B, id=2)], "UNASKED"),
    "twice": ([burst(AW), take(W, last=1), take(B), take(B)], "UNASKED"),
    "most_writes": ([burst(AW), burst(AW)], ""),
    "more_writes": ([burst(AW), burst(AW), burst(AW)], "TOO_MANY"),
    "writes_again": ([burst(AW), burst(AW), take(W, last=1), take(B), burst(AW)], ""),
}
LITE = {
    "read": ([take(AR), take(R), take(AR), take(R)], ""),
    "unasked": ([take(AR), take(R), take(R)], "UNASKED"),
    "write": ([take(AW), take(W), take(B), take(W), take(AW), take(B)], ""),
    "no_data": ([take(AW), take(B)], "UNASKED"),
    "no_address": ([take(W), take(B)], "UNASKED"),
}
# What each channel offers legally, after that which it needs; and something of it that may not
# change.
OFFERS = {
    AR: ([], burst(AR), {"araddr": 4}),
    R: ([burst(AR)], take(R, last=1), {"rdata": 3}),
    AW: ([], burst(AW), {"awaddr": 4}),
    W: ([], take(W, last=1), {"wstrb": 1}),
    B: ([burst(AW), take(W, last=1)], take(B), {"bresp": 2}),
}


def unsteady():
    """For each channel, an offer that is kept, one that is withdrawn, and one that changes."""
    for channel, (needs, taken, change) in OFFERS.items():
        waits = taken | {f"{channel}ready": 0}
        yield f"{channel}_kept", ([*needs, waits, waits, taken], "")
        yield f"{channel}_withdrawn", ([*needs, waits, {}], "WITHDRAWN")
        yield f"{channel}_changed", ([*needs, waits, waits | change], "CHANGED")


def sequences():
    return {**(AXI if case() == "axi" else LITE), **dict(unsteady())}


@cocotb.test()
async def rules(dut):
    """Each sequence is seen to break its rule, or none; a reset makes up for it."""
    members = CASES[case()]().i.signature.members
    for name, (sequence, rule) in sequences().items():
        await start(dut, watch=False)
        for values in [*sequence, {}]:
            for signal, member in members.items():
                port = getattr(dut, f"{'i' if member.flow == In else 'o'}__{signal}")
                port.value = values.get(signal, 0)
            await cycles(dut)
        await cycles(dut)
        seen = violation(dut)
        assert bool(seen) == bool(rule) and seen.endswith(rule and RULES[rule]), (
            f"{name}: {seen or 'nothing'}"
        )


@cocotb.test()
async def every_rule(dut):
    """There is a sequence for each; that of `busy` has one in the bench `sink`."""
    if case() == "axi":
        assert {rule for _, rule in sequences().values()} - {""} == set(RULES) - {"IDLE"}
