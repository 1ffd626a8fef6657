"""Slices: the order in which a linear core outputs the rows of a tile."""

from dataclasses import dataclass

from ..spec.config import Config
from ..spec.formats import FORMATS, SPARSE


__all__ = ["WIDEST", "payload_slices", "fifth_rows", "Banks"]


WIDEST = 4  # slices that a core gives at once, at most


def payload_slices(fmt, native):
    """Slices that one payload of a core's sums has at most; `native` are formats that it takes
    whole, while others come in substeps of a slice each."""
    return min(WIDEST, FORMATS[fmt].tile_slices) if fmt in native else 1


def fifth_rows(config, native):
    """Rows of the fifth step's elements that one payload has beside it."""
    if not config.aside:
        return 0
    slices = [payload_slices(f, native) for f in config.weight_formats if FORMATS[f].aside]
    return config.rows * max(slices)


@dataclass(frozen=True)
class Banks:
    """Accumulators of a tile: lanes of a core's sums, in banks of N lanes, each with some places.

    Where the payloads of a format may have fewer slices than others of the same tile, a slice's
    accumulators are found by its number in the tile: they are in bank `slice % banks`, at the place
    `slice // banks`. Elsewhere slice k of a payload is in bank k, at the place of the payload's
    number: no sum has to change lanes, and only the first bank has more than one place.

    Attributes
    ----------
    depths : tuple of :class:`int`
        Places in each bank.
    spread : :class:`bool`
        A slice's number in the tile chooses its bank.
    """

    depths: tuple[int, ...]
    spread: bool

    @classmethod
    def of(cls, config, native):
        """Banks for the formats of a configuration, of which the core takes `native` whole."""
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        formats = config.weight_formats
        width = max(payload_slices(fmt, native) for fmt in formats)
        if any(fmt in SPARSE & native for fmt in formats):
            most = max(FORMATS[fmt].tile_slices for fmt in formats)
            return cls((most // width,) * width, True)
        return cls(
            tuple(
                max(
                    FORMATS[fmt].tile_slices // payload_slices(fmt, native)
                    for fmt in formats
                    if payload_slices(fmt, native) > bank
                )
                for bank in range(width)
            ),
            False,
        )

    def lanes(self, config):
        """Sums of a payload: the banks', and those of groups' upper halves behind a slice's."""
        return config.rows * max(len(self.depths), 2 if config.halved else 1)

    @property
    def slice_bits(self):
        """Bits of the number of a payload's first slice."""
        slices = sum(self.depths) if self.spread else max(self.depths)
        return (slices - 1).bit_length()

    @property
    def span_bits(self):
        """Bits of the logarithm of a payload's slices."""
        return len(self.depths).bit_length() - 1
