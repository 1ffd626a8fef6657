"""A program image that is small, and as good as any."""

import numpy as np

from host.image import Image


__all__ = ["small_image"]


def small_image():
    """An :class:`~host.image.Image` of 256 bytes and a KV cache of one block, for no known configuration."""
    operation = {"operation": "head", "format": "S8", "rows": 96, "depth": 32, "times": 1, "cycles": 12,
                 "bytes": 64, "bits_per_weight": 8.25, "density": 0.5, "blocks": {"2:4": 3}}
    report = {"configuration": "toy", "program_instructions": 2, "program_bytes": 64, "weight_bytes": 64,
              "kv_cache_bytes": 65 * 64, "memory_bytes": 69 * 64, "vector_words": 128,
              "estimated_cycles_per_token": 12, "layers_bits_per_weight": 8.25, "layer_units": [1],
              "scale_error": {"head": {"mean": 0.01, "max": 0.02}}, "operations": [operation]}
    return Image(memory=np.arange(256, dtype=np.uint8), memory_units=69, writable=(4, 69), program=1, length=2,
                 digest="0" * 32, config="toy", formats=["S8", "SPARSE4"], patterns=["2:4"], context=8, vocab=96,
                 weight_bytes=64, tokenizer={"json": "{}", "chat_template": None}, report=report,
                 model={"name": "toy", "sha256": "0" * 64, "eos": [0], "bos": None, "layers": 1,
                        "hidden": 32, "kv_heads": 1})
