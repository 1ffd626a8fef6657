"""Layouts of quantized folders: what quantizers write, and what of it the machine keeps.

=============================  =================================================================
`quant_method`                 becomes
=============================  =================================================================
none                           S8 or U1 to U4, rounded
headrace                       its own format, the file's integers
gptq of 2 to 4 bits, awq       U2, U3, U4, the file's codes
gptq of 8 bits                 S8, the file's codes; rounded where they are no bytes less their
                               zero points
compressed-tensors             as gptq: U2 to U4 of up to 4 bits, S8 of more
bitnet                         TERNARY, the file's weights
mxfp4                          S8, twice the numbers of E2M1; exact
=============================  =================================================================

Scales of larger groups, or of rows, are repeated for each 32 weights. Modules that a quantizer left
as floats are rounded as without it.

With GPTQ's `desc_act`, neighbouring columns have scales of different groups, which the machine does
not have: such matrices become S8, rounded. Activations are rounded by the machine's own rule,
whatever a file says of them.

Each layout is a class in a file of this folder (:class:`~.layout.Layout` says what it must do),
which nothing else lists. `tests/mapper/read/test_hf_quantized.py` finds it.
"""

from importlib import import_module
from pkgutil import iter_modules

from host.errors import UserError

from ..bounds import brief
from .layout import LAYOUTS, Layout, Matrix


__all__ = ["LAYOUTS", "Layout", "Matrix", "layout_of"]


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def layout_of(folder) -> Layout:
    """The layout of a :class:`~mapper.read.hf_folder.Folder`'s matrices."""
    about = folder.config.get("quantization_config")
    method = about.get("quant_method") if isinstance(about, dict) else about
    if about is not None and (not isinstance(method, str) or method not in LAYOUTS):
        known = ", ".join(sorted(name for name in LAYOUTS if name))
        raise UserError(
            f"{folder.file}: 'quant_method' must be one of {known}, not {brief(method)}; "
            "take this model's float weights instead"
        )
    return LAYOUTS[method](folder)
