"""Rotary embedding: the cosines and sines of each position.

Scalings stretch a model over more positions than it was trained on. Which one a model has, its
files say in their own words: :func:`from_hf` and :func:`from_gguf` read them. What depends on the
length of a text, here depends on the compiled context, as in llama.cpp: a table serves all
positions.

Sources: linear and dynamic, Hugging Face's `modeling_rope_utils.py`; YaRN, arXiv:2309.00071;
LongRoPE, arXiv:2402.13753; `llama3`, the Llama 3.1 release; for GGUF, llama.cpp's `ggml_rope_ext`.
"""

from .gguf import GGUF_FIELDS, from_gguf
from .hf import from_hf
from .scaling import KINDS, RopeScaling, frequencies, table


__all__ = [
    "GGUF_FIELDS",
    "KINDS",
    "RopeScaling",
    "frequencies",
    "from_gguf",
    "from_hf",
    "table",
]
