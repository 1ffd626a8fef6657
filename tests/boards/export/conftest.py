"""The exported Verilog, made once: it takes longer than all that looks at it."""

import pytest

from boards.export.write import kernel_verilog
from headrace.studies.small_boards.parts import smallest


@pytest.fixture(scope="session")
def kernel():
    """Configuration, and text."""
    config = smallest("lut")
    return config, kernel_verilog(config)
