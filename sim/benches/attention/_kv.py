"""Model of the KV cache in DRAM, behind the attention unit's memory streams."""

from collections import deque

import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from rtl.spec.payloads import ReadRequest, WriteLine
from sim.harness.bench import from_bits, get_port


__all__ = ["KvMemory", "runs"]


def runs(config, values, exponent):
    """Payloads of a quantized group."""
    chunks = np.asarray(values).reshape(-1, config.lanes).tolist()
    return [
        {"values": chunk, "exponent": int(exponent), "last": int(n == len(chunks) - 1)}
        for n, chunk in enumerate(chunks)
    ]


class KvMemory:
    """DRAM full of noise, that answers `req` with `data`, and takes `line`.

    Parameters
    ----------
    latency : :class:`int`
        Cycles from a request to its first beat, and from a line to its acknowledgement.
    stall : :class:`float`
        Probability of a cycle without a beat; of one without taking a request; of one without
        taking a line.
    """

    def __init__(self, dut, config, random, *, latency=0, stall=0.0):
        self.dut, self.config, self.random = dut, config, random
        self.latency, self.stall = latency, stall
        self.units = {}
        self.beats = 0

    def unit(self, addr):
        """Contents of a unit: 64 bytes."""
        if addr not in self.units:
            self.units[addr] = bytearray(self.random.randbytes(UNIT_BYTES))
        return self.units[addr]

    def place(self, block, position, value):
        """First unit of a position's elements, and its place in the unit of exponents."""
        line_units = self.config.head_dim // UNIT_BYTES
        line = position % KV_BLOCK + value * KV_BLOCK
        return block + 1 + line * line_units, line

    def store(self, block, position, value, elements, exponent):
        """Write the key or value of a position, whose block is at the unit `block`."""
        first, line = self.place(block, position, value)
        self.unit(block)[line] = int(exponent)
        contents = np.asarray(elements).astype(np.int8).tobytes()
        for n in range(0, len(contents), UNIT_BYTES):
            self.units[first + n // UNIT_BYTES] = bytearray(contents[n : n + UNIT_BYTES])

    async def read(self):
        """Serve reads, for ever."""
        dut, random, beat_bytes = self.dut, self.random, self.config.beat_bytes
        payload, valid, ready = (
            get_port(dut, f"data.{name}") for name in ("payload", "valid", "ready")
        )
        due, time, offered = deque(), 0, False
        while True:
            taking = random.random() >= self.stall
            get_port(dut, "req.ready").value = taking
            if not offered:
                offered = bool(due) and due[0][0] <= time and random.random() >= self.stall
                payload.value = (
                    int.from_bytes(due[0][1], "little")
                    if offered
                    else random.getrandbits(8 * beat_bytes)
                )
                valid.value = offered
            await FallingEdge(dut.clk)
            if offered and int(ready.value):
                due.popleft()
                self.beats += 1
                offered = False
            if taking and int(get_port(dut, "req.valid").value):
                request = from_bits(ReadRequest, int(get_port(dut, "req.payload").value))
                assert request["size"] > 0
                contents = b"".join(
                    bytes(self.unit(request["addr"] + n)) for n in range(request["size"])
                )
                due.extend(
                    (time + self.latency, contents[n : n + beat_bytes])
                    for n in range(0, len(contents), beat_bytes)
                )
            await RisingEdge(dut.clk)
            time += 1

    async def write(self):
        """Take lines, for ever. A line can be read once it is acknowledged."""
        dut, pending, time = self.dut, deque(), 0
        dut.written.value = 1
        while True:
            taking = self.random.random() >= self.stall
            get_port(dut, "line.ready").value = taking
            await FallingEdge(dut.clk)
            if taking and int(get_port(dut, "line.valid").value):
                line = from_bits(WriteLine, int(get_port(dut, "line.payload").value))
                pending.append((time + self.latency, line))
            while pending and pending[0][0] < time:
                line = pending.popleft()[1]
                for n, byte in enumerate(line["data"].to_bytes(UNIT_BYTES, "little")):
                    if line["strobe"] >> n & 1:
                        self.unit(line["addr"])[n] = byte
            await RisingEdge(dut.clk)
            dut.written.value = not pending
            time += 1
