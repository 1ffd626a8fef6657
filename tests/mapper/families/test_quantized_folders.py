"""Folders of each family as quantizers write them: codes are kept, and the rows of each tensor are
where those of floats are."""

import json
import shutil
from functools import cache

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from host.errors import UserError
from mapper.families import FAMILIES
from mapper.read import hf_model
from mapper.read.hf_folder import Folder
from rtl.spec.isa import WeightFormat
from sim.models.hf import HF_MODELS, save

from ...chosen import cases
from ..read.quantized import case_of, random_parts, weights_of
from .models import KEPT, folder


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


LAYOUTS = "gptq 4 32", "awq 64", "pack-quantized 4 64", "int-quantized 8 32", "bitnet", "mxfp4"


@cache
def saved(name):
    """A model's folder, of floats."""
    return save(folder(), HF_MODELS[name].make())


def written(source, case, family):
    """Folders of random codes, as a quantizer writes them and as floats; the rest is that of
    another."""
    folders = folder(), folder()
    tensors = load_file(source / "model.safetensors")
    packed, floats = {}, {}
    for n, (name, values) in enumerate(sorted(tensors.items())):
        if values.ndim == 2 and name.startswith(f"{family.hf_layers}."):
            parts = random_parts(case, values.shape, n)
            packed |= case.packed(name.removesuffix(".weight"), *parts)
            floats[name] = weights_of(case, *parts)
        else:
            packed[name] = floats[name] = values
    config = json.loads((source / "config.json").read_text())
    for path, found, more in zip(
        folders, (packed, floats), ({"quantization_config": case.about}, {})
    ):
        shutil.copy(source / "tokenizer.json", path)
        (path / "config.json").write_text(json.dumps(config | more))
        save_file({k: np.ascontiguousarray(v) for k, v in found.items()}, path / "m.safetensors")
    return folders


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", cases(HF_MODELS, KEPT))
def test_weights(name, layout):
    family, case = FAMILIES[HF_MODELS[name].family], case_of(layout)
    packed, floats = written(saved(name), case, family)
    if family.hf_transposed:
        with pytest.raises(UserError, match="must be of floats, not .*; this model cannot be mapp"):
            hf_model.read(packed)
        return
    model = hf_model.read(packed)
    theirs = hf_model.Tensors(Folder(floats), family, model.shape, 8)
    for n, kind in enumerate(model.graph.order):
        found = theirs.layer(n, model.graph.layer_shapes[kind])
        for tensor, linear in model.layers[n].linears.items():
            file, rows = found[tensor]
            expected = file.weights() if rows is None else file.weights()[rows]
            np.testing.assert_allclose(linear.float32(), expected, rtol=1e-6, atol=0)
            assert linear.format == WeightFormat[case.becomes]
