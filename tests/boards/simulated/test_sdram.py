"""The SDRAM model finds every violation of its limits, and none in what keeps to them."""

import ctypes
from dataclasses import dataclass, replace

import numpy as np
import pytest

from boards.simulated.build import sdram_library
from boards.simulated.sdram import MT48LC16M16_75 as CHIP, c_struct


pytestmark = pytest.mark.seconds(1)

PERIOD = 12_500
EDGE = np.dtype(
    [
        ("time", np.int64),
        *(
            (name, np.uint8)
            for name in ("cke", "cs_n", "ras_n", "cas_n", "we_n", "ba", "dqm", "drives")
        ),
        ("a", np.uint16),
        ("dq", np.uint16),
    ],
    align=True,
)
# Levels of RAS, CAS and WE, which are active low.
LOAD, REFRESH, PRECHARGE, ACTIVATE, WRITE, READ, STOP, NOTHING = (
    (n >> 2 & 1, n >> 1 & 1, n & 1) for n in range(8)
)
ALL = 1 << 10


@dataclass
class Pins:
    """Commands, one for each of the clock's edges after power-up."""

    period: int = PERIOD

    def __post_init__(self):
        self.edges, self.time = [], 0
        self.wait(100_000_000)

    def give(self, command, bank=0, a=0, dq=None, dqm=0, cke=1):
        """A command in the next clock; returns its place in the list."""
        self.time += self.period
        self.edges.append((self.time, cke, 0, *command, bank, dqm, dq is not None, a, dq or 0))
        return len(self.edges) - 1

    def skip(self, clocks):
        """Clocks without a command."""
        for _ in range(clocks):
            self.give(NOTHING)

    def wait(self, time):
        """Time without a command, in picoseconds."""
        self.skip(-(-time // self.period))

    def start(self, mode=0x20):
        """What data sheets say to begin with."""
        self.give(PRECHARGE, a=ALL)
        self.skip(1)
        for _ in range(2):
            self.give(REFRESH)
            self.skip(5)
        self.give(LOAD, a=mode)
        self.skip(1)
        return self

    def open(self, bank=0, row=5):
        """Open a row, and wait until it may be used."""
        self.give(ACTIVATE, bank, row)
        self.skip(1)
        return self

    def run(self, chip=CHIP):
        """What came of it: the first error or "", its place, and the data lines at each edge (-1:
        not driven).
        """
        lib = ctypes.CDLL(str(sdram_library()))
        lib.sdram_run.restype = ctypes.c_uint64
        edges = np.array(self.edges, EDGE)
        seen, error = np.zeros(len(edges), np.int32), ctypes.create_string_buffer(200)
        place = lib.sdram_run(
            ctypes.byref(c_struct(chip)),
            edges.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(len(edges)),
            seen.ctypes.data_as(ctypes.c_void_p),
            error,
            ctypes.c_uint64(len(error)),
        )
        return error.value.decode(), place, seen


def error_of(pins, chip=CHIP):
    return pins.run(chip)[0].partition(": ")[2]


def started(**options):
    return Pins(**options).start()


# What is right


@pytest.mark.parametrize(
    "mode, latency, length", [(0x20, 2, 1), (0x30, 3, 1), (0x21, 2, 2), (0x32, 3, 4)]
)
def test_data(mode, latency, length):
    """What was written is read, when the latency says, and at no other time."""
    pins = Pins().start(mode)
    data = [0x1234 + 0x1111 * n for n in range(length)]
    pins.open(bank=2)
    pins.give(WRITE, 2, 8, dq=data[0])
    for word in data[1:]:
        pins.give(NOTHING, dq=word)
    pins.skip(2)
    at = pins.give(READ, 2, 8)
    pins.skip(latency + length + 2)
    error, _, seen = pins.run()
    assert error == ""
    assert seen[at + latency : at + latency + length].tolist() == data
    assert (np.delete(seen[at:], slice(latency, latency + length)) == -1).sum() >= length + 1


def test_masks():
    pins = started().open()
    pins.give(WRITE, a=3, dq=0x1111)
    pins.give(WRITE, a=3, dq=0x2222, dqm=1)
    at = pins.give(READ, a=3)
    pins.skip(4)
    error, _, seen = pins.run()
    assert (error, seen[at + 2]) == ("", 0x2211)


def test_banks_and_rows_do_not_meet():
    pins, places = started(), {}
    words = {(bank, row): 0x100 * bank + row for bank in range(4) for row in (0, 1, 8191)}
    for write in (True, False):
        for (bank, row), word in words.items():
            pins.open(bank, row)
            if write:
                pins.give(WRITE, bank, 511, dq=word)
            else:
                places[pins.give(READ, bank, 511)] = word
            pins.skip(3)
            pins.give(PRECHARGE, bank)
            pins.skip(2)
    error, _, seen = pins.run()
    assert error == ""
    assert {at: seen[at + 2] for at in places} == places


def test_refresh_in_time():
    pins = started()
    for _ in range(40):
        pins.open()
        pins.skip(2)
        pins.give(PRECHARGE, a=ALL)
        pins.wait(CHIP.rp)
        pins.give(REFRESH)
        pins.wait(CHIP.refresh - 8 * PERIOD)
    assert error_of(pins) == ""


# What is wrong


def early():
    pins = Pins()
    pins.edges, pins.time = [], 0
    pins.wait(99_000_000)
    pins.start()
    return pins


def rcd(pins):
    pins.give(ACTIVATE)
    pins.give(READ)


def precharge_then(pins, command):
    pins.open().skip(3)
    pins.give(PRECHARGE)
    pins.give(command)


def wr(pins):
    pins.open().skip(3)
    pins.give(WRITE, dq=1)
    pins.give(PRECHARGE)


def ras(pins):
    pins.open()
    pins.give(PRECHARGE)


def rc(pins):
    pins.give(ACTIVATE)
    pins.skip(2)
    pins.give(PRECHARGE)
    pins.skip(1)
    pins.give(ACTIVATE)


def rrd(pins):
    pins.give(ACTIVATE, 0)
    pins.give(ACTIVATE, 1)


def rfc(pins):
    pins.give(REFRESH)
    pins.skip(4)
    pins.give(ACTIVATE)


def late_refresh(pins):
    pins.open()
    pins.skip(2)
    pins.give(PRECHARGE)
    pins.wait(9 * CHIP.refresh)


def ras_max(pins):
    pins.open()
    for _ in range(12):
        pins.wait(10_000_000)
    pins.give(PRECHARGE)


def auto_precharge(pins):
    pins.open()
    pins.give(READ, a=ALL)


def auto_precharge_then(pins, command):
    pins.open().skip(3)
    pins.give(READ, a=ALL)
    pins.give(command)


def both_drive(pins):
    pins.open()
    pins.give(READ)
    pins.skip(1)
    pins.give(WRITE, dq=0)


PATIENT = replace(CHIP, late=10**9)


@pytest.mark.parametrize(
    "make, message",
    [
        (rcd, "tRCD is 12.50 ns, must be 20.00 ns"),
        (lambda p: precharge_then(p, ACTIVATE), "tRP is 12.50 ns, must be 20.00 ns"),
        (lambda p: precharge_then(p, REFRESH), "tRP is 12.50 ns, must be 20.00 ns"),
        (lambda p: precharge_then(p, LOAD), "tRP is 12.50 ns, must be 20.00 ns"),
        (wr, "tWR is 12.50 ns, must be 15.00 ns"),
        (ras, "tRAS is 25.00 ns, must be 44.00 ns"),
        (rc, "tRAS is 37.50 ns, must be 44.00 ns"),
        (rrd, "tRRD is 12.50 ns, must be 15.00 ns"),
        (rfc, "tRFC is 62.50 ns, must be 66.00 ns"),
        (late_refresh, "refreshes: 9 are due"),
        (auto_precharge, "tRAS, of an auto precharge, is 37.50 ns, must be 44.00 ns"),
        (lambda p: auto_precharge_then(p, READ), "an access to a bank that"),
        (lambda p: auto_precharge_then(p, ACTIVATE), "tRP is 0.00 ns, must be 20.00 ns"),
        (both_drive, "both drive the data lines"),
        (lambda p: p.give(READ), "an access to a bank that has no row open"),
        (lambda p: (p.open(), p.give(ACTIVATE)), "a row is activated in a bank that has one open"),
        (lambda p: (p.open(), p.give(WRITE)), "nothing drives the data lines for a write"),
        (lambda p: (p.open(), p.give(READ, a=512)), "there is no such column"),
        (lambda p: (p.open(), p.give(REFRESH)), "a refresh while a row is open"),
        (
            lambda p: (p.open(), p.give(LOAD, a=0x20)),
            "the mode register is loaded while a row is open",
        ),
        (
            lambda p: (p.give(LOAD, a=0x20), p.give(ACTIVATE)),
            "tMRD: a command 1 clocks after the mode",
        ),
        (
            lambda p: p.give(LOAD, a=0x120),
            "the mode register is loaded with 288, which is reserved",
        ),
        (lambda p: p.give(NOTHING, cke=0), "CKE is low"),
        (lambda p: p.give(STOP), "burst terminate is not modelled"),
    ],
)
def test_violation(make, message):
    pins = started()
    pins.skip(6)
    assert error_of(pins) == ""
    make(pins)
    pins.skip(2)
    assert error_of(pins).startswith(message)


def test_row_open_too_long():
    pins = started()
    ras_max(pins)
    assert error_of(pins, PATIENT).startswith("tRAS is 120")


def test_row_cycle():
    """tRC, where it is more than tRAS and tRP together."""
    pins = started()
    rc(pins)
    assert (
        error_of(pins, replace(CHIP, ras=30_000, rc=66_000)) == "tRC is 62.50 ns, must be 66.00 ns"
    )


def test_clock():
    """The mode register says how fast the clock may be."""
    chip = replace(CHIP, rp=0, rfc=0)  # whose clocks the start counts at another period
    assert (
        error_of(started(period=9_000), chip) == "the clock's period is 9.00 ns, must be 10.00 ns"
    )
    pins = Pins(period=9_000).start(0x30)
    pins.skip(2)
    assert error_of(pins, chip) == ""


def test_power_up():
    assert error_of(early()).startswith("the time before the first command is ")


@pytest.mark.parametrize(
    "leave, message",
    [
        ("precharge", "a refresh before a precharge of all banks"),
        ("refresh", "the mode register is loaded before a precharge of all banks and 2 refreshes"),
        ("mode", "a row is activated before the mode register is loaded"),
    ],
)
def test_start_is_whole(leave, message):
    pins = Pins()
    if leave != "precharge":
        pins.give(PRECHARGE, a=ALL)
        pins.skip(1)
    for _ in range(1 if leave == "refresh" else 2):
        pins.give(REFRESH)
        pins.skip(5)
    if leave != "mode":
        pins.give(LOAD, a=0x20)
        pins.skip(1)
    pins.give(ACTIVATE)
    assert error_of(pins) == message
