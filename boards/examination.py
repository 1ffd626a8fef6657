"""Examine a board over its link: what answers, what is in its bitstream, whether memory keeps."""

import time
import zlib
from collections.abc import Iterator
from random import Random

from host.device import DeviceError
from host.link.client import Client, LinkError
from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import IDENTITY, REGISTERS
from rtl.spec.isa import WeightFormat

from .board import Board, by_number
from .device import ControlBus
from .dram.initialise import initialise


__all__ = ["Finding", "examine", "has_accelerator"]


# What was looked at, what came, and what to do where it is not good.
Finding = tuple[str, str, str | None]

RUN_UNITS = 1024  # stored in one piece, and summed up at the memory's rate
SEED = 1


def examine(link: Client) -> Iterator[Finding]:
    """Yield what a board says and does, step by step. What its memory holds is lost.

    The steps: the link, the board, the accelerator, bringing memory up, its data lines (random
    units in one piece), its address lines (a unit at each power of two), and how many requests had
    to be sent again. Ends with the first step that fails: those after it would say nothing.

    Parameters
    ----------
    link : :class:`host.link.client.Client`
        Line to the board.
    """
    what = "link"
    try:
        hello = link.hello()
        units, board = hello["memory_units"], by_number(hello["board"])
        yield what, f"answers, version {hello['version']}", None
        name = f"number {hello['board']}, which no description has" if board is None else board.name
        yield "board", f"{name}, {units * UNIT_BYTES >> 20} MiB", None
        what = "accelerator"
        yield what, *_accelerator(link, board)
        what = "memory"
        if board is not None:
            yield what, _bring_up(link, board), None
        what = "data lines"
        yield what, _data_lines(link, min(RUN_UNITS, units)), None
        what = "address lines"
        yield what, _address_lines(link, units), None
        yield "line", f"{link.requests} requests, {link.repeats} sent again", None
    except DeviceError as error:
        yield what, "failed", str(error)


def has_accelerator(link: Client) -> bool:
    """Whether there is more in the bitstream than link and memory."""
    try:
        return link.read(REGISTERS["IDENTITY"].address) == IDENTITY
    except LinkError:  # nothing answers at the address
        return False


def _accelerator(link: Client, board: Board | None) -> tuple[str, str | None]:
    """What accelerator there is, and what is wrong with it."""
    try:
        identity = link.read(REGISTERS["IDENTITY"].address)
    except LinkError:
        return "none: a bitstream with link and memory only (BARE=1)", None
    if identity != IDENTITY:
        return f"IDENTITY {identity:#010x}", f"must be {IDENTITY:#010x}; build the bitstream again"
    digest, able = (link.read(REGISTERS[name].address) for name in ("DIGEST", "FORMATS"))
    takes = ", ".join(fmt.name for fmt in WeightFormat if able >> fmt.value & 1)
    came = f"digest {digest:08x}, formats {takes}"
    if board is not None and digest != int(board.config.digest[:8], 16):
        came += f"; {board.name} here has digest {board.config.digest[:8]}: give --set or --config"
    return came, None


def _bring_up(link: Client, board: Board) -> str:
    windows = initialise(ControlBus(link), board.dram, name=board.name)
    if windows is None:
        return "was up already"
    return "; ".join(["brought up", *(f"lane {n}: {found}" for n, found in enumerate(windows))])


def _data_lines(link: Client, units: int) -> str:
    """Random bits in one piece, written, and summed up at the rate of the data lines."""
    data = Random(SEED).randbytes(units * UNIT_BYTES)
    start = time.perf_counter()
    link.store(0, data)
    stored = time.perf_counter() - start
    if link.check(0, units) != zlib.crc32(data):
        raise DeviceError(f"the {len(data) >> 10} KiB from address 0 on do not keep what is stored")
    return f"{len(data) >> 10} KiB kept, stored at {len(data) / stored / 1e3:.0f} KB/s"


def _address_lines(link: Client, units: int) -> str:
    """A unit at 0 and at each power of two, all written before any is read."""
    random = Random(SEED)
    places = {0, *(1 << n for n in range((units - 1).bit_length()))}
    stored = {place: random.randbytes(UNIT_BYTES) for place in sorted(places)}
    for place, data in stored.items():
        link.store(place, data)
    wrong = [place for place, data in stored.items() if link.check(place, 1) != zlib.crc32(data)]
    if wrong:
        listed = ", ".join(f"{place * UNIT_BYTES:#x}" for place in wrong)
        raise DeviceError(f"what is stored at {listed} is not kept, or written over by another")
    return f"{len(stored)} places of {units * UNIT_BYTES >> 20} MiB kept"
