// The two LZ4 functions that Verilator's FST writer calls, so that waves need no library beside the
// compiler. A greedy compressor with one hash table: about as small as the library's default, not
// as fast.
//
// Ref: LZ4 block format description, "Compressed block format" and "End of block restrictions".
#ifndef PAGERING_FST_LZ4_H
#define PAGERING_FST_LZ4_H

#include <cstdint>
#include <cstring>
#include <vector>

namespace pagering_lz4 {

constexpr int hash_bits = 14;
constexpr int match_min = 4;
constexpr int distance_max = 65535;
constexpr int tail_literals = 5;   // the last bytes of a block are always literals
constexpr int tail_no_match = 12;  // and no match starts this close to its end

inline uint32_t load(const uint8_t* at) {
    uint32_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// A length of 15 or more goes on in bytes of 255, ended by a smaller one.
inline uint8_t* put_rest(uint8_t* out, int rest) {
    for (; rest >= 255; rest -= 255) *out++ = 255;
    *out++ = static_cast<uint8_t>(rest);
    return out;
}

inline uint8_t* put_literals(uint8_t* out, const uint8_t* from, int count, int match_code) {
    *out++ = static_cast<uint8_t>((count < 15 ? count : 15) << 4
                                  | (match_code < 15 ? match_code : 15));
    if (count >= 15) out = put_rest(out, count - 15);
    std::memcpy(out, from, static_cast<size_t>(count));
    return out + count;
}

}  // namespace pagering_lz4

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

// The caller's buffer is of LZ4_compressBound bytes: there is always room.
inline int LZ4_compress_default(const char* source, char* target, int size, int /*room*/) {
    using namespace pagering_lz4;
    const auto* in = reinterpret_cast<const uint8_t*>(source);
    auto* out = reinterpret_cast<uint8_t*>(target);
    std::vector<int> last(1u << hash_bits, -1);
    int anchor = 0;
    for (int at = 0; at < size - tail_no_match;) {
        const uint32_t word = load(in + at);
        int& slot = last[(word * 2654435761u) >> (32 - hash_bits)];
        const int match = slot;
        slot = at;
        if (match < 0 || at - match > distance_max || load(in + match) != word) {
            ++at;
            continue;
        }
        int length = match_min;
        while (at + length < size - tail_literals && in[at + length] == in[match + length]) {
            ++length;
        }
        out = put_literals(out, in + anchor, at - anchor, length - match_min);
        *out++ = static_cast<uint8_t>((at - match) & 255);
        *out++ = static_cast<uint8_t>((at - match) >> 8);
        if (length - match_min >= 15) out = put_rest(out, length - match_min - 15);
        at += length;
        anchor = at;
    }
    out = put_literals(out, in + anchor, size - anchor, 0);
    return static_cast<int>(out - reinterpret_cast<uint8_t*>(target));
}

#endif
