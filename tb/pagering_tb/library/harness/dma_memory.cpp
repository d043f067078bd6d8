#include "dma_memory.h"

#include <cstring>
#include <iterator>

namespace pagering {

namespace {

constexpr std::size_t word = 8;

// The host looks at this memory from another thread, or another process, while it is written.
void publish(std::byte* to, const std::byte* from, std::size_t size) {
    while (size != 0) {
        if (reinterpret_cast<std::uintptr_t>(to) % word == 0 && size >= word) {
            std::uint64_t value;
            std::memcpy(&value, from, word);
            __atomic_store_n(reinterpret_cast<std::uint64_t*>(to), value, __ATOMIC_RELEASE);
            to += word, from += word, size -= word;
        } else {
            __atomic_store_n(to, *from, __ATOMIC_RELEASE);
            ++to, ++from, --size;
        }
    }
}

}  // namespace

bool DmaMemory::map(std::uint64_t address, std::byte* bytes, std::uint64_t size, bool writable) {
    const auto next = windows_.lower_bound(address);
    if (next != windows_.end() && next->first - address < size) return false;
    if (next != windows_.begin()) {
        const auto before = std::prev(next);
        if (address - before->first < before->second.size) return false;
    }
    windows_.emplace_hint(next, address, Window{size, bytes, writable});
    return true;
}

bool DmaMemory::unmap(std::uint64_t address) { return windows_.erase(address) != 0; }

Response DmaMemory::find(std::uint64_t address, std::size_t size, bool write, std::byte*& found) {
    if (!bus_master_) {
        ++counters_.refused;
        return Response::SlaveError;
    }
    const auto next = windows_.upper_bound(address);
    if (next != windows_.begin()) {
        const auto& [start, window] = *std::prev(next);
        const std::uint64_t offset = address - start;
        if (offset < window.size && size <= window.size - offset && (window.writable || !write)) {
            found = window.bytes + offset;
            return Response::Okay;
        }
    }
    ++counters_.blocked;
    counters_.last_blocked = address;
    return Response::DecodeError;
}

Response DmaMemory::write(std::uint64_t address, const std::byte* bytes, std::size_t size) {
    std::byte* found = nullptr;
    const Response response = find(address, size, true, found);
    if (response == Response::Okay) {
        publish(found, bytes, size);
        counters_.write_bytes += size;
    }
    return response;
}

Response DmaMemory::read(std::uint64_t address, std::byte* bytes, std::size_t size) {
    std::byte* found = nullptr;
    const Response response = find(address, size, false, found);
    if (response == Response::Okay) {
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        std::memcpy(bytes, found, size);
        counters_.read_bytes += size;
    }
    return response;
}

}  // namespace pagering
