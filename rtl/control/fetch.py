"""Program memory, and the fetcher that fills it."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.ram import BlockRam
from ..spec.config import UNIT_BYTES
from ..spec.isa import WORD_BITS
from ..spec.payloads import ReadRequest


__all__ = ["Fetch"]


class Fetch(wiring.Component):
    """Copy the program from DRAM to the program memory, once per start.

    Words are little endian. Throughput is one beat per cycle, but one word per cycle where a beat
    holds two.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    start : :py:`In(1)`
        Start copying; ignored while `busy`.
    program : :py:`In(32)`
        DRAM address of the program, in units of 64 bytes. Sampled at the start.
    length : :py:`In(32)`
        Instructions in the program: at most `config.program_words`. Sampled at the start.
    busy : :py:`Out(1)`
        High from the cycle after the start until the program is in the memory.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Requests to the memory reader.
    data : :py:`In(stream.Signature(config.beat_bits))`
        Beats from it.
    index : :py:`In(range(config.program_words))`
        Instruction to read.
    word : :py:`Out(WORD_BITS)`
        Instruction at the `index` of the cycle before, unless that was written then.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(32),
                "length": In(32),
                "busy": Out(1),
                "req": Out(stream.Signature(ReadRequest)),
                "data": In(stream.Signature(config.beat_bits)),
                "index": In(range(config.program_words)),
                "word": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat_bits, words = self.config.beat_bits, self.config.program_words
        beats_per_word = max(1, WORD_BITS // beat_bits)
        words_per_beat = max(1, beat_bits // WORD_BITS)
        words_per_unit = UNIT_BYTES * 8 // WORD_BITS

        m.submodules.ram = ram = BlockRam(WORD_BITS, words)
        m.d.comb += [ram.read_addr.eq(self.index), ram.read_en.eq(1), self.word.eq(ram.data)]

        store = Signal(max(beat_bits, WORD_BITS), reset_less=True)
        held = Signal(range(beats_per_word + 1))  # beats of the word being gathered
        full = Signal(range(words_per_beat + 1))  # words to be written
        at = Signal(range(words), reset_less=True)
        left = Signal(
            range(words + words_per_unit), reset_less=True
        )  # words, a multiple of a unit's
        units = self.length[: len(left)] + (words_per_unit - 1) >> words_per_unit.bit_length() - 1

        m.d.comb += [
            ram.write_addr.eq(at),
            ram.write_data.eq(store[:WORD_BITS]),
            ram.write_en.eq(full != 0),
        ]
        with m.If(self.req.ready):
            m.d.sync += self.req.valid.eq(0)
        with m.If(~self.busy):
            m.d.sync += [
                self.req.payload.addr.eq(self.program),
                self.req.payload.size.eq(units),
                left.eq(units * words_per_unit),
                at.eq(0),
            ]
            with m.If(self.start):
                m.d.sync += [self.busy.eq(1), self.req.valid.eq(1)]
        with m.Else():
            with m.If(full != 0):
                m.d.sync += [
                    store.eq(store >> WORD_BITS),
                    full.eq(full - 1),
                    at.eq(at + 1),
                    left.eq(left - 1),
                ]
            m.d.comb += self.data.ready.eq((full <= 1) & (left > full))
            with m.If(self.data.valid & self.data.ready):
                m.d.sync += store.eq(Cat(store, self.data.payload)[-len(store) :])
                if beats_per_word == 1:
                    m.d.sync += full.eq(words_per_beat)
                else:
                    m.d.sync += held.eq(Mux(held == beats_per_word - 1, 0, held + 1))
                    with m.If(held == beats_per_word - 1):
                        m.d.sync += full.eq(1)
            with m.If((left == 0) & ~self.req.valid):
                m.d.sync += self.busy.eq(0)

        return m
