"""`python -m headrace.studies.utilization`: what it counts."""

from types import SimpleNamespace

import pytest

from headrace.studies.utilization import LAYERS, share
from rtl.spec.isa import WeightFormat
from sim.models.configs import of_files


@pytest.mark.parametrize("busy", [1.0, 0.5])
def test_share(busy):
    """Of a machine that takes so many of the beats, whatever else a token takes."""
    config, images = of_files("systolic"), []

    def step(tokens, position, head):
        assert (tokens, position, head) == ([3], 0, False)
        return SimpleNamespace(cycles=1000 + images[-1].weight_bytes / (busy * config.beat_bytes))

    device = SimpleNamespace(load=images.append, step=step)
    assert share(device, config, WeightFormat.FP4) == pytest.approx(busy)
    assert [image.model["layers"] for image in images] == list(LAYERS)
    assert {image.formats[-1] for image in images} == {"FP4"}
