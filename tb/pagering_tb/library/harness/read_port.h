// The read half of the card's memory bus: an AXI4 subordinate over the host's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "dma_memory.h"
#include "port.h"

namespace pagering {

// Takes an address a cycle; a burst begins `latency` cycles later and brings a beat a cycle.
//
// A burst is read from memory when it begins, all at once.
class ReadPort {
public:
    ReadPort(Vcard& card, DmaMemory& memory, Counters& counters, unsigned latency);

    bool step();

    // Forget everything: the card is being reset.
    void clear();

private:
    struct Burst {
        std::uint64_t address;
        unsigned beats;
        std::uint64_t due;
    };

    void take_address();
    void begin();
    void drive();

    Vcard& card_;
    DmaMemory& memory_;
    Counters& counters_;
    const unsigned latency_;
    std::deque<Burst> waiting_;
    std::vector<std::byte> bytes_;  // of the burst under way
    std::size_t at_ = 0;            // those that were driven
    Response response_ = Response::Okay;
};

}  // namespace pagering
