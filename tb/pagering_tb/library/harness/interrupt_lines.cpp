#include "interrupt_lines.h"

#include <fcntl.h>
#include <unistd.h>

namespace pagering {

namespace {

constexpr int nobody = -1;

template <typename Levels>
bool level(const Levels& levels, std::size_t line) {
    return (std::to_integer<unsigned>(levels[line / 8]) >> line % 8 & 1u) != 0;
}

}  // namespace

InterruptLines::InterruptLines(Vcard& card, Counters& counters, std::size_t lines)
    : card_(card), counters_(counters), descriptors_(lines, nobody), edges_(lines) {}

InterruptLines::~InterruptLines() {
    for (const int descriptor : descriptors_) {
        if (descriptor != nobody) ::close(descriptor);
    }
}

bool InterruptLines::connect(std::size_t line, int descriptor) {
    if (line >= descriptors_.size()) return false;
    int kept = nobody;
    if (descriptor >= 0) {
        kept = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (kept < 0) return false;
    }
    if (descriptors_[line] != nobody) ::close(descriptors_[line]);
    descriptors_[line] = kept;
    return true;
}

bool InterruptLines::step() {
    Levels now;
    get_bytes(card_.irq, now.data());
    if (now == before_) return false;
    for (std::size_t line = 0; line < edges_.size(); ++line) {
        if (level(now, line) && !level(before_, line)) rise(line);
    }
    before_ = now;
    return true;
}

void InterruptLines::rise(std::size_t line) {
    ++edges_[line];
    ++counters_.interrupts;
    if (descriptors_[line] == nobody) return;
    const std::uint64_t one = 1;
    // An eventfd that is full says already what this would say.
    if (::write(descriptors_[line], &one, sizeof one) < 0) return;
}

}  // namespace pagering
