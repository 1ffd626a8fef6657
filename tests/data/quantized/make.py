"""Write the folders beside this file with the quantizers' own libraries, a matrix in each.

Beside the matrix' tensors, `expected` is what the library makes of them. Run it where these are
installed, with Python 3.11: compressed-tensors 0.20.1, gptqmodel 7.7.0, transformers 5.24.0 and
torch 2.13.0. `tests/mapper/read/test_hf_quantized.py` reads the folders.
"""

import json
from pathlib import Path

import torch
from compressed_tensors.compressors.base import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from gptqmodel.nn_modules.qlinear.torch import TorchLinear
from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
from gptqmodel.quantization.config import QuantizeConfig
from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module
from safetensors.torch import save_file
from transformers.integrations.bitnet import pack_weights, unpack_weights
from transformers.integrations.mxfp4 import convert_moe_packed_tensors


ROWS, DEPTH = 32, 128
GENERATOR = torch.Generator().manual_seed(1)


def put(name, about, tensors, expected):
    folder = Path(__file__).parent / name
    folder.mkdir(exist_ok=True)
    about = json.dumps({"quantization_config": about}, indent=2)
    (folder / "config.json").write_text(f"{about}\n")
    tensors = {f"module.{name}": values.contiguous() for name, values in tensors.items()}
    save_file({**tensors, "expected": expected.float().contiguous()}, folder / "model.safetensors")


def linear():
    module = torch.nn.Linear(DEPTH, ROWS, bias=False)
    module.weight.data = torch.randn(ROWS, DEPTH, generator=GENERATOR)
    return module


def scales_and_zeros(weight, index, bits):
    """Of asymmetric groups, (rows, groups); half floats, and zero points from 1."""
    top, found = 2**bits - 1, []
    for n in range(int(index.max()) + 1):
        part = weight[:, index == n]
        scale = ((part.amax(1) - part.amin(1)) / top).half().float()
        found.append((scale, torch.round(-part.amin(1) / scale).clamp(1, top)))
    return (torch.stack(its, 1) for its in zip(*found))


def gptq(bits, size, act_order, form):
    module, index = linear(), torch.arange(DEPTH) // size
    if act_order:
        index = index[torch.randperm(DEPTH, generator=GENERATOR)]
    scales, zeros = scales_and_zeros(module.weight.data, index, bits)
    packed = TorchLinear(
        bits=bits, group_size=size, sym=False, desc_act=act_order, in_features=DEPTH,
        out_features=ROWS, bias=False, pack_dtype=torch.int32, backend=None,
    )  # fmt: skip
    packed.pack_original(module, scales, zeros, index.int())
    packed.qzero_format(2)
    tensors = {name: getattr(packed, name) for name in ("qweight", "qzeros", "scales", "g_idx")}
    packed.scales = packed.scales.float()
    expected = packed.dequantize_weight().T
    if form == "gptq":
        packed = convert_gptq_v2_to_v1_format_module(packed, QuantizeConfig(bits=bits)) or packed
        tensors["qzeros"] = packed.qzeros
    about = {"quant_method": "gptq", "bits": bits, "group_size": size, "desc_act": act_order}
    about |= {"sym": False, "checkpoint_format": form, "lm_head": False, "pack_dtype": "int32"}
    put(f"{form}-{bits}{'-order' if act_order else ''}", about, tensors, expected)


def awq(size):
    module = linear()
    scales, zeros = scales_and_zeros(module.weight.data, torch.arange(DEPTH) // size, 4)
    grid = torch.round(module.weight.data.reshape(*scales.shape, -1) / scales[..., None])
    grid = (grid + zeros[..., None]).clamp(0, 15) - zeros[..., None]
    module.weight.data = (grid * scales[..., None]).reshape(ROWS, DEPTH)
    packed = AwqTorchLinear(
        bits=4, group_size=size, sym=False, desc_act=False, in_features=DEPTH, out_features=ROWS,
        bias=False,
    )  # fmt: skip
    packed.pack(module, scales, zeros)
    tensors = {name: getattr(packed, name) for name in ("qweight", "qzeros", "scales")}
    parts = packed.qweight, packed.qzeros, packed.scales.float()
    about = {"quant_method": "awq", "bits": 4, "group_size": size, "zero_point": True}
    about |= {"version": "gemm", "modules_to_not_convert": None}
    put(f"awq-{size}", about, tensors, dequantize_gemm(*parts, 4, size).T)


def compressed(form, bits, symmetric, size):
    strategy = {"strategy": "group" if size else "channel", "group_size": size}
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, **strategy)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    weight = linear().weight.data.bfloat16()
    groups = weight.reshape(ROWS, -1, size or DEPTH)
    scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    state = {"weight": weight, "weight_scale": scale.bfloat16()}
    if not symmetric:
        state["weight_zero_point"] = zero.to(torch.int8)
    its = BaseCompressor.get_value_from_registry(form)
    packed = its.compress(state, scheme)
    exact = {**packed, "weight_scale": packed["weight_scale"].float()}  # no rounding to bfloat16
    about = QuantizationConfig(
        config_groups={"group_0": scheme},
        format=form,
        ignore=["lm_head"],
        quantization_status="compressed",
    )
    put(
        f"{form}-{bits}{'' if symmetric else '-zeros'}",
        json.loads(about.model_dump_json()),
        packed,
        its.decompress(exact, scheme)["weight"],
    )


def bitnet():
    weights = torch.randint(-1, 2, (ROWS, DEPTH), generator=GENERATOR)
    tensors = {"weight": pack_weights(weights.clone()), "weight_scale": torch.tensor([0.375])}
    expected = unpack_weights(tensors["weight"], torch.float32) * tensors["weight_scale"]
    about = {"quant_method": "bitnet", "linear_class": "autobitlinear"}
    put("bitnet", about | {"quantization_mode": "offline"}, tensors, expected)


def mxfp4():
    blocks = torch.randint(0, 256, (1, ROWS, DEPTH // 32, 16), generator=GENERATOR)
    scales = torch.randint(100, 150, (1, ROWS, DEPTH // 32), generator=GENERATOR)
    blocks, scales = blocks.to(torch.uint8), scales.to(torch.uint8)
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)[0].T
    put("mxfp4", {"quant_method": "mxfp4"},
        {"weight_blocks": blocks[0], "weight_scales": scales[0]}, expected)  # fmt: skip


if __name__ == "__main__":
    gptq(2, 32, False, "gptq_v2")
    gptq(3, 64, False, "gptq")
    gptq(4, 64, False, "gptq")
    gptq(4, 32, True, "gptq_v2")
    gptq(8, 128, False, "gptq_v2")
    awq(32)
    compressed("pack-quantized", 4, True, 128)
    compressed("pack-quantized", 4, False, 32)
    compressed("int-quantized", 8, True, None)
    compressed("int-quantized", 8, False, None)
    compressed("naive-quantized", 8, True, 64)
    bitnet()
    mxfp4()
