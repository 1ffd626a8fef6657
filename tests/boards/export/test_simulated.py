"""The exported Verilog, as it is, under the unchanged driver: the tokens of the functional
model.
"""

import re
import sys

import numpy as np
import pytest

from boards.export.pynq_device import PynqDevice
from boards.export.registers import MACHINE, REGISTERS as BOARD_REGISTERS
from host.device import DeviceError
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec import dram
from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import REGISTERS
from sim.fpga.build import library
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice

from .fake_pynq import ADDRESS, Pynq
from .test_scripts import ports


# What the simulator calls the ports; its memory begins at 0.
NAMES = {"ap_clk": "clk", "ap_rst_n": "~rst"}


def top(text):
    """The block between the ports that the simulator has."""
    declared, connected = [], []
    for way, width, name in ports(text):
        shape = f"[{width - 1}:0] " if width > 1 else ""
        if name in NAMES:
            connected.append(f".{name}({NAMES[name]})")
            continue
        outer = name.replace("s_axi_control", "s_axi")
        declared.append(f"{way} {shape}{outer}")
        if re.fullmatch("m_axi_a[rw]addr", name):
            declared[-1] = f"output [39:0] {outer}"
            connected.append(f".{name}(the_{outer})")
        else:
            connected.append(f".{name}({outer})")
    return "\n".join(
        [
            text,
            f"module accelerator(input clk, input rst, output activity, {', '.join(declared)});",
            "wire [63:0] the_m_axi_araddr, the_m_axi_awaddr;",
            "assign activity = 1'b1;",
            *(
                f"wire [63:0] {c}_at = the_m_axi_{c}addr - 64'h{ADDRESS:x}; assign m_axi_{c}addr = "
                f"{c}_at[39:0];"
                for c in ("ar", "aw")
            ),
            f"headrace block({', '.join(connected)});",
            "endmodule",
            "",
        ]
    )


class Simulated:
    """The block's registers, in the simulation, which gets its memory when the driver flushes
    it.
    """

    def __init__(self, config, built):
        self.device = SimDevice(config, library=built, memory=dram.get("ideal"))

    def flushed(self, buffer):
        self.device.write_memory(np.asarray(buffer), len(buffer) // UNIT_BYTES)

    def read(self, offset):
        if offset == MACHINE + REGISTERS["STATUS"].address:
            self.device.run()  # time goes by
        return self.device.read(offset)

    def write(self, offset, value):
        self.device.write(offset, value)


@pytest.mark.seconds(120)
def test_tokens(tmp_path, monkeypatch, kernel):
    for name in "headrace.bit", "headrace.hwh":
        (tmp_path / name).write_text("")
    config, text = kernel
    machine = Simulated(config, library("export", top(text), beat_bytes=config.beat_bytes))
    monkeypatch.setitem(sys.modules, "pynq", Pynq(machine))
    image = compile_model(load("tiny"), config, 64)
    model = ModelDevice(config)
    model.load(image)
    with machine.device, PynqDevice(config, tmp_path / "headrace.bit") as device:
        device.load(image)
        base = [machine.read(BOARD_REGISTERS["BASE"].address + 4 * n) for n in range(2)]
        assert base == [ADDRESS & 0xFFFFFFFF, ADDRESS >> 32]
        token = 7
        for position in range(3):
            step, expected = (
                device.step([token], position, True),
                model.step([token], position, True),
            )
            np.testing.assert_array_equal(step.ids, expected.ids)
            np.testing.assert_array_equal(step.logits, expected.logits)
            token = int(expected.ids[0])
        assert step.cycles > 50_000 and step.weight_beats == image.weight_bytes // config.beat_bytes
    # The simulation keeps its first error, so each is from the beginning.
    for address in 0, 0x18, MACHINE + 0xFFC:
        with machine.device:
            machine.device.write_memory(image.memory, image.memory_units)
            with pytest.raises(
                DeviceError, match=f"register bus: a read was refused, of address {address}$"
            ):
                machine.read(address)
