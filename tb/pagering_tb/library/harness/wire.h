// The wire: a queue of frames that go into the card one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "counters.h"
#include "port.h"

namespace pagering {

class Wire {
public:
    Wire(Vcard& card, Counters& counters, std::size_t depth);

    // Return false if the queue is full. A bad frame's last beat is marked so.
    bool send(const std::byte* bytes, std::size_t size, bool bad);

    // Frames that have not wholly gone in.
    std::size_t waiting() const { return frames_.size(); }

    // Cycles of silence after each frame.
    void set_gap(unsigned cycles) { gap_ = cycles; }

    bool step();

    // Forget the frames that have not begun; end the one that has, as a bad one.
    void abandon();

private:
    struct Frame {
        std::vector<std::byte> bytes;
        bool bad;
    };

    void drive();

    Vcard& card_;
    Counters& counters_;
    const std::size_t depth_;
    std::deque<Frame> frames_;
    std::size_t at_ = 0;  // bytes of the first frame that were driven
    unsigned gap_ = 0;
    unsigned silence_ = 0;
};

}  // namespace pagering
