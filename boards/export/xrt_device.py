"""A card on PCIe, through XRT."""

import ctypes
import os
from pathlib import Path

import numpy as np

from boards.export.registers import MACHINE, PAGE, REGISTERS
from host.device import DeviceError, RegisterDevice
from rtl.spec.config import UNIT_BYTES


__all__ = ["XrtDevice"]


LIBRARY = "libheadrace_xrt.so"  # of headrace_xrt.cpp, made by xrt.mk

_POINTER, _U64, _U32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
_PROTOTYPES = {
    "headrace_error": (ctypes.c_char_p,),
    "headrace_open": (_POINTER, ctypes.c_char_p, ctypes.c_uint),
    "headrace_close": (None, _POINTER),
    "headrace_read": (ctypes.c_int, _POINTER, _U32, ctypes.POINTER(_U32)),
    "headrace_write": (ctypes.c_int, _POINTER, _U32, _U32),
    "headrace_memory": (ctypes.c_int, _POINTER, _POINTER, _U64, _U64, ctypes.POINTER(_U64)),
}


class XrtDevice(RegisterDevice):
    """The accelerator of an xclbin, which is loaded, with an image in the card's memory.

    Parameters
    ----------
    config : :class:`rtl.spec.config.Config`
    xclbin : path
        What v++ made, with `libheadrace_xrt.so` in the same folder, or where the environment
        variable HEADRACE_XRT says.
    card : :class:`int`
        Which card, as XRT counts them.
    watchdog, progress
        See :class:`host.device.RegisterDevice`.
    """

    def __init__(self, config, xclbin, *, card=0, **options):
        super().__init__(config, **options)
        self.name = f"xrt:{xclbin}"
        self._handle, self._loaded = None, False
        library = Path(os.environ.get("HEADRACE_XRT") or Path(xclbin).resolve().parent / LIBRARY)
        for path, maker in (
            (Path(xclbin), "xrt.mk makes it with v++"),
            (library, "xrt.mk makes it with XRT"),
        ):
            if not path.is_file():
                raise DeviceError(f"{self.name}: {path} must be a file, but is not; {maker}")
        try:
            self._lib = ctypes.CDLL(str(library))
        except OSError as error:
            raise DeviceError(
                f"{self.name}: {error}. Is XRT installed, and its setup.sh sourced?"
            ) from None
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self._handle = self._lib.headrace_open(os.fsencode(xclbin), card)
        self._check(self._handle)

    def _check(self, ok):
        if not ok:
            raise DeviceError(f"{self.name}: {self._lib.headrace_error().decode(errors='replace')}")

    def _access(self, address, value=None):
        """Read a register of the block, or write it."""
        if self._handle is None:
            raise DeviceError(f"{self.name}: closed")
        if value is not None:
            return self._check(self._lib.headrace_write(self._handle, address, value))
        word = _U32()
        self._check(self._lib.headrace_read(self._handle, address, ctypes.byref(word)))
        return word.value

    def read(self, address):
        """Read a register."""
        return self._access(MACHINE + address)

    def write(self, address, value):
        """Write a register."""
        self._access(MACHINE + address, int(value))

    def write_memory(self, memory, units):
        """Put the image into the card's memory, and tell the accelerator where that is."""
        self._stop()
        data, address = np.ascontiguousarray(memory, np.uint8), _U64()
        self._check(
            self._lib.headrace_memory(
                self._handle, data.ctypes.data, len(data), units * UNIT_BYTES, ctypes.byref(address)
            )
        )
        if address.value % PAGE:
            raise DeviceError(
                f"{self.name}: memory must be at a multiple of {PAGE}, not at {address.value:#x}"
            )
        for n in range(REGISTERS["BASE"].count):
            self._access(REGISTERS["BASE"].address + 4 * n, address.value >> 32 * n & 0xFFFFFFFF)
        self._loaded = True

    def _stop(self):
        """See to it that the accelerator does not use memory any more."""
        if self._loaded:
            self.set("CONTROL", 2)
            self.settle()
            self._loaded = False

    def close(self):
        """Stop the accelerator, and let go of the card."""
        if self._handle is not None:
            self._stop()
            handle, self._handle = self._handle, None
            self._lib.headrace_close(handle)
