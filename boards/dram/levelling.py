"""Read levelling of DDR3 on an ECP5: find the read delay of each byte lane."""

from dataclasses import dataclass
from random import Random

from .commands import Command


__all__ = ["LANES", "DELAYS", "BITSLIPS", "Window", "best_window", "level"]


LANES, DELAYS, BITSLIPS = 2, 8, 4
READ_PHASE, WRITE_PHASE = 0, 1  # of CAS latency 6 and CAS write latency 5, at two phases
PHASE_BITS = 64  # four transfers of 16 bits
SEEDS = 42, 84, 36
TRIES = 8  # to set what was found, until it reads right


@dataclass(frozen=True)
class Window:
    """Delays from `first` to `last` that read right with some bitslip; `delay` is in the middle."""

    bitslip: int
    first: int
    last: int

    @property
    def delay(self):
        return (self.first + self.last) // 2

    def __str__(self):
        return f"bitslip {self.bitslip}, delays {self.first} to {self.last}"


def best_window(right):
    """The longest :class:`Window` of at least two delays, or None.

    Parameters
    ----------
    right : sequence of sequences of :class:`bool`
        Whether reading worked, by bitslip and delay.
    """
    windows = []
    for bitslip, row in enumerate(right):
        first = None
        for delay, works in enumerate([*row, False]):
            if works and first is None:
                first = delay
            elif not works and first is not None:
                windows.append(Window(bitslip, first, delay - 1))
                first = None
    # A single delay may be the edge of a window, where reading works by chance.
    windows = [window for window in windows if window.last > window.first]
    return max(windows, key=lambda window: window.last - window.first, default=None)


class Lane:
    """Eight data lines with a strobe."""

    def __init__(self, injector, number):
        self.injector, self.number = injector, number

    def _act(self, register):
        # The delays may only change while the lane pauses. All lanes pause at once thereafter, so
        # that they go on in step.
        for value in 1 << self.number, None, 0, (1 << LANES) - 1, 0:
            if value is None:
                self.injector.write(f"ddrphy_{register}", 1)
            else:
                self.injector.write("ddrphy_dly_sel", value)

    def set(self, kind, value):
        """Set `rdly_dq` or `rdly_dq_bitslip`, by counting up from zero."""
        self._act(f"{kind}_rst")
        for _ in range(value):
            self.step(kind)

    def step(self, kind):
        """Count `rdly_dq` or `rdly_dq_bitslip` up."""
        # The names of the registers are not alike.
        self._act("rdly_dq_inc" if kind == "rdly_dq" else kind)

    def works(self, seed):
        """Whether a burst comes back as it was written."""
        injector, random = self.injector, Random(seed)
        patterns = [random.getrandbits(PHASE_BITS) for _ in range(2)]
        for phase, pattern in enumerate(patterns):
            injector.write(f"sdram_dfii_pi{phase}_wrdata", pattern)
        injector.prepare(Command.WRITE, phase=WRITE_PHASE)
        injector.command(Command.ACTIVATE)
        injector.issue(WRITE_PHASE)
        injector.write("ddrphy_burstdet_clr", 1)
        injector.command(Command.READ, phase=READ_PHASE)
        injector.command(Command.PRECHARGE)
        if not injector.read("ddrphy_burstdet_seen") >> self.number & 1:
            return False
        mask = sum(0xFF << 16 * n + 8 * self.number for n in range(PHASE_BITS // 16))
        return not any(
            (injector.read(f"sdram_dfii_pi{phase}_rddata") ^ pattern) & mask
            for phase, pattern in enumerate(patterns)
        )

    def scan(self):
        """Whether reading works, by bitslip and delay."""
        found = []
        for bitslip in range(BITSLIPS):
            self.set("rdly_dq_bitslip", 0) if bitslip == 0 else self.step("rdly_dq_bitslip")
            row = []
            for delay in range(DELAYS):
                self.set("rdly_dq", 0) if delay == 0 else self.step("rdly_dq")
                row.append(all(self.works(seed) for seed in SEEDS))
            found.append(row)
        return found


def level(injector):
    """Find when to listen to each lane, and set it. Returns the :class:`Window` of each, None where
    none is.

    As LiteX's software does it: every bitslip and delay is tried, the middle of the widest window
    is set, and tried again.
    """
    windows = []
    for lane in (Lane(injector, n) for n in range(LANES)):
        window = best_window(lane.scan())
        for _ in range(TRIES if window else 0):
            lane.set("rdly_dq_bitslip", window.bitslip)
            lane.set("rdly_dq", window.delay)
            if all(lane.works(seed) for seed in SEEDS):
                break
        else:
            window = None
        windows.append(window)
    return windows
