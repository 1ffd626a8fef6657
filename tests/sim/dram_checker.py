"""Checks a trace of DRAM commands against the timing rules, one pair of commands at a time.

Written from the rules, not from the model: for each command all earlier ones that could forbid it
are looked up.
"""

ACT, PRE, RD, WR, REF = range(5)


def violations(p, trace):
    """Yield what is wrong with `trace`, a list of (cycle, command, group, bank, row, column)."""
    data = p.bl // 2
    open_rows, last = {}, {}  # last: (command, group, bank) or coarser -> cycle
    activates, previous = [], -1

    def since(*key):
        return cycle - last.get(key, -(10**9))

    for cycle, command, group, bank, row, column in trace:
        rules = []
        if cycle <= previous:
            yield f"cycle {cycle}: two commands in a cycle"
        previous = cycle
        if since(REF) < p.rfc:
            yield f"cycle {cycle}: command within tRFC"
        if command == ACT:
            if (group, bank) in open_rows:
                yield f"cycle {cycle}: activate of an open bank"
            open_rows[group, bank] = row
            rules = [
                ("tRC", since(ACT, group, bank), p.rc),
                ("tRP", since(PRE, group, bank), p.rp),
                ("tRRD_L", since(ACT, group), p.rrd_l),
                ("tRRD_S", since(ACT), p.rrd_s),
            ]
            if len(activates) >= 4:
                rules += [("tFAW", cycle - activates[-4], p.faw)]
            activates.append(cycle)
        elif command == PRE:
            if open_rows.pop((group, bank), None) is None:
                yield f"cycle {cycle}: precharge of a closed bank"
            rules = [
                ("tRAS", since(ACT, group, bank), p.ras),
                ("tRTP", since(RD, group, bank), p.rtp),
                ("tWR", since(WR, group, bank), p.cwl + data + p.wr),
            ]
        elif command in (RD, WR):
            if open_rows.get((group, bank)) != row:
                yield f"cycle {cycle}: column access to a row that is not open"
            rules = [
                ("tRCD", since(ACT, group, bank), p.rcd),
                ("tCCD_L", since(command, group), p.ccd_l),
                ("tCCD_S", since(command), p.ccd_s),
            ]
            if command == RD:
                rules += [
                    ("tWTR_L", since(WR, group), p.cwl + data + p.wtr_l),
                    ("tWTR_S", since(WR), p.cwl + data + p.wtr_s),
                ]
            else:
                rules += [("bus turnaround", since(RD), p.cl + data + 2 - p.cwl)]
        elif command == REF:
            if open_rows:
                yield f"cycle {cycle}: refresh with open banks"
            rules = [("tRP before refresh", since(PRE), p.rp)]
        for name, have, need in rules:
            if have < need:
                yield f"cycle {cycle}: {name} is {need}, but only {have} passed"
        for key in ((command,), (command, group), (command, group, bank)):
            last[key] = cycle
    if p.refi:
        refreshes = [t[0] for t in trace if t[1] == REF]
        for n, cycle in enumerate(refreshes):
            if not 0 <= cycle - (n + 1) * p.refi < p.refi // 2:
                yield f"refresh {n} in cycle {cycle}"
