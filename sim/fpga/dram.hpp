// Timing model of a DRAM channel: when commands may be issued, not what the data are.
// rtl/spec/dram.py describes the parameters and address maps, rtl/spec/drams/NAME.toml has the values.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "dram_params.hpp"

class Dram {
public:
    enum Command : uint8_t { ACT, PRE, RD, WR, REF };
    struct Event {              // One command, for the trace.
        int64_t cycle;
        int32_t command, group, bank, row, column;
    };
    struct Done {               // A read whose last transfer has arrived.
        int64_t cycle;
        uint32_t tag;
    };

    const DramParams p;
    std::deque<Done> done;      // In the order of arrival.
    std::vector<Event> trace;
    bool tracing = false;
    int64_t now = 0, reads = 0, writes = 0, activates = 0, refreshes = 0;
    // Where the clocks went in which the data bus carried nothing, up to the last transfer: nothing
    // was asked for; or the next transfer waited for a refresh, for its row to be opened, for the
    // bus to turn round, or for the bursts before it in its group.
    int64_t idle = 0, refreshing = 0, opening = 0, turning = 0, spacing = 0;
    int64_t conflicts = 0;      // activates of a bank that had another row open

    explicit Dram(const DramParams &params)
        : p(params), banks(1u << (p.group_bits + p.bank_bits)), next_refresh(p.refi) {}

    // `idle`, and what may be idle since the last transfer.
    int64_t unused() const { return idle + unasked; }
    bool full() const { return int(queue.size()) >= p.queue; }
    bool empty() const { return queue.empty(); }

    // Enqueue the burst with number `index`. The tag of a read comes back in `done`.
    void push(uint64_t index, bool write, uint32_t tag) {
        Request r;
        auto take = [&](int bits) {
            uint64_t v = index & ((1u << bits) - 1);
            index >>= bits;
            return int32_t(v);
        };
        if (p.mop) {
            r.column = take(2);
            r.group = take(p.group_bits);
            r.bank = take(p.bank_bits);
            r.column |= take(p.column_bits - 2) << 2;
            r.group ^= r.column & ((1 << p.group_bits) - 1);
            r.bank ^= (r.column >> p.group_bits) & ((1 << p.bank_bits) - 1);
        } else {
            r.column = take(p.column_bits);
            r.group = take(p.group_bits);
            r.bank = take(p.bank_bits);
        }
        r.row = int32_t(index);
        r.flat = r.group << p.bank_bits | r.bank;
        r.write = write;
        r.tag = tag;
        r.since = now;
        queue.push_back(r);
        wake = 0;
    }

    // Advance by one clock of the DRAM.
    void tick() {
        if (queue.empty() && now >= taken)
            unasked++;
        if (now >= wake || now >= next_refresh)
            schedule();
        now++;
    }

private:
    static constexpr int64_t NEVER = INT64_MAX / 4, LONG_AGO = -(1 << 20);
    static constexpr int64_t PATIENCE = 1000;  // A request this old is not overtaken in its bank.

    struct Request {
        uint64_t since;
        int32_t group, bank, flat, row, column;
        uint32_t tag;
        bool write;
    };
    struct Bank {
        int32_t row = -1;                      // -1: closed
        int64_t opened = LONG_AGO;
        bool conflict = false;                 // closed for another row
        int64_t act = 0, pre = 0, column = 0;  // earliest cycle of each command
    };

    std::vector<Bank> banks;
    std::vector<Request> queue;                // oldest first
    int64_t next_refresh, wake = 0;
    int64_t taken = 0;          // the clock after the last transfer's, as seen by commands
    int64_t unasked = 0;        // clocks since then without a request
    int64_t refreshed = LONG_AGO;
    bool wrote = false;         // the last transfer was a write
    int64_t acts[4] = {LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};  // the last four, oldest first
    int64_t last_act = LONG_AGO, last_read = LONG_AGO, last_write = LONG_AGO;
    // Per group.
    int64_t act_in[16] = {LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO,
                          LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};
    int64_t read_in[16] = {LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO,
                           LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};
    int64_t write_in[16] = {LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO,
                            LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};

    int64_t column_time(const Request &r) const {
        const int data = p.bl / 2;
        int64_t t = banks[r.flat].column;
        if (r.write) {
            t = std::max({t, last_write + p.ccd_s, write_in[r.group] + p.ccd_l});
            // The bus needs two cycles to turn round.
            return std::max(t, last_read + p.cl + data + 2 - p.cwl);
        }
        t = std::max({t, last_read + p.ccd_s, read_in[r.group] + p.ccd_l});
        return std::max({t, last_write + p.cwl + data + p.wtr_s, write_in[r.group] + p.cwl + data + p.wtr_l});
    }

    int64_t act_time(const Request &r) const {
        return std::max({banks[r.flat].act, last_act + p.rrd_s, act_in[r.group] + p.rrd_l, acts[0] + p.faw});
    }

    void note(Command command, int group, int bank, int row, int column) {
        if (tracing)
            trace.push_back({now, command, group, bank, row, column});
    }

    void schedule() {
        wake = NEVER;
        if (p.refi && now >= next_refresh) {
            refresh();
            return;
        }

        // First ready: the oldest request whose row is open and whose turn on the bus has come.
        uint64_t seen = 0, wanted = 0;  // banks that have an older request, open rows still in use
        bool impatient = !queue.empty() && now - int64_t(queue[0].since) > PATIENCE;
        for (size_t n = 0; n < queue.size(); n++) {
            const Request &r = queue[n];
            Bank &bank = banks[r.flat];
            if (bank.row != r.row || (impatient && n && r.flat == queue[0].flat))
                continue;
            wanted |= 1ull << r.flat;
            int64_t t = column_time(r);
            if (t <= now) {
                column(n);
                wake = now + 1;
                return;
            }
            wake = std::min(wake, t);
        }
        // Then first come: prepare the bank of the oldest request that needs it.
        for (const Request &r : queue) {
            Bank &bank = banks[r.flat];
            uint64_t bit = 1ull << r.flat;
            if (seen & bit)
                continue;
            seen |= bit;
            if (bank.row == r.row)
                continue;
            if (bank.row < 0) {
                int64_t t = act_time(r);
                if (t <= now) {
                    activate(r);
                    wake = now + 1;
                    return;
                }
                wake = std::min(wake, t);
            } else if (!(wanted & bit)) {
                if (bank.pre <= now) {
                    precharge(r.flat);
                    bank.conflict = true;
                    wake = now + 1;
                    return;
                }
                wake = std::min(wake, bank.pre);
            }
        }
    }

    void column(size_t n) {
        const Request r = queue[n];
        Bank &bank = banks[r.flat];
        const int data = p.bl / 2;
        note(r.write ? WR : RD, r.group, r.bank, r.row, r.column);
        account(r.write, bank.opened);
        if (r.write) {
            last_write = write_in[r.group] = now;
            bank.pre = std::max(bank.pre, now + p.cwl + data + p.wr);
            writes++;
        } else {
            last_read = read_in[r.group] = now;
            bank.pre = std::max(bank.pre, now + p.rtp);
            done.push_back({now + p.cl + data + p.latency, r.tag});
            reads++;
        }
        queue.erase(queue.begin() + n);
    }

    // Say why the bus carried nothing between the last transfer and the one of this clock.
    void account(bool write, int64_t opened) {
        int64_t gap = now - taken;
        if (gap > 0) {
            int64_t &cause = refreshed >= taken ? refreshing
                : opened >= taken - p.rcd       ? opening
                : write != wrote                ? turning
                                                : spacing;
            unasked = std::min(unasked, gap);
            idle += unasked;
            cause += gap - unasked;
        }
        taken = now + p.bl / 2;
        unasked = 0;
        wrote = write;
    }

    void activate(const Request &r) {
        Bank &bank = banks[r.flat];
        note(ACT, r.group, r.bank, r.row, 0);
        bank.row = r.row;
        bank.opened = now;
        conflicts += bank.conflict;
        bank.conflict = false;
        bank.column = now + p.rcd;
        bank.pre = now + p.ras;
        bank.act = now + p.rc;
        std::copy(acts + 1, acts + 4, acts);
        acts[3] = last_act = act_in[r.group] = now;
        activates++;
    }

    void precharge(int flat) {
        Bank &bank = banks[flat];
        note(PRE, flat >> p.bank_bits, flat & ((1 << p.bank_bits) - 1), bank.row, 0);
        bank.row = -1;
        bank.act = std::max(bank.act, now + p.rp);
    }

    // Every `refi` cycles: precharge all banks, then REF, which keeps them for `rfc`.
    void refresh() {
        int64_t ready = now;
        bool open = false;
        for (size_t flat = 0; flat < banks.size(); flat++) {
            if (banks[flat].row >= 0) {
                open = true;
                if (banks[flat].pre <= now) {
                    precharge(int(flat));
                    return;
                }
            }
            ready = std::max(ready, banks[flat].act);
        }
        // Row cycle and precharge times are in `act` of each bank.
        if (open || ready > now)
            return;
        note(REF, 0, 0, 0, 0);
        for (Bank &bank : banks)
            bank.act = now + p.rfc;
        next_refresh += p.refi;
        refreshed = now;
        refreshes++;
        wake = now + 1;
    }
};
