"""What ternary weights cost in lookups on ECP5: ``python -m headrace.studies.ternary_lookup``.

Builds rows of 32 ternary weights that share tables of one activation vector, in four ways, and
counts cells after synthesis. docs/rfcs/0003-lut-tensor-core.md has the figures.
"""

import sys
from functools import reduce
from operator import xor

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from boards.synthesis import synthesize, text_of
from host.errors import run_command
from rtl.cores.carried import Carried
from rtl.cores.tables import SignTable, bound, encode, look_up
from rtl.spec.config import GROUP


__all__ = ["KINDS", "TernaryRows", "measure"]


KINDS = {
    "planes2": "two bit planes, tables of 2 activations (2 entries)",
    "planes4": "two bit planes, tables of 4 activations (8 entries)",
    "groups3": "groups of 3 weights, tables of 13 entries, zero and sign (TeLLMe)",
    "direct": "no tables: each activation, its inverse or zero",
}

# The 13 positive of 27 sums of three activations: a place for each of three digits in base 3.
POSITIVE = [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)][14:]


class TernaryRows(wiring.Component):
    """Multiply rows of 32 ternary weights with the same activations.

    Throughput is one step per cycle, without stalls; latency is fixed by `kind`.

    Parameters
    ----------
    kind : :class:`str`
        One of `KINDS`.
    rows : :class:`int`
        Rows that share the tables.

    Members
    -------
    acts : :py:`In(signed(8)).array(32)`
        Activations.
    weights : :py:`In(64 or 55).array(rows)`
        As :meth:`pack` makes them.
    sums : :py:`Out(signed(14)).array(rows)`
        Sums of products.
    """

    def __init__(self, kind, rows):
        if kind not in KINDS:
            raise ValueError(f"Kind must be one of {', '.join(KINDS)}, not {kind!r}")
        self.kind, self.rows = kind, rows
        super().__init__(
            {
                "acts": In(signed(8)).array(GROUP),
                "weights": In(55 if kind == "groups3" else 64).array(rows),
                "sums": Out(signed(14)).array(rows),
            }
        )

    def pack(self, trits):
        """Weights of a row as the hardware takes them, from 32 of -1, 0 and 1."""
        if self.kind == "groups3":
            digits = [t + 1 for t in [*trits, 0]]
            return sum(
                (9 * digits[n] + 3 * digits[n + 1] + digits[n + 2]) << 5 * (n // 3)
                for n in range(0, 33, 3)
            )
        first, second = (
            (lambda t: t < 0, lambda t: t != 0)
            if self.kind == "direct"
            else (lambda t: t >= 0, lambda t: t > 0)
        )
        return sum((first(t) << k) + (second(t) << 32 + k) for k, t in enumerate(trits))

    def elaborate(self, platform):
        m = Module()
        rows = {"groups3": self._groups, "direct": self._direct}.get(self.kind, self._planes)(m)
        for n, row in enumerate(rows):
            total = Signal(signed(14), name=f"sum_{n}", reset_less=True)
            m.d.sync += total.eq(row)
            m.d.comb += self.sums[n].eq(total)
        return m

    def _planes(self, m):
        inputs = int(self.kind[-1])
        tables = []
        for n in range(0, GROUP, inputs):
            m.submodules[f"table_{n}"] = table = SignTable(inputs)
            acts, entries = self.acts[n : n + inputs], list(table.o)
            if inputs == 2:
                acts = [_registered(m, act, f"act_{n}_{k}") for k, act in enumerate(acts)]
            else:
                entries = [
                    _registered(m, entry, f"entry_{n}_{e}") for e, entry in enumerate(entries)
                ]
            m.d.comb += [i.eq(act) for i, act in zip(table.i, acts)]
            tables.append(entries)
        for r, weights in enumerate(self.weights):
            weights, planes = _registered(m, weights, f"weights_{r}"), []
            for p in range(2):
                terms = []
                for n, table in enumerate(tables):
                    at = GROUP * p + inputs * n
                    codes, negative = encode(weights[at : at + inputs])
                    codes = [_registered(m, c, f"code_{r}_{at}_{i}") for i, c in enumerate(codes)]
                    negative = _registered(m, negative, f"negative_{r}_{at}")
                    terms.append(Carried(look_up(table, codes), negative, bound(inputs)))
                planes.append(_tree(m, terms, f"plane_{r}_{p}"))
            yield _tree(m, planes, f"row_{r}", look=False).total >> 1

    def _groups(self, m):
        tables = []
        for n in range(0, 33, 3):
            act = [
                _registered(
                    m, self.acts[n + k] if n + k < GROUP else C(0, signed(8)), f"act_{n}_{k}"
                )
                for k in range(3)
            ]
            # Sums of the last two, and then of all three.
            pairs = {
                (b, c): _registered(m, b * act[1] + c * act[2], f"pair_{n}_{b}_{c}")
                for b, c in {p[1:] for p in POSITIVE if any(p[1:])}
            }
            pairs[0, 0], first = C(0, signed(8)), _registered(m, act[0], f"first_{n}")
            tables.append(
                [
                    _registered(
                        m, pairs[b, c] + first if a else pairs[b, c], f"entry_{n}_{a}_{b}_{c}", 10
                    )
                    for a, b, c in POSITIVE
                ]
            )
        for r, weights in enumerate(self.weights):
            weights = _registered(m, _registered(m, weights, f"early_{r}"), f"weights_{r}")
            terms = []
            for n, entries in enumerate(tables):
                codes, negative = self._decode(weights[5 * n : 5 * n + 5])
                codes = [_registered(m, c, f"code_{r}_{n}_{i}") for i, c in enumerate(codes)]
                # As in look_up(), but an index may be of no entry, and the number of entries odd.
                pairs = [*zip(entries[0::2], entries[1::2]), (entries[-1], C(0, 10))]
                value = reduce(
                    xor,
                    [
                        a & c[0].replicate(10)
                        | b & c[1].replicate(10)
                        | (c[0] & c[1]).replicate(10)
                        for (a, b), c in zip(pairs, codes)
                    ],
                )
                negative = _registered(m, negative, f"negative_{r}_{n}")
                terms.append(Carried(value[:10].as_signed(), negative, 3 * 128))
            yield _tree(m, terms, f"row_{r}").total

    def _decode(self, index):
        """Selection of an entry: of each pair none, the first, the second, or ones; and the
        sign.
        """
        negative = index < 13
        codes = [[C(0), C(0)] for _ in range(7)]
        for n in range(13):
            here = [index == 14 + n, index == 12 - n]
            codes[n // 2][n % 2] |= here[0] | here[1]
            for bit in (0, 1):
                codes[(n // 2 + 1) % 7][bit] |= here[1]
        return [Cat(c) for c in codes], negative

    def _direct(self, m):
        acts = [_registered(m, act, f"act_{k}") for k, act in enumerate(self.acts)]
        for r, weights in enumerate(self.weights):
            weights = _registered(m, weights, f"weights_{r}")
            yield _tree(
                m,
                [
                    Carried(
                        Mux(weights[GROUP + k], act, 0) ^ weights[k].replicate(8).as_signed(),
                        weights[k],
                        128,
                    )
                    for k, act in enumerate(acts)
                ],
                f"row_{r}",
            ).total


def _registered(m, value, name, width=None):
    shape = value.shape() if width is None else signed(width)
    later = Signal(shape, name=name, reset_less=True)
    m.d.sync += later.eq(value)
    return later


def _tree(m, terms, name, look=True):
    """Add up with a register after every adder, and, where `look`, before the first."""
    if look:
        terms = [t.registered(m, f"{name}_{n}") for n, t in enumerate(terms)]
    level = 0
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[0::2], terms[1::2])] + terms[len(terms) & ~1 :]
        terms = [t.registered(m, f"{name}_{level}_{n}") for n, t in enumerate(pairs)]
        level += 1
    return terms[0]


def measure(kind):
    """LUT4, CCU2C, flip-flops and places of LUTs on an ECP5: of a row, and of what rows share.

    Rows have nothing else in common, so that what several take follows from one and from four.
    """
    cells = {}
    for rows in (1, 4):
        area = synthesize(text_of(TernaryRows(kind, rows)), "ecp5")
        cells[rows] = [area.cells.get("LUT4", 0), area.cells.get("CCU2C", 0), area.ff, area.lut]
    row = [(four - one) / 3 for one, four in zip(cells[1], cells[4])]
    return row, [one - r for one, r in zip(cells[1], row)]


def main():
    print(f"{'':24}" + "".join(f"{name:>10}" for name in ["LUT4", "CCU2C", "FF", "LUT sites"]))
    for kind, what in KINDS.items():
        row, shared = measure(kind)
        print(f"{kind}: {what}")
        for name, values in [
            ("a row", row),
            ("tables", shared),
            *[(f"per row, {n} sharing", [r + s / n for r, s in zip(row, shared)]) for n in (4, 16)],
        ]:
            print(f"    {name:20}" + "".join(f"{value:10.0f}" for value in values), flush=True)


if __name__ == "__main__":
    sys.exit(run_command("ternary_lookup", main))
