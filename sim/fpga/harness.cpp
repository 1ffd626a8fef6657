// C interface to the verilated accelerator: registers over AXI4-Lite, memory over AXI4.
// The loop over cycles never leaves this file. Used by sim/fpga/device.py.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "memory.hpp"
#include "params.hpp"  // BEAT_BYTES
#include "state.hpp"   // ARRAYS, COUNTERS: of sim/fpga/state.py
#if CHECKED
#include "checkers.hpp" // PLACES, RULES: of sim/checkers/rules.py
#endif
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#endif

namespace {

struct Transition {
    uint64_t cycle, activity;
};
struct Taking {   // an instruction left the queue of a unit, counted from 1
    uint64_t cycle, unit;
};

struct Traffic {  // beats so far: read, of each of the reader's clients, and written
    uint64_t cycle, read[4], written;
};

// A memory of the accelerator.
struct Array {
    const char *name;
    const void *data;
    uint64_t entries, bytes;  // of an entry
};

template <class T, size_t N>
Array array(const char *name, const VlUnpacked<T, N> &memory) {
    return {name, &memory[0], N, sizeof(T)};
}

struct Harness {
    VerilatedContext context;
    Vtop top;
    Memory<Vtop, BEAT_BYTES> memory;
    uint64_t cycle = 0;
    bool recording = false;
    std::vector<Transition> transitions;
    std::vector<Taking> takings;
    std::vector<Traffic> traffic;  // every `PERIOD` cycles, while recording
#define COUNT(name, member) +1
    uint32_t peaks[0 COUNTERS(COUNT) + 1] = {};  // the most of each counter, while recording
#undef COUNT
    std::string error;
#if VM_TRACE_FST
    std::unique_ptr<VerilatedFstC> trace;
#endif

    Harness(uint8_t *data, uint64_t bytes, const DramParams &dram, double clock_mhz)
        : top(&prepared(context)), memory(data, bytes, dram, clock_mhz) {
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 0;
        top.s_axi_arvalid = top.s_axi_rready = 0;
        top.m_axi_rvalid = top.m_axi_bvalid = 0;
        top.rst = 1;
#if CHECKED
        // Any state at all: memory must not see what it does. Its own core is reset a cycle later.
        top.checking = 0;
        for (int n = 0; n < 2; n++) {
            top.clk = 0;
            top.eval();
            top.clk = 1;
            top.eval();
            top.rst = 0;
        }
        top.checking = 1;
        tick();
#else
        for (int n = 0; n < 4; n++)
            tick();
        top.rst = 0;
        tick();
#endif
    }

    static VerilatedContext &prepared(VerilatedContext &context) {
        context.traceEverOn(VM_TRACE_FST);  // before the model exists, or opening a trace is fatal
#if CHECKED
        static int powerups = 0;
        context.randReset(2);
        context.randSeed(++powerups);
#endif
        return context;
    }

    ~Harness() {
#if VM_TRACE_FST
        if (trace)
            trace->close();
#endif
        top.final();
    }

    void dump(uint64_t time) {
#if VM_TRACE_FST
        if (trace)
            trace->dump(time);
#endif
    }

    // One clock cycle. The body sees the settled signals before the edge.
    template <class Sample>
    void tick(Sample sample) {
        memory.drive(top);
        top.clk = 0;
        top.eval();
        dump(2 * cycle);
        sample();
        memory.sample(top);
        top.clk = 1;
        top.eval();
        dump(2 * cycle + 1);
        memory.retire(top);
        cycle++;
        if (recording)
            record();
    }
    void record() {
        if (transitions.empty() || transitions.back().activity != top.activity)
            transitions.push_back({cycle, top.activity});
        uint32_t *peak = peaks;
#define PEAK(name, member) *peak = std::max<uint32_t>(*peak, top.rootp->member), peak++;
        COUNTERS(PEAK)
#undef PEAK
        (void)peak;
        if (cycle % PERIOD == 0) {
            const auto &b = memory.beats_of;
            traffic.push_back({cycle, {b[0], b[1], b[2], b[3]}, memory.write_beats});
        }
        uint64_t unit = 0;
#define TAKER(name, member) if (unit++, top.rootp->member) takings.push_back({cycle, unit});
        TAKERS(TAKER)
#undef TAKER
        (void)unit;
    }
    void tick() { tick([] {}); }

    bool failed() {
        if (!memory.error.empty())
            error = "memory bus: " + memory.error;
#if CHECKED
        if (top.violation)
            error = std::string(PLACES[top.violation >> 8]) + ": " + RULES[top.violation & 255];
#endif
        return !error.empty();
    }

    // 0: `cycles` went by; 1: nothing is active, a look at STATUS may be worth it; -1: see `error`.
    int run(uint64_t cycles) {
        int quiet = 0;
        for (uint64_t end = cycle + cycles; cycle != end && memory.error.empty() && quiet != QUIET;) {
            tick();
            quiet = top.activity ? 0 : quiet + 1;
        }
        return failed() ? -1 : quiet == QUIET;
    }

    static constexpr int PATIENCE = 1000, QUIET = 64, PERIOD = 256;

    bool write(uint32_t address, uint32_t value) {
        top.s_axi_awaddr = address;
        top.s_axi_wdata = value;
        top.s_axi_wstrb = 0xf;
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 1;
        bool answered = false;
        int response = 0;
        for (int n = 0; n < PATIENCE && !answered; n++) {
            bool aw = false, w = false;
            tick([&] {
                aw = top.s_axi_awvalid && top.s_axi_awready;
                w = top.s_axi_wvalid && top.s_axi_wready;
                answered = top.s_axi_bvalid && top.s_axi_bready;
                response = top.s_axi_bresp;
            });
            if (aw) top.s_axi_awvalid = 0;
            if (w) top.s_axi_wvalid = 0;
        }
        top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 0;
        if (response)
            error = "register bus: a write was refused, to address " + std::to_string(address);
        if (!answered)
            error = "register bus: no answer to a write to address " + std::to_string(address);
        return error.empty();
    }

    bool read(uint32_t address, uint32_t &value) {
        top.s_axi_araddr = address;
        top.s_axi_arvalid = top.s_axi_rready = 1;
        bool answered = false;
        int response = 0;
        for (int n = 0; n < PATIENCE && !answered; n++) {
            bool ar = false;
            tick([&] {
                ar = top.s_axi_arvalid && top.s_axi_arready;
                answered = top.s_axi_rvalid && top.s_axi_rready;
                value = top.s_axi_rdata;
                response = top.s_axi_rresp;
            });
            if (ar) top.s_axi_arvalid = 0;
        }
        top.s_axi_arvalid = top.s_axi_rready = 0;
        if (!answered)
            error = "register bus: no answer to a read of address " + std::to_string(address);
        else if (response)
            error = "register bus: a read was refused, of address " + std::to_string(address);
        return error.empty();
    }
};

}  // namespace

extern "C" {

Harness *hr_create(uint8_t *data, uint64_t bytes, const DramParams *dram, double clock_mhz) {
    return new Harness(data, bytes, *dram, clock_mhz);
}
void hr_destroy(Harness *h) { delete h; }
int hr_run(Harness *h, uint64_t cycles) { return h->run(cycles); }
int hr_write(Harness *h, uint32_t address, uint32_t value) { return h->write(address, value); }
int hr_read(Harness *h, uint32_t address, uint32_t *value) { return h->read(address, *value); }
uint64_t hr_cycles(Harness *h) { return h->cycle; }
const char *hr_error(Harness *h) { return h->error.c_str(); }

void hr_statistics(Harness *h, uint64_t *out) {
    const auto &m = h->memory;
    const uint64_t values[] = {m.read_beats, m.write_beats, m.read_bursts, m.write_bursts,
                               uint64_t(m.dram.reads), uint64_t(m.dram.writes),
                               uint64_t(m.dram.activates), uint64_t(m.dram.refreshes),
                               uint64_t(m.dram.conflicts), uint64_t(m.dram.now),
                               uint64_t(m.dram.unused()), uint64_t(m.dram.refreshing),
                               uint64_t(m.dram.opening), uint64_t(m.dram.turning),
                               uint64_t(m.dram.spacing), m.beats_of[0], m.beats_of[1],
                               m.beats_of[2], m.beats_of[3]};
    std::copy(std::begin(values), std::end(values), out);
}

void hr_record(Harness *h, int on) {
    h->recording = on;
    h->transitions.clear();
    h->takings.clear();
    h->traffic.clear();
    std::fill(std::begin(h->peaks), std::end(h->peaks), 0);
}
uint64_t hr_transitions(Harness *h, const Transition **out) {
    *out = h->transitions.data();
    return h->transitions.size();
}

uint64_t hr_takings(Harness *h, const Taking **out) {
    *out = h->takings.data();
    return h->takings.size();
}

uint64_t hr_traffic(Harness *h, const Traffic **out) {
    *out = h->traffic.data();
    return h->traffic.size();
}

// The most that each counter held while recording; returns how many counters there are.
uint64_t hr_peaks(Harness *h, const uint32_t **out) {
    *out = h->peaks;
    return std::size(h->peaks) - 1;
}

// A memory of the accelerator, as it is now; returns its bytes, 0 when there is none of the name.
uint64_t hr_array(Harness *h, const char *name, const void **data, uint64_t *entries) {
#define ARRAY(name, member) array(#name, h->top.rootp->member),
    const Array all[] = {ARRAYS(ARRAY) {nullptr, nullptr, 0, 0}};
#undef ARRAY
    for (const Array *each = all; each->name; each++)
        if (!std::strcmp(each->name, name)) {
            *data = each->data;
            *entries = each->entries;
            return each->entries * each->bytes;
        }
    return 0;
}

// Returns 0 when the library was built without tracing.
int hr_trace(Harness *h, const char *path) {
#if VM_TRACE_FST
    h->trace.reset(new VerilatedFstC);
    h->top.trace(h->trace.get(), 99);
    h->trace->open(path);
    return 1;
#else
    return 0;
#endif
}

}  // extern "C"
