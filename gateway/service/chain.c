/* The low-level interface: it allocates nothing, so a commit cannot fail here for want of memory, and looks nothing
 * up by name, which for rows of this size costs more than the hash. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "service/chain.h"

#include <openssl/sha.h>

static void sha256(struct ms_view v, uint8_t ret_hash[32]) {
    SHA256_CTX ctx;
    int ok = SHA256_Init(&ctx) == 1 && SHA256_Update(&ctx, v.p, v.n) == 1 && SHA256_Final(ret_hash, &ctx) == 1;

    MS_ASSERT(ok == 1);
}

/* A tenant's chain begins with its first row: a missing head is seq 1 behind a hash of zeros. */
static enum ms_code head_of(struct ms_txn *txn, struct ms_key key, struct ms_chain_record *ret_head,
                            struct ms_error *reterr) {
    enum ms_code code = ms_row_get_chain(txn, key, ret_head, reterr);
    if (code != MS_NOT_FOUND)
        return code;
    *ret_head = (struct ms_chain_record){.seq = 1};
    return MS_OK;
}

/* A row is hashed as the oldest version that says all of it, so that a chain written by an older
 * msasset stays what it was. */
static unsigned version_of_ledger(const struct ms_ledger_record *row) {
    static const struct ms_id none;
    bool minutes = row->seconds || row->hundredths || row->paid_hundredths;
    return minutes || memcmp(row->package.b, none.b, MS_ID_BYTES) != 0 ? 2 : 1;
}
static unsigned version_of_audit(const struct ms_audit_record *row) {
    (void)row;
    return 1;
}
static unsigned version_of_day(const struct ms_day_record *row) {
    (void)row;
    return 1;
}
static unsigned version_of_adjust(const struct ms_adjust_record *row) {
    (void)row;
    return 1;
}

#define MS_CHAIN_HASH_DEFINE(log)                                                                  \
    void ms_chain_hash_##log(const struct ms_##log##_record *row, uint8_t ret_hash[32]) {          \
        uint8_t bytes[2048];                                                                       \
        struct ms_writer w = ms_writer_on(bytes, sizeof bytes);                                    \
        ms_##log##_encode_as(row, version_of_##log(row), &w);                                      \
        MS_ASSERT(!w.failed);                                                                      \
        sha256(ms_writer_view(&w), ret_hash);                                                      \
    }
MS_CHAIN_HASH_DEFINE(ledger)
MS_CHAIN_HASH_DEFINE(audit)
MS_CHAIN_HASH_DEFINE(day)
MS_CHAIN_HASH_DEFINE(adjust)

#define MS_CHAIN_DEFINE(log, letter)                                                               \
    enum ms_code ms_chain_##log(struct ms_txn *txn, struct ms_tenant_id tenant,                    \
                                struct ms_##log##_record *row, struct ms_error *reterr) {          \
        struct ms_key key = ms_key_chain(tenant, letter);                                          \
        struct ms_chain_record head;                                                               \
        enum ms_code code = head_of(txn, key, &head, reterr);                                      \
        if (code != MS_OK)                                                                         \
            return code;                                                                           \
        row->seq = head.seq;                                                                       \
        memcpy(row->previous, head.head, sizeof row->previous);                                    \
        code = ms_row_put_##log(txn, ms_key_##log(tenant, row->seq), row, reterr);                 \
        if (code != MS_OK)                                                                         \
            return code;                                                                           \
        head.seq++;                                                                                \
        ms_chain_hash_##log(row, head.head);                                                       \
        return ms_row_put_chain(txn, key, &head, reterr);                                          \
    }
MS_CHAIN_DEFINE(ledger, 'L')
MS_CHAIN_DEFINE(audit, 'E')
MS_CHAIN_DEFINE(adjust, 'J')
