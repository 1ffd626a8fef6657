"""Connections that all boards share: LEDs, UART, DDR3 system."""

from amaranth import *
from amaranth.lib import io

from .dram.pads import pads_of
from .system import System


__all__ = ["connect_uart", "connect_lamps", "ddr3_system"]


def connect_uart(m, uart, system):
    """Connect a serial line, given as a resource that was requested with `dir="-"`."""
    m.submodules.rx = rx = io.Buffer("i", uart.rx)
    m.submodules.tx = tx = io.Buffer("o", uart.tx)
    m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]


def connect_lamps(m, lamps, system):
    """Show on the first three of some LEDs: memory was brought up; an image is in it; at work."""
    for lamp, state in zip(lamps, (system.initialised, system.sealed, system.busy)):
        m.submodules += (buffer := io.Buffer("o", lamp))
        m.d.comb += buffer.o.eq(state)


def ddr3_system(m, board, clock, memory, options):
    """The system of a board with a DDR3 memory, whose controller makes the domain `sync`.

    Parameters
    ----------
    clock, memory
        Resources that were requested with `dir="-"`.
    options : :class:`dict`
        Those of :class:`~.system.System`.
    """
    m.submodules.clock = clock = io.Buffer("i", clock)
    m.submodules.system = system = System(board, pads_of("ddr3", memory), **options)
    if unused := memory.a[board.dram.chip.row_bits :]:
        # A chip of a larger size must not see them float.
        m.submodules.unused = io.Buffer("o", unused)
    m.domains.sync = ClockDomain("sync")
    m.d.comb += [
        system.clk_in.eq(clock.i),
        ClockSignal("sync").eq(system.user_clk),
        ResetSignal("sync").eq(system.user_rst),
    ]
    return system
