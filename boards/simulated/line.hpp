// A serial line from a pseudo-terminal to the pins of a board, and how it may fail.
#pragma once
#include <cstdint>
#include <deque>
#include <random>
#include <unistd.h>

// Loses, doubles and damages bytes, each with the same probability.
class Faults {
public:
    uint64_t lost = 0, doubled = 0, damaged = 0;

    Faults(double rate, uint64_t seed) : rate(rate), random(seed) {}

    template <class Send>
    void pass(uint8_t byte, Send send) {
        double x = rate > 0 ? std::uniform_real_distribution<>(0, 1)(random) / rate : 3;
        if (x < 1) {
            lost++;
            return;
        }
        if (x < 2) {
            doubled++;
            send(byte);
        } else if (x < 3) {
            damaged++;
            byte ^= 1 << (random() & 7);
        }
        send(byte);
    }

private:
    double rate;
    std::mt19937_64 random;
};

// Eight data bits, no parity, one stop bit.
class Line {
public:
    Faults there, back;
    uint64_t received = 0, sent = 0;

    Line(int terminal, int divisor, double rate, uint64_t seed)
        : there(rate, 2 * seed), back(rate, 2 * seed + 1), terminal(terminal), divisor(divisor) {}

    // One cycle: what the board sends, and what it hears.
    bool cycle(bool tx) {
        hear(tx);
        if (++timer < divisor)
            return rx;
        timer = 0;
        if (!bits) {
            if (queue.empty())
                return rx = true;
            shift = queue.front() << 1 | 0x200;
            queue.pop_front();
            bits = 10;
        }
        rx = shift & 1;
        shift >>= 1;
        bits--;
        return rx;
    }

    // Take bytes from the terminal. Returns whether there are any to send.
    bool poll() {
        uint8_t bytes[4096];
        if (queue.size() < BUFFER) {
            ssize_t count = read(terminal, bytes, sizeof bytes);
            for (ssize_t n = 0; n < count; n++)
                there.pass(bytes[n], [&](uint8_t byte) { queue.push_back(byte); });
            received += count > 0 ? count : 0;
        }
        return !queue.empty() || bits;
    }

    bool quiet() const { return queue.empty() && !bits && heard < 0; }

private:
    // What the host's system and its adapter hold, so that a host is not kept from its work by a slow simulation.
    static constexpr size_t BUFFER = 1 << 14;

    int terminal, divisor, timer = 0, bits = 0, shift = 0;
    int heard = -1, since = 0, byte = 0;
    bool rx = true;
    std::deque<uint8_t> queue;

    void hear(bool tx) {
        if (heard < 0) {
            if (tx)
                return;
            heard = 0;
            since = -divisor / 2;      // to the middle of each bit
        }
        if (since++ < 0 || (since - 1) % divisor)
            return;
        if (heard > 0 && heard < 9)
            byte = byte >> 1 | (tx ? 0x80 : 0);
        if (++heard < 10)
            return;
        heard = -1;
        if (!tx)
            return;                    // no stop bit
        sent++;
        back.pass(byte, [&](uint8_t byte) {
            // A host that does not listen loses what it is told.
            [[maybe_unused]] ssize_t done = ::write(terminal, &byte, 1);
        });
    }
};
