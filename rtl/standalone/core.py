"""A linear core by itself: its ports, how they are explained, and a testbench in plain Verilog."""

from dataclasses import dataclass

from amaranth import *

from ..cores.core import SUM_BITS
from ..spec.formats import FORMATS
from ..spec.numbers import GROUP
from ..spec.sparse_modes import MODES, Mode


__all__ = ["Port", "Standalone"]


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
        # What an expander would give it counts too: a user may do the same.
        expanded = {fmt for fmt in self.config.weight_formats if FORMATS[fmt].verilog_expanded}
        self.formats = sorted(core.native | expanded, key=lambda f: f.value)
        self.modes = [Mode.DENSE, *(MODES[name] for name in self.config.patterns)]
        self.ports = [
            *self._stream("weights", False, "a step's weights", self._weights()),
            *self._stream(
                "acts",
                False,
                "a step's activations",
                {
                    "values": (
                        self.core.acts.payload.as_value(),
                        f"activation k of column c, signed, in bits {8 * GROUP} * c + 8 * k +: 8",
                    )
                },
            ),
            *self._stream(
                "sums",
                True,
                "sums",
                {
                    "values": (
                        self.core.sums.payload.as_value(),
                        f"sum of row r of column c, signed, in bits {SUM_BITS} * ({core.lanes} * c "
                        "+ r) "
                        f"+: {SUM_BITS}",
                    )
                },
            ),
        ]
        self.signals = {port.name: Signal(port.width, name=port.name) for port in self.ports}

    def _weights(self):
        meanings = {
            "codes": "weights, by format",
            "high": "bits of codes beyond four, in formats of six bits",
            "format": "how to read `codes`",
            "index": "places of the weights of sparse formats",
            "mode": "weights per row of a sparse block",
        }
        return {
            name: (Value.cast(self.core.weights.p[name]), meanings[name])
            for name in self.core.weights.payload.shape().members
        }

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
            fields = (
                self._weights() if name == "weights" else {"values": (stream.payload.as_value(),)}
            )
            ends = {
                f"{name}_valid": stream.valid,
                f"{name}_ready": stream.ready,
                **{f"{name}_{part}": value for part, (value, *_) in fields.items()},
            }
            for port in self.ports:
                if port.name in ends:
                    signal, end = self.signals[port.name], ends[port.name]
                    m.d.comb += signal.eq(end) if port.output else end.eq(signal)
        return m

    def layout(self, fmt):
        """:class:`~rtl.spec.formats.Verilog` of a dense format, as it comes to this core."""
        return FORMATS[fmt].verilog if fmt in self.core.native else FORMATS[fmt].verilog_expanded

    def halved(self, fmt):
        """Whether a step of a format gives the sums of its rows' upper halves, too."""
        return FORMATS[fmt].group < GROUP

    def kinds(self):
        """Yield every (format, mode) of a step, dense formats once."""
        for fmt in self.formats:
            for mode in self.modes if FORMATS[fmt].sparse else [Mode.ZERO]:
                yield fmt, mode

    def rows(self, fmt, mode):
        """Rows of a step per 128 bits of its codes."""
        return FORMATS[fmt].step_slices(mode) if FORMATS[fmt].sparse else self.layout(fmt).rows

    def cycles(self, fmt, mode):
        """Cycles that a step takes."""
        return self.core.passes(fmt, mode)
