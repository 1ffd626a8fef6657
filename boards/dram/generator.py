"""LiteDRAM's generator as a program, for controllers that are faster than its own.

- Its entries for DDR3 chips have tRFC in clocks of their fastest grade, 208 for the MT41K256M16. At
  160 MHz that is 1300 ns instead of 260, and every sixth cycle is lost to refreshes. The key
  `rfc_ns` of the YAML file says it in nanoseconds.
- It rounds the time between refreshes up to whole cycles, 7840 ns for 7812.5 at 25 MHz: 8192
  refreshes take longer than the 64 ms that they may. Here it is rounded down.
- Whether a bank takes a command is known late in a cycle, and the AXI port has much to do with it.
  Here there are registers in between, in both directions.
- A refresh is asked for by a comparison on the way to the banks, and a calibration of drivers is
  forgotten. Here a register asks for both.
- Its converter to a narrower memory takes a cycle for each wide access before the narrow ones: nine
  for eight transfers. Here it takes the next wide access while it gives the last narrow one.
"""

import sys

import yaml
from litedram import gen, modules
from litedram.common import LiteDRAMNativePort
from litedram.core import refresher
from litedram.frontend import adapter
from litedram.frontend.axi import LiteDRAMAXI2Native
from litex.soc.interconnect import stream
from migen import FSM, If, Module, NextState, NextValue, Signal


class AXI2Native(Module):
    """LiteDRAM's AXI port, its commands to the banks in registers."""

    def __init__(self, axi, port, **options):
        near = LiteDRAMNativePort(port.mode, port.address_width, port.data_width)
        # It counts data as promised when a command goes in here, and has them ready from then on.
        self.submodules.frontend = LiteDRAMAXI2Native(axi, near, **options)
        self.submodules.commands = commands = stream.Buffer(
            near.cmd.description, pipe_valid=True, pipe_ready=True
        )
        self.comb += [
            near.cmd.connect(commands.sink),
            commands.source.connect(port.cmd),
            near.wdata.connect(port.wdata),
            port.rdata.connect(near.rdata),
        ]


class RefreshTimer(Module):
    """Ask for a refresh, or a calibration of drivers, each `period` cycles.

    LiteDRAM's own says so in the cycle in which its counter is zero: the comparison is then part of
    the path to the banks, which limits the clock, and a calibration that cannot begin in that very
    cycle is forgotten. This one asks from a register, until `wait` is low.
    """

    def __init__(self, period):
        self.wait, self.done = Signal(), Signal()
        self.count = Signal(max=period, reset=period - 2)
        self.sync += [
            If(~self.wait, self.done.eq(0), self.count.eq(self.count.reset))
            .Elif(self.count == 0, self.done.eq(1))
            .Else(self.count.eq(self.count - 1))
        ]


class DownConverter(Module):
    """Accesses to a wide port, as several of consecutive addresses each to a narrow one, without a
    pause.
    """

    def __init__(self, wide, narrow, reverse=False):
        ratio = wide.data_width // narrow.data_width
        count, address, we = Signal(max=ratio), Signal(len(wide.cmd.addr)), Signal()
        take = [
            wide.cmd.ready.eq(1),
            NextValue(count, 0),
            NextValue(address, wide.cmd.addr),
            NextValue(we, wide.cmd.we),
            If(wide.cmd.valid, NextState("CONVERT")).Else(NextState("IDLE")),
        ]
        self.submodules.fsm = fsm = FSM(reset_state="IDLE")
        fsm.act("IDLE", *take)
        fsm.act(
            "CONVERT",
            narrow.cmd.valid.eq(1),
            narrow.cmd.we.eq(we),
            narrow.cmd.addr.eq(address * ratio + count),
            If(narrow.cmd.ready, NextValue(count, count + 1), If(count == ratio - 1, *take)),
        )
        for name, source, sink in (
            ("writes", wide.wdata, narrow.wdata),
            ("reads", narrow.rdata, wide.rdata),
        ):
            converter = stream.StrideConverter(
                source.description, sink.description, reverse=reverse
            )
            setattr(self.submodules, name, converter)
            self.submodules += stream.Pipeline(source, converter, sink)


def main():
    settings = yaml.safe_load(open(sys.argv[1]))
    chip, period = getattr(modules, settings["sdram_module"]), 1e9 / float(settings["sys_clk_freq"])
    # Half a cycle less, so that it is rounded up to what it should be.
    chip.technology_timings.tREFI = (
        int(chip.technology_timings.tREFI / period + 1e-9) - 0.5
    ) * period
    if "rfc_ns" in settings:
        for timings in chip.speedgrade_timings.values():
            timings.tRFC = None, settings["rfc_ns"]
    gen.LiteDRAMAXI2Native = AXI2Native
    refresher.RefreshTimer = RefreshTimer
    adapter.LiteDRAMNativePortDownConverter = DownConverter
    gen.main()


if __name__ == "__main__":
    main()
