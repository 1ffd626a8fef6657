// AXI4 subordinate in front of the DRAM model: data, order and protocol checks.
//
// Bursts are split into the DRAM's. Reads return in order per id; between ids the oldest burst that
// has a beat goes first, so beats of different ids do interleave. Writes are posted: the response
// comes once the data are in the controller. Reads see every write that was answered.
//
// With `stall` it does whatever else AXI allows: every channel pauses at random, a burst's latency is
// random, beats and answers of different ids come in any order, and a write cannot be seen before its
// answer.
#pragma once
#include <cstring>
#include <string>

#include "dram.hpp"
#include "stalls.hpp"

template <class Top, int BEAT>
class Memory {
public:
    Dram dram;
    static constexpr int IDS = 16;
    uint64_t beats_of[IDS] = {};                // read beats of each id: of each client of the reader
    uint64_t read_beats = 0, write_beats = 0, read_bursts = 0, write_bursts = 0;
    std::string error;

    Memory(uint8_t *data, uint64_t bytes, const DramParams &p, double clock_mhz)
        : dram(p), data(data), bytes(bytes), period_ps(1e6 / clock_mhz),
          grain(p.ideal ? BEAT : p.bl * p.bus_bytes), random(p.seed) {
        for (uint32_t slot = SLOTS; slot--;)
            idle.push_back(slot);
    }

    // Set the inputs of the accelerator for this cycle.
    void drive(Top &top) {
        top.m_axi_arready = !idle.empty() && !stalls(AR);
        top.m_axi_awready = writes.size() < 4 && !stalls(AW);
        top.m_axi_wready = !writes.empty() && posted.size() < 64 && !stalls(W);
        // A valid that was raised stays until it is taken.
        if (!top.m_axi_bvalid && !stalls(B))
            answer(top);
        if (!top.m_axi_rvalid && !stalls(R))
            offer(top);
    }

    // Note the transfers of this cycle, once its signals have settled, and advance the DRAM.
    void sample(Top &top) {
        if (top.m_axi_arvalid && top.m_axi_arready)
            accept_read(top);
        else if (ar_waits && !top.m_axi_arvalid)
            fail("ARVALID fell before ARREADY");
        ar_waits = top.m_axi_arvalid && !top.m_axi_arready;
        if (top.m_axi_wvalid && top.m_axi_wready)
            accept_data(top);
        else if (w_waits && !top.m_axi_wvalid)
            fail("WVALID fell before WREADY");
        w_waits = top.m_axi_wvalid && !top.m_axi_wready;
        if (top.m_axi_awvalid && top.m_axi_awready)
            accept_write(top);
        else if (aw_waits && !top.m_axi_awvalid)
            fail("AWVALID fell before AWREADY");
        aw_waits = top.m_axi_awvalid && !top.m_axi_awready;
        sampled_r = top.m_axi_rvalid && top.m_axi_rready;
        sampled_b = top.m_axi_bvalid && top.m_axi_bready;
        advance();
    }

    // After the clock edge: what was taken is offered no more.
    void retire(Top &top) {
        if (sampled_r) {
            top.m_axi_rvalid = 0;
            Burst &burst = slots[offered];
            read_beats++;
            beats_of[burst.id % IDS]++;
            release(burst);
            if (++burst.sent == burst.beats) {
                order.erase(std::find(order.begin(), order.end(), offered));
                idle.push_back(offered);
            }
        }
        if (sampled_b) {
            top.m_axi_bvalid = 0;
            answers.erase(answers.begin() + answering);
        }
        cycle++;
    }

    bool quiet() const { return order.empty() && writes.empty() && answers.empty(); }

private:
    static constexpr uint32_t SLOTS = 32;       // read bursts under way
    static constexpr uint32_t BUFFER = 512;     // DRAM bursts of reads under way, or fetched and not taken
    static constexpr int OKAY = 0, DECERR = 3;
    static constexpr int64_t WRITE_LATENCY = 8;
    enum Channel { AR, AW, W, R, B, CHANNELS };

    struct Burst {
        uint64_t addr;
        uint32_t id, beats, sent;
        uint32_t grains, issued, ready, freed;  // in bursts of the DRAM
        int64_t earliest;                       // cycle
        bool error;
        uint8_t arrived[1 << 13];
    };
    struct Beat {
        uint64_t addr, strobe;
        uint8_t bytes[BEAT];
    };
    struct Write {
        uint64_t addr;
        uint32_t id, beats, got;
        bool error;
        std::vector<Beat> unseen;
    };
    struct Answer {
        int64_t cycle;
        uint32_t id;
        bool error;
        std::vector<Beat> unseen;
    };

    uint8_t *data;
    uint64_t bytes;
    double period_ps, phase = 0;
    uint64_t grain;
    int64_t cycle = 0;
    Burst slots[SLOTS];
    std::vector<uint32_t> idle;
    std::vector<uint32_t> order;                // slots in use, oldest first
    std::deque<Write> writes;
    std::deque<uint64_t> posted;                // DRAM bursts to be written
    std::deque<Answer> answers;
    std::deque<Dram::Done> ideal;
    Random random;
    Stall stall[CHANNELS];
    uint32_t offered = 0, answering = 0, buffered = 0;
    bool ar_waits = false, aw_waits = false, w_waits = false, sampled_r = false, sampled_b = false;

    bool stalls(Channel channel) { return stall[channel].next(random, dram.p.stall); }

    void fail(const std::string &what) {
        if (error.empty())
            error = what + " in cycle " + std::to_string(cycle);
    }

    void check(const char *channel, uint64_t addr, uint32_t beats, int size, int kind) {
        if (kind != 1)
            fail(std::string(channel) + "BURST must be INCR");
        if (1 << size != BEAT)
            fail(std::string(channel) + "SIZE must be the bus width");
        if (addr % BEAT)
            fail(std::string(channel) + "ADDR must be a multiple of the bus width");
        if (addr / 4096 != (addr + uint64_t(beats) * BEAT - 1) / 4096)
            fail(std::string(channel) + " burst crosses a 4 KB boundary");
    }

    void accept_read(Top &top) {
        uint32_t slot = idle.back();
        idle.pop_back();
        order.push_back(slot);
        Burst &burst = slots[slot];
        burst.addr = top.m_axi_araddr;
        burst.id = top.m_axi_arid;
        burst.beats = top.m_axi_arlen + 1;
        burst.sent = burst.issued = burst.ready = burst.freed = 0;
        uint64_t end = burst.addr + uint64_t(burst.beats) * BEAT;
        burst.grains = uint32_t((end - 1) / grain - burst.addr / grain + 1);
        burst.error = end > bytes;
        burst.earliest = dram.p.stall ? cycle + random.pause(8) : 0;
        std::memset(burst.arrived, 0, burst.grains);
        check("AR", burst.addr, burst.beats, top.m_axi_arsize, top.m_axi_arburst);
        read_bursts++;
    }

    void accept_write(Top &top) {
        uint64_t addr = top.m_axi_awaddr;
        uint32_t beats = top.m_axi_awlen + 1;
        check("AW", addr, beats, top.m_axi_awsize, top.m_axi_awburst);
        writes.push_back({addr, uint32_t(top.m_axi_awid), beats, 0,
                          addr + uint64_t(beats) * BEAT > bytes, {}});
        write_bursts++;
    }

    void accept_data(Top &top) {
        Write &write = writes.front();
        uint64_t addr = write.addr + uint64_t(write.got) * BEAT;
        if (!write.error) {
            Beat beat{addr, top.m_axi_wstrb, {}};
            std::memcpy(beat.bytes, &top.m_axi_wdata, BEAT);
            if (dram.p.stall)
                write.unseen.push_back(beat);
            else
                store(beat);
            if (posted.empty() || posted.back() != addr / grain)
                for (uint64_t at = addr / grain; at <= (addr + BEAT - 1) / grain; at++)
                    posted.push_back(at);
        }
        write_beats++;
        bool last = ++write.got == write.beats;
        if (last != bool(top.m_axi_wlast))
            fail("WLAST must be high in the last beat of a burst alone");
        if (last) {
            // Sometimes longer than a host takes to notice the end of a step.
            int64_t latency = dram.p.stall ? random.pause(12) : WRITE_LATENCY;
            answers.push_back({cycle + latency, write.id, write.error, std::move(write.unseen)});
            writes.pop_front();
        }
    }

    void store(const Beat &beat) {
        for (int n = 0; n < BEAT; n++)
            if (beat.strobe >> n & 1)
                data[beat.addr + n] = beat.bytes[n];
    }

    // Whether to pass over what could be offered, when `others` come after it at most.
    bool passes(size_t others) { return dram.p.stall && others && random.below(2); }

    // Offer the oldest answer that is due, in order within an id.
    void answer(Top &top) {
        uint32_t seen = 0;
        for (size_t n = 0; n < answers.size(); n++) {
            const Answer &answer = answers[n];
            bool first = !(seen >> answer.id & 1);
            seen |= 1u << answer.id;
            if (!first || answer.cycle > cycle || passes(answers.size() - 1 - n))
                continue;
            for (const Beat &beat : answer.unseen)
                store(beat);
            answering = uint32_t(n);
            top.m_axi_bvalid = 1;
            top.m_axi_bid = answer.id;
            top.m_axi_bresp = answer.error ? DECERR : OKAY;
            return;
        }
    }

    // Offer the oldest burst's beat that is there, in order within an id.
    void offer(Top &top) {
        uint32_t seen = 0;
        for (uint32_t slot : order) {
            const Burst &burst = slots[slot];
            if (seen >> burst.id & 1)
                continue;
            seen |= 1u << burst.id;
            uint64_t addr = burst.addr + uint64_t(burst.sent) * BEAT;
            if (!burst.error && (addr + BEAT - 1) / grain - burst.addr / grain >= burst.ready)
                continue;
            if (burst.earliest > cycle || passes(slot != order.back()))
                continue;
            offered = slot;
            top.m_axi_rvalid = 1;
            top.m_axi_rid = burst.id;
            top.m_axi_rlast = burst.sent + 1 == burst.beats;
            top.m_axi_rresp = burst.error ? DECERR : OKAY;
            if (!burst.error)
                std::memcpy(&top.m_axi_rdata, data + addr, BEAT);
            return;
        }
    }

    void arrive(uint32_t tag) {
        Burst &burst = slots[tag >> 16];
        burst.arrived[tag & 0xffff] = 1;
        while (burst.ready < burst.grains && burst.arrived[burst.ready])
            burst.ready++;
    }

    // Free the buffer of what the next beat, which goes out, is the last to need.
    void release(Burst &burst) {
        if (burst.error)
            return;
        uint64_t next = burst.addr + uint64_t(burst.sent + 1) * BEAT;
        uint32_t used = burst.sent + 1 == burst.beats ? burst.grains : uint32_t(next / grain - burst.addr / grain);
        buffered -= used - burst.freed;
        burst.freed = used;
    }

    // Hand bursts to the DRAM, oldest first, and let its clock run for one of ours.
    void advance() {
        while (!posted.empty() && (dram.p.ideal || !dram.full())) {
            if (!dram.p.ideal)
                dram.push(posted.front(), true, 0);
            posted.pop_front();
        }
        int budget = dram.p.ideal ? 1 : dram.p.queue;
        for (uint32_t slot : order) {
            Burst &burst = slots[slot];
            if (burst.error)
                continue;
            while (burst.issued < burst.grains && budget && buffered < BUFFER) {
                uint32_t tag = slot << 16 | burst.issued;
                if (dram.p.ideal)
                    ideal.push_back({cycle + dram.p.latency, tag});
                else if (dram.full())
                    break;
                else
                    dram.push(burst.addr / grain + burst.issued, false, tag);
                burst.issued++;
                buffered++;
                budget--;
            }
            if (burst.issued < burst.grains)
                break;
        }
        if (dram.p.ideal) {
            dram.now++;
            dram.idle += budget;
            while (!ideal.empty() && ideal.front().cycle <= cycle) {
                arrive(ideal.front().tag);
                ideal.pop_front();
            }
            return;
        }
        for (phase += period_ps; phase >= dram.p.ck_ps; phase -= dram.p.ck_ps)
            dram.tick();
        while (!dram.done.empty() && dram.done.front().cycle <= dram.now) {
            arrive(dram.done.front().tag);
            dram.done.pop_front();
        }
    }
};
