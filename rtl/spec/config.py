"""Parameters of an accelerator; configurations with names are files in `configs/`."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from . import kv, presets
from .dram import DRAMS, Dram
from .formats import FORMATS
from .isa import WeightFormat
from .limits import COLUMN, GROUPS, PROGRAM_WORDS
from .numbers import GROUP, KV_BLOCK, LANE_BYTES, UNIT_BYTES
from .score_cap import MAX_CAP, MIN_CAP
from .sparse_modes import PATTERNS


__all__ = [
    "GROUP",
    "KV_BLOCK",
    "UNIT_BYTES",
    "ISA_VERSION",
    "HEAD_DIMS",
    "MOST",
    "NATIVE",
    "CORES",
    "ASKED_FOR",
    "DEFAULTS",
    "SIX_BITS",
    "PATTERNS",
    "Config",
    "CONFIGS",
    "get",
]


ISA_VERSION = 7  # Bumped whenever an image of yesterday would compute something else today.

# Linear cores, and the weight formats whose steps each takes as they are packed. They stand here,
# and not with the components in `rtl/cores/`, since configurations and images are checked by hosts
# that have no components; `rtl.cores` refuses to build a core that does not keep to it.
SIX_BITS = ("U5", "S6", "FP4", "FP4_16")  # their steps are integers of six bits
NATIVE = {
    "systolic": ("U4", "S8", "TERNARY", *SIX_BITS),
    "lut": ("U1", "U2", "U3", "U4", "S8", "TERNARY", *SIX_BITS),
    "dspchain": ("U4", "S8", "SPARSE4", "SPARSE8", *SIX_BITS),
}
# The formats that each can be built for: those, and what hardware expands, or unpacks to others.
EXPANDED = tuple(f.name for f, its in FORMATS.items() if its.expands or its.step_format != f)
CORES = {core: tuple(dict.fromkeys(native + EXPANDED)) for core, native in NATIVE.items()}
# What a configuration has that names none. The others cost every row wider multipliers.
ASKED_FOR = (*SIX_BITS, "IQ4")
DEFAULTS = {
    core: tuple(name for name in names if name not in ASKED_FOR) for core, names in CORES.items()
}
# Formats that no hardware takes: the functional machine does, if a configuration asks for them.
FUNCTIONAL = tuple(
    fmt.name for fmt in WeightFormat if not any(fmt.name in formats for formats in CORES.values())
)
HEAD_DIMS = (64, 128, 256)  # elements of a head that attention can be built for
# The most that instructions can address.
MOST = {"vector_words": COLUMN + 1, "act_groups": GROUPS + 1, "program_words": PROGRAM_WORDS}
# What no program image depends on.
FREE = (
    "name",
    "clock_mhz",
    "dram",
    "core",
    "formats",
    "patterns",
    "prefetch_beats",
    "counters",
)
# What the weights of embeddings, and of most heads, are in.
NEEDED = ("S8",)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One accelerator.

    Parameters
    ----------
    beat_bits : :class:`int`
        Width of the memory's data bus. The linear core's rows and cells follow from it: 4-bit
        weights of one word, `parts` beats, fill `rows` rows of `GROUP` elements.
    columns : :class:`int`
        Activation vectors that one pass over the weights serves (M). 1 is enough for decoding.
    lanes : :class:`int`
        fp32 lanes of the vector unit: a power of two from 2 to 16.
    queries : :class:`int`
        Query heads that one pass over a KV head serves.
    head_dim : :class:`int`
        Elements of an attention head: one of `HEAD_DIMS`.
    score_cap : :class:`float`
        Cap of attention's scores, in natural units, as models state it: a score s may become
        cap * tanh(s / cap). 0: none is built.
    vector_words : :class:`int`
        fp32 words of the vector memory.
    act_groups : :class:`int`
        Groups of `GROUP` activations, per column, that the activation buffer holds.
    program_words : :class:`int`
        Instructions that the program memory holds.
    prefetch_beats : :class:`int`
        Weight beats fetched ahead of the linear core.
    clock_mhz : :class:`float`
        Clock that figures in seconds are computed for. Assumed, not a timing result.
    dram : :class:`~rtl.spec.dram.Dram` or :class:`str`
        The memory beside it, or the name of one: what the simulated FPGA models.
    core : :class:`str`
        Linear core: one of `CORES`. All give the same bits; a program image runs on any.
    formats : tuple of :class:`str`
        Weight formats that the hardware takes, by their names in
        :class:`~rtl.spec.isa.WeightFormat`. When none are given, those of `DEFAULTS`: all that
        the core can be built for, but the formats of files that have more bits or a code book.
    patterns : tuple of :class:`str`
        Of `PATTERNS`, those that blocks of sparse matrices may have.
    counters : :class:`bool`
        Whether to build :data:`~rtl.spec.csr.COUNTERS`, which say where the cycles go.
    """

    name: str
    beat_bits: int
    columns: int
    lanes: int
    queries: int = 3
    head_dim: int = 64
    score_cap: float = 0.0
    vector_words: int = 8192
    act_groups: int = 64
    program_words: int = 1024
    prefetch_beats: int = 1024
    clock_mhz: float = 100.0
    dram: Dram | str = "ideal"
    core: str = "systolic"
    formats: tuple[str, ...] = ()
    patterns: tuple[str, ...] = PATTERNS
    counters: bool = False

    def __post_init__(self):
        def check(ok, what, value):
            if not ok:
                raise ValueError(f"Configuration {self.name!r}: {what}, not {value!r}")

        def power_of_two(value, low, high):
            return isinstance(value, int) and low <= value <= high and value & (value - 1) == 0

        check(
            power_of_two(self.beat_bits, 16, 512),
            "beat_bits must be a power of two from 16 to 512",
            self.beat_bits,
        )
        check(
            isinstance(self.columns, int) and 1 <= self.columns <= 16,
            "columns must be from 1 to 16",
            self.columns,
        )
        check(
            power_of_two(self.lanes, 2, 16), "lanes must be a power of two from 2 to 16", self.lanes
        )
        check(
            isinstance(self.queries, int) and 1 <= self.queries <= 16,
            "queries must be from 1 to 16",
            self.queries,
        )
        check(
            self.head_dim in HEAD_DIMS,
            f"head_dim must be one of {', '.join(map(str, HEAD_DIMS))}",
            self.head_dim,
        )
        check(
            isinstance(self.score_cap, (int, float))
            and (not self.score_cap or MIN_CAP <= self.score_cap <= MAX_CAP),
            f"score_cap must be 0, or from {MIN_CAP} to {MAX_CAP}",
            self.score_cap,
        )
        object.__setattr__(self, "score_cap", float(self.score_cap))  # one digest of 50 and 50.0
        check(
            power_of_two(self.vector_words, 64, MOST["vector_words"]),
            f"vector_words must be a power of two from 64 to {MOST['vector_words']}",
            self.vector_words,
        )
        check(
            power_of_two(self.act_groups, 2, MOST["act_groups"]),
            f"act_groups must be a power of two from 2 to {MOST['act_groups']}",
            self.act_groups,
        )
        check(
            power_of_two(self.program_words, 16, MOST["program_words"]),
            f"program_words must be a power of two from 16 to {MOST['program_words']}",
            self.program_words,
        )
        check(
            power_of_two(self.prefetch_beats, self.least_beats, 4096),
            f"prefetch_beats must be a power of two from {self.least_beats} to 4096",
            self.prefetch_beats,
        )
        check(
            isinstance(self.clock_mhz, (int, float)) and 0 < self.clock_mhz <= 10000,
            "clock_mhz must be above 0, and at most 10000",
            self.clock_mhz,
        )
        if not isinstance(self.dram, Dram):
            check(self.dram in DRAMS, f"dram must be one of {', '.join(DRAMS)}", self.dram)
            object.__setattr__(self, "dram", DRAMS[self.dram])
        check(self.core in CORES, f"core must be one of {', '.join(CORES)}", self.core)
        known = CORES[self.core] + FUNCTIONAL
        for name in self.formats:
            check(
                name in known,
                f"the formats of core {self.core!r} must be of {', '.join(CORES[self.core])}",
                name,
            )
        # In the order of the enumeration, whatever order they came in.
        chosen = self.formats or DEFAULTS[self.core]
        object.__setattr__(self, "formats", tuple(f.name for f in WeightFormat if f.name in chosen))
        for name in NEEDED:
            check(
                name in self.formats,
                f"formats must have {name}, which embeddings are in",
                self.formats,
            )
        for pattern in self.patterns:
            check(pattern in PATTERNS, f"patterns must be of {', '.join(PATTERNS)}", pattern)
        check(isinstance(self.counters, bool), "counters must be true or false", self.counters)
        object.__setattr__(self, "patterns", tuple(p for p in PATTERNS if p in self.patterns))

    @property
    def dram_peak(self):
        """Peak DRAM bandwidth, bytes/s. Utilization is relative to it."""
        return self.dram.peak or self.beat_bytes * self.clock_mhz * 1e6

    @property
    def beat_bytes(self):
        """Bytes of a memory beat."""
        return self.beat_bits // 8

    @property
    def word_bits(self):
        """Bits of a word of packed weights: a beat, or several where beats are narrower than a
        lane of `LANE_BYTES`. So what is packed for 128 bits suits all narrower machines.
        """
        return max(self.beat_bits, 8 * LANE_BYTES)

    @property
    def word_bytes(self):
        """Bytes of such a word."""
        return self.word_bits // 8

    @property
    def parts(self):
        """Beats of a word: 1, unless beats are narrower than a lane."""
        return self.word_bits // self.beat_bits

    @property
    def elements(self):
        """Elements of a row that the linear core works on in a cycle: where words have several
        beats, a part of a group.
        """
        return GROUP // self.parts

    @property
    def unit_beats(self):
        """Beats of one `UNIT_BYTES` unit of DRAM."""
        return UNIT_BYTES // self.beat_bytes

    @property
    def unit_words(self):
        """Words of packed weights of one `UNIT_BYTES` unit of DRAM."""
        return UNIT_BYTES // self.word_bytes

    @property
    def least_beats(self):
        """Beats that a buffer of the memory reader holds at least: two units, so that one may come
        while another is used.
        """
        return max(16, 2 * self.unit_beats)

    @property
    def rows(self):
        """Rows of the linear core (N): a word of 4-bit codes is one group of each."""
        return self.word_bits // (4 * GROUP)

    @property
    def weight_formats(self):
        """Members of :class:`~rtl.spec.isa.WeightFormat` that the hardware takes, in their
        order.
        """
        return tuple(WeightFormat[name] for name in self.formats)

    @property
    def embed_formats(self):
        """Those of them that embeddings may be in."""
        return tuple(fmt for fmt in self.weight_formats if FORMATS[fmt].embeds)

    @property
    def native(self):
        """Those of them whose steps its core takes as they are packed."""
        return frozenset(fmt for fmt in self.weight_formats if fmt.name in NATIVE[self.core])

    @property
    def sparse(self):
        """Whether the hardware takes sparse matrices."""
        return self.has(lambda its: its.sparse)

    @property
    def column_pairs(self):
        """Whether chains of multipliers do a weight's products with two columns in one of them. It
        takes those of the large FPGAs (27 x 18 bits) that bring beats this wide.
        """
        return self.beat_bits >= 256 and self.columns > 1

    @property
    def chain_lanes(self):
        """Lanes that share a chain of multipliers: two, whose weights of one activation share a
        multiplier, where neither columns share them, nor weights have six bits, too many for that,
        nor 2 of 4 weights, each with an activation of its own, keep all of them busy.
        """
        one = self.rows == 1 or self.column_pairs or self.has(lambda its: its.name in ("U5", "S6"))
        pairs = "SPARSE4" in self.formats and "2:4" in self.patterns
        return 1 if one or pairs else 2

    @property
    def aside(self):
        """Whether the last steps of gears pass beside the others: of formats that can, where a word
        is a beat. In narrower beats they take cycles of their own: five for four beats.
        """
        return self.parts == 1 and self.has(lambda its: its.aside)

    def has(self, of):
        """Whether a function of a :class:`~rtl.spec.formats.Format` is true of one of them."""
        return any(of(FORMATS[fmt]) for fmt in self.weight_formats)

    @property
    def high_bits(self):
        """Bits of a step's `high`: two for each weight, where steps may have more than nibbles."""
        return 2 * GROUP * self.rows if self.has(lambda its: its.name in SIX_BITS) else 0

    @property
    def halved(self):
        """Whether the hardware takes groups of 16."""
        return self.has(lambda its: its.group < GROUP)

    @property
    def scaled_rows(self):
        """Rows of a step of the widest format whose groups have scales, see
        :mod:`rtl.spec.formats`.
        """
        return self.rows * max(
            its.tile_slices for its in map(FORMATS.get, self.weight_formats) if its.scaled
        )

    @property
    def block_rows(self):
        """Matrix rows that share one word of fp32 row scales in the packed weight stream."""
        return self.word_bytes // 4

    @property
    def kv_block_units(self):
        """Units of one KV block, see :mod:`rtl.spec.kv`."""
        return kv.block_units(self.head_dim)

    @property
    def digest(self):
        """128-bit hexadecimal digest of all that a program image depends on: not the width of
        beats, but that of words.
        """
        what = {k: v for k, v in asdict(self).items() if k not in FREE}
        what["beat_bits"] = self.word_bits
        text = json.dumps({"isa": ISA_VERSION, **what}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


CONFIGS = {name: Config(name=name, **values) for name, values in presets.read("configs").items()}
CONFIGS |= {
    f"{c.name}-{core}": replace(c, name=f"{c.name}-{core}", core=core, formats=())
    for c in list(CONFIGS.values())
    for core in CORES
    if core != c.core
}


def get(name):
    """Look one of `CONFIGS` up by name; :mod:`host.configurations` knows those of boards, too."""
    if name not in CONFIGS:
        raise ValueError(f"Configuration must be one of {', '.join(CONFIGS)}, not {name!r}")
    return CONFIGS[name]
