// The write half of the card's memory bus: an AXI4 subordinate over the host's memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "dma_memory.h"
#include "port.h"

namespace pagering {

// Takes an address and a beat a cycle, and answers a burst `latency` cycles after its last beat.
//
// A burst reaches memory when it is answered, not before: a card that does not wait for the answer
// is found out, and memory may be unmapped between any two cycles.
class WritePort {
public:
    WritePort(Vcard& card, DmaMemory& memory, Counters& counters, unsigned latency);

    bool step();

    // Forget everything: the card is being reset.
    void clear();

private:
    // Bytes that follow one another.
    struct Run {
        std::uint64_t address;
        std::vector<std::byte> bytes;
    };

    struct Burst {
        std::uint64_t address;
        unsigned beats;
        unsigned taken;
        std::uint64_t due;
        std::vector<Run> runs;
    };

    // Data may come before its address.
    struct Beat {
        std::array<std::byte, bus_bytes> bytes;
        std::uint64_t strobes;
        bool last;
    };

    void take_address();
    void take_data();
    void join();
    void add(Burst& burst, const Beat& beat);
    void answer();
    Response store(const Burst& burst);

    Vcard& card_;
    DmaMemory& memory_;
    Counters& counters_;
    const unsigned latency_;
    std::deque<Burst> addressed_;
    std::deque<Burst> unanswered_;
    std::deque<Beat> beats_;
};

}  // namespace pagering
