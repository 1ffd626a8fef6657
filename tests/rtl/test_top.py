# amaranth: UnusedElaboratable=no

import pytest

from host.configurations import named
from rtl.bus.axi import AXI4, AXI4Lite
from rtl.top import Accelerator


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        Accelerator("small")


@pytest.mark.parametrize("name", named())
def test_ports_are_axi(name):
    """Under the names by which vendors' tools group them into buses."""
    ports = set(Accelerator(named()[name]).signature.members)
    assert ports == {
        "activity",
        *(f"m_axi_{n}" for n in AXI4(40, 128, 4).members),
        *(f"s_axi_{n}" for n in AXI4Lite(12).members),
    }
