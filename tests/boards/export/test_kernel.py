# amaranth: UnusedElaboratable=no
"""The block: its ports, the registers in front of the accelerator's, and where its memory is."""

import re
import subprocess

import pytest

from boards import synthesis
from boards.export.kernel import Kernel
from boards.export.registers import MACHINE, REGISTERS
from boards.export.write import registers
from rtl.spec.csr import REGISTERS as MACHINE_REGISTERS
from sim.tools import environment, verilator

from .test_scripts import ports


@pytest.fixture
def text(kernel):
    return kernel[1]


def test_configuration_wrong():
    with pytest.raises(TypeError, match="^Configuration must be a Config, not 'wide'$"):
        Kernel("wide")


@pytest.mark.seconds(20)
def test_ports(text):
    widths = {name: (way, width) for way, width, name in ports(text)}
    assert widths["ap_clk"] == widths["ap_rst_n"] == ("input", 1)
    assert widths["s_axi_control_awaddr"] == ("input", 13) and widths["m_axi_araddr"] == (
        "output",
        64,
    )
    assert widths["m_axi_rdata"] == ("input", 128)
    # What is of no interface cannot be packaged for Vitis.
    assert not [
        name
        for name in widths
        if not re.fullmatch("ap_clk|ap_rst_n|(s_axi_control|m_axi)_(aw|w|b|ar|r)[a-z]+", name)
    ]


@pytest.mark.seconds(20)
def test_lint(text, tmp_path):
    (tmp_path / "headrace.v").write_text(text)
    # What is usual in generated Verilog is let pass; drivers, loops, latches and processes are
    # looked at.
    passed = [
        "ASCRANGE",
        "CASEINCOMPLETE",
        "CASEOVERLAP",
        "CMPCONST",
        "DECLFILENAME",
        "PROCASSINIT",
        "UNSIGNED",
        "UNUSEDSIGNAL",
        "VARHIDDEN",
        "WIDTHEXPAND",
        "WIDTHTRUNC",
    ]
    done = subprocess.run(
        [
            verilator(),
            "--lint-only",
            "-Wall",
            "--top-module",
            "headrace",
            *(f"-Wno-{name}" for name in passed),
            "headrace.v",
        ],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.seconds(20)
def test_yosys_reads_it(text, tmp_path):
    (tmp_path / "headrace.v").write_text(text)
    code, said = synthesis.execute(
        [
            synthesis.yosys(),
            "-q",
            "-p",
            "read_verilog headrace.v; hierarchy -check -top headrace; proc; check -assert",
        ],
        tmp_path,
    )
    assert code == 0, said


def test_registers_do_not_clash():
    found = sorted((r.address, r.bits, r.name) for r in registers())
    assert found[0][0] == REGISTERS["BASE"].address >= 0x10
    assert [name for _, _, name in found[1:]] == [
        r.name for r in sorted(MACHINE_REGISTERS.values(), key=lambda r: r.address)
    ]
    assert found[1][0] == MACHINE
    for (address, bits, _), (following, *_) in zip(found, found[1:]):
        assert address + bits // 8 <= following
