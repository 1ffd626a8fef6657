// Behavioural SDR SDRAM: what it stores, and every limit on its commands. sdram.py describes the limits.
//
// Time is in picoseconds, and given by whoever drives the pins. The first violation is kept in `error`.
#pragma once
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "sdram_params.hpp"

struct SdramPins {
    bool cke, cs_n, ras_n, cas_n, we_n;
    uint8_t ba, dqm;      // lower byte's mask in bit 0
    uint16_t a;
    uint16_t dq;          // what the controller drives
    uint16_t drives;      // on which lines
    bool operator==(const SdramPins &) const = default;
};

class Sdram {
public:
    const SdramParams p;
    std::vector<uint16_t> memory;
    std::string error;
    uint64_t reads = 0, writes = 0, activates = 0, refreshes = 0;  // reads and writes: transfers

    explicit Sdram(const SdramParams &params)
        : p(params), memory(size_t(1) << (p.bank_bits + p.row_bits + p.column_bits)),
          banks(size_t(1) << p.bank_bits) {}

    // A rising edge of the clock.
    void edge(int64_t time, const SdramPins &pins) {
        now = time;
        if (edges++) {
            period = time - last_edge;
            if (loaded && period < (latency == 2 ? p.ck2 : p.ck3))
                limit("the clock's period", period, latency == 2 ? p.ck2 : p.ck3);
        }
        last_edge = time;
        before = out;
        out = lanes[edges % LANES];   // for the edge after this one
        lanes[edges % LANES] = {};
        if (mask_before == 3)
            out.valid = false;        // two clocks after it was asked for
        mask_before = pins.dqm;
        if (!pins.cke)
            return fail("CKE is low: power down and self refresh are not modelled");
        for (Bank &bank : banks)
            close_by_itself(bank);
        if (!pins.cs_n)
            command(pins);
        if (writing.left)
            write(pins);
        if (reading.left)
            read();
        if (time > next_due) {
            next_due += p.refresh;
            if (accessed && ++due > p.late)
                fail("refreshes: " + std::to_string(due) + " are due");
        }
    }

    // What it drives, and whether it does: garbage while its outputs change.
    bool drives(int64_t time, uint16_t &value) const {
        bool held = time < last_edge + p.oh;
        const Transfer &transfer = held ? before : out;
        bool ready = held || time >= last_edge + (latency == 2 ? p.ac2 : p.ac3);
        value = ready && transfer.valid ? transfer.data : GARBAGE;
        return before.valid || out.valid;
    }

    // The controller drives these lines: not those that the chip drives.
    void check_bus(int64_t time, uint16_t lines) {
        uint16_t value;
        now = time;
        if (lines && out.valid && time >= last_edge + p.oh && drives(time, value))
            fail("both drive the data lines");
    }

    void fail(const std::string &what) {
        if (error.empty()) {
            char at[32];
            std::snprintf(at, sizeof at, "%.3f us: ", double(now) / 1e6);
            error = at + what;
        }
    }

private:
    static constexpr int64_t NEVER = -1'000'000'000'000;
    static constexpr int LANES = 16;
    static constexpr uint16_t GARBAGE = 0xdead;

    struct Bank {
        bool open = false;
        uint16_t row = 0;
        int64_t activated = NEVER, precharged = NEVER, written = NEVER;
        int64_t closes = -1;          // by auto precharge; -1: not
    };
    struct Transfer {
        bool valid = false;
        uint16_t data = 0;
    };
    struct Burst {
        int left = 0, done = 0;
        uint32_t bank = 0, column = 0;
        bool precharge = false;
    };

    std::vector<Bank> banks;
    std::array<Transfer, LANES> lanes{};
    Transfer out, before;
    Burst reading, writing;
    int64_t now = 0, last_edge = 0, period = 0, next_due = 0;
    int64_t refreshed = NEVER, activated = NEVER, mode_edge = NEVER;
    int64_t edges = 0;
    int latency = 2, burst = 1, due = 0, refreshes_first = 0;
    bool loaded = false, precharged_first = false, accessed = false;
    uint8_t mask_before = 0;

    void limit(const char *name, int64_t is, int64_t least) {
        if (is < least)
            fail(name + (" is " + nanoseconds(is)) + ", must be " + nanoseconds(least));
    }

    static std::string nanoseconds(int64_t ps) {
        char text[32];
        std::snprintf(text, sizeof text, "%.2f ns", double(ps) / 1000);
        return text;
    }

    // An auto precharge that has begun meanwhile.
    void close_by_itself(Bank &bank) {
        if (bank.closes < 0 || now < bank.closes)
            return;
        bank.open = false;
        bank.precharged = bank.closes;
        bank.closes = -1;
    }

    void command(const SdramPins &pins) {
        int code = pins.ras_n << 2 | pins.cas_n << 1 | pins.we_n;
        if (code == 7)
            return;
        limit("the time before the first command", now, p.power_up);
        limit("tRFC", now - refreshed, p.rfc);
        if (edges - mode_edge < p.mrd)
            fail("tMRD: a command " + std::to_string(edges - mode_edge) + " clocks after the mode register's load");
        switch (code) {
        case 0: return load_mode(pins);
        case 1: return refresh();
        case 2: return precharge(pins);
        case 3: return activate(pins);
        case 4: case 5: return access(pins, code == 4);
        default: fail("burst terminate is not modelled");
        }
    }

    void load_mode(const SdramPins &pins) {
        idle("the mode register is loaded");
        burst = 1 << (pins.a & 7);
        latency = pins.a >> 4 & 7;
        if ((pins.a & 7) > 3 || (latency != 2 && latency != 3) || pins.a >> 7 || pins.a >> 3 & 1 || pins.ba)
            fail("the mode register is loaded with " + std::to_string(pins.a) + ", which is reserved or not modelled");
        if (!precharged_first || refreshes_first < p.refreshes)
            fail("the mode register is loaded before a precharge of all banks and " +
                 std::to_string(p.refreshes) + " refreshes");
        loaded = true;
        mode_edge = edges;
    }

    void refresh() {
        idle("a refresh");
        if (!precharged_first)
            fail("a refresh before a precharge of all banks");
        refreshes++;
        refreshes_first++;
        due = due > 0 ? due - 1 : 0;
        refreshed = now;
    }

    void precharge(const SdramPins &pins) {
        bool all = pins.a >> 10 & 1;
        for (size_t n = 0; n < banks.size(); n++) {
            Bank &bank = banks[n];
            if (!all && n != pins.ba)
                continue;
            if (bank.closes >= 0)
                fail("a precharge of a bank that precharges by itself");
            if (bank.open) {
                limit("tRAS", now - bank.activated, p.ras);
                limit("tWR", now - bank.written, p.wr);
                if (now - bank.activated > p.ras_max)
                    fail("tRAS is " + nanoseconds(now - bank.activated) + ", must not be above " +
                         nanoseconds(p.ras_max));
                bank.precharged = now;
            }
            bank.open = false;
            if (reading.left && reading.bank == n)
                reading.left = 0;
            if (writing.left && writing.bank == n)
                fail("a precharge within a burst that is written");
        }
        precharged_first |= all;
    }

    void activate(const SdramPins &pins) {
        Bank &bank = banks[pins.ba];
        if (!loaded)
            fail("a row is activated before the mode register is loaded");
        if (bank.open)
            fail("a row is activated in a bank that has one open");
        limit("tRP", now - bank.precharged, p.rp);
        limit("tRC", now - bank.activated, p.rc);
        limit("tRRD", now - activated, p.rrd);
        if (pins.a >> p.row_bits)
            fail("there is no such row");
        bank.open = true;
        bank.row = pins.a;
        bank.activated = activated = now;
        activates++;
        if (!accessed) {
            accessed = true;
            next_due = now + p.refresh;
        }
    }

    void access(const SdramPins &pins, bool write) {
        Bank &bank = banks[pins.ba];
        if (!bank.open)
            return fail("an access to a bank that has no row open");
        if (bank.closes >= 0)
            return fail("an access to a bank that precharges by itself");
        limit("tRCD", now - bank.activated, p.rcd);
        if ((pins.a & 0x3ff) >> p.column_bits || pins.a >> 11)
            fail("there is no such column");
        // An access ends the one before.
        if ((reading.left && reading.precharge) || (writing.left && writing.precharge))
            fail("an access within a burst with auto precharge");
        reading.left = writing.left = 0;
        Burst &mine = write ? writing : reading;
        mine = {burst, 0, pins.ba, uint32_t(pins.a & 0x3ff), bool(pins.a >> 10 & 1)};
    }

    size_t address(const Burst &b) const {
        // Sequential bursts wrap within as many columns as they have.
        uint32_t column = (b.column & ~uint32_t(burst - 1)) | ((b.column + b.done) & (burst - 1));
        return ((size_t(banks[b.bank].row) << p.bank_bits | b.bank) << p.column_bits) | column;
    }

    void read() {
        lanes[(edges + latency - 1) % LANES] = {true, memory[address(reading)]};
        reads++;
        reading.done++;
        if (--reading.left == 0 && reading.precharge)
            close_after(banks[reading.bank], now + period);
    }

    void write(const SdramPins &pins) {
        uint16_t lines = (pins.dqm & 1 ? 0 : 0xff) | (pins.dqm & 2 ? 0 : 0xff00);
        if (~pins.drives & lines)
            fail("nothing drives the data lines for a write");
        uint16_t &word = memory[address(writing)];
        word = (word & ~lines) | (pins.dq & lines);
        writes++;
        banks[writing.bank].written = now;
        writing.done++;
        if (--writing.left == 0 && writing.precharge)
            close_after(banks[writing.bank], now + p.wr);
    }

    void close_after(Bank &bank, int64_t time) {
        bank.closes = time;
        limit("tRAS, of an auto precharge,", time - bank.activated, p.ras);
    }

    void idle(const char *what) {
        for (Bank &bank : banks) {
            if (bank.open)
                return fail(std::string(what) + (" while a row is open"));
            limit("tRP", now - bank.precharged, p.rp);
        }
    }
};
