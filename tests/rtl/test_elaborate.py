"""Every component elaborates at the ends of the parameters' ranges, whatever benches there are."""

import inspect
import warnings
from importlib import import_module
from pkgutil import walk_packages

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring

import rtl
from rtl.attention.cap import ScoreCap
from rtl.spec.config import CONFIGS, CORES, Config
from rtl.spec.formats import ROW_SCALED
from rtl.spec.isa import WeightFormat
from rtl.spec.score_cap import MAX_CAP, MIN_CAP


CONFIGURATIONS = {
    c.name: c
    for c in [
        Config(
            name="smallest",
            beat_bits=128,
            columns=1,
            lanes=2,
            queries=1,
            head_dim=64,
            score_cap=MIN_CAP,
            vector_words=64,
            act_groups=2,
            program_words=16,
            prefetch_beats=16,
        ),
        Config(
            name="large",
            beat_bits=512,
            columns=8,
            lanes=16,
            queries=8,
            head_dim=256,
            score_cap=MAX_CAP,
            vector_words=1 << 18,
            act_groups=1024,
            program_words=4096,
            prefetch_beats=4096,
        ),
        *CONFIGS.values(),  # those of boards: tests/boards/test_board.py
    ]
}
# All formats that each core can be built for, at both ends of the beat.
ALL_FORMATS = [
    Config(
        name=f"{core}-formats-{beat_bits}",
        beat_bits=beat_bits,
        columns=1,
        lanes=4,
        core=core,
        formats=formats,
    )
    for core, formats in CORES.items()
    for beat_bits in (16, 128, 512)
]
# What constructors take beside `config`.
OTHERS = {
    "MemoryReader": {"depths": [16, 64]},
    "VectorMemory": {"writers": 4},
    "Control": {"faults": 4},
    "GroupScaler": {"native": {WeightFormat.U4, WeightFormat.S8}},
    "Expander": {"native": set(WeightFormat) - ROW_SCALED},
    "StepParts": {"native": set(WeightFormat) - ROW_SCALED},
    "PartTrits": {"native": set(WeightFormat) - ROW_SCALED},
    "PartsTree": {"slices": 4},
    "FifthSums": {"rows": 2},
    "MemoryPort": {"units": 64},
    "Bridge": {"board": 1, "units": 64},
    "UartLink": {"divisor": 8, "board": 1, "units": 64},
}

# What has a good part of the accelerator within.
WHOLE = {"Accelerator", "LinearUnit", "LinearPipeline", "Bridge", "UartLink"}


def components():
    """All components under rtl/ whose constructor takes a configuration."""
    for found in walk_packages(rtl.__path__, "rtl."):
        module = import_module(found.name)
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if (
                cls.__module__ == found.name
                and issubclass(cls, wiring.Component)
                and hasattr(cls, "elaborate")
                and "config" in inspect.signature(cls).parameters
            ):
                yield pytest.param(
                    cls,
                    id=f"{found.name.removeprefix('rtl.')}.{name}",
                    marks=[pytest.mark.seconds(2)] if name in WHOLE else [],
                )


def configurations(cls):
    """Those that a component is tried with. A whole linear unit has all cores within; what caps
    scores needs a cap.
    """
    yield from (c for c in CONFIGURATIONS.values() if cls is not ScoreCap or c.score_cap)
    folder, _, name = cls.__module__.removeprefix("rtl.").partition(".")
    if folder in ("linear", "cores"):
        cores = CORES if name == "unit" else [name if name in CORES else "lut"]
        yield from (config for config in ALL_FORMATS if config.core in cores)


# All but what whole models run on: the accelerator with each core, at two sizes.
RUN = {("Accelerator", name) for name in CONFIGS}
CASES = [
    pytest.param(
        *found.values,
        config,
        id=f"{found.id}-{config.name}",
        marks=[*found.marks, *([pytest.mark.seconds(1)] if config.name != "smallest" else [])],
    )
    for found in components()
    for config in configurations(*found.values)
    if (found.values[0].__name__, config.name) not in RUN
]


@pytest.mark.parametrize("cls, config", CASES)
def test_elaborates(cls, config):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        component = cls(config, **OTHERS.get(cls.__name__, {}))
        fragment = Fragment.get(component, None)
        if config.name == "smallest":
            rtlil.convert_fragment(fragment, ports=())  # finds what two modules drive; slow
        else:
            fragment.prepare()


def test_something_is_found():
    names = {param.id.rpartition(".")[2] for param in components()}
    assert {"Accelerator", "SystolicCore", "VectorUnit", "AttentionUnit"} <= names
    assert set(OTHERS) <= names
