// The library as others call it: plain functions over a handle.
//
// No exception leaves it. A function that can fail returns a Status; why the card broke is told by
// card_error. A handle is used by one thread at a time, but for card_ask; two handles have nothing
// in common.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "card.h"

namespace {

// Seen by the caller as it is.
enum Status : int {
    done = 0,
    broken = 1,    // the card can not go on, now and for ever
    refused = 2,   // it cannot be done as things stand
    no_answer = 3,
    slave_error = 4,
    decode_error = 5,
};

struct Handle {
    std::atomic<int> asking{0};
    std::unique_ptr<pagering::Card> card;
    std::string error;

    // Do something with the card, unless it is broken; if that breaks it, remember why.
    template <typename Action>
    Status guard(Action action) {
        if (!error.empty()) return broken;
        try {
            return action();
        } catch (const std::exception& found) {
            error = found.what();
            return broken;
        }
    }
};

Status told_by(pagering::Response response) {
    switch (response) {
        case pagering::Response::Okay: return done;
        case pagering::Response::DecodeError: return decode_error;
        default: return slave_error;
    }
}

Status when(bool good) { return good ? done : refused; }

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Never null: a card that cannot be opened is a broken one.
EXPORTED Handle* card_open(const pagering::Options* options) {
    auto* handle = new Handle;
    handle->guard([&] {
        handle->card = std::make_unique<pagering::Card>(*options, handle->asking);
        return done;
    });
    return handle;
}

// The card ends; its handle stays, for whoever still asks.
EXPORTED void card_close(Handle* handle) {
    handle->card.reset();
    handle->error = "it is closed";
}

EXPORTED void card_free(Handle* handle) { delete handle; }

EXPORTED const char* card_error(const Handle* handle) { return handle->error.c_str(); }

EXPORTED int card_reset(Handle* handle) {
    return handle->guard([&] {
        handle->card->reset();
        return done;
    });
}

EXPORTED int card_run(Handle* handle, std::uint64_t cycles, std::uint64_t* passed) {
    return handle->guard([&] {
        *passed = handle->card->run(cycles);
        return done;
    });
}

// From any thread: so many more, or fewer, wait until card_run returns.
EXPORTED void card_ask(Handle* handle, int more) { handle->asking += more; }

EXPORTED int card_quiet(Handle* handle) {
    return handle->guard([&] { return when(handle->card->quiet()); });
}

EXPORTED int card_read(Handle* handle, std::uint32_t offset, std::uint32_t* value) {
    return handle->guard([&] {
        if (!handle->card->read(offset)) return no_answer;
        *value = handle->card->registers().value();
        return told_by(handle->card->registers().response());
    });
}

// To successive words; ends with the first one that is not answered well, or with the last.
EXPORTED int card_write(Handle* handle, std::uint32_t offset, const std::uint32_t* values,
                        std::size_t count, std::size_t* written) {
    return handle->guard([&] {
        for (*written = 0; *written < count; ++*written) {
            const auto place = offset + 4 * static_cast<std::uint32_t>(*written);
            if (!handle->card->write(place, values[*written])) return no_answer;
            const Status status = told_by(handle->card->registers().response());
            if (status != done) return status;
        }
        return done;
    });
}

EXPORTED int card_map(Handle* handle, std::uint64_t address, std::byte* bytes, std::uint64_t size,
                      int writable) {
    return handle->guard([&] {
        return when(handle->card->memory().map(address, bytes, size, writable != 0));
    });
}

EXPORTED int card_unmap(Handle* handle, std::uint64_t address) {
    return handle->guard([&] { return when(handle->card->memory().unmap(address)); });
}

EXPORTED int card_bus_master(Handle* handle, int on) {
    return handle->guard([&] {
        handle->card->memory().set_bus_master(on != 0);
        return done;
    });
}

EXPORTED int card_connect(Handle* handle, std::size_t line, int descriptor) {
    return handle->guard([&] {
        return when(handle->card->interrupts().connect(line, descriptor));
    });
}

EXPORTED int card_edges(Handle* handle, std::size_t line, std::uint64_t* edges) {
    return handle->guard([&] {
        *edges = handle->card->interrupts().edges(line);
        return done;
    });
}

EXPORTED int card_send(Handle* handle, const std::byte* bytes, std::size_t size, int bad) {
    return handle->guard([&] { return when(handle->card->send(bytes, size, bad != 0)); });
}

EXPORTED int card_waiting(Handle* handle, std::uint64_t* frames) {
    return handle->guard([&] {
        *frames = handle->card->wire().waiting();
        return done;
    });
}

EXPORTED int card_gap(Handle* handle, unsigned cycles) {
    return handle->guard([&] {
        handle->card->wire().set_gap(cycles);
        return done;
    });
}

EXPORTED int card_counters(Handle* handle, pagering::Counters* counters) {
    return handle->guard([&] {
        *counters = handle->card->counters();
        return done;
    });
}
