"""Group scaling: integer sums of groups to exact sums of rows."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import Config
from ..formats import ACC_BITS
from ..isa import WeightFormat


__all__ = ["GroupStep", "GroupScaler"]


TILES_HELD = 8  # a matrix of one group, in which every step ends a tile, is not held up


def GroupStep(config):
    """Sums of one step of the linear core, and all that scales them."""
    rows, columns = config.rows, config.columns
    return data.StructLayout({
        "sums":     data.ArrayLayout(data.ArrayLayout(signed(20), rows), columns),
        "scale":    data.ArrayLayout(8, rows),
        "centre":   data.ArrayLayout(signed(8), rows),
        "act_sums": data.ArrayLayout(signed(13), columns),
        "shift":    data.ArrayLayout(signed(6), columns),
        "format":   2,
        "centre_shift": 3,
        "first":    1,
        "last":     1})


class GroupScaler(wiring.Component):
    """Scale the sums of groups and add them up: the exact integer of :func:`sw_ref.numerics.linear`.

    Per step, row n and column m:

        term = sums[m][n] * scale[n] + (centre[n] << centre_shift) * act_sums[m]
        acc[m][n] = (0 if first else acc[m][n]) + (term << shift[m] if shift[m] >= 0 else 0)

    where the centre counts in U4 only.

    Latency is :attr:`latency` cycles from the last step to `o`; throughput is one step per cycle.
    Backpressure is respected: the data path never stops, but nothing is taken while
    :py:`TILES_HELD` tiles wait at its end or are on the way there.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
        Accelerator.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from the last step of a tile to its sums.

    Members
    -------
    i : :py:`In(stream.Signature(GroupStep(config)))`
        Steps of a tile, from `first` to `last`.
    o : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(52), rows), columns)))`
        Sums of the tile, by column and row.
    """
    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.latency = 6  # operands, products, term, shifted, accumulator, FIFO
        super().__init__({
            "i": In(stream.Signature(GroupStep(config))),
            "o": Out(stream.Signature(
                data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns))),
        })

    def elaborate(self, platform):
        m = Module()

        m.submodules.results = results = fifo.SyncFIFO(
            width=self.o.payload.as_value().shape().width, depth=TILES_HELD)
        room = Signal(range(TILES_HELD + 1), init=TILES_HELD)
        step, valid, first = Signal(), Signal(4), Signal(4)
        end, ends, give = Signal(), Signal(5), Signal()
        m.d.comb += [
            self.i.ready.eq(room != 0),
            step.eq(self.i.valid & self.i.ready),
            end.eq(step & self.i.p.last),
            give.eq(self.o.valid & self.o.ready),
            results.w_en.eq(ends[-1]),
            results.r_en.eq(give),
            self.o.valid.eq(results.r_rdy),
            self.o.payload.as_value().eq(results.r_data),
        ]
        m.d.sync += [
            room.eq(room - end + give),
            valid.eq(Cat(step, valid)),
            first.eq(Cat(self.i.p.first, first)),
            ends.eq(Cat(end, ends)),
        ]
        m.d.comb += results.w_data.eq(Cat(self._accs(m, valid[-1], first[-1])))

        return m

    def _accs(self, m, valid, first):
        """Add the data path: four registers, and the accumulators, which are returned."""
        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        i, rows, columns = self.i.p, range(self.config.rows), range(self.config.columns)

        scale, centre = [], []
        for n in rows:
            scale.append(register(8, f"scale_{n}"))
            centre.append(register(signed(15), f"centre_{n}"))
            m.d.sync += [
                scale[n].eq(i.scale[n]),
                centre[n].eq(Mux(i.format == WeightFormat.U4, i.centre[n] << i.centre_shift, 0)),
            ]

        accs = []
        for c in columns:
            act_sum = register(signed(13), f"act_sum_{c}")
            m.d.sync += act_sum.eq(i.act_sums[c])
            shift = i.shift[c]
            for stage in range(3):
                later = register(signed(6), f"shift_{c}_{stage}")
                m.d.sync += later.eq(shift)
                shift = later
            for n in rows:
                group_sum = register(signed(20), f"sum_{c}_{n}")
                scaled    = register(signed(28), f"scaled_{c}_{n}")
                offset    = register(signed(28), f"offset_{c}_{n}")
                term      = register(signed(29), f"term_{c}_{n}")
                shifted   = register(signed(44), f"shifted_{c}_{n}")
                acc       = register(signed(ACC_BITS), f"acc_{c}_{n}")
                m.d.sync += [
                    group_sum.eq(i.sums[c][n]),
                    scaled.eq(group_sum * scale[n]),
                    offset.eq(centre[n] * act_sum),
                    term.eq(scaled + offset),
                    shifted.eq(Mux(shift[-1], 0, term << shift[:4])),
                ]
                with m.If(valid):
                    m.d.sync += acc.eq(Mux(first, 0, acc) + shifted)
                accs.append(acc)
        return accs
