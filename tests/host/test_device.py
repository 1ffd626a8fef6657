"""What all devices with registers do alike."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from host.device import DeviceFault, RegisterDevice
from rtl.spec.config import get
from rtl.spec.csr import BEST, EVENT_COUNTERS, REGISTERS, FaultCode

from .images import small_image


class Registers(RegisterDevice):
    """A device that is done at once, and has best logits in its registers."""

    def __init__(self, config, best):
        super().__init__(config)
        first, self.done = REGISTERS["BEST"].address, 0
        self.words = {first + 4 * n: word for n, word in enumerate(np.ravel(best).tolist())}

    def read(self, address):
        return self.done if address == REGISTERS["STATUS"].address else self.words.get(address, 0)

    def write(self, address, value):
        if address == REGISTERS["CONTROL"].address:
            self.done = 2 * (value & 1)


@pytest.mark.parametrize("vocab", [1, 2, 63, 64, 65, 49152])
def test_step_offers_tokens_only(vocab):
    """Not what fills the list of best logits up."""
    found = min(vocab, BEST)
    best = np.full((BEST, 2), (0xFF7FFFFF, 0), np.uint32)
    best[:found, 0], best[:found, 1] = 0x40000000 - np.arange(found), np.arange(found)[::-1]
    device = Registers(get("small"), best)
    device.image = SimpleNamespace(vocab=vocab, model={"logit_cap": 0.0})
    step = device.step([1], 0, True)
    assert step.ids.tolist() == list(range(found))[::-1]
    assert step.logits.view(np.uint32).tolist() == best[:found, 0].tolist()
    assert not len(device.step([1], 0, False).ids)


@pytest.mark.parametrize(
    "nodes, of",
    [
        ([("layer / q", 1), ("head", 2)], {0: " of layer / q", 1: " of head", 2: ""}),
        ([], {0: "", 1: "", 2: ""}),
    ],
)
def test_faults_name_the_node(nodes, of):
    """Of the instruction, where the image has its name."""
    for pc, text in of.items():
        device = Registers(get("small"), np.zeros((BEST, 2), np.uint32))
        device.image = replace(small_image(), nodes=nodes)
        device.words |= {
            REGISTERS["FAULT_CODE"].address: FaultCode.BUS.value,
            REGISTERS["FAULT_PC"].address: pc,
            REGISTERS["FAULT_INFO"].address: 3,
        }
        with pytest.raises(
            DeviceFault, match=f"^fault BUS, info 0x3, at instruction {pc}{of[pc]}: "
        ) as caught:
            device.fault()
        assert caught.value.node == (text.removeprefix(" of ") or None)


@pytest.mark.parametrize("cycles", [0, (1 << 32) - 1, 1 << 32, (5 << 32) + 7, (1 << 64) - 1])
def test_cycles_have_two_words(cycles):
    device = Registers(get("small"), np.zeros((BEST, 2), np.uint32))
    at = REGISTERS["CYCLES"].address
    device.words |= {at: cycles & 0xFFFFFFFF, at + 4: cycles >> 32}
    most = (1 << 32) - 1
    device.words |= {
        REGISTERS["WEIGHT_BEATS"].address: most,
        REGISTERS["STARVED"].address: most - 1,
    }
    device.image = SimpleNamespace(vocab=1, model={"logit_cap": 0.0})
    for head in (False, True):
        step = device.step([1], 0, head)
        assert (step.cycles, step.weight_beats, step.starved) == (cycles, most, most - 1)
        assert step.counts.keys() == EVENT_COUNTERS.keys()
