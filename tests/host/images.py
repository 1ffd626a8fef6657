"""A program image that is small, and as good as any; and files that say what no image says."""

from dataclasses import asdict

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from host.image.image import Image
from host.image.seal import BLANK, KEY, seal
from rtl.spec.config import Config


__all__ = ["metadata", "sealed", "small_image"]


CONFIG = Config(name="toy", beat_bits=128, columns=1, lanes=4)


def small_image():
    """An :class:`~host.image.image.Image` of 256 bytes and one KV block."""
    operation = {
        "operation": "head",
        "format": "S8",
        "rows": 96,
        "depth": 32,
        "times": 1,
        "cycles": 12,
        "bytes": 64,
        "bits_per_weight": 8.25,
        "density": 0.5,
        "blocks": {"2:4": 3},
    }
    tensor = {
        "name": "output.weight",
        "type": "F16",
        "format": "S8",
        "file_bytes": 68,
        "dram_bytes": 64,
        "error": 0.01,
        "rounding": 0.005,
        "reason": "the machine has no codes for F16",
    }
    head = {
        "tensor": "output.weight",
        "source": "F16",
        "format": "S8",
        "instead_of": "S6",
        "error": 0.01,
        "bytes": 64,
        "bytes_before": 128,
    }
    report = {
        "configuration": "toy",
        "program_instructions": 2,
        "program_bytes": 64,
        "weight_bytes": 64,
        "kv_cache_bytes": 65 * 64,
        "memory_bytes": 69 * 64,
        "vector_words": 128,
        "estimated_cycles_per_token": 12,
        "layers_bits_per_weight": 8.25,
        "layer_units": [1],
        "scale_error": {"head": {"mean": 0.01, "max": 0.02}},
        "operations": [operation],
        "bytes_per_token": 64,
        "file_bytes": 68,
        "tensors": [tensor],
        "head": head,
    }
    return Image(
        memory=np.arange(256, dtype=np.uint8),
        memory_units=69,
        writable=(4, 69),
        program=1,
        length=2,
        nodes=[("layer / q", 1), ("head", 2)],
        digest=CONFIG.digest,
        config="toy",
        accelerator=asdict(CONFIG),
        formats=["S8", "SPARSE4"],
        patterns=["2:4"],
        context=8,
        vocab=96,
        weight_bytes=64,
        tokenizer={"json": "{}", "chat_template": "{}"},
        report=report,
        model={
            "name": "toy",
            "sha256": "0" * 64,
            "eos": [0],
            "bos": None,
            "layers": 1,
            "hidden": 32,
            "kv_heads": 1,
            "kv_blocks": [(1, 1, 0)],
            "logit_cap": 0.0,
        },
    )


def metadata(path):
    """The metadata of an image's file, as JSON."""
    with safe_open(path, "np") as file:
        return file.metadata()["headrace"]


def sealed(path, text, **tensors):
    """Write a file whose seal is right, whatever its metadata says."""
    save_file(tensors or {"memory": small_image().memory}, path, {"headrace": text, KEY: BLANK})
    seal(path)
