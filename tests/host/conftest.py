"""What tests of commands share."""

import pytest

import host.devices
from host.commands import images
from tests.mapper import synthetic

from . import fake


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A GGUF, with devices that are not real and a cache of its own."""
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    for name in ("model", "sim"):
        monkeypatch.setitem(host.devices.DEVICES, name, "tests.host.fake:Device")
    fake.Device.made.clear()
    kinds = {"token_embd.weight": synthetic.Type.Q8_0}
    return synthetic.write(tmp_path / "tiny.gguf", kinds=kinds)
