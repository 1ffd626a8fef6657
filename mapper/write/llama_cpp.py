"""llama.cpp's rounding of weights to the types that its library `gguf` only reads: Q2_K to Q6_K,
IQ4_NL, IQ4_XS, NVFP4, Q1_0.

The wheel `xllamacpp` carries llama.cpp, and exports ggml's functions, which ctypes calls: what
`llama-quantize` calls, too, so that files are the same bit for bit.
"""

import ctypes
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec

import numpy as np

from host.errors import UserError


__all__ = ["quantize"]


PACKAGE = "xllamacpp"


@cache
def library() -> ctypes.CDLL:
    """ggml's functions, whose arguments are declared."""
    package = find_spec(PACKAGE)  # does not import it, which would load a server
    module = package and PathFinder.find_spec(PACKAGE, package.submodule_search_locations)
    if module is None or module.origin is None:
        raise UserError(
            f"{PACKAGE}: the library must be installed to round weights to this type; run "
            "`make install FOR=quantize`, or pip install 'headrace[quantize]'"
        )
    try:
        ggml = ctypes.CDLL(module.origin)
        ggml.ggml_quantize_init.argtypes = [ctypes.c_int]
        ggml.ggml_quantize_init.restype = None
        ggml.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
        ggml.ggml_row_size.restype = ctypes.c_size_t
        ggml.ggml_quantize_chunk.argtypes = [
            ctypes.c_int,
            *[ctypes.c_void_p] * 2,  # weights, blocks
            *[ctypes.c_int64] * 3,  # first weight, rows, weights of a row
            ctypes.c_void_p,  # importances of columns, or none
        ]
        ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    except (OSError, AttributeError) as error:
        raise UserError(
            f"{module.origin}: must be llama.cpp's library, it cannot be used: {error}; run "
            "`make install FOR=quantize`"
        ) from None
    return ggml


def quantize(weights: np.ndarray, number: int) -> np.ndarray:
    """Round weights to the type that GGUF has the number of.

    Parameters
    ----------
    weights : float32 (rows, K)
        Finite; K is a multiple of the type's block.

    Returns
    -------
    uint8 (rows, bytes of a row)
    """
    ggml, weights = library(), np.ascontiguousarray(weights, np.float32)
    rows, depth = weights.shape
    blocks = np.zeros((rows, ggml.ggml_row_size(number, depth)), np.uint8)
    ggml.ggml_quantize_init(number)
    written = ggml.ggml_quantize_chunk(
        number, weights.ctypes.data, blocks.ctypes.data, 0, rows, depth, None
    )
    if written != blocks.nbytes:
        raise AssertionError(f"ggml must write {blocks.nbytes} bytes, not {written}")
    return blocks
