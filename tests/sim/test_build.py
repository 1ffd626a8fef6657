"""Built libraries: kept while they are what was built, and never used when they are not."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from host.device import DeviceError
from rtl.spec.config import get
from sim.checkers.attach import memories_unset, plain_verilog
from sim.fpga import build
from sim.fpga.build import cached, dram_library
from sim.fpga.device import SimDevice
from sim.tools import ToolError


class Builder:
    """A build of two files, counted."""

    def __init__(self, folder):
        self.folder, self.count, self.said = folder / "library", 0, []

    def __call__(self, inputs=("a",)):
        return cached(self.folder, "obj/x.so", inputs, self.build, self.said.append)

    def build(self, part):
        self.count += 1
        (part / "obj").mkdir()
        (part / "obj" / "x.so").write_bytes(b"library" * 100)
        (part / "obj" / "y.a").write_bytes(b"archive" * 100)
        (part / "build.log").write_text("$ g++\n")


@pytest.fixture
def builder(tmp_path):
    return Builder(tmp_path)


def damage(path, content):
    """Replace a file, as nothing of this project would."""
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def test_kept(builder):
    path = builder()
    assert builder() == path == builder.folder / "obj" / "x.so"
    assert builder.count == 1 and not builder.said
    (builder.folder / "build.log").write_text("nobody links this")
    assert builder() == path and builder.count == 1
    builder(["b"])
    assert builder.count == 2 and not builder.said
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=builder.folder, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count("OK") == 2


@pytest.mark.parametrize("name", ["obj/x.so", "obj/y.a", "SHA256SUMS"])
@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw[:50] + b"\x80" + raw[51:], lambda raw: b""]
)
def test_damaged(builder, name, change):
    before = builder().read_bytes()
    damage(builder.folder / name, change((builder.folder / name).read_bytes()))
    assert builder().read_bytes() == before
    assert builder.said == [f"{builder.folder} is damaged, building it again"]
    assert builder.count == 2
    assert builder() and builder.count == 2


@pytest.mark.parametrize("name", ["obj/x.so", "obj/y.a", "digest", "SHA256SUMS"])
def test_missing(builder, name):
    before = builder().read_bytes()
    damage(builder.folder / name, None)
    assert builder().read_bytes() == before and builder.count == 2


def test_read_once_per_process(builder, monkeypatch):
    builder()
    builder()
    monkeypatch.setattr("host.image.digest.hashlib.file_digest", None)
    assert builder() and builder.count == 1


@pytest.mark.seconds(5)
@pytest.mark.parametrize("size", [0, 100, 5000, -4096])
def test_truncated_library_is_never_loaded(tmp_path, monkeypatch, size):
    """A truncated library kills the process that loads it, with SIGBUS."""
    monkeypatch.setattr(build, "CACHE", tmp_path)
    path = dram_library()
    whole = path.read_bytes()
    damage(path, whole[:size])
    code = (
        "import ctypes, pathlib; from sim.fpga import build; build.CACHE = pathlib.Path({!r}); "
        "ctypes.CDLL(str(build.dram_library())).dram_run"
    ).format(str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert path.stat().st_size == len(whole)


def test_what_cannot_be_loaded(tmp_path):
    path = tmp_path / "accelerator.so"
    path.write_bytes(b"nothing")
    with pytest.raises(DeviceError, match=f"^sim: {path}: cannot be loaded: .*[^\n]$"):
        SimDevice(get("small"), library=path)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")]
)
def test_build_that_cannot_be_written(builder, monkeypatch, error):
    """One line, and what was there is there."""
    builder()

    def fails(part):
        (part / "half").write_text("half")
        raise error

    builder.build, build_ = fails, builder.build
    with pytest.raises(ToolError, match=f"^{builder.folder}: cannot be built: {error.strerror}"):
        builder(["b"])
    assert {path.name for path in builder.folder.parent.iterdir()} == {"library", "library.lock"}
    builder.build = build_
    assert builder(["a"]) and builder.count == 1


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    builder = Builder(tmp_path / "file")
    folder = re.escape(str(builder.folder))
    with pytest.raises(ToolError, match=f"^{folder}: cannot be built: File exists"):
        builder()
    assert builder.count == 0


def test_read_only_folder_serves(builder, monkeypatch):
    """Where nothing can be written, what is there is used."""
    builder()
    monkeypatch.setattr(build, "_alone", None)  # which would write
    assert builder() and builder.count == 1


@pytest.mark.seconds(5)
def test_a_tool_that_is_not_there(tmp_path):
    with pytest.raises(ToolError, match="^no-such-tool: must be installed, it is not found$"):
        build.execute(["no-such-tool", "-c"], tmp_path)


def test_without_zeros():
    """Only words of memories that begin with zeros are dropped, not what logic assigns."""
    always = "  always @* begin\n    word[1] = 1'h0;\n  end\n"
    memory = (
        "  reg [7:0] memory [3:0];\n  initial begin\n    memory[0] = 8'h00;\n{}"
        "    memory[2] = 32'd0;\n  end\n"
    )
    kept = "    memory[1] = 8'h10;\n    memory[3] = 32'd10;\n"
    short = "  reg [7:0] memory [3:0];\n  initial begin\n{}  end\n"
    for text in ("", kept):
        made = build.without_zeros(memory.format(text) + always + memory.format(""))
        assert made == short.format(text) + always + short.format("")


class Table(wiring.Component):
    """A word of a memory."""

    at: In(2)
    word: Out(8)

    def __init__(self, init):
        super().__init__()
        self.init = init

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=4, init=self.init)
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.at), self.word.eq(port.data)]
        return m


def test_memories_of_zeros_begin_with_nothing():
    """Others begin with their values; and Amaranth is what it was, afterwards."""
    assert "initial" not in plain_verilog(Table([]), "table")
    assert "= 8'h12;" in plain_verilog(Table([0, 0x12]), "table")
    with pytest.raises(ZeroDivisionError), memories_unset():
        raise ZeroDivisionError
    assert "= 8'h00;" in verilog.convert(Table([]), name="table")


def test_hardware_is_built_once():
    """What is not in the Verilog, such as the clock, builds no other library; what is, does."""
    config = get("wide")
    folder, hardware = build._folder(config), build._hardware(config)
    same = replace(config, name="mine", clock_mhz=50.0, dram="ideal")
    assert (build._folder(same), build._hardware(same)) == (folder, hardware)
    for field, value in {
        "lanes": 16,
        "core": "lut",
        "columns": 2,
        "prefetch_beats": 64,
        "formats": ("U4", "S8"),
        "patterns": ("2:4",),
        "counters": False,
    }.items():
        other = replace(config, **{field: value})
        assert build._folder(other) != folder and build._hardware(other) != hardware


def test_sources_that_make_the_same_verilog_build_nothing(tmp_path, monkeypatch):
    """A comment in `rtl/` costs writing the Verilog again, seconds, and not Verilator, minutes."""
    config, texts, built = get("small"), ["module a; endmodule", "module b; endmodule"], []
    monkeypatch.setattr(build, "CACHE", tmp_path)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "library", lambda name, text, **_: built.append(text))
    monkeypatch.setattr("rtl.top.Accelerator", lambda config: None)
    written = []
    monkeypatch.setattr(
        "sim.checkers.attach.plain_verilog",
        lambda component, name: written.append(name) or texts[0],
    )
    for folder in "rtl", "sim/checkers", "sim/harness":
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sim/harness/initial.py").write_text("")
    (source := tmp_path / "rtl" / "a.py").write_text("# one\n")
    for comment, times in ("# one\n", 1), ("# one\n", 1), ("# two\n", 2):
        source.write_text(comment)
        build.accelerator_library(config)
        assert len(written) == times
    assert set(built) == {texts[0]}  # by which `library` finds what it built
    texts.reverse()
    source.write_text("# three\n")
    build.accelerator_library(config)
    assert built[-1] == "module b; endmodule"


@pytest.mark.seconds(5)
def test_verilog_has_no_places_in_the_source():
    """Else each line that moves would build all again."""
    text, places = build.accelerator_verilog(get("small"))
    assert places is None
    assert "module accelerator(" in text and "src = " not in text and str(build.ROOT) not in text
