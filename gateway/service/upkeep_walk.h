/* upkeep_walk.h — walks over whole tables in bounded reads; for sweep, recover, gc and fsck.
 *
 * A walk gives every row that is there from its beginning to its end. Rows that come or go
 * meanwhile may be seen or not: who compares two walks looks again before he believes it.
 *
 * Threads: a walk belongs to its thread.
 */
#ifndef MS_SERVICE_UPKEEP_WALK_H
#define MS_SERVICE_UPKEEP_WALK_H

#include "service/change.h"
#include "service/service.h"

#define MS_TABLE_TENANT_KEY_BYTES (1 + MS_ID_BYTES) /* table byte and tenant */

/* Called for each row inside a read: short, no I/O. key and value are borrowed. */
typedef enum ms_code ms_walk_fn(void *priv, struct ms_txn *txn, struct ms_view key,
                                struct ms_view value, struct ms_error *reterr);

struct ms_walk {
    struct ms_key prefix; /* of the rows wanted */
    ms_walk_fn *each;
    void *priv;
    /* A row whose checksum is wrong; NULL: the walk fails with MS_CORRUPT. */
    void (*damaged)(void *priv, struct ms_view key, const struct ms_error *err);
    /* private: what has been given */
    uint8_t last[MS_KEY_MAX + 1];
    size_t last_len;
    unsigned stale; /* reads in a row that grew too old without a row */
    bool ended;
};
/* One read: at most a few hundred rows. walk->ended says whether there is more. A row whose each()
 * gives MS_STALE is given again in the next read. */
MS_NODISCARD enum ms_code ms_walk_some(struct ms_svc *svc, struct ms_walk *walk,
                                       struct ms_error *reterr);
/* Inside a read or write of the caller: all that is left, without bounds. */
MS_NODISCARD enum ms_code ms_walk_in(struct ms_txn *txn, struct ms_walk *walk,
                                     struct ms_error *reterr);
/* To the end, in as many reads as it takes. */
MS_NODISCARD enum ms_code ms_walk_all(struct ms_svc *svc, struct ms_walk *walk,
                                      struct ms_error *reterr);
/* From each (which has just been given a key): the next row is the first at or behind this key. */
void ms_walk_skip_to(struct ms_walk *walk, struct ms_view key);

/* The prefix of a tenant's part of a table, from the key of any row in it. */
static inline struct ms_key ms_table_of_tenant(struct ms_key key) {
    key.len = MS_TABLE_TENANT_KEY_BYTES;
    return key;
}
/* The integer at an offset of a key; 0 when the key is too short. */
uint64_t ms_key_u64_at(struct ms_view key, size_t at);
/* The id at an offset of a key; none when the key is too short. */
struct ms_id ms_key_id_at(struct ms_view key, size_t at);

/* The first tenant behind `after` (none: the first). Errors: MS_NOT_FOUND there is none; MS_CORRUPT
 * its record cannot be read: then ret_tenant has its id, so that one can go on behind it. */
MS_NODISCARD enum ms_code ms_tenant_behind(struct ms_svc *svc, struct ms_tenant_id after,
                                           struct ms_tenant_record *ret_tenant,
                                           struct ms_error *reterr);

/* Pass an error up: what was looked for in vain on the way is nobody's business when all went well.
 */
static inline enum ms_code ms_pass_up(enum ms_code code, const struct ms_error *err,
                                      struct ms_error *reterr) {
    if (code != MS_OK && reterr)
        *reterr = *err;
    return code;
}

/* Absence is an answer: MS_OK with *ret_there false. */
static inline enum ms_code ms_allow_absent(enum ms_code code, bool *ret_there) {
    *ret_there = code == MS_OK;
    return code == MS_NOT_FOUND ? MS_OK : code;
}

/* A growing array of 8-byte numbers: hashes of keys, counts. {0} is empty. */
struct ms_numbers {
    uint64_t *at;
    size_t n, cap;
};
void ms_numbers_fini(struct ms_numbers *numbers);
MS_NODISCARD enum ms_code ms_numbers_add(struct ms_numbers *numbers, uint64_t number,
                                         struct ms_error *reterr);
void ms_numbers_sort(struct ms_numbers *numbers);
/* Needs: sorted. The index of the first that is not below; n when all are. */
size_t ms_numbers_seek(const struct ms_numbers *numbers, uint64_t number);
static inline bool ms_numbers_have(const struct ms_numbers *numbers, uint64_t number) {
    size_t i = ms_numbers_seek(numbers, number);
    return i < numbers->n && numbers->at[i] == number;
}

#endif
