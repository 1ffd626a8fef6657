"""What the fields of instructions can say is at most the limits that follow from them."""

import pytest

from rtl.spec import limits
from rtl.spec.isa import Append, Attend, Embed, Load, Loop, MatMul, Quant, Stream, Vector, decode


FIELDS = {
    "rows": [(MatMul, "rows"), (Embed, "row")],
    "groups": [(MatMul, "groups"), (Embed, "groups")],
    "heads": [(Append, "heads"), (Attend, "heads")],
    "queries": [(Attend, "queries")],
    "cache": [(Append, "stride"), (Attend, "stride")],
    "repetitions": [(Vector, "outer"), (Quant, "outer")],
    "inner": [(Vector, "inner"), (Quant, "inner")],
    "column": [(MatMul, "stride")],
    "layers": [(Loop, "count")],
    "load": [(Load, "size")],
    "stream": [(Stream, "size")],
}


@pytest.mark.parametrize("name", FIELDS)
def test_field(name):
    most = limits.LIMITS[name].most
    for cls, field in FIELDS[name]:
        assert getattr(decode(cls(**{field: most}).encode()), field) == most
        text = rf"^{cls.op.name}.{field} must fit in \d+ bits, not {most + 1}$"
        with pytest.raises(ValueError, match=text):
            cls(**{field: most + 1})
