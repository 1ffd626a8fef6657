"""Models of memory and registers behind the link, which stall, fail or never answer."""

from cocotb.triggers import FallingEdge, First, RisingEdge


__all__ = ["LinkMemory", "LinkRegisters", "ControlBus", "connect"]


class _Bus:
    """An agent that answers on the ports `prefix`; runs until the end of the test.

    Attributes
    ----------
    stall : :class:`float`
        Probability of a cycle in which nothing is taken, or nothing answered.
    hung : :class:`bool`
        Nothing is taken nor answered.
    errors : set of :class:`int`
        Addresses that are answered with an error.
    lazy : :class:`bool`
        Sleep while nobody asks: faster, where nothing stalls.
    """

    lazy = False

    def __init__(self, dut, prefix, random, stall=0.0):
        self.clk, self.random, self.stall, self.prefix = dut.clk, random, stall, prefix
        self.dut, self.hung, self.errors = dut, False, set()

    def port(self, name):
        return getattr(self.dut, self.prefix + name)

    def goes(self):
        return not self.hung and self.random.random() >= self.stall

    async def wake(self, *names):
        """Wait until one of these is high."""
        if self.lazy and not any(self.sees(name) for name in names):
            await First(*(RisingEdge(self.port(name)) for name in names))

    def drive(self, **values):
        for name, value in values.items():
            self.port(name).value = value

    def response(self, address):
        """AXI response of an access: SLVERR or DECERR where there is an error."""
        return (2 + address // 4 % 2) * (address in self.errors)

    def sees(self, name):
        return int(self.port(name).value)


class LinkMemory(_Bus):
    """AXI4 memory, answering in order; checks the bursts.

    Attributes
    ----------
    data : :class:`bytearray`
    writes, reads : :class:`list` of pairs
        Address and beats of each burst.
    """

    def __init__(self, dut, prefix, random, size, beat_bytes, **options):
        super().__init__(dut, prefix, random, **options)
        self.data, self.beat_bytes = bytearray(random.randbytes(size)), beat_bytes
        self.writes, self.reads = [], []

    def check(self, kind):
        address, beats = self.sees(f"a{kind}addr"), self.sees(f"a{kind}len") + 1
        assert 1 << self.sees(f"a{kind}size") == self.beat_bytes and self.sees(f"a{kind}burst") == 1
        assert address % self.beat_bytes == 0 and address + beats * self.beat_bytes <= len(
            self.data
        )
        assert address // 4096 == (address + beats * self.beat_bytes - 1) // 4096
        return address, beats

    async def run(self):
        asked, to_write, answers = [], [], []
        address = data = None
        holds_r = holds_b = False  # what is offered stays until it is taken
        while True:
            if not (
                asked
                or answers
                or address is not None
                or self.sees("rvalid")
                or self.sees("bvalid")
            ):
                await self.wake("awvalid", "arvalid")
            take = {name: self.goes() for name in ("aw", "w", "ar")}
            self.drive(awready=take["aw"], wready=take["w"], arready=take["ar"])
            give_r = bool(asked) and (holds_r or self.goes())
            give_b = bool(answers) and (holds_b or self.goes())
            self.drive(
                rvalid=give_r, bvalid=give_b, rresp=3, bresp=3, rlast=self.random.getrandbits(1)
            )
            if give_r:
                at, last = asked[0]
                self.drive(
                    rdata=int.from_bytes(self.data[at : at + self.beat_bytes], "little"),
                    rlast=last,
                    rresp=self.response(at),
                )
            if give_b:
                self.drive(bresp=self.response(answers[0]))
            await FallingEdge(self.clk)
            assert sum(last for _, last in asked) <= 2, "too many bursts outstanding"
            if take["aw"] and self.sees("awvalid"):
                assert address is None
                address, beats = self.check("w")
                assert beats == 1
            if take["w"] and self.sees("wvalid"):
                assert data is None and self.sees("wlast")
                data = self.sees("wdata").to_bytes(self.beat_bytes, "little")
                assert self.sees("wstrb") == (1 << self.beat_bytes) - 1
            if address is not None and data is not None:
                self.writes.append((address, 1))
                if address not in self.errors:
                    self.data[address : address + self.beat_bytes] = data
                to_write.append(address)
                address = data = None
            if take["ar"] and self.sees("arvalid"):
                at, beats = self.check("r")
                self.reads.append((at, beats))
                asked += [(at + n * self.beat_bytes, n == beats - 1) for n in range(beats)]
            holds_r = give_r and not self.sees("rready")
            holds_b = give_b and not self.sees("bready")
            if give_r and not holds_r:
                asked.pop(0)
            if give_b and not holds_b:
                answers.pop(0)
            answers += to_write
            to_write = []
            await RisingEdge(self.clk)


class LinkRegisters(_Bus):
    """AXI4-Lite registers, one access at a time. `log` has all accesses: address, value or None."""

    def __init__(self, dut, prefix, random, **options):
        super().__init__(dut, prefix, random, **options)
        self.values, self.log = {}, []

    async def run(self):
        address = data = read = answer = None
        holds = False  # what is offered stays until it is taken
        while True:
            if (
                answer is None
                and address is None
                and not (self.sees("rvalid") or self.sees("bvalid"))
            ):
                await self.wake("awvalid", "arvalid")
            take = {name: self.goes() for name in ("aw", "w", "ar")}
            self.drive(awready=take["aw"], wready=take["w"], arready=take["ar"])
            answering = answer is not None and (holds or self.goes())
            at, written = answer if answer is not None else (None, None)
            self.drive(
                bvalid=answering and written,
                rvalid=answering and not written,
                rdata=self.values.get(at, 0) if answering else self.random.getrandbits(32),
                rresp=answering and self.response(at),
                bresp=answering and self.response(at),
            )
            await FallingEdge(self.clk)
            holds = answering and not self.sees("bready" if written else "rready")
            if answering and not holds:
                answer = None
            if take["aw"] and self.sees("awvalid"):
                address = self.sees("awaddr")
            if take["w"] and self.sees("wvalid"):
                data = self.sees("wdata")
                assert self.sees("wstrb") == 15
            if address is not None and data is not None:
                assert answer is None
                self.log.append((address, data))
                if address not in self.errors:
                    self.values[address] = data
                answer, address, data = (address, True), None, None
            if take["ar"] and self.sees("arvalid"):
                assert answer is None
                read = self.sees("araddr")
                self.log.append((read, None))
                answer = read, False
            await RisingEdge(self.clk)


class ControlBus(_Bus):
    """Wishbone registers. `log` has all accesses: address, value or None."""

    def __init__(self, dut, prefix, random, **options):
        super().__init__(dut, prefix, random, **options)
        self.values, self.log = {}, []

    async def run(self):
        self.drive(ack=0, err=0)
        while True:
            await self.wake("cyc")
            await FallingEdge(self.clk)
            answering = False
            if self.sees("cyc") and self.sees("stb") and self.goes():
                answering, at = True, self.sees("adr")
                assert self.sees("sel") == 15
                self.log.append((at, self.sees("dat_w") if self.sees("we") else None))
                if self.sees("we") and at not in self.errors:
                    self.values[at] = self.sees("dat_w")
            await RisingEdge(self.clk)
            if answering:
                self.drive(
                    ack=at not in self.errors, err=at in self.errors, dat_r=self.values.get(at, 0)
                )
                await RisingEdge(self.clk)
                self.drive(ack=0, err=0, dat_r=self.random.getrandbits(32))


def connect(dut, random, *, size, beat_bytes, separator="__", stall=0.0):
    """Agents for all three buses: memory, registers, control bus. They have yet to be run."""
    return (
        LinkMemory(dut, f"memory{separator}", random, size, beat_bytes, stall=stall),
        LinkRegisters(dut, f"registers{separator}", random, stall=stall),
        ControlBus(dut, f"control{separator}", random, stall=stall),
    )
