"""AXI4 memory model with latency, stalls and reordering, as the protocol allows."""

from collections import deque

from cocotb.triggers import FallingEdge, RisingEdge


__all__ = ["pattern", "ReadMemory"]


def pattern(address, beat_bytes):
    """Contents of DRAM: the beat at a byte address. Words of 32 bits differ, up to 16 GiB all of
    them.
    """
    words = range(address // 4, (address + beat_bytes + 3) // 4)
    text = sum(
        (0x9E37_79B1 * (word ^ word >> 17) & 0xFFFF_FFFF) << 32 * n for n, word in enumerate(words)
    )
    return text >> 8 * (address % 4) & (1 << 8 * beat_bytes) - 1


class ReadMemory:
    """Answers reads on the port `prefix` with :func:`pattern`. Whether the bursts are legal,
    :mod:`sim.checkers` says.

    Parameters
    ----------
    latency : :class:`int`
        Cycles from an address to its first beat.
    stall : :class:`float`
        Probability of a cycle without a beat, and of one in which no address is taken.
    shuffle : :class:`bool`
        Answer bursts of different identifiers in any order, beats interleaved.
    error : :class:`int` or None
        Byte address from which on beats are answered with SLVERR.
    """

    def __init__(
        self, dut, prefix, beat_bytes, random, *, latency=0, stall=0.0, shuffle=False, error=None
    ):
        self.clk, self.beat_bytes, self.random = dut.clk, beat_bytes, random
        self.latency, self.stall, self.shuffle, self.error = latency, stall, shuffle, error
        self.port = lambda name: getattr(dut, prefix + name)
        self.bursts = []  # (id, address, beats), as they came
        self.beats = 0

    def accept(self):
        p = self.port
        address, beats = int(p("araddr").value), int(p("arlen").value) + 1
        self.bursts.append((int(p("arid").value), address, beats))
        return self.bursts[-1]

    async def run(self):
        p, queues, time = self.port, {}, 0
        while True:
            taking = self.random.random() >= self.stall
            p("arready").value = taking
            ready = [id for id, queue in queues.items() if queue and queue[0][0] <= time]
            if ready and self.random.random() >= self.stall:
                if not self.shuffle:
                    ready.sort(key=lambda id: queues[id][0][:2])
                id = self.random.choice(ready) if self.shuffle else ready[0]
                _, _, address, last = queues[id].popleft()
                p("rvalid").value = 1
                p("rid").value = id
                p("rdata").value = pattern(address, self.beat_bytes)
                p("rlast").value = last
                p("rresp").value = 2 if self.error is not None and address >= self.error else 0
                self.beats += 1
            else:
                p("rvalid").value = 0
                p("rdata").value = self.random.getrandbits(8 * self.beat_bytes)
                p("rlast").value = self.random.getrandbits(1)
                p("rresp").value = 3
            await FallingEdge(self.clk)
            assert int(p("rready").value)
            if taking and int(p("arvalid").value):
                id, address, beats = self.accept()
                queues.setdefault(id, deque()).extend(
                    (
                        time + self.latency,
                        len(self.bursts),
                        address + n * self.beat_bytes,
                        n == beats - 1,
                    )
                    for n in range(beats)
                )
            await RisingEdge(self.clk)
            time += 1
