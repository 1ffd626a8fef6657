"""What all tests share: an order in which two workers finish together, and a model that runs at once."""

import signal

import pytest

import headrace.devices
from headrace.library import images
from tests.host import fake
from tests.mapper import synthetic


def pytest_configure(config):
    # Shells start what runs in the background without Ctrl-C, which some tests are about.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "seconds(n): about how long it takes, where that is long; "
                                       "tests that take longest start first")


def pytest_collection_modifyitems(items):
    def seconds(item):
        mark = item.get_closest_marker("seconds")
        return mark.args[0] if mark else 0

    items.sort(key=seconds, reverse=True)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A GGUF, with devices that are not real and a cache of its own."""
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    for name in ("model", "sim"):
        monkeypatch.setitem(headrace.devices.DEVICES, name, "tests.host.fake:Device")
    fake.Device.made.clear()
    kinds = {"token_embd.weight": synthetic.Type.Q8_0}
    return synthetic.write(tmp_path / "tiny.gguf", kinds=kinds)
