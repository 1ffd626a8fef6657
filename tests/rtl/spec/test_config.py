# amaranth: UnusedElaboratable=no
from dataclasses import FrozenInstanceError, fields, replace
from itertools import product

import pytest
from amaranth import Shape, signed, unsigned

from rtl.linear.pipeline import LinearPipeline
from rtl.spec import config as configs, presets
from rtl.spec.config import (
    CONFIGS,
    CORES,
    DEFAULTS,
    GROUP,
    HEAD_DIMS,
    KV_BLOCK,
    PATTERNS,
    UNIT_BYTES,
    Config,
    get,
)
from rtl.spec.isa import WeightFormat
from rtl.spec.payloads import WeightStep


SMALL = get("small")
FILES = ("U5", "S6", "FP4", "FP4_16", "IQ4")  # formats that a configuration has when it asks


# fmt: off
WRONG = [
    ("beat_bits",      (8, 192, 1024, "128"), "beat_bits must be a power of two from 16 to 512"),
    ("columns",        (0, 17, 1.0),           "columns must be from 1 to 16"),
    ("lanes",          (1, 3, 32, None),       "lanes must be a power of two from 2 to 16"),
    ("queries",        (0, 17, 2.0),           "queries must be from 1 to 16"),
    ("head_dim",       (32, 96, 512),          "head_dim must be one of 64, 128, 256"),
    ("score_cap",      (-1, 0.5, 101, float("nan"), "50", None),
     "score_cap must be 0, or from 1 to 100"),
    ("vector_words",   (32, 8000, 1 << 19),
     "vector_words must be a power of two from 64 to 262144"),
    ("act_groups",     (1, 48, 2048),          "act_groups must be a power of two from 2 to 1024"),
    ("program_words",  (8, 1000, 8192),        "program_words must be a power of two from 16 to 4096"),
    ("prefetch_beats", (8, 500, 8192),         "prefetch_beats must be a power of two from 16 to 4096"),
    ("clock_mhz",      (0, -1.0, 1e9, None),   "clock_mhz must be above 0, and at most 10000"),
    ("dram",           ("ddr9", None),
     "dram must be one of ddr3-240-x16, ddr3-300-x16, ddr3-800-x16, ddr4-2400-x64, ideal, "
     "sdr-50-x16"),
    ("core",           ("LUT", "", None),      f"core must be one of {', '.join(CORES)}"),
]
# fmt: on


@pytest.mark.parametrize("name", presets.read("configs"))
def test_named_ones_stand_whole_in_their_files(name):
    """But for what follows from the core: whoever reads one needs no defaults."""
    stated = presets.read("configs")[name].keys()
    assert stated | {"name", "formats", "patterns"} == {field.name for field in fields(Config)}


@pytest.mark.parametrize("field, values, text", WRONG)
def test_wrong(field, values, text):
    for value in values:
        with pytest.raises(ValueError) as error:
            replace(SMALL, **{field: value})
        assert str(error.value) == f"Configuration 'small': {text}, not {value!r}"


@pytest.mark.parametrize(
    "core, formats, text",
    [
        (
            "systolic",
            ("U4", "S8", "U2"),
            "the formats of core 'systolic' must be of U4, S8, U5, S6, FP4, FP4_16, TERNARY, SPARSE4, "
            "SPARSE8, IQ4, not 'U2'",
        ),
        (
            "lut",
            ("s8",),
            "the formats of core 'lut' must be of U1, U2, U3, U4, S8, TERNARY, U5, S6, FP4, FP4_16, "
            "SPARSE4, SPARSE8, IQ4, not 's8'",
        ),
        (
            "dspchain",
            ("S8", "U1"),
            "the formats of core 'dspchain' must be of U4, S8, SPARSE4, SPARSE8, U5, S6, FP4, FP4_16, "
            "TERNARY, IQ4, not 'U1'",
        ),
        (
            "dspchain",
            (None,),
            "the formats of core 'dspchain' must be of U4, S8, SPARSE4, SPARSE8, U5, S6, FP4, FP4_16, "
            "TERNARY, IQ4, not None",
        ),
        (
            "systolic",
            ("U4", "TERNARY"),
            "formats must have S8, which embeddings are in, not ('U4', 'TERNARY')",
        ),
    ],
)
def test_formats_wrong(core, formats, text):
    with pytest.raises(ValueError) as error:
        replace(SMALL, core=core, formats=formats)
    assert str(error.value) == f"Configuration 'small': {text}"


def test_narrow_beats_need_longer_buffers():
    """Two units, whatever their beats."""
    for beat_bits, least in ((64, 16), (32, 32), (16, 64)):
        narrow = replace(SMALL, beat_bits=beat_bits, prefetch_beats=least)
        assert narrow.least_beats == least == max(16, 2 * narrow.unit_beats)
        with pytest.raises(ValueError, match=f"a power of two from {least} to 4096, not"):
            replace(narrow, prefetch_beats=least // 2)


def test_patterns_wrong():
    for pattern in ("1:16", "16:16", "2:8", None):
        with pytest.raises(ValueError) as error:
            replace(SMALL, patterns=("2:4", pattern))
        assert (
            str(error.value)
            == f"Configuration 'small': patterns must be of 2:16, 4:16, 8:16, 2:4, not {pattern!r}"
        )


def test_formats():
    """All of the core's but those of files when none are given; those that are given, once, in the
    enumeration's order.
    """
    for core, known in CORES.items():
        config = replace(SMALL, core=core, formats=())
        assert set(config.formats) == set(DEFAULTS[core]) == set(known) - set(FILES)
        assert list(config.formats) == [f.name for f in WeightFormat if f.name in DEFAULTS[core]]
        assert set(replace(SMALL, core=core, formats=known).formats) == set(known) > set(FILES)
    assert replace(SMALL, formats=("TERNARY", "S8", "TERNARY", "U4")).formats == (
        "U4",
        "S8",
        "TERNARY",
    )
    assert DEFAULTS["lut"] == (*("U1", "U2", "U3", "U4", "S8", "TERNARY"), "SPARSE4", "SPARSE8")
    assert DEFAULTS["systolic"] == ("U4", "S8", "TERNARY", "SPARSE4", "SPARSE8")
    assert DEFAULTS["dspchain"] == ("U4", "S8", "SPARSE4", "SPARSE8", "TERNARY")


def test_patterns():
    assert SMALL.patterns == PATTERNS
    assert replace(SMALL, patterns=("2:4", "2:16", "2:4")).patterns == ("2:16", "2:4")
    assert replace(SMALL, patterns=()).patterns == ()


@pytest.mark.parametrize(
    "formats, sparse, scaled",
    [
        (("U4", "S8"), False, 1),
        (("S8", "TERNARY"), False, 1),
        (("S8", "SPARSE4"), True, 1),
        (("S8", "SPARSE8"), True, 1),
        (("U4", "S8", "U3"), False, 1),
        (("U4", "S8", "U2"), False, 2),
        (("U4", "S8", "U1"), False, 4),
        (("U4", "S8", "U1", "U2", "SPARSE4"), True, 4),
    ],
)
def test_what_follows_from_formats(formats, sparse, scaled):
    for beat_bits in (128, 512):
        config = replace(SMALL, core="lut", beat_bits=beat_bits, formats=formats)
        assert config.sparse is sparse
        assert config.scaled_rows == scaled * config.rows


@pytest.mark.parametrize(
    "formats, wide, halved, signs, unsigned_upper",
    [
        (("U4",), False, False, False, False),
        (("IQ4",), False, False, True, False),
        (("U5",), True, False, False, False),
        (("FP4",), True, False, False, False),
        (("S6",), True, True, True, False),
        (("FP4_16",), True, True, False, True),
        (("U5", "S6", "FP4", "FP4_16", "IQ4"), True, True, True, True),
    ],
)
def test_nobody_pays_for_formats_of_files_that_are_not_used(
    formats, wide, halved, signs, unsigned_upper
):
    for core, beat_bits in product(CORES, (128, 512)):
        config = replace(SMALL, core=core, beat_bits=beat_bits, formats=("S8", *formats))
        assert config.high_bits == wide * 2 * GROUP * config.rows
        assert config.halved is halved
        step = WeightStep(config)
        assert step["high"].width == config.high_bits
        scale, centre = step["scale"].shape, step["centre"].shape
        assert scale.length == centre.length == config.scaled_rows
        assert Shape.cast(scale.elem_shape) == (signed(9) if signs else unsigned(8))
        assert Shape.cast(centre.elem_shape) == signed(9 if unsigned_upper else 8)


@pytest.mark.parametrize(
    "field, low, high",
    [
        ("beat_bits", 16, 512),
        ("columns", 1, 16),
        ("lanes", 2, 16),
        ("queries", 1, 16),
        ("head_dim", 64, 256),
        ("vector_words", 64, 1 << 18),
        ("act_groups", 2, 1024),
        ("program_words", 16, 4096),
        ("prefetch_beats", 16, 4096),
    ],
)
def test_limits_are_legal(field, low, high):
    for value in (low, high):
        assert getattr(replace(SMALL, **{field: value}), field) == value


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        SMALL.columns = 2


# An image depends on all of the hardware that a program can see, and on nothing else.
CHANGES = {
    "beat_bits": (512, True),
    "columns": (2, True),
    "lanes": (8, True),
    "queries": (4, True),
    "head_dim": (128, True),
    "score_cap": (50.0, True),
    "vector_words": (4096, True),
    "act_groups": (128, True),
    "program_words": (512, True),
    "name": ("other", False),
    "prefetch_beats": (64, False),
    "clock_mhz": (200.0, False),
    "dram": ("ddr4-2400-x64", False),
    # One image runs on every core; what it needs of these, its metadata says.
    "core": ("lut", False),
    "formats": (("U4", "S8"), False),
    "patterns": (("2:4",), False),
    "counters": (True, False),
}


@pytest.mark.parametrize("field", [f.name for f in fields(Config)])
def test_digest(field):
    value, changes = CHANGES[field]
    other = replace(SMALL, **{field: value})
    assert other != SMALL
    assert (other.digest != SMALL.digest) is changes


def test_one_digest_of_a_cap():
    """However it is written."""
    assert replace(SMALL, score_cap=50).digest == replace(SMALL, score_cap=50.0).digest


def test_digest_names_the_instruction_set(monkeypatch):
    before = SMALL.digest
    monkeypatch.setattr(configs, "ISA_VERSION", configs.ISA_VERSION + 1)
    assert SMALL.digest != before


def test_formats_of_the_functional_machine_alone(monkeypatch):
    """A configuration has them when it asks for them, and never by itself; hardware refuses
    them.
    """
    monkeypatch.setattr(configs, "FUNCTIONAL", ("U1",))
    assert "U1" not in replace(SMALL, formats=()).formats
    asked = replace(SMALL, formats=("S8", "U1"))
    assert asked.formats == ("S8", "U1") and WeightFormat.U1 not in asked.native
    with pytest.raises(
        ValueError,
        match="^Formats that the core does not take must be of TERNARY, SPARSE4, SPARSE8, not U1$",
    ):
        LinearPipeline(asked)


def test_digest_is_128_bits_and_distinct():
    digests = {name: c.digest for name, c in CONFIGS.items()}
    assert all(len(bytes.fromhex(d)) == 16 for d in digests.values())
    assert digests["small"] != digests["wide"]
    for name in CONFIGS:
        assert digests[name] == digests[name.split("-")[0]]


def test_named_configurations():
    """Both sizes with each core, and the formats that it has when none are named."""
    assert len(CONFIGS) == 2 * len(CORES)
    for name in CONFIGS:
        config, (size, _, core) = CONFIGS[name], name.partition("-")
        assert config == replace(get(size), name=name, core=core or "systolic", formats=())
        assert set(config.formats) == set(DEFAULTS[config.core])


@pytest.mark.parametrize("beat_bits", [128, 256, 512])
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_sizes(beat_bits, head_dim):
    config = replace(SMALL, beat_bits=beat_bits, head_dim=head_dim)
    assert config.beat_bytes * config.unit_beats == UNIT_BYTES
    assert config.rows * GROUP * 4 == beat_bits  # a beat is a group of 4 bits of each row
    assert config.block_rows * 32 == beat_bits  # a beat of fp32 row scales
    assert config.block_rows == 4 * config.rows
    # Exponents of 32 keys and as many values, in bytes, fill the first unit.
    assert 2 * KV_BLOCK <= UNIT_BYTES
    assert config.kv_block_units * UNIT_BYTES == UNIT_BYTES + 2 * KV_BLOCK * head_dim


@pytest.mark.parametrize("name", CONFIGS)
def test_get(name):
    assert get(name).name == name


def test_get_wrong():
    with pytest.raises(ValueError) as error:
        get("huge")
    assert str(error.value) == f"Configuration must be one of {', '.join(CONFIGS)}, not 'huge'"


def test_narrow_machines_take_images_of_128_bits():
    wide = get("small")
    for bits, parts in ((128, 1), (64, 2), (32, 4), (16, 8)):
        narrow = replace(wide, beat_bits=bits)
        assert (narrow.digest, narrow.rows, narrow.block_rows) == (wide.digest, 1, 4)
        assert (narrow.word_bytes, narrow.parts, narrow.unit_beats) == (16, parts, 512 // bits)
    assert replace(wide, beat_bits=256).digest != wide.digest
