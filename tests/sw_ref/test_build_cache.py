"""A checkout keeps what takes long to make in `build/`; an installed package in the user's
cache.
"""

import re
from pathlib import Path

import pytest

from sw_ref import build_cache


ROOT = Path(__file__).parents[2]
USERS = (
    "boards/dram/generate.py",
    "boards/synthesis.py",
    "headrace/library/images.py",
    "sim/fpga/build.py",
    "sim/tools.py",
    "sw_ref/kernels.py",
)


def test_checkout():
    assert build_cache.folder("sim") == ROOT / "build" / "sim"


def test_installed(tmp_path, monkeypatch):
    """Not beside the packages, where others' lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert build_cache.folder("sim", tmp_path) == tmp_path / "mine" / "headrace" / "sim"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build_cache.folder("sim", tmp_path) == tmp_path / ".cache" / "headrace" / "sim"


@pytest.mark.parametrize("path", USERS)
def test_users(path):
    """Nothing that a user's run keeps is put beside the packages by name."""
    text = (ROOT / path).read_text()
    assert (
        re.search(r'\bcache\.folder\("\w+"\)|\bfolder\("\w+"\)', text) and '/ "build" /' not in text
    )
