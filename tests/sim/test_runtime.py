"""Verilator's runtime is compiled once, and never linked when it is damaged."""

import pytest

from sim.runtime import OBJECTS, Runtime


@pytest.fixture
def compiled(tmp_path):
    """A folder with objects."""
    folder = tmp_path / "obj"
    folder.mkdir()
    for name in OBJECTS[:2]:
        (folder / name).write_bytes(name.encode())
    return folder


def given(runtime, folder):
    runtime.give(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_kept_and_given(compiled, tmp_path):
    runtime = Runtime(tmp_path / "kept", ["-O2"])
    assert given(runtime, tmp_path / "before") == {}
    runtime.keep(compiled)
    what = {name: name.encode() for name in OBJECTS[:2]}
    assert given(runtime, tmp_path / "after") == what
    assert given(Runtime(tmp_path / "kept", ["-O2"]), tmp_path / "again") == what
    assert given(Runtime(tmp_path / "kept", ["-O3"]), tmp_path / "other") == {}


@pytest.mark.parametrize("damage", [b"", b"verilated.", b"Verilated.o"])
def test_damaged_is_kept_again(compiled, tmp_path, damage):
    runtime = Runtime(tmp_path / "kept", ["-O2"])
    runtime.keep(compiled)
    (runtime.folder / OBJECTS[0]).write_bytes(damage)
    assert list(given(runtime, tmp_path / "damaged")) == [OBJECTS[1]]
    runtime.keep(compiled)
    assert len(given(runtime, tmp_path / "mended")) == 2
    (runtime.folder / f"{OBJECTS[1]}.sha256").unlink()
    assert list(given(runtime, tmp_path / "without")) == [OBJECTS[0]]


def test_nothing_else_is_left(compiled, tmp_path):
    runtime = Runtime(tmp_path / "kept", ["-O2"])
    runtime.keep(compiled)
    assert {path.suffix for path in runtime.folder.iterdir()} == {".o", ".sha256"}
