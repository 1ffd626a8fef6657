"""What lies behind an image in DRAM does not matter: a board is not given zeros there, and a later
conversation finds the KV cache of an earlier one."""

import numpy as np
import pytest

from .devices import pair, same_step


@pytest.mark.seconds(10)
@pytest.mark.parametrize("name", ["small", "wide"])
def test_behind_the_image(name):
    sim, model = pair(name)
    used = len(model.image.memory)
    random = np.random.default_rng(1)
    sim.memory[used:] = random.integers(0, 256, len(sim.memory) - used)
    assert len(sim.memory) > used and model.machine.memory[used:].max() == 0
    # Beyond a block of the KV cache.
    for position in range(36):
        same_step(sim, model, [position % 50 + 3], position, position % 7 == 0)
    sim.close()
