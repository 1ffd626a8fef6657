"""Registers of the accelerator as a block of vendor tools: one definition for hardware, scripts and
drivers.
"""

from rtl.spec.csr import Register
from rtl.spec.limits import PAGE


__all__ = ["BLOCK_ADDRESS_BITS", "MACHINE", "PAGE", "REGISTERS"]


BLOCK_ADDRESS_BITS = 13  # of this block's registers, the accelerator's among them
MACHINE = 0x1000  # the accelerator's registers, see rtl.spec.csr
# Nothing below 0x10, where kernels that XRT manages have other things.
REGISTERS = {
    r.name: r
    for r in [
        Register(
            "BASE",
            0x010,
            "rw",
            "Address of the image in the board's memory, low and high word: a multiple of 4096.",
            2,
        ),
    ]
}
