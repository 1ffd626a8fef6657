"""The exported scripts, run by a Tcl interpreter with Vivado's commands imitated."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from boards.export import write as writing
from boards.export.targets import get


pytestmark = pytest.mark.seconds(4)

VIVADO = Path(__file__).with_name("vivado.tcl")
BOARDS = ["kv260", "zcu104", "u280"]


def ports(text):
    """Direction, width and name of each port of the Verilog's top module."""
    module = text.partition("module headrace(")[2].partition("endmodule")[0]
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", module, re.M)
    return [(way, int(high or 0) + 1, name) for way, high, name in found]


@pytest.fixture(scope="session")
def exported(tmp_path_factory, kernel):
    """Folder of every board, all with the same Verilog."""
    root, (config, text) = tmp_path_factory.mktemp("export"), kernel
    for name in BOARDS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing, "kernel_verilog", lambda config: text)
            writing.write(get(name), config, root / name)
        lines = (
            f"{way} {width} {port}"
            for way, width, port in ports((root / name / "headrace.v").read_text())
        )
        (root / name / "ports.txt").write_text("\n".join(lines))
    return root


@pytest.fixture
def folder(exported, tmp_path):
    """Gives a copy of a board's folder, to be changed and run in."""
    return lambda name: Path(shutil.copytree(exported / name, tmp_path / name))


def vivado(folder, script, **environment):
    values = {
        "PORTS": str(folder / "ports.txt"),
        "MAPS": "inferred",
        "BOARDS": "all",
        "PROGRESS": "100%",
        "SLACK": "0.1",
        **environment,
    }
    return subprocess.run(
        ["tclsh", str(VIVADO), script],
        cwd=folder,
        env={**os.environ, **values},
        capture_output=True,
        text=True,
    )


def change(folder, name, old, new):
    text = (folder / name).read_text()
    assert text.count(old) == 1, old
    (folder / name).write_text(text.replace(old, new))


@pytest.mark.seconds(10)
@pytest.mark.parametrize("maps", ["inferred", "none"])
@pytest.mark.parametrize("name", BOARDS)
def test_package(folder, name, maps):
    done = vivado(folder(name), "package_ip.tcl", MAPS=maps)
    assert done.returncode == 0, done.stderr


@pytest.mark.seconds(4)
@pytest.mark.parametrize("name", ["kv260", "zcu104"])
def test_build(folder, name):
    folder = folder(name)
    done = vivado(folder, "build.tcl")
    assert done.returncode == 0, done.stderr
    assert (folder / "headrace.bit").is_file() and (folder / "headrace.hwh").is_file()
    assert "WARNING" not in done.stdout


@pytest.mark.seconds(4)
def test_build_packages_once(folder):
    folder = folder("kv260")
    assert vivado(folder, "package_ip.tcl").returncode == 0
    (folder / "package_ip.tcl").write_text("error {packaged again}")
    done = vivado(folder, "build.tcl")
    assert done.returncode == 0, done.stderr


@pytest.mark.seconds(4)
def test_kernel(folder):
    folder = folder("u280")
    done = vivado(folder, "package_xo.tcl")
    assert done.returncode == 0, done.stderr
    assert (folder / "headrace.xo").is_file()


@pytest.mark.parametrize(
    "name, script",
    [("kv260", "board.xdc"), ("kv260", "headrace_ooc.xdc"), ("u280", "headrace_ooc.xdc")],
)
def test_constraints(folder, name, script):
    done = vivado(folder(name), script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "environment, message",
    [
        ({"BOARDS": "none"}, "no files of the board xilinx.com:kv260_som:part0 are installed"),
        ({"PROGRESS": "73%"}, "the run impl_1 ended with route_design ERROR"),
    ],
)
def test_build_fails(folder, environment, message):
    done = vivado(folder("kv260"), "build.tcl", **environment)
    assert done.returncode != 0 and message in done.stderr


def test_timing_is_missed(folder):
    folder = folder("kv260")
    done = vivado(folder, "build.tcl", SLACK="-0.25")
    assert (
        done.returncode == 0 and "WARNING: timing is missed by 0.25 ns at 200.0 MHz" in done.stdout
    )


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        (
            "block_design.tcl",
            "[get_bd_intf_pins headrace/m_axi]",
            "[get_bd_intf_pins headrace/M_AXI]",
            "no pin headrace/M_AXI",
        ),
        (
            "block_design.tcl",
            " [get_bd_pins headrace/ap_rst_n]",
            "",
            "headrace/ap_rst_n is not connected",
        ),
        (
            "block_design.tcl",
            "CONFIG.PSU__USE__S_AXI_GP2 {1}",
            "CONFIG.PSU__USE__S_AXI_GP2 {0}",
            "no pin ps/S_AXI_HP0_FPD",
        ),
        (
            "block_design.tcl",
            "CONFIG.PSU__USE__M_AXI_GP1 {0}",
            "CONFIG.PSU__USE__M_AXI_GP1 {1}",
            "ps/maxihpm1_fpd_aclk is not connected|ps/M_AXI_HPM1_FPD is not connected",
        ),
        ("block_design.tcl", "\nassign_bd_address", "", "addresses are not assigned"),
        ("package_ip.tcl", "headrace.v]", "headrace.sv]", "no such file"),
        (
            "package_ip.tcl",
            "{s_axi_control m_axi}",
            "{s_axi_control m00_axi}",
            "the ports of m00_axi were not recognized",
        ),
        ("package_ip.tcl", "0x1018 32", "0x1016 32", "registers STATUS and PROGRAM overlap"),
        (
            "package_ip.tcl",
            "set_property range 8192",
            "set_property range 4096",
            "register COUNTER is beyond the block",
        ),
        (
            "package_ip.tcl",
            "ipx::associate_bus_interfaces -clock ap_clk -reset ap_rst_n $core",
            "",
            "ap_rst_n has no clock",
        ),
    ],
)
def test_mistakes_are_found(folder, name, old, new, message):
    folder = folder("kv260")
    change(folder, name, old, new)
    done = vivado(folder, "build.tcl")
    assert done.returncode != 0 and re.search(message, done.stderr), done.stderr


def test_kernel_without_an_argument(folder):
    folder = folder("u280")
    change(folder, "package_ip.tcl", "set_property value m_axi $parameter", "")
    done = vivado(folder, "package_xo.tcl")
    assert done.returncode != 0 and "no argument is behind m_axi" in done.stderr
