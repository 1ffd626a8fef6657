"""Build report: JSON for programs, a table for people, and the difference to an earlier one."""

from rich.table import Table


__all__ = ["RESOURCES", "describe", "missed", "changed", "table"]


# What is reported of an FPGA, and what nextpnr calls it.
RESOURCES = {
    "LUT4": "TRELLIS_COMB",
    "FF": "TRELLIS_FF",
    "MULT18": "MULT18X18D",
    "BRAM": "DP16KD",
    "PLL": "EHXPLLL",
    "IO": "TRELLIS_IO",
}
# How far a build may be from its baseline: changes of the design elsewhere move placement, and
# clocks with it.
MORE_CELLS = 1.03  # of LUTs and flip-flops; of all others there may be no more
LESS_CLOCK = 0.92


def describe(board, routed, *, machine, seed, seconds, size, digest):
    """A build's report: plain values, by name.

    Parameters
    ----------
    board : :class:`~.board.Board`
        Board.
    routed : :class:`dict`
        nextpnr's own report.
    machine : :class:`bool`
        Whether it has the accelerator.
    seed : :class:`int`
        Of placement.
    seconds : :class:`dict`
        Time of each step, by its name.
    size : :class:`int`
        Bytes of the bitstream.
    digest : :class:`str`
        What is different for each different bitstream.
    """
    config, clocks = board.config, routed["fmax"]
    cells = {name: routed["utilization"][cell] for name, cell in RESOURCES.items()}
    return {
        "board": board.name,
        "device": board.dram.device,
        "machine": machine,
        "core": config.core,
        "formats": list(config.formats),
        "beat_bits": config.beat_bits,
        "columns": config.columns,
        "lanes": config.lanes,
        "queries": config.queries,
        "fmax_mhz": {clean(name): round(clock["achieved"], 2) for name, clock in clocks.items()},
        "target_mhz": {
            clean(name): round(clock["constraint"], 2) for name, clock in clocks.items()
        },
        "limits": limits(routed),
        "resources": {
            name: {"used": cell["used"], "available": cell["available"]}
            for name, cell in cells.items()
        },
        "bitstream_bytes": size,
        "seed": seed,
        "seconds": seconds,
        "digest": digest,
    }


def clean(net):
    """Name of a clock, of the net that has it."""
    return net.removeprefix("$glbnet$")


def limits(routed):
    """By clock, the longest of its paths: where it begins and ends, and how long signals and logic
    take.
    """
    found = {}
    for path in routed.get("critical_paths", ()):
        (edge, begin), (_, end) = (
            path[side].split(" ", 1) if " " in path[side] else ("", path[side])
            for side in ("from", "to")
        )
        if begin != end or not edge:
            continue
        steps = path["path"]
        routing = sum(step["delay"] for step in steps if step["type"] == "routing")
        found[clean(begin)] = {
            "from": steps[0]["from"]["cell"],
            "to": steps[-1]["to"]["cell"],
            "routing_ns": round(routing, 2),
            "logic_ns": round(sum(step["delay"] for step in steps) - routing, 2),
        }
    return found


def missed(report):
    """Yield a line for each clock that does not reach its target."""
    for name, target in report["target_mhz"].items():
        fmax = report["fmax_mhz"][name]
        if fmax < target:
            path = report["limits"].get(name)
            where = f": the path from {path['from']} to {path['to']} is too long" if path else ""
            yield f"clock {name} reaches {fmax:.1f} MHz, not its {target:.1f} MHz{where}"


def changed(report, baseline):
    """Yield a line for all that is worse than in an earlier report, by more than placement's
    moods.
    """
    for name, before in baseline["resources"].items():
        used = report["resources"][name]["used"]
        most = before["used"] * (MORE_CELLS if name in ("LUT4", "FF") else 1)
        if used > most:
            yield f"{used:,} {name}, where {before['used']:,} were used before"
    for name, before in baseline["fmax_mhz"].items():
        if name not in report["fmax_mhz"]:
            yield f"there is no clock {name} any more"
        elif report["fmax_mhz"][name] < LESS_CLOCK * before:
            yield (
                f"clock {name} reaches {report['fmax_mhz'][name]:.1f} MHz, where it reached "
                f"{before:.1f} MHz before"
            )


def table(report, baseline=None):
    """A table of a report, beside an earlier one's figures if there are any."""
    out = Table(box=None, pad_edge=False)
    columns = "", "used", "of", "", "baseline"
    for name in columns[: 5 if baseline else 4]:
        out.add_column(name, justify="right" if name or out.columns else "left")

    def row(name, used, of, share, before):
        out.add_row(*[name, used, of, share, before][: len(out.columns)])

    for name, cells in report["resources"].items():
        before = baseline and baseline["resources"].get(name, {}).get("used")
        row(
            name,
            f"{cells['used']:,}",
            f"{cells['available']:,}",
            f"{cells['used'] / cells['available']:.0%}",
            "" if before is None else f"{before:,}",
        )
    for name, fmax in report["fmax_mhz"].items():
        target = report["target_mhz"][name]
        before = baseline and baseline["fmax_mhz"].get(name)
        row(
            f"{name}, MHz",
            f"{fmax:.1f}",
            f"{target:.1f}",
            "" if fmax >= target else "missed",
            "" if before is None else f"{before:.1f}",
        )
    for name, seconds in report["seconds"].items():
        before = baseline and baseline["seconds"].get(name)
        row(f"{name}, s", f"{seconds:.0f}", "", "", "" if before is None else f"{before:.0f}")
    return out
