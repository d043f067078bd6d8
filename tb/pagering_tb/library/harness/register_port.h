// The card's register window: an AXI4-Lite manager that does one access at a time.
#pragma once

#include <cstdint>

#include "dma_memory.h"
#include "port.h"

namespace pagering {

class RegisterPort {
public:
    explicit RegisterPort(Vcard& card);

    // Begin an access in the next cycle; the one before must have been answered.
    void read(std::uint32_t offset);
    void write(std::uint32_t offset, std::uint32_t value);

    bool answered() const { return state_ == State::Idle; }

    // Of the last access.
    std::uint32_t value() const { return value_; }
    Response response() const { return response_; }

    bool step();

    // Forget the access: the card is being reset.
    void clear();

private:
    enum class State { Idle, Read, Write, Answer };

    void offer();
    void look_for_answer();

    Vcard& card_;
    State state_ = State::Idle;
    std::uint32_t offset_ = 0;
    std::uint32_t value_ = 0;
    Response response_ = Response::Okay;
};

}  // namespace pagering
