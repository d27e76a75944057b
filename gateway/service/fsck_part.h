/* fsck_part.h — what the parts of fsck share. Private to service/fsck*.c.
 *
 * Every comparison is made inside one read, between rows that are all of that instant; sums over
 * many reads are brought up to date before they are compared. What is found is kept until the read
 * has ended, because the caller's functions may write somewhere. A read that grew too old is
 * repeated from the row that it came to.
 */
#ifndef MS_SERVICE_FSCK_PART_H
#define MS_SERVICE_FSCK_PART_H

#include "service/tree_rows.h"
#include "service/upkeep.h"
#include "service/upkeep_walk.h"

/* Who is registered, as it was when fsck began. */
struct ms_fsck_process {
    struct ms_instance_id instance;
    bool alive;
};

struct ms_fsck {
    struct ms_svc *svc;
    const struct ms_fsck_options *options;
    struct ms_fsck_result result;
    struct ms_buf found; /* texts of the read that is open */
    struct ms_fsck_process *process;
    size_t process_n;
    struct ms_numbers refs;    /* first half of the object's id, for each version that names one */
    struct ms_numbers intents; /* first half of each intent's id */
    struct ms_numbers told;    /* the same of each object that the store's part has reported; sorted behind it */
    struct ms_tenant_record tenant; /* of the tenant's part */
    void *part;                     /* what one part keeps from row to row */
};

/* invariant: its name; kept until ms_fsck_flush(). */
void ms_fsck_finding(struct ms_fsck *f, const char *invariant, const char *fmt, ...)
    MS_PRINTF(3, 4);
void ms_fsck_pending(struct ms_fsck *f, const char *kind, const char *fmt, ...) MS_PRINTF(3, 4);
void ms_fsck_flush(struct ms_fsck *f); /* with no read open */

/* Every row of a table part, each inside a read of bounded length. each is called with the fsck as
 * priv. A damaged row is passed over: ms_store_check() has named it. */
MS_NODISCARD enum ms_code ms_fsck_walk(struct ms_fsck *f, struct ms_key prefix, ms_walk_fn *each,
                                       struct ms_error *reterr);
/* The prefix of a GLOBAL table. Some share their first byte with another one: keys of other lengths. */
static inline struct ms_key ms_fsck_table(char table) {
    return (struct ms_key){.bytes = {(uint8_t)table}, .len = 1};
}
/* Run fn inside one read, again when the read grew too old. */
typedef enum ms_code ms_fsck_fn(struct ms_fsck *f, struct ms_txn *txn, void *priv,
                                struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_fsck_read(struct ms_fsck *f, ms_fsck_fn *fn, void *priv,
                                       struct ms_error *reterr);

/* A row that another one leads to. DAMAGED: it cannot be read, which is reported elsewhere. */
enum ms_fsck_seen { MS_FSCK_ABSENT, MS_FSCK_THERE, MS_FSCK_DAMAGED };
static inline enum ms_code ms_fsck_see(enum ms_code code, enum ms_fsck_seen *ret_seen) {
    *ret_seen = code == MS_OK          ? MS_FSCK_THERE
                : code == MS_NOT_FOUND ? MS_FSCK_ABSENT
                                       : MS_FSCK_DAMAGED;
    return code == MS_NOT_FOUND || code == MS_CORRUPT ? MS_OK : code;
}
/* What decode says of a row that was walked: false when it is unreadable, which is a finding. */
bool ms_fsck_decoded(struct ms_fsck *f, enum ms_code code, struct ms_view key,
                     const struct ms_error *err);

static inline bool ms_id_is(struct ms_id a, struct ms_id b) {
    return memcmp(a.b, b.b, MS_ID_BYTES) == 0;
}
static inline bool ms_id_is_set(struct ms_id a) { return !ms_id_is(a, (struct ms_id){{0}}); }
/* 64 random bits of an id: enough to count by. */
static inline uint64_t ms_id_half(struct ms_id id) {
    return ms_key_u64_at(ms_view_of(id.b, MS_ID_BYTES), 0);
}

/* The instance as the registry had it. Unknown ones may have registered since. */
enum ms_fsck_life { MS_FSCK_ALIVE, MS_FSCK_DEAD, MS_FSCK_UNKNOWN };
enum ms_fsck_life ms_fsck_life_of(const struct ms_fsck *f, struct ms_instance_id instance);
/* Read the registry again. */
MS_NODISCARD enum ms_code ms_fsck_processes(struct ms_fsck *f, struct ms_error *reterr);

/* fsck_tenant.c, fsck_asset.c, fsck_usage.c: rows of f->tenant. */
MS_NODISCARD enum ms_code ms_fsck_tenant(struct ms_fsck *f, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_fsck_assets(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_file.c: declared files of f->tenant. */
MS_NODISCARD enum ms_code ms_fsck_files(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_job.c: unfreeze requests and the list of transfers of f->tenant; all transfers, after all tenants. */
MS_NODISCARD enum ms_code ms_fsck_answers(struct ms_fsck *f, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_fsck_transfers(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_share.c: whom assets are shared with, after all tenants. */
MS_NODISCARD enum ms_code ms_fsck_shares(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_package.c: packages of f->tenant, and what is bound to them. */
MS_NODISCARD enum ms_code ms_fsck_packages(struct ms_fsck *f, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_fsck_usage(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_shared.c: rows that are nobody's own. After all tenants. */
MS_NODISCARD enum ms_code ms_fsck_shared(struct ms_fsck *f, struct ms_error *reterr);
/* fsck_store.c: rows against the object store. */
MS_NODISCARD enum ms_code ms_fsck_store(struct ms_fsck *f, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_fsck_deep(struct ms_fsck *f, struct ms_error *reterr);

#endif
