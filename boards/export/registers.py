"""Registers of the accelerator as a block of vendor tools: one definition for hardware, scripts and
drivers.
"""

from rtl.spec.csr import Register


__all__ = ["ADDRESS_BITS", "MACHINE", "PAGE", "REGISTERS"]


ADDRESS_BITS = 13
MACHINE = 0x1000  # the accelerator's registers, see rtl.spec.csr
PAGE = 4096  # no burst crosses a multiple of it
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
