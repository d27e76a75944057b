/* model.h — the life of assets as product.md has it, in the simplest form that can be true.
 *
 * Written from the specification alone (sections 3.1 to 3.6 and 6) and without a header of the
 * gateway: what the two have in common are words. Where the gateway derives a state from a record, a
 * mask and a clock, lazily and for one asset, the model moves all assets at every instant at which
 * something is due. So there is nothing in it that could forget to be swept.
 *
 * Every change of an asset leaves a row: what the audit log must say about it, and what it does to the
 * tenant's counters. The rows of an asset come in order; the gateway may be behind by those that time
 * brought about, until somebody writes or sweeps, and by no others.
 */
#ifndef MS_TESTS_MODEL_H
#define MS_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define M_NEVER INT64_MAX
#define M_MINUTE INT64_C(60000)
#define M_HOUR (60 * M_MINUTE)
#define M_DAY (24 * M_HOUR)
#define M_NAMES_MAX 3
#define M_NAME_MAX 63
#define M_OPS_MAX 10
#define M_ROWS_MAX 40
#define M_JOBS_MAX 64
#define M_SHARES_MAX 4

enum m_state {
    M_CREATING,
    M_FAILED,
    M_UNACTIVED,
    M_ACTIVED,
    M_WAITING_DELETE,
    M_DELETED,
    M_BLOCK,
    M_DELETING,
    M_NEW, /* before it was there, or another tenant's */
};
/* What an operation comes to. */
enum m_answer { M_OK, M_REFUSED, M_EXISTS, M_GONE, M_QUOTA };
enum m_hold { M_ADMIN = 1, M_SCHEDULED = 2, M_ARREARS = 8 };
enum m_last { M_LAST_NONE, M_LAST_FROZEN, M_LAST_BINNED };
enum m_fail { M_FAIL_NONE, M_FAIL_TIMEOUT, M_FAIL_MISMATCH, M_FAIL_CONTENT, M_FAIL_REVIEW };
/* What a row of the audit log calls it. */
enum m_event {
    M_CREATED,
    M_EXPIRE,
    M_CONFIRM,
    M_CONFIRM_REVIEW,
    M_EDIT_REVIEW,
    M_MISMATCH,
    M_CONTENT_FAIL,
    M_REVIEW_PASS,
    M_REVIEW_REJECT,
    M_ACTIVATE,
    M_DEACTIVATE,
    M_ANNOUNCE,
    M_WITHDRAW,
    M_DELETE,
    M_RESTORE,
    M_FORCE_DELETE,
    M_FREEZE,
    M_UNFREEZE,
    M_SCHEDULE,
    M_UNSCHEDULE,
    M_TRANSFER,
    M_FILE_CANCELLED, /* by time */
    M_EVENTS
};
enum m_op_kind { M_OP_BLOCK, M_OP_DELETE };
/* Of a declared file: the MAIN of an API upload, a COVER. */
enum m_main { M_MAIN_NONE, M_MAIN_DECLARED, M_MAIN_SENT, M_MAIN_THERE };

struct m_op {
    int64_t at;
    enum m_op_kind kind;
};

struct m_life {
    enum m_state rest; /* of the first six */
    enum m_fail fail;
    unsigned holds;
    bool binned;
    enum m_last last;
    int64_t created;
    int64_t confirm_due;  /* 0: none */
    int64_t retention;    /* of what is binned */
    int64_t binned_at, purge_due;
    int64_t takedown_due; /* 0: none */
    struct m_op op[M_OPS_MAX];
    int ops;
    uint64_t bytes, reserved;
    uint64_t held; /* of bytes: a new MAIN that waits for review beside the live one */
    enum m_main main;
    enum m_main cover;
    uint64_t cover_bytes; /* declared, then there: `bytes` and `reserved` have them too */
    int64_t cover_due;    /* while it is not confirmed */
    bool in_review;
    int names;
    char name[M_NAMES_MAX][M_NAME_MAX + 1]; /* paths without the first slash, oldest first */
    char bin_name[M_NAME_MAX + 1];          /* "": it was nowhere */
    char called[M_NAME_MAX + 1];            /* MAIN: after the path, and follows renames */
};

struct m_counts {
    int64_t assets, bytes, reserved, binned_assets, binned_bytes;
};

struct m_row {
    int tenant;
    enum m_event event;
    int64_t at;
    enum m_state from, to;
    bool by_time;
    struct m_counts more;
};

/* With another tenant, until then. */
struct m_share {
    int to;
    int64_t until;
};

struct m_asset {
    int tenant;
    struct m_life life;
    struct m_row row[M_ROWS_MAX]; /* that the gateway has not told yet */
    int rows;
    bool free;     /* deleted, and told: the place may be used again */
    uint64_t serial; /* no other asset ever has it */
    struct m_share share[M_SHARES_MAX];
    int shares;      /* ended ones are among them until there is need of their place */
    bool asked;      /* an unfreeze request of its owner waits */
};

struct m_tenant {
    unsigned holds;
    int64_t retention; /* of later deletions; 0: the bin is off */
    bool review, unactived;
    char bypass[M_NAME_MAX + 1]; /* names that end so go for good by rm; "": none */
    uint64_t quota;
    struct m_counts counts;
    struct m_row row[M_ROWS_MAX];
    int rows;
};

/* A transfer that was offered. */
struct m_job {
    int asset, from, to;
    uint64_t serial;
    int64_t expire;
    bool active;
};

struct model {
    int64_t now;
    struct m_tenant *tenant;
    int tenants;
    struct m_asset *asset;
    int assets, assets_max;
    uint64_t serials;
    struct m_job job[M_JOBS_MAX];
    int jobs;
};

void m_init(struct model *m, int64_t now, int tenants, int assets_max);
void m_fini(struct model *m);

/* Everything that comes until then comes, in its order. */
void m_go_to(struct model *m, int64_t at);
/* When something comes of that asset next. */
int64_t m_next_due(const struct model *m, const struct m_asset *a);

enum m_state m_shown(const struct model *m, const struct m_asset *a);
/* Which asset of a tenant has that name; -1: none. */
int m_named(const struct model *m, int tenant, const char *name);
/* Its rows up to here are told. */
void m_told(struct model *m, struct m_asset *a, int rows);
/* Counters as the gateway has them that is behind by untold rows. */
struct m_counts m_counts_behind(const struct model *m, int tenant);

/* ---- what is done ------------------------------------------------------------------------------ */

/* A place for a new asset; -1: there is none. */
int m_place(struct model *m);

enum m_answer m_put(struct model *m, int tenant, const char *name, uint64_t bytes, int *ret_asset);
enum m_answer m_overwrite(struct model *m, int tenant, const char *name, uint64_t bytes);
enum m_answer m_copy(struct model *m, int asset, const char *name, int *ret_asset);
enum m_answer m_create(struct model *m, int tenant, int *ret_asset);
enum m_answer m_declare(struct model *m, int asset, uint64_t bytes);
enum m_answer m_send(struct model *m, int asset);
/* right: size and MD5 are as declared; fits: the content is of its type. name: where it appears. */
enum m_answer m_confirm(struct model *m, int asset, bool right, bool fits, const char *name);
enum m_answer m_cancel(struct model *m, int asset);
enum m_answer m_cover_declare(struct model *m, int asset, uint64_t bytes);
enum m_answer m_cover_send(struct model *m, int asset);
enum m_answer m_cover_confirm(struct model *m, int asset, bool right);
enum m_answer m_cover_cancel(struct model *m, int asset);
enum m_answer m_cover_remove(struct model *m, int asset);

enum m_answer m_delete(struct model *m, int asset);
enum m_answer m_purge(struct model *m, int asset);
enum m_answer m_restore(struct model *m, int asset, const char *to_or_null);
enum m_answer m_unlink(struct model *m, int tenant, const char *name);
enum m_answer m_rename(struct model *m, int tenant, const char *name, const char *to);
/* Over what has that name; of assets that do not take over what they replace. */
enum m_answer m_rename_over(struct model *m, int tenant, const char *name, const char *to);
enum m_answer m_link(struct model *m, int tenant, const char *name, const char *to);
enum m_answer m_freeze(struct model *m, int asset);
enum m_answer m_unfreeze(struct model *m, int asset);
enum m_answer m_activate(struct model *m, int asset, bool on);
enum m_answer m_announce(struct model *m, int asset, int64_t at);
enum m_answer m_withdraw(struct model *m, int asset);
enum m_answer m_schedule(struct model *m, int asset, enum m_op_kind kind, int64_t at);
enum m_answer m_unschedule(struct model *m, int asset);
enum m_answer m_verdict(struct model *m, int asset, bool pass);
enum m_answer m_ask(struct model *m, int asset);
enum m_answer m_decide(struct model *m, int asset, bool grant);
/* Whether there is room for one more, or it is shared with that tenant already. */
bool m_may_share_with(struct model *m, int asset, int to);
enum m_answer m_share(struct model *m, int asset, int to, int64_t until);
enum m_answer m_unshare(struct model *m, int asset, int to);
enum m_answer m_read_shared(struct model *m, int asset, int to);
/* When the next of its shares ends. */
int64_t m_next_share_end(const struct model *m, const struct m_asset *a);
/* Offered, it is a job; over, it is none: *ret_moved says whether the asset is the receiver's now. */
enum m_answer m_offer(struct model *m, int asset, int to, bool active, int *ret_job);
enum m_answer m_accept(struct model *m, int job, bool *ret_moved);
enum m_answer m_drop_job(struct model *m, int job, bool *ret_expired);

enum m_answer m_hold_tenant(struct model *m, int tenant, unsigned hold, bool on);
void m_bin_set(struct model *m, int tenant, int64_t retention);
void m_bin_empty(struct model *m, int tenant, int64_t older, int *ret_gone, uint64_t *ret_bytes);

#endif
