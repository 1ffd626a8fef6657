"""What tests of tools share."""

import stat

import pytest

from boards import synthesis


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of results."""
    monkeypatch.setattr(synthesis, "CACHE", tmp_path / "synthesis")
    # What takes long is to compile the tools themselves, once.
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(synthesis.ROOT / "build" / "yowasp"))
    return tmp_path / "synthesis"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Replaces a tool by a shell script, and counts its calls in the file `calls`."""
    def replace(variable, script):
        path = tmp_path / variable.lower()
        path.write_text(f"#!/bin/sh\necho {variable} >> {tmp_path}/calls\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv(variable, str(path))
    return replace
