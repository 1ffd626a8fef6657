"""A linear core by itself: its ports, how they are explained, and a testbench in plain Verilog."""

from dataclasses import dataclass

from amaranth import *

from ..spec.config import GROUP
from ..cores.systolic import SUM_BITS
from ..spec.isa import WeightFormat
from ..spec.sparse import MODES, SLOTS, Mode


__all__ = ["SPARSE", "Layout", "Port", "Standalone"]


@dataclass(frozen=True)
class Layout:
    """A dense format's codes, in Verilog: rows per 128 bits, elements of a row, the integer that code
    `q` stands for, and the code of row r and element k."""
    rows: int
    elements: int
    weight: str
    code: str


SPARSE = {WeightFormat.SPARSE4: 4, WeightFormat.SPARSE8: 8}  # bits of a code
NIBBLE = "codes[128 * r + 8 * (k % 16) + 4 * (k / 16) +: 4]"
DENSE = {
    WeightFormat.U1: Layout(4, GROUP, "2 * q - 1", "int'(codes[32 * r + k])"),
    WeightFormat.U2: Layout(2, GROUP, "2 * q - 3", "int'({codes[64 * r + 32 + k], codes[64 * r + k]})"),
    WeightFormat.U3: Layout(1, GROUP, "2 * q - 7", "int'({codes[128 * r + 64 + k], codes[128 * r + 32 + k], "
                                                   "codes[128 * r + k]})"),
    WeightFormat.U4: Layout(1, GROUP, "2 * q - 15", f"int'({NIBBLE})"),
    WeightFormat.S8: Layout(1, GROUP // 2, "q", "int'($signed(codes[128 * r + 8 * k +: 8]))"),
}
TRITS = Layout(1, GROUP, "q", f"int'($signed({NIBBLE}))")
# Bits: not negative, positive.
TRIT_PLANES = Layout(2, GROUP, "q - 1", "int'(codes[64 * r + k]) + int'(codes[64 * r + 32 + k])")


@dataclass(frozen=True)
class Port:
    """A port: its width, its direction as seen from the core, and what it is for."""
    name: str
    width: int
    output: bool
    meaning: str

    @property
    def range(self):
        return f"[{self.width - 1}:0]" if self.width > 1 else ""


class Standalone(Elaboratable):
    """A linear core with flat ports, for those who know nothing of Amaranth.

    Parameters
    ----------
    core : component
        From :func:`~.cores.standalone`.
    """
    def __init__(self, core):
        self.core, self.config = core, core.config
        self.name = f"headrace_{self.config.core}"
        taken = set(core.native)
        if "TERNARY" in self.config.formats:
            taken.add(WeightFormat.TERNARY)
        self.formats = sorted(taken, key=lambda f: f.value)
        self.modes = [Mode.DENSE, *(MODES[name] for name in self.config.patterns)]
        self.ports = [
            *self._stream("weights", False, "a step's weights", self._weights()),
            *self._stream("acts", False, "a step's activations", {
                "values": (self.core.acts.payload.as_value(),
                           f"activation k of column c, signed, in bits {8 * GROUP} * c + 8 * k +: 8")}),
            *self._stream("sums", True, "sums", {
                "values": (self.core.sums.payload.as_value(),
                           f"sum of row r of column c, signed, in bits {SUM_BITS} * ({core.lanes} * c + r) "
                           f"+: {SUM_BITS}")}),
        ]
        self.signals = {port.name: Signal(port.width, name=port.name) for port in self.ports}

    def _weights(self):
        meanings = {"codes": "weights, by format", "format": "how to read `codes`",
                    "index": "places of the weights of sparse formats", "mode": "weights per row of a sparse block"}
        return {name: (Value.cast(self.core.weights.p[name]), meanings[name])
                for name in self.core.weights.payload.shape().members}

    def _stream(self, name, output, what, parts):
        yield Port(f"{name}_valid", 1, output, f"{what} are on offer")
        yield Port(f"{name}_ready", 1, not output, f"{what} are taken")
        for part, (value, meaning) in parts.items():
            yield Port(f"{name}_{part}", len(value), output, meaning)

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        for name in "weights", "acts", "sums":
            stream = getattr(core, name)
            fields = self._weights() if name == "weights" else {"values": (stream.payload.as_value(),)}
            ends = {f"{name}_valid": stream.valid, f"{name}_ready": stream.ready,
                    **{f"{name}_{part}": value for part, (value, *_) in fields.items()}}
            for port in self.ports:
                if port.name in ends:
                    signal, end = self.signals[port.name], ends[port.name]
                    m.d.comb += signal.eq(end) if port.output else end.eq(signal)
        return m

    def layout(self, fmt):
        """:class:`Layout` of a dense format."""
        if fmt == WeightFormat.TERNARY:
            return TRIT_PLANES if fmt in self.core.native else TRITS
        return DENSE[fmt]

    def kinds(self):
        """Yield every (format, mode) of a step, dense formats once."""
        for fmt in self.formats:
            for mode in self.modes if fmt in SPARSE else [Mode.ZERO]:
                yield fmt, mode

    def rows(self, fmt, mode):
        """Rows of a step per 128 bits of its codes."""
        return 128 // SPARSE[fmt] // SLOTS[mode] if fmt in SPARSE else self.layout(fmt).rows

    def cycles(self, fmt, mode):
        """Cycles that a step takes."""
        return self.core.passes(fmt, mode) if hasattr(self.core, "passes") else 1
