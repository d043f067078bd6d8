// What ends a simulation: the design objects to itself, or breaks a rule of a bus.
#pragma once

#include <stdexcept>

namespace pagering {

// The card can not go on. Thrown from anywhere inside a clock cycle, caught where the caller waits:
// the state it leaves is of no use, so a card that was broken once stays so.
class Broken : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace pagering
