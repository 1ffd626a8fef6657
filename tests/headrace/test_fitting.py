"""The machine for a model where nobody named one."""

from dataclasses import replace

import pytest

from headrace.library.machines import fitting
from host.errors import UserError
from mapper.compile import compile_model
from rtl.spec.config import MOST, get
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model


WIDE = get("wide")


@pytest.mark.parametrize(
    "model",
    [toy_model(), toy_model(hidden=576, heads=9, kv_heads=3, ffn=1536, layers=1)],
    ids=["toy", "smollm2"],
)
def test_default(model):
    """What fits it takes it, and there is nothing to say."""
    assert fitting(model) == (WIDE, None)
    assert fitting(model, head="U4") == (WIDE, None)


def test_formats_are_added():
    """To the default, as before."""
    machine, why = fitting(toy_model(format=WeightFormat.U5))
    assert machine == replace(WIDE, name="wide+U5", formats=(*WIDE.formats, "U5")) and why is None
    assert fitting(toy_model(), head="S6")[0].name == "wide+S6"


def test_another_that_has_a_name():
    """One that is as wide, and whose core takes the model's formats."""
    model = toy_model(format=WeightFormat.U2)
    machine, why = fitting(model)
    assert machine == get("wide-lut")
    assert why.startswith("toy: kv has U2 weights, but configuration 'wide', with core 'systolic',")
    assert why.endswith(": took 'wide-lut'") and "\n" not in why
    with pytest.raises(UserError, match="^toy: kv has U2 weights, but configuration 'small'"):
        fitting(model, base=get("small"))  # somebody's own default


DERIVED = {
    "heads": (
        dict(heads=2, head_dim=128),
        dict(head_dim=128),
        "heads of 64 elements, the model needs 128",
    ),
    "activations": (
        dict(hidden=64, ffn=4096, layers=1),
        dict(vector_words=65536, act_groups=128),
        "32768 words of vector memory, the model needs {vector_words}; "
        "64 groups of activations, the model needs 128",
    ),
}


@pytest.mark.parametrize("name", DERIVED)
def test_derived(name):
    sizes, values, said = DERIVED[name]
    model = toy_model(**sizes)
    machine, why = fitting(model)
    label = ",".join(f"{field}={value}" for field, value in values.items())
    assert machine == replace(WIDE, name=f"wide+{label}", **values)
    report = compile_model(model, machine, 32).report
    said = said.format(**report)
    assert why == f"configuration 'wide' has {said}: derived {machine.name!r}"
    # Nor does it take less, but for the vector memory's power of two.
    with pytest.raises(UserError):
        compile_model(model, WIDE, 32)


def test_formats_and_sizes():
    """Derived from the first whose core takes the formats."""
    model = toy_model(format=WeightFormat.U2, heads=2, head_dim=256)
    machine, why = fitting(model)
    assert machine == replace(get("wide-lut"), name="wide-lut+head_dim=256", head_dim=256)
    assert why.startswith("toy: kv has U2") and why.endswith("derived 'wide-lut+head_dim=256'")
    compile_model(model, machine, 32)


def test_fewer_columns(monkeypatch):
    monkeypatch.setitem(MOST, "vector_words", 4096)
    machine, why = fitting(toy_model(), base=replace(WIDE, vector_words=2048, name="mine"))
    assert (machine.columns, machine.vector_words) == (3, 4096)
    assert why.startswith("configuration 'mine' has 4 columns, the vector memory has room for 3; ")


def test_chosen_values_stay():
    """The compiler refuses then, and says what was needed."""
    model, base = toy_model(heads=2, head_dim=128), replace(WIDE, name="mine", vector_words=256)
    assert fitting(model, base=base, fixed=["vector_words", "lanes"]) == (base, None)
    machine, _ = fitting(model, base=base, fixed=["lanes"])
    assert machine.head_dim == 128 and machine.vector_words > 256


def test_too_large():
    model = toy_model()
    model = replace(model, shape=replace(model.shape, heads=256))
    with pytest.raises(UserError, match="^toy: .*: 256 query heads, the machine takes 255$"):
        fitting(model)
