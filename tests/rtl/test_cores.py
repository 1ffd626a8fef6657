# amaranth: UnusedElaboratable=no

import pytest

from rtl.spec.config import CONFIGS, CORES
from rtl.cores import CLASSES, create


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        create("small")


@pytest.mark.parametrize("name", CONFIGS)
def test_create(name):
    core = create(CONFIGS[name])
    assert type(core).__name__ == CLASSES[CONFIGS[name].core]
    assert core.config is CONFIGS[name]
    assert {fmt.name for fmt in core.native} <= set(CORES[CONFIGS[name].core])


def test_all_cores_have_classes():
    assert set(CLASSES) == set(CORES)
