// The accelerator on a card, through XRT, behind a C interface: what headrace_xrt.py needs and nothing more.
//
// XRT does not manage this kernel ("user managed"): it gives access to registers and memory, and no more.
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "experimental/xrt_ip.h"
#include "experimental/xrt_xclbin.h"
#include "xrt/xrt_bo.h"
#include "xrt/xrt_device.h"

namespace {

thread_local std::string problem;

struct Card {
    xrt::device device;
    xrt::uuid uuid;
    xrt::ip ip;
    int bank;
    std::unique_ptr<xrt::bo> memory;

    Card(const char *xclbin, unsigned index)
        : device(index), uuid(device.load_xclbin(std::string(xclbin))), ip(device, uuid, "headrace"),
          bank(used_bank(xclbin)) {}

    // The bank of memory that the kernel's port was linked to.
    static int used_bank(const char *path) {
        xrt::xclbin xclbin{std::string(path)};
        for (auto &bank : xclbin.get_mems())
            if (bank.get_used())
                return bank.get_index();
        throw std::runtime_error("no memory is connected to the kernel");
    }
};

// Exceptions do not cross to C.
template <class Body>
int guarded(Body body) {
    try {
        body();
        return 1;
    } catch (const std::exception &error) {
        problem = error.what();
        return 0;
    }
}

}  // namespace

extern "C" {

const char *headrace_error() { return problem.c_str(); }

Card *headrace_open(const char *xclbin, unsigned index) {
    Card *card = nullptr;
    guarded([&] { card = new Card(xclbin, index); });
    return card;
}

void headrace_close(Card *card) { delete card; }

int headrace_read(Card *card, uint32_t address, uint32_t *value) {
    return guarded([&] { *value = card->ip.read_register(address); });
}

int headrace_write(Card *card, uint32_t address, uint32_t value) {
    return guarded([&] { card->ip.write_register(address, value); });
}

// Memory of `total` bytes that begins with `length` bytes of `data`, the rest zero, instead of what was there.
int headrace_memory(Card *card, const void *data, uint64_t length, uint64_t total, uint64_t *address) {
    return guarded([&] {
        card->memory.reset();
        auto memory = std::make_unique<xrt::bo>(card->device, size_t(total), card->bank);
        auto *host = memory->map<char *>();
        std::memcpy(host, data, length);
        std::memset(host + length, 0, total - length);
        memory->sync(XCL_BO_SYNC_BO_TO_DEVICE);
        *address = memory->address();
        card->memory = std::move(memory);
    });
}

}  // extern "C"
