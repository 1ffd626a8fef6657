"""Initialise a board's DRAM from the host, over the control bus: the boards have no processor.

LiteX's software does the same on a processor beside the controller (`sdram_init` and
`sdram_read_leveling` in its `sdram.c`), and this follows it but for three things:

- An SDR memory's mode register gets no bit to reset a DLL, which such a memory has not: the bit is
  reserved.
- The memory is not tested: what is loaded is compared as a whole.
- A link takes a millisecond from one command to the next. That is longer than a DDR3 memory's data
  sheet lets a row be open (9 tREFI, 70 us), for the one row that levelling tries things out with.
"""

import time

from host.device import DeviceError

from .commands import Command, Control, Injector
from .levelling import LANES, level


__all__ = ["MODE_REGISTERS", "is_up", "initialise"]


PRECHARGE_ALL = 1 << 10  # address line 10
BURST_LENGTH_1 = 0
# Bank address, and what is loaded: CAS write latency 5, nothing, drivers of 34 ohm and terminations
# of 60, CAS latency 6 and a reset of the DLL.
MODE_REGISTERS = [(2, 0x200), (3, 0x000), (1, 0x006), (0, 0x320)]
RUNNING = Control.CKE | Control.ODT | Control.RESET_N


def is_up(bus, dram):
    """Whether the memory has been brought up since the board was reset."""
    injector = Injector(bus, dram.kind)
    return bool(injector.read("ddrctrl_init_done")) and not injector.read("ddrctrl_init_error")


def initialise(bus, dram, *, name="board", sleep=time.sleep):
    """Bring a memory up, unless it is: what it holds is lost otherwise.

    Parameters
    ----------
    bus
        The control bus: `read(address)` and `write(address, value)`, addresses of 32-bit words.
    dram : :class:`~.board_memory.BoardMemory`
        The memory.
    name : :class:`str`
        What to call the board in messages.
    sleep : callable
        Waits for so many seconds.

    Returns
    -------
    list of :class:`~.levelling.Window`, or None
        What read levelling found for each lane; none for a memory that is up already, or needs
        none.
    """
    if is_up(bus, dram):
        return None
    injector = Injector(bus, dram.kind)
    injector.write("ddrctrl_init_done", 0)
    injector.write("ddrctrl_init_error", 0)
    windows = (sdr if dram.kind == "sdr" else ddr3)(injector, dram, sleep)
    injector.control(Control.HARDWARE)
    if None in windows:
        injector.write("ddrctrl_init_error", 1)
        injector.write("ddrctrl_init_done", 1)
        lanes = ", ".join(str(n) for n, window in enumerate(windows) if window is None)
        raise DeviceError(
            f"{name}: the memory does not answer on byte lane {lanes} of {LANES}: no delay reads "
            "what was written. Is the bitstream for this board? Load it again"
        )
    injector.write("ddrctrl_init_done", 1)
    return windows


def sdr(injector, dram, sleep):
    """JEDEC 21-C, 3.11.5: precharge, refresh, load the mode register. Nothing is to be levelled."""
    injector.control(RUNNING)
    sleep(200e-6)
    injector.command(Command.PRECHARGE, address=PRECHARGE_ALL)
    for _ in range(8):  # two, or eight: it depends on the maker
        injector.command(Command.REFRESH)
    injector.command(Command.LOAD_MODE, address=dram.cas_latency << 4 | BURST_LENGTH_1)
    sleep(200e-6)
    return []


def ddr3(injector, dram, sleep):
    """JESD79-3F, 3.3.1: reset, clock enable, mode registers, calibration of drivers; then read
    levelling.
    """
    injector.control(Control.ODT)
    sleep(200e-6)
    injector.control(Control.ODT | Control.RESET_N)
    sleep(1e-3)
    injector.control(RUNNING)
    sleep(1e-3)
    for bank, value in MODE_REGISTERS:
        injector.command(Command.LOAD_MODE, address=value, bank=bank)
    sleep(1e-3)
    injector.command(Command.CALIBRATE, address=PRECHARGE_ALL)  # the long one
    sleep(1e-3)
    return level(injector)
