"""Driver for arithmetic pipelines with an enable and fp32 results."""

from cocotb.triggers import FallingEdge, RisingEdge

from sim.harness.patterns import is_finite


__all__ = ["check"]


async def check(dut, latency, inputs, expected, random, gap=0.0):
    """Feed `inputs`, dicts from ports to patterns, and expect what belongs to them at `o`.

    None of it may have the exponent 255. Between enabled cycles are others with the probability
    `gap`; then `o` must stay.
    """
    assert all(map(is_finite, expected))
    ports = {name: getattr(dut, name) for name in inputs[0]}
    due = [None] * latency
    idle = {name: 0 for name in inputs[0]}
    for cycle, (values, want) in enumerate([*zip(inputs, expected), *[(idle, None)] * latency]):
        while random.random() < gap:
            dut.en.value = 0
            for port in ports.values():
                port.value = random.getrandbits(len(port))
            await RisingEdge(dut.clk)
            await FallingEdge(dut.clk)
            assert due[0] is None or int(dut.o.value) == due[0][1], f"moved in cycle {cycle}"
        dut.en.value = 1
        for name, port in ports.items():
            port.value = values[name]
        due = [*due[1:], (values, want) if want is not None else None]
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        if due[0] is not None:
            operands, want = due[0]
            assert int(dut.o.value) == want, (
                f"{ {k: hex(v) for k, v in operands.items()} } must give {want:#010x}, "
                f"not {int(dut.o.value):#010x}"
            )
