"""Reference model of the unpacked steps of a matrix, for every format.

Of sparse matrices, which slot has which weight is the packer's choice: their code beats are picked
out of the stream one by one. What substeps they expand to is told from the codes again.
"""

import numpy as np

from rtl.spec.formats import FORMATS as BY_FORMAT
from rtl.spec.isa import WeightFormat

from ..linear._matrix import Matrix


__all__ = ["StepMatrix", "settle"]


NAMES = ("U4", "S8", "U1", "U2", "U3", "TERNARY", "SPARSE4", "SPARSE8")
U4, S8, U1, U2, U3, TERNARY, SPARSE4, SPARSE8 = (WeightFormat[name] for name in NAMES)
U5, S6, FP4, FP4_16, IQ4 = (WeightFormat[n] for n in ("U5", "S6", "FP4", "FP4_16", "IQ4"))
WIDTH = {U2: 2, TERNARY: 2, U1: 4}  # rows of a step, times N; of others one
SIX = U5, S6, FP4, FP4_16  # steps of signed integers of six bits
SLOTS = {1: 2, 2: 4, 3: 8, 4: 16, 5: 8}  # of a row, by mode
INDEX = {1: 4, 2: 4, 3: 4, 4: 0, 5: 2}  # bits of a slot's index


def bits_of(values, count):
    """Lowest bits of each value: (...) to (..., count)."""
    return np.asarray(values, np.int64)[..., None] >> np.arange(count) & 1


def joined(bits):
    """An integer from its bits, whatever their shape, the lowest one first."""
    return int.from_bytes(
        np.packbits(np.asarray(bits, np.uint8).ravel(), bitorder="little"), "little"
    )


def settle(config, step):
    """`step` with zeros for all that does not matter in it."""
    n, fmt = config.rows, WeightFormat(step["format"])
    rows = WIDTH.get(fmt, 1) * n
    lanes = range(n)
    step = dict(step, scale=step["scale"][:rows], centre=step["centre"][:rows])
    used = 0
    if fmt in (SPARSE4, SPARSE8):
        used = (32 if fmt == SPARSE4 else 16) * INDEX[step["mode"]]
    step["index"] &= sum((1 << used) - 1 << 128 * lane for lane in lanes)
    if fmt not in SIX:  # they pass as they come
        step["high"] = 0
    if config.aside and not (fmt == TERNARY and step["fifth"]):
        step |= {"fifth": 0, "place": 0, "trits": 0}
    if fmt == U3:
        step["codes"] &= sum((1 << 96) - 1 << 128 * lane for lane in lanes)
    return step


class StepMatrix(Matrix):
    """A packed matrix, and what it is unpacked to."""

    @property
    def command(self):
        # The format is that of the descriptor, and not this one.
        return {
            "rows": self.rows,
            "groups": self.groups,
            "embed": 0,
            "format": (self.fmt.value + 1) % len(WeightFormat),
        }

    @property
    def steps(self):
        """Steps as the unpacker gives them."""
        return list(self._code_beats() if self.fmt in (SPARSE4, SPARSE8) else self._dense())

    def _step(self, **values):
        blank = dict(
            codes=0,
            high=0,
            format=self.fmt.value,
            index=0,
            mode=0,
            beat=0,
            group=0,
            half=0,
            spare=0,
            sub=0,
            first=0,
            last=0,
            scale=[1] * self.config.scaled_rows,
            centre=[0] * self.config.scaled_rows,
        )
        if self.config.aside:
            blank |= {"fifth": 0, "place": 0, "trits": 0}
        return blank | {k: v if isinstance(v, list) else int(v) for k, v in values.items()}

    def _dense(self):
        rows, unscaled = WIDTH.get(self.fmt, 1) * self.config.rows, self.fmt == TERNARY
        plain = {TERNARY, S8, FP4, IQ4}  # no centres
        codes, scale, centre = map(self.padded, (self.codes, self.scale, self.centre))
        held = self.config.scaled_rows  # fewer than a step of TERNARY has, or more
        halves = 2 if self.fmt in (S8, IQ4) else 1
        integers = BY_FORMAT[self.fmt].grid(codes)
        for top in range(0, len(codes), rows):
            for g, fifth in self._own_groups():
                part = codes[top : top + rows, 32 * g : 32 * g + 32]
                scales, centres = scale[top : top + rows], centre[top : top + rows]
                if self.fmt in (S6, FP4_16):  # each half has a scale
                    scales, centres = scales[:, 2 * g].tolist(), scales[:, 2 * g + 1].tolist()
                else:
                    scales = [1] * rows if unscaled else scales[:, g].tolist()
                    centres = [0] * rows if self.fmt in plain else centres[:, g].tolist()
                scales, centres = ((s + [0] * held)[:held] for s in (scales, centres))
                whole = integers[top : top + rows, 32 * g : 32 * g + 32]
                for half in range(halves):
                    yield self._step(
                        codes=self._dense_codes(part, whole, half),
                        high=joined(bits_of(whole >> 4, 2)) if self.fmt in SIX else 0,
                        format=(S8 if self.fmt == IQ4 else self.fmt).value,
                        group=g,
                        half=half,
                        first=g == half == 0,
                        last=self._is_last(g, fifth) and half == halves - 1,
                        scale=scales,
                        centre=centres,
                        **self._fifth(codes[top : top + rows], g, fifth),
                    )

    def _own_groups(self):
        """Groups that have a step of their own, and what comes with it of the fifth one of their
        run: its group, or None."""
        if self.fmt != TERNARY or not self.config.aside:
            return [(g, None) for g in range(self.groups)]
        whole = self.groups // 5 * 5
        return [
            (g, g // 5 * 5 + 4 if g < whole else None) for g in range(self.groups) if g % 5 != 4
        ]

    def _is_last(self, group, fifth):
        """Whether it is a tile's last step."""
        return self.groups - 1 in (group, fifth if group % 5 == 3 else None)

    def _fifth(self, codes, group, fifth):
        """Fields of the fifth step's elements that come with a step of rows of codes."""
        if fifth is None:
            return {}
        part = codes[:, 32 * fifth + group % 5 : 32 * fifth + 32 : 4]
        return {
            "fifth": 1,
            "place": group % 5,
            "trits": joined(np.stack([part >= 0, part > 0], 1)),
        }

    def _dense_codes(self, part, whole, half):
        """Codes of a step: `part` is (rows, 32), `whole` the integers that they stand for."""
        if self.fmt == IQ4:
            return joined(bits_of(whole[:, 16 * half : 16 * half + 16], 8))
        if self.fmt in SIX:
            part = whole & 15
        if self.fmt == U4 or self.fmt in SIX:
            return joined(
                [[[bits_of(row[k], 4), bits_of(row[16 + k], 4)] for k in range(16)] for row in part]
            )
        if self.fmt == S8:
            return joined(bits_of(part[:, 16 * half : 16 * half + 16], 8))
        if self.fmt == TERNARY:
            return joined(np.stack([part >= 0, part > 0], 1))
        planes = bits_of(part, {U1: 1, U2: 2, U3: 3}[self.fmt]).swapaxes(1, 2)
        if self.fmt == U3:
            planes = np.pad(planes, [(0, 0), (0, 1), (0, 0)])
        return joined(planes)

    def _stored(self):
        """Code beats of the packed stream, taken apart one by one: (top row of the stripe, block,
        mode, place in the block, codes, index, whether first, whether last block)."""
        n = self.config.rows
        take = iter(self.words).__next__
        lane_slots = 32 if self.fmt == SPARSE4 else 16
        for top in range(0, len(self.padded(self.row_scale)), 16 * n):
            for _ in range(4):
                take()
            block, last, first = 0, False, True
            while not last:
                if block % (32 * n) == 0:
                    header = take()
                nibble = header >> block % (32 * n) * 4 & 15
                mode, last = nibble & 7, bool(nibble & 8)
                index_bits = lane_slots * INDEX.get(mode, 0)
                for beat in range(16 * SLOTS.get(mode, 0) // lane_slots):
                    index = 0
                    if index_bits:
                        place = beat % (128 // index_bits)
                        if place == 0:
                            fresh = take()
                        for lane in range(n):
                            own = fresh >> 128 * lane + index_bits * place & (1 << index_bits) - 1
                            index |= own << 128 * lane
                    yield top, block, mode, beat, take(), index, first, last
                first &= mode == 0
                block += 1

    def _code_beats(self):
        for top, block, mode, beat, codes, index, first, last in self._stored():
            yield self._step(
                codes=codes,
                index=index,
                mode=mode,
                beat=beat,
                group=block // 2,
                half=block % 2,
                first=first,
                last=last,
            )

    def expanded(self, native):
        """Substeps for a core that takes the formats `native`."""
        if self.fmt in native:
            return self.steps
        return list(self._ternary_substeps() if self.fmt == TERNARY else self._sparse_substeps())

    def _ternary_substeps(self):
        n, codes = self.config.rows, self.padded(self.codes)
        for top in range(0, len(codes), 2 * n):
            for g, fifth in self._own_groups():
                for sub in range(2):
                    own = codes[top + n * sub : top + n * sub + n]
                    part = own[:, 32 * g : 32 * g + 32]
                    nibbles = [
                        [[bits_of(row[k], 4), bits_of(row[16 + k], 4)] for k in range(16)]
                        for row in part
                    ]
                    yield self._step(
                        codes=joined(nibbles),
                        group=g,
                        sub=sub,
                        first=g == 0,
                        last=self._is_last(g, fifth),
                        **self._fifth(own, g, fifth),
                    )

    def _sparse_substeps(self):
        n, codes = self.config.rows, self.padded(self.codes)
        for top, block, mode, beat, _, _, first, last in self._stored():
            per = (32 if self.fmt == SPARSE4 else 16) // SLOTS[mode]
            for row in range(beat * per, beat * per + per):
                part = codes[top + row * n : top + row * n + n, 16 * block : 16 * block + 16]
                yield self._step(
                    codes=joined(bits_of(part, 8)),
                    format=S8.value,
                    group=block // 2,
                    half=block % 2,
                    sub=row,
                    first=first,
                    last=last,
                )
