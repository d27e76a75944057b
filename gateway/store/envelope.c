/* envelope.c — what lies around every value: LMDB has no page checksums, so rot would come back as a record.
 *
 * The key goes in as the seed: a value that turns up under another key is as wrong as one with a flipped bit. */
#include "store/internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t checksum(struct ms_view key, uint8_t version, struct ms_view value) {
    uint64_t seed = XXH3_64bits(key.p, key.n) + version;

    return XXH3_64bits_withSeed(value.n ? value.p : "", value.n, seed);
}

size_t ms_envelope_wrap(uint8_t *ret_bytes, struct ms_view key, struct ms_view value) {
    uint64_t sum;

    if (value.n)
        memcpy(ret_bytes + MS_ENVELOPE_BYTES, value.p, value.n);
    sum = checksum(key, MS_ENVELOPE_VERSION, value);
    ret_bytes[0] = MS_ENVELOPE_VERSION;
    for (unsigned i = 0; i < 8; i++)
        ret_bytes[1 + i] = (uint8_t)(sum >> (56 - 8 * i));
    return value.n + MS_ENVELOPE_BYTES;
}

enum ms_code ms_envelope_open(struct ms_view key, struct ms_view stored, struct ms_view *ret_value,
                              struct ms_error *reterr) {
    const uint8_t *b = stored.p;
    struct ms_view value;
    uint64_t sum = 0;

    if (stored.n < MS_ENVELOPE_BYTES)
        return ms_fail(
            reterr, MS_CORRUPT,
            "a record of table 0x%02x is damaged: %zu bytes are less than its envelope of %u; "
            "run fsck",
            ((const uint8_t *)key.p)[0], stored.n, MS_ENVELOPE_BYTES);
    value = ms_view_of(b + MS_ENVELOPE_BYTES, stored.n - MS_ENVELOPE_BYTES);
    for (unsigned i = 0; i < 8; i++)
        sum = sum << 8 | b[1 + i];
    if (b[0] != MS_ENVELOPE_VERSION || sum != checksum(key, b[0], value))
        return ms_fail(reterr, MS_CORRUPT,
                       "a record of table 0x%02x is damaged: its checksum does not fit its %zu "
                       "bytes; run fsck",
                       ((const uint8_t *)key.p)[0], stored.n);
    *ret_value = value;
    return MS_OK;
}
