import pytest

from rtl.spec import csr
from rtl.spec.csr import (
    BEST,
    COUNTER_PLACES,
    COUNTERS,
    EVENT_COUNTERS,
    IDENTITY,
    REGISTER_ADDRESS_BITS,
    REGISTERS,
    TOKENS,
    FaultCode,
)


def addresses(register):
    return range(register.address, register.address + 4 * register.count, 4)


def test_no_overlap():
    taken = [a for r in REGISTERS.values() for a in addresses(r)]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("name", REGISTERS)
def test_address(name):
    register = REGISTERS[name]
    assert register.name == name
    assert register.count >= 1
    for address in addresses(register):
        assert address % 4 == 0
        assert 0 <= address <= (1 << REGISTER_ADDRESS_BITS) - 4


@pytest.mark.parametrize("name", REGISTERS)
def test_access(name):
    assert REGISTERS[name].access in ("r", "w", "rw")


def test_counters():
    """The host reads each as one word, and no two count the same."""
    assert {"WEIGHT_BEATS", "STARVED"} <= set(EVENT_COUNTERS)
    assert len(set(EVENT_COUNTERS.values())) == len(EVENT_COUNTERS)
    assert all(
        (REGISTERS[name].access, REGISTERS[name].count) == ("r", 1) for name in EVENT_COUNTERS
    )


def test_counters_of_cycles():
    """Each has a place of its own in COUNTER, and each kind of a unit is of one that is busy."""
    assert list(COUNTERS.values()) == list(range(len(COUNTERS)))
    assert len(COUNTERS) <= COUNTER_PLACES == REGISTERS["COUNTER"].count
    units = {name.partition("_")[0] for name in COUNTERS if not name.endswith("_beats")}
    assert {f"{unit}_busy" for unit in units} <= set(COUNTERS)
    rows = list(csr.counters_markdown())[2:]
    assert [row.split("`")[1] for row in rows] == list(COUNTERS)
    assert all(row.count("|") == 5 for row in rows)


def test_identity():
    assert IDENTITY.to_bytes(4, "little") == b"HEAD"
    assert f"{IDENTITY:#x}" in REGISTERS["IDENTITY"].doc.lower()


def test_counts():
    assert REGISTERS["TOKEN"].count == TOKENS
    assert REGISTERS["BEST"].count == 2 * BEST


def test_fault_codes():
    assert FaultCode.NONE == 0
    assert [code.value for code in FaultCode] == list(range(len(FaultCode)))


def test_markdown():
    head, rule, *rows = csr.markdown()
    assert head.count("|") == rule.count("|")
    assert len(rows) == len(REGISTERS)
    for row, register in zip(rows, REGISTERS.values()):
        assert row.count("|") == head.count("|"), "a | in a register's doc breaks the table"
        assert row.startswith(f"| {register.address:#05x}")
        assert f"| `{register.name}` | {register.access} | {register.doc} |" in row
    assert any(row.startswith("| 0x200-0x3fc |") for row in rows)
