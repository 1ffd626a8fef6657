"""The simulated FPGA: harness, buses, DRAM and host device, with a small design in place of the
accelerator."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.back import verilog

from host.device import DeviceError, DeviceFault
from rtl.spec import dram
from rtl.spec.config import get
from rtl.spec.csr import BEST, REGISTERS, FaultCode
from rtl.spec.isa import Halt
from sim.checkers.attach import checked_verilog
from sim.fpga import build
from sim.fpga.build import library
from sim.fpga.device import SimDevice
from sim.tools import ToolError

from .tiny import BEATS, Tiny


UNITS = 8192


def built(config, trace=False):
    return library(
        f"tests-{config.name}",
        verilog.convert(Tiny(config), name="accelerator", strip_internal_attrs=True),
        beat_bytes=config.beat_bytes,
        trace=trace,
    )


def image(config, bursts, **changes):
    memory = np.random.default_rng(4).integers(0, 256, UNITS * 64, np.uint8)
    return SimpleNamespace(
        **{
            "memory": memory,
            "memory_units": UNITS,
            "writable": (0, UNITS),
            "program": 64,
            "length": bursts,
            "digest": config.digest,
            "formats": ["S8"],
            "model": {"logit_cap": 0.0},
            "vocab": 1000,
            "nodes": (),
            "node": lambda pc: None,
            "lacks": lambda config: None,
            **changes,
        }
    )


def expected(config, img):
    words = img.memory[img.program * 64 :][: img.length * BEATS * config.beat_bytes].view("<u4")
    return int(words[:: config.beat_bytes // 4].sum(dtype=np.uint32))


@pytest.mark.seconds(5)
@pytest.mark.parametrize("program, found", [(64, None), (63, "m_axi: a burst crosses 4 KB")])
def test_checkers_say_what_and_where(program, found):
    config = get("small")
    text, places = checked_verilog(Tiny(config), "accelerator")
    checked = library("tests-checked", text, beat_bytes=config.beat_bytes, places=places)
    with SimDevice(config, library=checked) as device:
        device.load(image(config, 2, program=program))
        if found is None:
            device.step([1], 0, True)
        else:
            with pytest.raises(DeviceError, match=f": {found}$"):
                device.step([1], 0, True)


@pytest.fixture(params=["small", "wide"])
def config(request):
    return get(request.param)


@pytest.mark.seconds(5)
@pytest.mark.parametrize("memory", [None, "ideal"])
def test_reads_and_writes(config, memory):
    img = image(config, 500)
    with SimDevice(config, library=built(config), memory=memory and dram.get(memory)) as device:
        device.load(img)
        # Registers that the small design merely stores.
        for n in range(2 * BEST):
            device.set("BEST", n + 7, n)
        step = device.step([1], 0, True)
        total = expected(config, img)
        assert step.weight_beats == total
        assert step.ids.tolist() == list(range(8, 2 * BEST + 8, 2))
        assert step.logits.view(np.uint32).tolist() == list(range(7, 2 * BEST + 7, 2))
        # Only the upper four bytes were strobed.
        beat = config.beat_bytes
        assert int(device.memory[beat - 4 : beat].view("<u4")[0]) == total
        assert (device.memory[: beat - 4] == img.memory[: beat - 4]).all()
        counts = device.statistics()
        assert counts["read_beats"] == 500 * BEATS and counts["write_beats"] == 1
        efficiency = 500 * BEATS / step.cycles
        assert efficiency > 0.9, f"{efficiency:.2f} beats per cycle"
        if memory is None:
            assert counts["dram_writes"] == 1 and counts["dram_refreshes"]
        else:
            assert efficiency > 0.97
        assert not len(device.step([1], 1, False).ids)
    device.close()


@pytest.mark.seconds(5)
def test_format_that_the_device_lacks():
    """The host's configuration has it, and the same digest."""
    device = SimDevice(get("small-lut"), library=built(get("small")))
    with pytest.raises(
        DeviceError,
        match="^sim: the image has weights in the format U2, but the device takes "
        "U4, S8, TERNARY, SPARSE4, SPARSE8. Build it with U2, or compile "
        "the model for it$",
    ):
        device.load(image(get("small-lut"), 1, formats=["S8", "U2"]))
    device.load(image(get("small-lut"), 1, formats=["SPARSE8", "S8"]))
    device.close()


@pytest.mark.seconds(5)
def test_other_digest(config):
    device = SimDevice(config, library=built(config))
    with pytest.raises(
        DeviceError,
        match=f"^sim: configuration '{config.name}' has digest "
        f"{config.digest}, but the image was compiled for 0123. "
        "Compile the model for this configuration$",
    ):
        device.load(image(config, 1, digest="0123"))
    with pytest.raises(DeviceError, match="^sim: load an image first$"):
        device.step([1], 0, False)


@pytest.mark.seconds(5)
def test_other_hardware():
    config = get("small")
    other = replace(config, vector_words=4096)
    device = SimDevice(other, library=built(config))
    with pytest.raises(
        DeviceError,
        match="^sim: the device has configuration digest "
        f"{config.digest[:8]}, but 'small' has {other.digest[:8]}",
    ):
        device.load(image(other, 1))
    device.close()


@pytest.mark.seconds(5)
def test_fault_names_the_instruction():
    config = get("small")
    img = image(config, 1)
    img.memory[64 * 64 :][:32] = np.frombuffer(Halt().encode().to_bytes(32, "little"), np.uint8)
    with SimDevice(config, library=built(config)) as device:
        device.load(img)
        with pytest.raises(
            DeviceFault, match="^fault OPCODE, info 0x0, at instruction 0: halt$"
        ) as e:
            device.step([0xDEAD], 0, True)
        assert e.value.code is FaultCode.OPCODE
        device.step([1], 0, False)  # the reset has cleared it


@pytest.mark.seconds(5)
def test_address_past_the_memory():
    config = get("small")
    with SimDevice(config, library=built(config)) as device:
        device.load(image(config, 2, program=UNITS))
        with pytest.raises(DeviceFault, match="^fault BUS"):
            device.step([1], 0, False)


@pytest.mark.seconds(5)
def test_protocol_error():
    config = get("small")
    with SimDevice(config, library=built(config)) as device:
        device.load(image(config, 64, program=1))
        with pytest.raises(DeviceError, match="^sim: memory bus: AR burst crosses a 4 KB boundary"):
            device.step([1], 0, False)


@pytest.mark.seconds(5)
def test_interrupt():
    config = get("small")
    device = SimDevice(config, library=built(config))
    device.load(image(config, 2**23, program=0, memory_units=2**24))  # 1 GB: many seconds
    seen = []
    device.progress = seen.append
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.8)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        device.step([1], 0, False)
    assert time.perf_counter() - start < 3
    assert seen == sorted(seen) and seen[-1] > 100_000
    device.close()


@pytest.mark.seconds(5)
def test_timeline_and_trace(tmp_path):
    config = get("small")
    device = SimDevice(
        config,
        library=built(config, trace=True),
        timeline=tmp_path / "t.json",
        trace=tmp_path / "t.fst",
    )
    device.load(image(config, 50))
    device.step([1], 0, False)
    device.step([2], 1, False)
    device.close()
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert {"sequencer", "load"} <= {e["name"] for e in events if e["ph"] == "X"}
    assert sum(e["ph"] == "X" and e["name"] == "sequencer" for e in events) == 2
    assert (tmp_path / "t.fst").stat().st_size > 1000


@pytest.mark.seconds(5)
def test_trace_needs_its_build(tmp_path):
    config = get("small")
    device = SimDevice(config, library=built(config), trace=tmp_path / "t.fst")
    with pytest.raises(DeviceError, match="^sim: the library was built without tracing$"):
        device.load(image(config, 1))
    device.close()


def test_registers_used_here_exist():
    assert {"IDENTITY", "CONTROL", "STATUS", "BEST"} <= set(REGISTERS)


@pytest.mark.seconds(5)
def test_process_that_never_runs(tmp_path, monkeypatch):
    """Verilator would leave `c` as it is, with no more than a warning."""
    monkeypatch.setattr(build, "CACHE", tmp_path)
    text = """module accelerator(input clk, output reg [3:0] c);
        always @* begin c = 4'd5; end
        endmodule"""
    with pytest.raises(ToolError, match="Error-ALWNEVER: accelerator.sv:2"):
        library("never", text, beat_bytes=16)


@pytest.mark.seconds(5)
def test_two_builds_at_once(tmp_path, monkeypatch):
    """The second waits, and finds what the first has built."""
    commands, execute = [], build.execute

    def counted(command, folder):
        commands.append(command)
        time.sleep(0.2)
        execute(command, folder)

    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setattr(build, "execute", counted)
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: build.dram_library(), range(2))
    assert first == second and first.exists() and len(commands) == 1
