"""Registers of LiteDRAM's controllers on the control bus: name, address in words, size in words.

The generator places them; :mod:`.generate` compares. Written down, so that a host needs no
generator.
"""

__all__ = ["REGISTERS"]


def place(**blocks):
    """Registers one after another, in blocks of 2 KiB."""
    found = {}
    for n, (block, registers) in enumerate(blocks.items()):
        at = n * 512
        for name, words in registers.items():
            found[f"{block}_{name}"] = at, words
            at += words
    return found


def injectors(phases, words):
    """Registers that drive the memory's command lines by hand, in each phase of the controller's
    clock.
    """
    registers = {"dfii_control": 1}
    for n in range(phases):
        registers |= {
            f"dfii_pi{n}_{name}": 1 for name in ("command", "command_issue", "address", "baddress")
        }
        registers |= {f"dfii_pi{n}_wrdata": words, f"dfii_pi{n}_rddata": words}
    return registers


INIT = {"init_done": 1, "init_error": 1}
LEVELLING = (
    "dly_sel",
    "rdly_dq_rst",
    "rdly_dq_inc",
    "rdly_dq_bitslip_rst",
    "rdly_dq_bitslip",
    "burstdet_clr",
    "burstdet_seen",
)

REGISTERS = {
    "sdr": place(ddrctrl=INIT, sdram=injectors(1, 1)),
    "ddr3": place(ddrctrl=INIT, ddrphy=dict.fromkeys(LEVELLING, 1), sdram=injectors(2, 2)),
}
