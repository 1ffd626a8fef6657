"""Walk over the blocks of a sparse matrix."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE
from ..spec.limits import GROUP_BITS
from ..spec.sparse_modes import Mode


__all__ = ["StripeStep", "StripeWalker"]


PART = 8  # blocks of a header that are searched at once
PLACE_BITS = 11  # of a block's place along K: 10 bits of groups, and the half
STORED = [mode for mode in Mode if mode != Mode.ZERO]


def StripeStep(config):
    """What belongs to a code beat of a sparse matrix."""
    return data.StructLayout(
        {
            "index": config.word_bits,  # in the lowest bits of each lane
            "mode": 3,
            "beat": 4,
            "group": GROUP_BITS,
            "half": 1,
            "first": 1,  # of the stripe's first stored block
            "last": 1,  # of its last
            "end": 1,
        }
    )  # the stripe's last code beat


class StripeWalker(wiring.Component):
    """Find the code beats of a stripe, and what belongs to each, between its headers and indices.

    Blocks of zeros cost no cycle: while the beats of a block pass, two at least, the next one that
    is stored is found, eight of the header at a time by its kept modes, eights without any skipped.

    A code beat passes in the same cycle: the unit that takes the beats takes `o` for it. Throughput
    is one beat per cycle, but for a cycle after a header that has blocks stored, two when none of
    its first eight is. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Members
    -------
    wide : :py:`In(1)`
        Codes have eight bits, not four.
    beats : :py:`In(stream.Signature(config.word_bits))`
        Stripes, without their row scales. One may follow the other.
    o : :py:`Out(stream.Signature(StripeStep(config)))`
        A payload per code beat, with that beat.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "wide": In(1),
                "beats": In(stream.Signature(config.word_bits)),
                "o": Out(stream.Signature(StripeStep(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        word_bits = self.config.word_bits
        block_layout = data.StructLayout({"mode": 3, "last": 1})
        part_layout = data.ArrayLayout(block_layout, PART)
        parts = word_bits // part_layout.size
        part_bits, place_bits = (parts - 1).bit_length(), (PART - 1).bit_length()

        # The header, the part of it that is searched, and which parts are still to be.
        header = Signal(data.ArrayLayout(part_layout, parts), reset_less=True)
        headers = Signal(PLACE_BITS - part_bits - place_bits, init=-1)  # of the stripe before it
        pending = Signal(parts)
        part = Signal(part_layout)
        part_at = Signal(part_bits, reset_less=True)
        wanted = Signal(init=1)  # the next beat is a header

        # The block whose beats pass.
        valid = Signal()
        block = Signal(block_layout, reset_less=True)
        place = Signal(PLACE_BITS, reset_less=True)
        beat = Signal(4, reset_less=True)
        last_beat = Signal(4, reset_less=True)
        first = Signal(init=1)
        indexed = Signal(reset_less=True)  # the next beat is an index
        index = Signal(word_bits, reset_less=True)

        found = [part[n].mode.any() for n in range(PART)]
        some, code, done = Signal(), Signal(), Signal()
        m.d.comb += [
            some.eq(Cat(found).any()),
            self.o.valid.eq(self.beats.valid & valid & ~indexed),
            self.beats.ready.eq(wanted | valid & (indexed | self.o.ready)),
            code.eq(self.o.valid & self.o.ready),
            done.eq(code & (beat == last_beat)),
        ]

        with m.If(~valid | done):
            m.d.sync += valid.eq(0)
            with m.If(done & block.last):
                m.d.sync += [wanted.eq(1), headers.eq(-1)]
            with m.Elif(some):
                m.d.sync += [valid.eq(1), beat.eq(0)]
                # The lowest one is assigned last.
                for n in reversed(range(PART)):
                    with m.If(found[n]):
                        m.d.sync += [
                            block.eq(part[n]),
                            place.eq(Cat(C(n, place_bits), part_at, headers)),
                            indexed.eq(part[n].mode != Mode.DENSE),
                            last_beat.eq(self._last_beat(part[n].mode)),
                        ]
                taken = Const(1)
                for n in range(PART):
                    with m.If(taken & found[n]):
                        m.d.sync += part[n].eq(0)
                    taken = taken & ~found[n]
            with m.Elif(~pending.any()):
                m.d.sync += wanted.eq(1)
            with m.If(done):
                m.d.sync += first.eq(block.last)
        with m.If(~some):
            for n in reversed(range(1, parts)):
                with m.If(pending[n]):
                    m.d.sync += [
                        part.eq(header[n]),
                        part_at.eq(n),
                        pending.eq(pending & ~C((2 << n) - 1, parts)),
                    ]

        with m.If(wanted & self.beats.valid):
            new = data.View(header.shape(), self.beats.payload)
            stored = [Cat(new[n][k].mode.any() for k in range(PART)).any() for n in range(parts)]
            m.d.sync += [
                header.eq(new),
                headers.eq(headers + 1),
                part.eq(new[0]),
                part_at.eq(0),
                pending.eq(Cat(0, *stored[1:])),
                wanted.eq(~Cat(stored).any()),
            ]

        self.shift_index(
            m, index, indexed, block.mode, beat, self.beats.valid & valid & indexed, code, done
        )
        m.d.comb += [
            self.o.p.index.eq(index),
            self.o.p.mode.eq(block.mode),
            self.o.p.beat.eq(beat),
            self.o.p.half.eq(place[0]),
            self.o.p.group.eq(place[1:]),
            self.o.p.first.eq(first),
            self.o.p.last.eq(block.last),
            self.o.p.end.eq(block.last & (beat == last_beat)),
        ]

        return m

    def shift_index(self, m, index, indexed, mode, beat, load, code, done):
        """Load an index beat, and shift it as code beats pass: it serves one, two or four of
        them.
        """
        twice, four_times = Signal(), Signal()
        m.d.comb += [
            twice.eq(self.wide | (mode == Mode.PAIRS)),
            four_times.eq(self.wide & (mode == Mode.PAIRS)),
        ]
        assert all(
            its.beats_per_index(sparse) == its.code_bits // 4 * serves
            for its in map(FORMATS.get, SPARSE)
            for sparse, serves in [(Mode.N2, 1), (Mode.N4, 1), (Mode.N8, 1), (Mode.PAIRS, 2)]
        )
        with m.If(load):
            m.d.sync += [index.eq(self.beats.payload), indexed.eq(0)]
        with m.Elif(code):
            m.d.sync += [
                index[n : n + 128].eq(
                    Mux(four_times, index[n : n + 128] >> 32, index[n : n + 128] >> 64)
                )
                for n in range(0, self.config.word_bits, 128)
            ]
            with m.If(~done):
                m.d.sync += [
                    beat.eq(beat + 1),
                    indexed.eq((mode != Mode.DENSE) & (~twice | beat[0]) & (~four_times | beat[1])),
                ]

    def _last_beat(self, mode):
        """Place of a block's last code beat."""
        last = 0
        for known in STORED:
            beats = {FORMATS[fmt].code_bits: FORMATS[fmt].code_beats(known) for fmt in SPARSE}
            last = Mux(mode == known, Mux(self.wide, beats[8] - 1, beats[4] - 1), last)
        return last
