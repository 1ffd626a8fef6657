"""A board with PYNQ: the accelerator beside the processors that this runs on."""

from pathlib import Path

from boards.export.registers import MACHINE, PAGE, REGISTERS
from host.device import DeviceError, RegisterDevice
from rtl.spec.config import UNIT_BYTES


__all__ = ["PynqDevice"]


IP = "headrace"  # what the block design calls it


class PynqDevice(RegisterDevice):
    """The accelerator of a bitstream, which is loaded, with an image in memory that both share.

    Parameters
    ----------
    config : :class:`rtl.spec.config.Config`
    bitfile : path
        Bitstream, with the `.hwh` of the same name beside it.
    watchdog, progress
        See :class:`host.device.RegisterDevice`.
    """

    def __init__(self, config, bitfile, **options):
        super().__init__(config, **options)
        self.name = f"pynq:{bitfile}"
        self._words = self._buffer = None
        for path in Path(bitfile), Path(bitfile).with_suffix(".hwh"):
            if not path.is_file():
                raise DeviceError(
                    f"{self.name}: {path} must be a file, but is not; build.tcl makes it"
                )
        try:
            import pynq
        except ImportError:
            raise DeviceError(
                f"{self.name}: the package pynq is not installed. This must run on the board, "
                "with a system of PYNQ"
            ) from None
        self._pynq = pynq
        overlay = pynq.Overlay(str(bitfile))
        if IP not in overlay.ip_dict:
            raise DeviceError(
                f"{self.name}: the bitstream must have a block {IP!r}, but has "
                f"{', '.join(overlay.ip_dict) or 'none'}"
            )
        block = overlay.ip_dict[IP]
        # Words, as PYNQ maps them: its functions to read and write differ from version to version.
        self._words = pynq.MMIO(block["phys_addr"], block["addr_range"]).array

    def read(self, address):
        """Read a register."""
        return int(self._words[(MACHINE + address) // 4])

    def write(self, address, value):
        """Write a register."""
        self._words[(MACHINE + address) // 4] = int(value)

    def write_memory(self, memory, units):
        """Put the image into memory that stays where it is, and tell the accelerator where that
        is.
        """
        self._release()
        try:
            buffer = self._pynq.allocate(shape=(units * UNIT_BYTES,), dtype="u1")
        except (MemoryError, RuntimeError) as error:
            raise DeviceError(
                f"{self.name}: the image needs {units * UNIT_BYTES / 2**20:.0f} MiB in one piece, "
                f"which the system does not have ({error}). Give it more contiguous memory (cma= "
                "of "
                "the kernel), or compile with a shorter context"
            ) from None
        self._buffer = buffer
        if buffer.device_address % PAGE:
            raise DeviceError(
                f"{self.name}: memory must be at a multiple of {PAGE}, not at "
                f"{buffer.device_address:#x}"
            )
        buffer[: len(memory)] = memory
        buffer[len(memory) :] = 0
        buffer.flush()  # out of the processors' caches, which the port does not look into
        for n in range(REGISTERS["BASE"].count):
            self._words[REGISTERS["BASE"].address // 4 + n] = (
                buffer.device_address >> 32 * n & 0xFFFFFFFF
            )

    def _release(self):
        """Give memory back, once the accelerator cannot write to it any more."""
        if self._buffer is None:
            return
        self.set("CONTROL", 2)
        self.settle()
        buffer, self._buffer = self._buffer, None
        buffer.freebuffer()

    def close(self):
        """Stop the accelerator, and give memory back."""
        self._release()
