"""llama.cpp's rounding, reached through its wheel."""

from types import SimpleNamespace

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from mapper.read import gguf_model
from mapper.write import content, gguf as writer, llama_cpp

from .. import synthetic


WEIGHTS = np.random.default_rng(3).normal(0, 0.05, (7, 512)).astype(np.float32)


@pytest.fixture
def anew():
    """Look for the library again, now and after the test."""
    llama_cpp.library.cache_clear(), writer.rounder.cache_clear()
    yield
    llama_cpp.library.cache_clear(), writer.rounder.cache_clear()


@pytest.mark.parametrize("kind", [Type.Q4_0, Type.Q5_1, Type.Q8_0, Type.MXFP4, Type.TQ1_0])
def test_as_gguf(kind):
    """Where both libraries round, they have the same bits; so rows, and their order, are right."""
    np.testing.assert_array_equal(llama_cpp.quantize(WEIGHTS, kind), gguf.quantize(WEIGHTS, kind))


def test_views_are_rounded_as_they_are_seen():
    """C reads memory, which a transposed or a sliced array has in another order."""
    whole = llama_cpp.quantize(WEIGHTS, Type.Q6_K)
    np.testing.assert_array_equal(llama_cpp.quantize(WEIGHTS[::-2], Type.Q6_K), whole[::-2])
    turned = np.ascontiguousarray(WEIGHTS.T).T
    np.testing.assert_array_equal(llama_cpp.quantize(turned, Type.Q6_K), whole)


def test_without_it(tmp_path, anew, monkeypatch):
    """Types of `gguf` alone are written all the same; others are refused before a file is begun."""
    source = synthetic.write(tmp_path / "m.gguf", kind=Type.F32, sizes=synthetic.WIDE)
    monkeypatch.setattr(llama_cpp, "PACKAGE", "no_such_package")
    about = content.of_file(source, gguf_model.read(source))
    out = tmp_path / "out.gguf"
    with pytest.raises(
        UserError,
        match="^no_such_package: the library must be installed to round weights to this type; run "
        "`make install FOR=quantize`, or pip install 'headrace\\[quantize\\]'$",
    ):
        writer.write(out, about, "Q4_K")
    assert not out.exists()
    writer.write(out, about, "Q4_0", "Q8_0")


def test_something_else_of_its_name(tmp_path, anew, monkeypatch):
    other = tmp_path / "xllamacpp.so"
    other.write_text("no library")
    finder = SimpleNamespace(find_spec=lambda *args: SimpleNamespace(origin=str(other)))
    monkeypatch.setattr(llama_cpp, "PathFinder", finder)
    with pytest.raises(UserError, match="xllamacpp.so: must be llama.cpp's library, it cannot be"):
        llama_cpp.quantize(WEIGHTS, Type.Q4_K)
