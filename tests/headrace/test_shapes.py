"""Models of a shape with random weights."""

import json

import numpy as np
import pytest

from headrace.library.shapes import Shape, codes_of, load_shape, read_shape
from headrace.library.targets import of_shape
from host.errors import UserError
from mapper.families import FAMILIES
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat


SHAPE = {
    "family": "llama",
    "hidden": 128,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 64,
    "ffn": 192,
    "layers": 3,
    "vocab": 96,
    "format": "U4",
    "head_format": "S8",
}


def written(path, **changes):
    values = {k: v for k, v in (SHAPE | changes).items() if v is not None}
    path.write_text(json.dumps(values))
    return path


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hiden": 64}, "there is no field 'hiden'; did you mean hidden?"),
        ({"ffn": None}, "needs ffn"),
        ({"heads": "two"}, "heads must be int, not str"),
        ({"layers": 0}, "layers must be from 1 to 1024, not 0"),
        ({"layers": 5000}, "layers must be from 1 to 1024, not 5000"),
        ({"vocab": 10**18}, "vocab must be from 1 to 16777215, not 1000000000000000000"),
        ({"heads": True}, "heads"),
        ({"format": "Q4_0"}, "format must be one of"),
        ({"head_format": "F32"}, "head_format must be one of"),
        ({"family": "lama"}, "family must be one of"),
    ],
)
def test_refused(tmp_path, changes, message):
    path = written(tmp_path / "s.json", **changes)
    with pytest.raises(UserError) as error:
        read_shape(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    assert message in text or "heads" in text and "heads" in changes, text


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "must be JSON"),
        ("[1]", "must be an object of a shape's fields, not list"),
        ("[" * 60000, "must be JSON"),
    ],
)
def test_no_object(tmp_path, text, message):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_shape(path)


@pytest.mark.parametrize("hidden", [100, 16777184])
def test_sizes_that_cannot_be(tmp_path, hidden):
    path = written(tmp_path / "s.json", hidden=hidden)
    with pytest.raises(UserError, match="hidden|rows"):
        of_shape(path, None, (), 10)


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family):
    """Each has a model of as many layers as were asked for, with all tensors of its graph."""
    shape = Shape(**SHAPE | {"family": family})
    source = load_shape(shape, "s.json", 2).source
    assert len(source.layers) == 2 and source.formats == {"U4", "S8"}
    graph = source.graph
    for n, kind in enumerate(graph.order):
        for name, size in graph.layer_shapes[kind].items():
            tensor = source.tensor(name, n)
            found = tensor.shape if isinstance(tensor, np.ndarray) else (tensor.rows, tensor.depth)
            assert found == size
    for name in graph.shapes:
        source.tensor(name)


def test_rows_are_the_same_whoever_asks():
    source = load_shape(Shape(**SHAPE | {"vocab": 700}), "s.json").source
    whole = source.embedding.take(slice(0, 700))
    part = source.embedding.take(slice(290, 300))
    assert (whole.codes[290:300] == part.codes).all()
    assert (source.embedding.take(np.array([3, 699])).codes == whole.codes[[3, 699]]).all()


@pytest.mark.parametrize("fmt", WeightFormat)
def test_codes(fmt):
    """All codes of the format; sparse ones have two of each four weights."""
    its = FORMATS[fmt]
    codes = codes_of(np.random.default_rng(1), fmt, 64, 256)
    assert codes.dtype == its.dtype and {*codes.ravel()} <= {*its.every_code}
    if its.sparse:
        assert ((codes.reshape(-1, 4) != 0).sum(1) == 2).all()
    else:
        assert len(np.unique(codes)) == min(len(its.every_code), 256)


@pytest.mark.seconds(5)
@pytest.mark.parametrize("format, head_format", [("SPARSE4", "S8"), ("TERNARY", "TERNARY")])
def test_target(tmp_path, format, head_format):
    """It has the machine that fits it, and images of cuts."""
    path = written(tmp_path / "s.json", format=format, head_format=head_format)
    target = of_shape(path, None, (), 10)
    assert target.layers == 3
    one, two = (target.image(count) for count in (1, 2))
    assert one.model["layers"] == 1 and two.model["layers"] == 2 and one.context == 32
    per_layer = (
        (two.weight_bytes - one.weight_bytes) * 8 / (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 192)
    )
    assert 1 < per_layer < 4
