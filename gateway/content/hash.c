#define XXH_STATIC_LINKING_ONLY /* state on the stack: a root cannot fail for lack of memory */
#include <xxhash.h>

#include "content/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (4 * MS_MB) /* what ms_hash_fd reads at a time; blocks may be larger */

static void put_be64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint64_t ms_block_hash(const void *p, size_t n) { return XXH3_64bits(p, n); }

uint64_t ms_block_count(uint64_t size, unsigned block_log2) {
    MS_ASSERT(block_log2 < 64);
    return (size >> block_log2) + ((size & ((UINT64_C(1) << block_log2) - 1)) != 0);
}

void ms_hashes_fini(struct ms_hashes *h) {
    free(h->hash);
    *h = (struct ms_hashes){0};
}

enum ms_code ms_hashes_resize(struct ms_hashes *h, uint64_t count, struct ms_error *reterr) {
    if (count > h->cap) {
        uint64_t cap = count > h->cap + h->cap / 2 ? count : h->cap + h->cap / 2;
        uint64_t *hash = NULL;

        if (count < SIZE_MAX / sizeof *hash / 2)
            hash = realloc(h->hash, cap * sizeof *hash);
        if (!hash)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %" PRIu64 " block hashes", count);
        h->hash = hash;
        h->cap = cap;
    }
    for (uint64_t i = h->count; i < count; i++)
        h->hash[i] = 0;
    h->count = count;
    return MS_OK;
}

void ms_hashes_root(const struct ms_hashes *h, uint64_t size, uint8_t ret_root[16]) {
    XXH3_state_t state;
    XXH128_canonical_t root;
    uint8_t be[8 * 512];
    size_t n = 8;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    put_be64(be, size);
    for (uint64_t i = 0; i < h->count; i++) {
        if (n == sizeof be) {
            XXH3_128bits_update(&state, be, n);
            n = 0;
        }
        put_be64(be + n, h->hash[i]);
        n += 8;
    }
    XXH3_128bits_update(&state, be, n);
    XXH128_canonicalFromHash(&root, XXH3_128bits_digest(&state));
    memcpy(ret_root, root.digest, 16);
}

/* Up to n bytes; fewer only at the end of the file. */
static enum ms_code read_piece(int fd, uint8_t *p, size_t n, uint64_t offset, size_t *ret_n,
                               struct ms_error *reterr) {
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, p + got, n - got, (off_t)(offset + got));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return ms_fail_errno(reterr, errno, "cannot read at offset %" PRIu64, offset + got);
        if (r == 0)
            break;
        got += (size_t)r;
    }
    *ret_n = got;
    return MS_OK;
}

static enum ms_code add_blocks(struct ms_hashes *h, const uint8_t *p, size_t n, size_t block,
                               struct ms_error *reterr) {
    for (size_t at = 0; at < n; at += block) {
        enum ms_code code = ms_hashes_resize(h, h->count + 1, reterr);

        if (code)
            return code;
        h->hash[h->count - 1] = ms_block_hash(p + at, n - at < block ? n - at : block);
    }
    return MS_OK;
}

static void free_bytes(uint8_t **p) { free(*p); }

enum ms_code ms_hash_fd(int fd, unsigned block_log2, struct ms_hashes *ret_hashes,
                        uint64_t *ret_size, uint8_t ret_root[16],
                        bool (*progress)(void *priv, uint64_t done), void *priv,
                        struct ms_error *reterr) {
    size_t block = (size_t)1 << block_log2;
    size_t piece = block > PIECE_BYTES ? block : PIECE_BYTES;
    MS_AUTO(ms_hashes_fini) struct ms_hashes h = {0};
    MS_AUTO(free_bytes) uint8_t *p = malloc(piece);
    uint64_t size = 0;
    size_t n = 0;

    MS_ASSERT(block_log2 >= MS_BLOCK_LOG2_MIN && block_log2 <= MS_BLOCK_LOG2_MAX);
    if (!p)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a piece of %zu bytes", piece);
    do {
        enum ms_code code = read_piece(fd, p, piece, size, &n, reterr);

        if (!code)
            code = add_blocks(&h, p, n, block, reterr);
        if (code)
            return code;
        size += n;
        if (progress && !progress(priv, size))
            return ms_fail(reterr, MS_CANCELLED, "stopped after %" PRIu64 " bytes", size);
    } while (n == piece);
    ms_hashes_root(&h, size, ret_root);
    *ret_size = size;
    *ret_hashes = h;
    h = (struct ms_hashes){0};
    return MS_OK;
}

void ms_root_format(const uint8_t root[16], char ret_text[33]) {
    for (int i = 0; i < 16; i++)
        snprintf(ret_text + 2 * (size_t)i, 3, "%02x", root[i]);
}
