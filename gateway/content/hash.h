/* hash.h — checksums of content: XXH3-64 a block, XXH3-128 over size and block hashes as root
 * (design.md section 2).
 *
 * root = XXH3-128 of (size u64 big-endian, block hash u64 big-endian ...), so one seek back costs
 * one block, not the whole file. Pure.
 */
#ifndef MS_CONTENT_HASH_H
#define MS_CONTENT_HASH_H

#include "base/error.h"
#include "model/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t ms_block_hash(const void *p, size_t n);
/* Number of blocks of a file: 0 for size 0. */
uint64_t ms_block_count(uint64_t size, unsigned block_log2);

/* Growing list of block hashes of one version. {0} is empty. 16 bytes of memory per MiB at the
 * default block size; 500 GB: 16 MiB. */
struct ms_hashes {
    uint64_t *hash;
    uint64_t count, cap;
};
void ms_hashes_fini(struct ms_hashes *h);
/* New entries are 0. Errors: MS_NO_MEMORY, nothing changed. */
MS_NODISCARD enum ms_code ms_hashes_resize(struct ms_hashes *h, uint64_t count,
                                           struct ms_error *reterr);
void ms_hashes_root(const struct ms_hashes *h, uint64_t size, uint8_t ret_root[16]);

/* Root of an open file, read from its start to its end in large pieces. progress may be NULL; when
 * it says false the reading stops. ret_hashes: owned by the caller. Errors: what read(2) gives,
 * MS_CANCELLED, MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_hash_fd(int fd, unsigned block_log2, struct ms_hashes *ret_hashes,
                                     uint64_t *ret_size, uint8_t ret_root[16],
                                     bool (*progress)(void *priv, uint64_t done), void *priv,
                                     struct ms_error *reterr);
void ms_root_format(const uint8_t root[16], char ret_text[33]);

#endif
