"""The DRAM beside an accelerator: when the beats of a burst are on the bus."""

from rtl.spec.dram import Dram


__all__ = ["Memory"]


LONG_AGO = -(1 << 20)
TURN = 2  # clocks in which the bus turns from reads to writes
ANSWER = 1  # a beat that arrived is on the bus in the next cycle


class _Bank:
    __slots__ = ("row", "open_at", "close_at", "act_at")

    def __init__(self):
        self.row = -1  # closed
        self.open_at = self.close_at = self.act_at = float(LONG_AGO)


class Memory:
    """Times of bursts, in cycles of the accelerator, in the order in which they are asked for.

    A burst's grains, what the DRAM moves at once, follow each other on its data bus. Rows are
    opened ahead, as far as the scheduler's queue reaches; a refresh closes all banks. A write waits
    for its row while reads go on, and then turns the bus round twice.

    Parameters
    ----------
    dram : :class:`~rtl.spec.dram.Dram`
    beat_bytes : :class:`int`
    clock_mhz : :class:`float`
        Of the accelerator.

    Attributes
    ----------
    refreshes, activates, turns : :class:`int`
        Counts so far.
    """

    def __init__(self, dram: Dram, beat_bytes: int, clock_mhz: float):
        self.dram, self.beat_bytes = dram, beat_bytes
        self.clocks = 1.0 if dram.ideal else 1e6 / clock_mhz / dram.ck_ps  # of a cycle
        self.data = dram.bl / 2  # clocks of a grain on the bus
        self.gap = max(self.data, dram.ccd_s)
        self.row_grains = 1 << dram.column_bits + dram.group_bits + dram.bank_bits  # of all banks
        self.sweep = 4 << dram.group_bits + dram.bank_bits  # grains over all banks, with `mop`
        self.banks = [_Bank() for _ in range(1 << dram.group_bits + dram.bank_bits)]
        # The first refresh is due at any time: in the middle.
        self.next_refresh = dram.refi / 2
        self.next_read = self.last_read = self.last_write = float(LONG_AGO)
        self.acts = [float(LONG_AGO)] * 4
        self.writes: list[tuple[float, _Bank]] = []
        self.bus_free = 0.0  # cycle
        # With consecutive grains in all banks: the row that all have open, and when the last one
        # may be closed.
        self.whole_row, self.whole_close = -1, float(LONG_AGO)
        self.refreshes = self.activates = self.turns = 0

    def read(self, cycle: float, address: int, beats: int) -> tuple[float, float]:
        """Cycles in which the first and the last beat of a burst that is asked for in a cycle are
        on the bus.
        """
        if self.dram.ideal:
            first = max(cycle + self.dram.latency + ANSWER, self.bus_free)
            last = first + beats - 1
        else:
            first, last = self._read(cycle * self.clocks, address, beats)
            first = max(first / self.clocks + ANSWER, self.bus_free)
            last = max(last / self.clocks + ANSWER, first + beats - 1)
        self.bus_free = last + 1
        return first, last

    def write(self, cycle: float, address: int) -> None:
        """Write a unit."""
        if not self.dram.ideal:
            grain = address // self.dram.burst_bytes
            bank, row, _ = self._place(grain, 1)
            now = cycle * self.clocks
            self._open(bank, row, grain, now)
            self.writes.append((max(now, bank.open_at), bank))

    def _place(self, grain: int, count: int):
        """Bank and row of a grain, and how many of the `count` from it on lie in that row and bank,
        in a row.
        """
        dram = self.dram
        index, part = grain, min(dram.column_bits, 2) if dram.mop else dram.column_bits
        column = index & (1 << part) - 1
        index >>= part
        run = min(count, (1 << part) - column)
        group = index & (1 << dram.group_bits) - 1
        index >>= dram.group_bits
        bank = index & (1 << dram.bank_bits) - 1
        index >>= dram.bank_bits
        if dram.mop:
            upper = index & (1 << dram.column_bits - part) - 1
            index >>= dram.column_bits - part
            # What they are XORed with has these of the column's bits.
            column |= upper << part
            group ^= column & (1 << dram.group_bits) - 1
            bank ^= column >> dram.group_bits & (1 << dram.bank_bits) - 1
            run = 1
        return self.banks[group << dram.bank_bits | bank], index, run

    def _read(self, now: float, address: int, beats: int) -> tuple[float, float]:
        dram, grain_bytes = self.dram, self.dram.burst_bytes
        grain = address // grain_bytes
        end = (address + beats * self.beat_bytes - 1) // grain_bytes + 1
        of_beat = (address + self.beat_bytes - 1) // grain_bytes - grain  # grains after its first
        after = dram.cl + self.data + dram.latency
        first, at, start = None, grain, now
        while at < end:
            bank, row, run = self._place(at, end - at)
            whole = dram.mop and row == self.whole_row
            if whole:
                run = min(end, (row + 1) * self.row_grains) - at
            start = self._column(bank, row, at, now)
            whole = whole and row == self.whole_row  # unless a refresh closed it
            run = run if whole or not dram.mop else 1
            if dram.refi:
                run = min(run, max(1, int((self.next_refresh - start) / self.gap) + 1))
            if first is None:
                first = start + of_beat * self.gap + after
            self.last_read = start + (run - 1) * self.gap
            self.next_read = start + run * self.gap
            bank.close_at = max(bank.close_at, self.last_read + dram.rtp)
            if whole:
                self.whole_close = bank.close_at
            at += run
        if dram.mop and all(bank.row == row for bank in self.banks):
            self.whole_row = row
        assert first is not None
        return first, self.last_read + after

    def _column(self, bank: _Bank, row: int, at: int, now: float) -> float:
        """Clock of the read of a row of a bank that is asked for at a clock."""
        dram = self.dram
        while True:
            self._write_ready(now)
            enters = max(now, self.next_read - dram.queue * self.gap)
            self._open(bank, row, at, enters)
            start = max(self.next_read, enters, bank.open_at)
            if self.last_write > self.last_read:
                start = max(start, self.last_write + dram.cwl + self.data + dram.wtr_l)
            if not dram.refi or start < self.next_refresh:
                return start
            self._refresh()

    def _open(self, bank: _Bank, row: int, at: int, enters: float) -> None:
        if bank.row == row:
            return
        dram = self.dram
        if bank.row >= 0:
            # One after the other, they were used for the last time when the row ended.
            used = self.whole_close - self.gap * (self.sweep - at % self.sweep)
            closes = max(enters, bank.close_at, used)
            bank.act_at = max(bank.act_at, closes + dram.rp)
            self.whole_row = -1
        act = max(enters, bank.act_at, self.acts[-1] + dram.rrd_s, self.acts[0] + dram.faw)
        self.acts = [*self.acts[1:], act]
        bank.row, bank.open_at, bank.close_at = row, act + dram.rcd, act + dram.ras
        bank.act_at = act + dram.rc
        self.activates += 1

    def _write_ready(self, now: float) -> None:
        """Do the writes whose rows are open by the next read."""
        dram = self.dram
        while self.writes and self.writes[0][0] <= max(now, self.next_read):
            ready, bank = self.writes.pop(0)
            self.turns += self.last_read > self.last_write
            turned = self.last_read + dram.cl + self.data + TURN - dram.cwl
            start = max(ready, self.last_write + self.gap, turned)
            self.last_write = start
            bank.close_at = max(bank.close_at, start + dram.cwl + self.data + dram.wr)

    def _refresh(self) -> None:
        """Close the banks, one a clock, and refresh."""
        dram, banks = self.dram, [bank for bank in self.banks if bank.row >= 0]
        start = max([self.next_refresh, *(bank.act_at for bank in self.banks)])
        if banks:
            closed = max(self.next_refresh + len(banks), self.whole_close)
            closed = max(closed, *(bank.close_at for bank in banks))
            start = max(start, closed + dram.rp)
        for bank in self.banks:
            bank.row, bank.act_at = -1, start + dram.rfc
        self.whole_row = -1
        self.next_refresh = max(self.next_refresh + dram.refi, start)
        self.refreshes += 1
