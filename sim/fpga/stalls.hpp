// Random stalls: what a memory bus may do to its manager, from a seed.
#pragma once
#include <cstdint>

// xorshift64* (Vigna, 2016).
class Random {
public:
    explicit Random(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u | 1) {}

    // A number below `end`.
    uint32_t below(uint32_t end) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return uint32_t((state * 0x2545f4914f6cdd1du) >> 32) % end;
    }

    // Mostly few cycles, and sometimes many: up to 2 ** (`bits` - 1).
    uint32_t pause(uint32_t bits) { return 1 + below(1u << below(bits)); }

private:
    uint64_t state;
};

// Pauses of one channel.
class Stall {
public:
    // Whether it pauses in this cycle, the next one. In `chance` of 256 cycles a pause begins.
    bool next(Random &random, uint32_t chance) {
        if (!left && chance && random.below(256) < chance)
            left = random.pause(6);
        if (!left)
            return false;
        left--;
        return true;
    }

private:
    uint32_t left = 0;
};
