"""What all tests share."""

import gc
import signal
import stat
from collections import Counter

import pytest

import headrace.devices
from boards import synthesis
from headrace.library import images
from sim.tools import ROOT
from tests.chosen import is_left_out
from tests.host.fake import Device
from tests.mapper import synthetic


def pytest_configure(config):
    # Thousands of tests and large modules stay to the end: to look for garbage among them takes a
    # sixth of the time of quick tests.
    gc.set_threshold(50_000)
    # Shells start what runs in the background without Ctrl-C, which some tests are about.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers",
        "seconds(n): about how long it takes, where that is long; "
        "tests that take longest start first",
    )
    config.addinivalue_line(
        "markers", "asked(name): takes long, and is run where it is asked for (tests/chosen.py)"
    )


def pytest_collection_finish():
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    def seconds(item):
        mark = item.get_closest_marker("seconds")
        return mark.args[0] if mark else 0

    config.hook.pytest_deselected(items=[item for item in items if is_left_out(item)])
    items[:] = sorted((item for item in items if not is_left_out(item)), key=seconds, reverse=True)


LONG = 300  # seconds of all tests together, above which it is said where they went


def pytest_terminal_summary(terminalreporter):
    spent = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid.split("::")[0]] += report.duration
    if spent.total() > LONG:
        terminalreporter.section("where the time went")
        for file, seconds in spent.most_common(20):
            terminalreporter.write_line(f"{seconds:7.0f} s  {seconds / spent.total():4.0%}  {file}")
        terminalreporter.write_line(f"{spent.total():7.0f} s        all {len(spent)} files")


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A GGUF, with devices that are not real and a cache of its own."""
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    for name in ("model", "sim"):
        monkeypatch.setitem(headrace.devices.DEVICES, name, "tests.host.fake:Device")
    Device.made.clear()
    kinds = {"token_embd.weight": synthetic.Type.Q8_0}
    return synthetic.write(tmp_path / "tiny.gguf", kinds=kinds)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of results."""
    monkeypatch.setattr(synthesis, "CACHE", tmp_path / "synthesis")
    # What takes long is to compile the tools themselves, once.
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(ROOT / "build" / "yowasp"))
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
