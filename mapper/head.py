"""A head that is rounded again, to another format than its file's: `--head`.

Every token reads the whole head, which is a third of a small model's bytes. A tied embedding is the
head, so it is rounded with it; another keeps what it has, since a token reads one row of it.
"""

from dataclasses import dataclass

from host.errors import UserError
from rtl.spec.config import GROUP
from rtl.spec.descriptor import matrix_units
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from rtl.spec.numbers import UNIT_BYTES

from .linear import LazyLinear, Linear
from .read.bounds import brief


__all__ = ["HEADS", "HeadReport", "check_head", "head_format"]


# Formats that a head can be rounded to: those that a tied embedding may have.
HEADS = tuple(fmt.name for fmt, its in FORMATS.items() if its.embeds)


def check_head(name: str | None) -> None:
    """Refuse what no head can be rounded to."""
    if name is not None and name not in HEADS:
        raise UserError(f"the head's format must be one of {', '.join(HEADS)}, not {brief(name)}")


def head_format(name: str | None, config) -> WeightFormat | None:
    """The format of a name, which the configuration must have."""
    if name is None:
        return None
    check_head(name)
    if name not in config.formats:
        raise UserError(
            f"the head's format must be one that configuration {config.name!r} has, "
            f"{', '.join(known for known in HEADS if known in config.formats)}, not {name}"
        )
    return WeightFormat[name]


@dataclass(frozen=True, kw_only=True)
class HeadReport:
    """What rounding a head costs, and what it saves of each token's bytes.

    Attributes
    ----------
    tensor, source : :class:`str`
        Its name in the file, and its type there.
    format, instead_of : :class:`str`
        Its format, and the one that it has if it is not rounded again.
    error : :class:`float`
        Root of the mean squared difference to the file's weights, relative to theirs.
    bytes, bytes_before : :class:`int`
        In the weight stream, descriptor included.
    """

    tensor: str
    source: str
    format: str
    instead_of: str
    error: float
    bytes: int
    bytes_before: int

    @classmethod
    def of(cls, head: Linear | LazyLinear, before: Linear | LazyLinear, config):
        """Compare a rounded head with the one that it is instead of."""

        def size(linear):
            units = matrix_units(
                linear.format, linear.rows, linear.depth // GROUP, config.word_bytes
            )
            return units * UNIT_BYTES

        return cls(
            tensor=head.name,
            source=head.source,
            format=head.format.name,
            instead_of=before.format.name,
            error=head.rounding or 0.0,
            bytes=size(head),
            bytes_before=size(before),
        )
