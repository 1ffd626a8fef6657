"""What the host does to bring a memory up, against registers that keep account of it."""

from itertools import product

import pytest

from boards.dram.board_memory import BoardMemory
from boards.dram.initialise import initialise, is_up
from boards.dram.levelling import Window, best_window
from host.device import DeviceError

from .memory import FakeController


SDR = BoardMemory(part="IS42S16160", device="LFE5U-85F-6BG381C", clock_mhz=80.0)
DDR3 = BoardMemory(part="MT41K256M16", device="LFE5U-85F-6BG381C", clock_mhz=80.0)


def window(bitslip, first, last):
    return [(bitslip, delay) for delay in range(first, last + 1)]


def run(bus, dram):
    naps = []
    return initialise(bus, dram, sleep=naps.append), naps


def test_sdr():
    bus = FakeController("sdr")
    found, naps = run(bus, SDR)
    assert found == [] and is_up(bus, SDR) and min(naps) >= 200e-6
    assert bus.log == [
        ("control", 0b1110),
        ("precharge", 0, 1 << 10, 0),
        *[("refresh", 0, 0, 0)] * 8,
        ("mode", 0, 2 << 4, 0),  # CAS latency 2, one transfer
        ("control", 1),
    ]


def test_sdr_is_fast():
    bus = FakeController("sdr")
    run(bus, BoardMemory(part="IS42S16160", device="LFE5U-85F-6BG381C", clock_mhz=120.0))
    assert ("mode", 0, 3 << 4, 0) in bus.log


@pytest.mark.parametrize("dram", [SDR, DDR3], ids=["sdr", "ddr3"])
def test_once(dram):
    """A memory that is up keeps what it holds."""
    bus = FakeController(dram.kind, [window(1, 2, 5)] * 2)
    run(bus, dram)
    bus.log.clear()
    assert run(bus, dram) == (None, []) and bus.log == []


def test_again_after_an_error():
    bus = FakeController("sdr")
    bus.put("ddrctrl_init_done", 1)
    bus.put("ddrctrl_init_error", 1)
    assert not is_up(bus, SDR)
    run(bus, SDR)
    assert is_up(bus, SDR)


def test_ddr3_start():
    bus = FakeController("ddr3", [window(1, 2, 5), window(3, 0, 2)])
    found, naps = run(bus, DDR3)
    assert bus.log[:8] == [
        ("control", 0b0100),
        ("control", 0b1100),
        ("control", 0b1110),
        ("mode", 0, 0x200, 2),
        ("mode", 0, 0, 3),
        ("mode", 0, 6, 1),
        ("mode", 0, 0x320, 0),
        ("calibrate", 0, 1 << 10, 0),
    ]
    assert bus.log[-1] == ("control", 1) and not bus.open
    # The reset for 200 us, and 500 us until the clock is enabled.
    assert naps[0] >= 200e-6 and naps[1] >= 500e-6
    assert found == [Window(1, 2, 5), Window(3, 0, 2)]
    assert (bus.bitslip, bus.delay) == ([1, 3], [3, 1])


@pytest.mark.parametrize("bitslip, width", list(product(range(4), (2, 8))))
def test_windows(bitslip, width):
    """Wherever a window is, its middle is set, and the other lane's is left alone."""
    first = 8 - width
    bus = FakeController("ddr3", [window(bitslip, first, 7), window(3 - bitslip, 0, width - 1)])
    run(bus, DDR3)
    assert bus.bitslip == [bitslip, 3 - bitslip]
    assert bus.delay == [(first + 7) // 2, (width - 1) // 2]


def test_widest():
    bus = FakeController(
        "ddr3", [window(0, 1, 2) + window(2, 3, 6) + window(2, 0, 1), window(1, 0, 1)]
    )
    assert run(bus, DDR3)[0] == [Window(2, 3, 6), Window(1, 0, 1)]


@pytest.mark.parametrize(
    "windows, lanes",
    [
        ([[], window(1, 2, 5)], "0"),
        ([window(1, 2, 5), [(0, 3)]], "1"),  # where a single delay works, it does so by chance
        ([[], []], "0, 1"),
    ],
)
def test_nothing_reads(windows, lanes):
    bus = FakeController("ddr3", windows)
    with pytest.raises(
        DeviceError, match=f"^lab: the memory does not answer on byte lane {lanes} of 2: .* again$"
    ):
        initialise(bus, DDR3, name="lab", sleep=lambda seconds: None)
    assert (
        not is_up(bus, DDR3) and bus.value("ddrctrl_init_done") and bus.value("ddrctrl_init_error")
    )
    assert bus.log[-1] == ("control", 1)


@pytest.mark.parametrize(
    "rows, wanted",
    [
        (["........"] * 4, None),
        (["..#.....", "#......#", "........", "........"], None),
        (["##......", "........", "........", "......##"], Window(0, 0, 1)),
        (["........", ".###.##.", "....####", "........"], Window(2, 4, 7)),
        (["########", "########", "........", "........"], Window(0, 0, 7)),
    ],
)
def test_best_window(rows, wanted):
    assert best_window([[c == "#" for c in row] for row in rows]) == wanted
