// The DMA address space: what of the host's memory the card reaches, and where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "counters.h"

namespace pagering {

enum class Response : std::uint8_t { Okay = 0, SlaveError = 2, DecodeError = 3 };

class DmaMemory {
public:
    explicit DmaMemory(Counters& counters) : counters_(counters) {}

    // Windows are whole pages, so that a burst, which crosses no page, lies in one or in none.
    static constexpr std::uint64_t page = 4096;

    // Return false, changing nothing, if an address is taken already.
    bool map(std::uint64_t address, std::byte* bytes, std::uint64_t size, bool writable);

    // Return false if no window begins there.
    bool unmap(std::uint64_t address);

    void set_bus_master(bool on) { bus_master_ = on; }

    // Words of 8 bytes become visible one by one, in the order of their addresses: whoever sees
    // the last word of a completion, which has the phase bit, sees all of it.
    Response write(std::uint64_t address, const std::byte* bytes, std::size_t size);

    Response read(std::uint64_t address, std::byte* bytes, std::size_t size);

private:
    struct Window {
        std::uint64_t size;
        std::byte* bytes;
        bool writable;
    };

    Response find(std::uint64_t address, std::size_t size, bool write, std::byte*& found);

    Counters& counters_;
    std::map<std::uint64_t, Window> windows_;
    bool bus_master_ = true;
};

}  // namespace pagering
