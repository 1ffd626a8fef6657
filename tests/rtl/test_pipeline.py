# amaranth: UnusedElaboratable=no

import os
import subprocess
import sys

import pytest

from host.configurations import named
from rtl.linear.pipeline import LinearPipeline
from sim.tools import ROOT


VERILOG = """
from amaranth.back import verilog
from rtl.spec.config import get
from rtl.linear.pipeline import LinearPipeline
print(verilog.convert(LinearPipeline(get("{}")), strip_internal_attrs=True))
"""


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        LinearPipeline("small")


@pytest.mark.parametrize("name", named())
def test_lanes_of_core_and_scaler_agree(name):
    pipeline = LinearPipeline(named()[name])
    assert pipeline.core.sums.p.shape() == pipeline.scaler.i.p.shape()["sums"].shape


@pytest.mark.seconds(5)
@pytest.mark.parametrize("name", [name for name in named() if name.startswith("small")])
def test_verilog_is_always_the_same(name):
    """Sets of formats have another order in every process: a build would never be found again."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", VERILOG.format(name)],
            cwd=ROOT,
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
            timeout=300,
        ).stdout
        for seed in "123"
    }
    assert len(texts) == 1
