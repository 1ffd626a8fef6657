"""The simulated board: a bitstream's design, its memory, and a serial line that is a
pseudo-terminal.
"""

import ctypes
import os
import select
import tty

import numpy as np

from host.device import DeviceError

from .build import board_library
from .sdram import MT48LC16M16_75, c_struct


__all__ = ["STATISTICS", "SimulatedBoard"]


SLICE_CYCLES = 10_000
PAUSE_SECONDS = 0.05  # between two looks at the line while nothing happens
STATISTICS = (
    "cycles",
    "reads",
    "writes",
    "activates",
    "refreshes",
    "received",
    "sent",
    "lost",
    "doubled",
    "damaged",
)

_POINTER, _U64, _I64 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int64
_PROTOTYPES = {
    "board_create": (_POINTER, _POINTER, _I64, ctypes.c_int, ctypes.c_int, ctypes.c_double, _U64),
    "board_destroy": (None, _POINTER),
    "board_run": (ctypes.c_int, _POINTER, _U64),
    "board_poll": (ctypes.c_int, _POINTER),
    "board_error": (ctypes.c_char_p, _POINTER),
    "board_memory": (ctypes.POINTER(ctypes.c_uint16), _POINTER),
    "board_statistics": (None, _POINTER, _POINTER),
}


class SimulatedBoard:
    """A board that a host reaches through a pseudo-terminal.

    Time stands still while nothing happens on it.

    Parameters
    ----------
    board : :class:`boards.board.Board`
        Board. Its baud rate decides how many cycles a bit takes: the line is no faster for a low
        rate.
    sdram : :class:`~.sdram.Sdram`
        Its memory chip.
    faults : :class:`float`
        Probability with which a byte on the line is lost, with which it comes twice, and with which
        one of its bits is wrong; in both directions.
    seed : :class:`int`
        Of the faults.
    progress : callable or None
        Called with a line of text before each long step of building the simulation.

    Attributes
    ----------
    path : :class:`str`
        Of the pseudo-terminal.
    memory : uint8 array
        What is in its memory, by address.
    """

    def __init__(self, board, *, sdram=MT48LC16M16_75, faults=0.0, seed=1, progress=None):
        if not 0 <= faults <= 1 / 3:
            raise DeviceError(f"the rate of faults must be from 0 to 1/3, not {faults!r}")
        self._lib = ctypes.CDLL(str(board_library(board, progress)))
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        # Its own end of the line stays open: a host may come and go.
        self._terminal, self._line = os.openpty()
        tty.setraw(self._line)
        os.set_blocking(self._terminal, False)
        self.path = os.ttyname(self._line)
        quarter = round(1e6 / board.clock_mhz / 4)
        self._handle = self._lib.board_create(
            ctypes.byref(c_struct(sdram)), quarter, self._terminal, board.divisor, faults, seed
        )
        words = np.ctypeslib.as_array(self._lib.board_memory(self._handle), (sdram.bytes // 2,))
        self.memory = words.view(np.uint8)

    def run(self, stopped=lambda: False):
        """Simulate until `stopped()`. Raises :exc:`~host.device.DeviceError` when the memory is
        misused.
        """
        while not stopped():
            result = self._lib.board_run(self._handle, SLICE_CYCLES)
            if result < 0:
                raise DeviceError(self._lib.board_error(self._handle).decode())
            while result and not self._lib.board_poll(self._handle) and not stopped():
                select.select([self._terminal], [], [], PAUSE_SECONDS)

    def statistics(self):
        """Counts since power-up, by name: cycles; transfers, rows and refreshes of the memory;
        bytes and faults.
        """
        values = (_U64 * len(STATISTICS))()
        self._lib.board_statistics(self._handle, values)
        return dict(zip(STATISTICS, values))

    def close(self):
        """Power down, and take the line away."""
        if self._handle is not None:
            self._lib.board_destroy(self._handle)
            self._handle = self.memory = None
            os.close(self._terminal)
            os.close(self._line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
