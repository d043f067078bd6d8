// The card's interrupt lines, and who hears of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "counters.h"
#include "port.h"

namespace pagering {

// Writes to a line's eventfd when the line rises.
class InterruptLines {
public:
    InterruptLines(Vcard& card, Counters& counters, std::size_t lines);
    ~InterruptLines();
    InterruptLines(const InterruptLines&) = delete;
    InterruptLines& operator=(const InterruptLines&) = delete;

    // Keep a copy of the descriptor; a negative one says that nobody hears any more. Return false
    // if there is no such line or descriptor.
    bool connect(std::size_t line, int descriptor);

    // Rising edges so far.
    std::uint64_t edges(std::size_t line) const { return edges_.at(line); }

    bool step();

private:
    using Levels = std::array<std::byte, sizeof(Vcard::irq)>;

    void rise(std::size_t line);

    Vcard& card_;
    Counters& counters_;
    Levels before_{};
    std::vector<int> descriptors_;
    std::vector<std::uint64_t> edges_;
};

}  // namespace pagering
