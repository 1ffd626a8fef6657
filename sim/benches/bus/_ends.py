"""Both ends of a component that an AXI4 bus passes through."""

import logging

from cocotbext.axi import AxiBus, AxiMaster, AxiRam

from sim.harness.bench import rng, start


__all__ = ["SIZE", "begin"]


SIZE = 1 << 20  # all bits of an address


async def begin(dut, stall=0.0):
    """A master at `i` and a memory at `o`, each of whose channels stalls with this probability."""
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
    await start(dut)
    master = AxiMaster(AxiBus.from_prefix(dut, "i_"), dut.clk, dut.rst)
    ram = AxiRam(AxiBus.from_prefix(dut, "o_"), dut.clk, dut.rst, size=SIZE)
    ram.write(0, rng("memory").randbytes(SIZE))
    ends = [
        end
        for side in (master, ram)
        for end in (
            side.write_if.aw_channel,
            side.write_if.w_channel,
            side.write_if.b_channel,
            side.read_if.ar_channel,
            side.read_if.r_channel,
        )
    ]
    for n, end in enumerate(ends if stall else ()):
        random = rng(f"stall {n}")
        end.set_pause_generator(iter(lambda random=random: random.random() < stall, None))
    return master, ram
