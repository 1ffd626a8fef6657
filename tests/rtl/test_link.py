# amaranth: UnusedElaboratable=no

import re
from pathlib import Path

import pytest
from amaranth.sim import Simulator

from rtl.link.bridge import Bridge
from rtl.link.executor import Executor
from rtl.link.frame import SLOT, FrameReceiver
from rtl.link.link import UartLink
from rtl.link.memory import MemoryPort
from rtl.link.uart import UartReceiver, UartTransmitter
from rtl.spec import protocol
from rtl.spec.config import get
from rtl.spec.protocol import MESSAGES, Field, Op, Space, Status, pack, unpack


DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "link.md"
SMALL = get("small")


def test_document_has_the_tables():
    tables = "\n".join(protocol.markdown())
    assert f"\n{tables}\n" in DOCUMENT.read_text(), f"the tables of docs/link.md must be:\n{tables}"


def test_document_says_the_sizes():
    text = " ".join(DOCUMENT.read_text().split())
    assert f"{protocol.BAUD:,} baud" in text and f"plus {protocol.REPLY:#x}" in text
    assert FrameReceiver().slots == 4 and "while four wait" in text
    assert {int(n) for n in re.findall(r"below (\d+)\.", text)} == {4096}


def test_sizes():
    assert MESSAGES[Op.STORE].sizes == [68, 132, 196, 260]
    assert MESSAGES[Op.SEAL].sizes == [12]
    assert protocol.MAX_REQUEST == 262 and SLOT == 512
    assert list(MESSAGES) == list(Op)


def test_pack():
    fields = (Field("a", 1, ""), Field("b", 4, ""), Field("c", 2, ""))
    assert pack(fields, {"a": 1, "c": 0xFFFF, "b": 0x01020304}) == bytes(
        [1, 4, 3, 2, 1, 0xFF, 0xFF]
    )
    assert unpack(fields, bytes([1, 4, 3, 2, 1, 0xFF, 0xFF])) == {
        "a": 1,
        "b": 0x01020304,
        "c": 0xFFFF,
    }
    assert pack((), {}) == b"" and unpack((), b"") == {}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"a": 256, "b": 0}, r"^Field a must be in range\(0, 0x100\), not 256$"),
        ({"a": 0, "b": -1}, r"^Field b must be in range\(0, 0x10000\), not -1$"),
        ({"a": 0}, "^Fields must be a, b, not a$"),
        ({"a": 0, "b": 0, "c": 0}, "^Fields must be a, b, not a, b, c$"),
    ],
)
def test_pack_wrong(values, message):
    with pytest.raises(ValueError, match=message):
        pack((Field("a", 1, ""), Field("b", 2, "")), values)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_unpack_wrong(size):
    with pytest.raises(ValueError, match=f"^Body must have 3 bytes, not {size}$"):
        unpack((Field("a", 1, ""), Field("b", 2, "")), bytes(size))


def test_spaces_and_statuses_fit():
    assert all(space < 1 << 32 - protocol.SPACE_ADDRESS_BITS for space in Space)
    assert all(0 <= status < 256 for status in Status)
    assert all(0 < op < protocol.REPLY for op in Op)


@pytest.mark.parametrize("divisor", [3, 0, 8.0, "8"])
@pytest.mark.parametrize("cls", [UartReceiver, UartTransmitter])
def test_divisor_wrong(cls, divisor):
    with pytest.raises(
        ValueError, match=rf"^Divisor must be an integer of at least 4, not {divisor!r}$"
    ):
        cls(divisor)


@pytest.mark.parametrize("slots", [0, 1, 3, 4.0])
def test_slots_wrong(slots):
    with pytest.raises(
        ValueError, match=rf"^Slots must be a power of two of at least 2, not {slots!r}$"
    ):
        FrameReceiver(slots)


@pytest.mark.parametrize(
    "units, addr_width, message",
    [
        (0, 32, "^Memory must have from 1 to 67108864 units, not 0$"),
        ((1 << 26) + 1, 32, "^Memory must have from 1 to 67108864 units, not 67108865$"),
        (65, 12, "^Memory must have from 1 to 64 units, not 65$"),
        (1, 34, "^Address width must be from 12 to 33, not 34$"),
        (1, 11, "^Address width must be from 12 to 33, not 11$"),
    ],
)
def test_memory_wrong(units, addr_width, message):
    with pytest.raises(ValueError, match=message):
        MemoryPort(SMALL, units, addr_width)
    with pytest.raises(ValueError, match=message):
        Bridge(SMALL, board=0, units=units, addr_width=addr_width)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"board": -1}, r"^Board must be in range\(0, 0x100000000\), not -1$"),
        ({"board": 1 << 32}, r"^Board must be in range\(0, 0x100000000\), not 4294967296$"),
        ({"board": 0, "patience": 63}, "^Patience must be at least 64 cycles, not 63$"),
    ],
)
def test_executor_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        Executor(units=1, **options)


@pytest.mark.parametrize(
    "create",
    [lambda: MemoryPort("small", 1), lambda: UartLink("small", divisor=8, board=0, units=1)],
)
def test_config_wrong(create):
    with pytest.raises(TypeError, match="^Configuration must be a Config, not 'small'$"):
        create()


def test_every_bit_of_an_address():
    """In as much memory as there can be."""
    dut = MemoryPort(SMALL, 1 << 27, 33)
    asked, seen = {"units": 1}, []

    async def run(ctx):
        ctx.set(dut.i.p, asked)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.bytes.valid, 1)
        await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)
        for _ in range(60):
            await ctx.tick()
            for valid, address in (
                (dut.axi.arvalid, dut.axi.araddr),
                (dut.axi.awvalid, dut.axi.awaddr),
            ):
                if ctx.get(valid):
                    seen.append(ctx.get(address))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    for write in 0, 1:
        for unit in 0, 0x2AA_AAAA, 0x555_5555, (1 << 27) - 16:
            asked.update(write=write, unit=unit)
            seen.clear()
            simulator.reset()
            simulator.run()
            assert seen and set(seen) == {64 * unit}, asked
