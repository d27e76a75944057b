/* life.h — what the life cycle of an asset is, underneath (product.md section 3.1).
 *
 * A resting state and two facts beside it: frozen (a set of holds) and binned, with a note of which
 * came last. The state that everybody sees is derived, never stored: lifecycle/lifecycle.h. So
 * unfreeze and restore cannot forget the state before them, and delete + restore cannot lift a
 * freeze.
 *
 * Threads: pure. Invariants: ms_life_broken() names each of them.
 */
#ifndef MS_MODEL_LIFE_H
#define MS_MODEL_LIFE_H

#include "base/time.h"

/* The API's asset_state. Resting states are the first six. */
#define MS_STATES(X)                                                                               \
    X(CREATING) X(FAILED) X(UNACTIVED) X(ACTIVED) X(WAITING_DELETE) X(DELETED) X(BLOCK) X(DELETING)
enum ms_state {
#define MS_STATE_ENUM(n) MS_STATE_##n,
    MS_STATES(MS_STATE_ENUM)
#undef MS_STATE_ENUM
        MS_STATE_COUNT
};
#define MS_REST_COUNT (MS_STATE_DELETED + 1)

enum ms_hold { /* bits; each is lifted only by its own cause */
               MS_HOLD_ADMIN = 1,
               MS_HOLD_SCHEDULED = 2,
               MS_HOLD_PACKAGE = 4,
               MS_HOLD_ARREARS = 8, /* on tenants only, beside ADMIN */
};
#define MS_ASSET_HOLDS (MS_HOLD_ADMIN | MS_HOLD_SCHEDULED | MS_HOLD_PACKAGE)
#define MS_TENANT_HOLDS (MS_HOLD_ADMIN | MS_HOLD_ARREARS)
/* What holds an asset, in words for its owner: the gravest of HOLDS, "" for none. */
const char *ms_hold_words(unsigned holds);

enum ms_last { MS_LAST_NONE, MS_LAST_FROZEN, MS_LAST_BINNED };

/* Why an asset is FAILED, and so what became of its bytes: TIMEOUT and MISMATCH freed them. */
#define MS_FAILS(X)                                                                                \
    X(NONE) X(TIMEOUT) X(MISMATCH) X(CONTENT) X(AUTOMATIC_REVIEW_REJECT) X(MANUAL_REVIEW_REJECT)
enum ms_fail_type {
#define MS_FAIL_ENUM(n) MS_FAIL_##n,
    MS_FAILS(MS_FAIL_ENUM)
#undef MS_FAIL_ENUM
        MS_FAIL_COUNT
};

#define MS_ORIGINS(X) X(UPLOADED) X(CUSTOMIZED) X(SYSTEM)
enum ms_origin {
#define MS_ORIGIN_ENUM(n) MS_ORIGIN_##n,
    MS_ORIGINS(MS_ORIGIN_ENUM)
#undef MS_ORIGIN_ENUM
        MS_ORIGIN_COUNT
};

/* One row of auto_operation_config. All of an asset's are kept in its life, not only the next one:
 * the effective state at an instant has to apply every one that has come, whether or not a sweep
 * ran in between. */
enum ms_scheduled_op { MS_SCHEDULED_NONE, MS_SCHEDULED_BLOCK, MS_SCHEDULED_DELETE };
#define MS_SCHEDULED_MAX 10 /* API: auto_operation_config has at most ten */
struct ms_scheduled {
    struct ms_instant at;
    uint8_t op; /* enum ms_scheduled_op */
};

#define MS_RETENTION_MS_MAX (INT64_C(36525) * MS_DAY_MS)

struct ms_life {
    uint8_t rest;      /* enum ms_state, below MS_REST_COUNT */
    uint8_t holds;     /* enum ms_hold bits of MS_ASSET_HOLDS */
    uint8_t binned;    /* 0, 1 */
    uint8_t last;      /* enum ms_last; NONE when neither frozen nor binned */
    uint8_t fail;      /* enum ms_fail_type; NONE unless rest is FAILED */
    uint8_t sealed;    /* 1 once MAIN is confirmed: size and MD5 as declared; its bytes are kept and
                          counted */
    uint8_t in_review; /* 1: a verdict is outstanding. CREATING: on the asset, nothing is live yet;
                          finished: on an edit that is held aside */
    uint8_t auto_renew; /* 1: bound to a package that renews itself: no way to delete it */
    struct ms_instant created;
    /* API uploads: created + 24 h, or the end of what held it off; none for files made in a mount,
     * and as soon as MAIN is sealed or failed. */
    struct ms_instant confirm_due;
    struct ms_instant binned_at; /* start of the running retention; none unless binned */
    int64_t retention_ms; /* 0..MS_RETENTION_MS_MAX; fixed at deletion from the tenant's setting */
    /* Retention waited for an auto-renewing package until then; none. */
    struct ms_instant purge_floor;
    struct ms_instant takedown_due; /* announced date; none unless WAITING_DELETE */
    uint8_t scheduled_count;        /* 0..MS_SCHEDULED_MAX */
    /* Ascending by (at, op), no two equal; the unused ones zero. */
    struct ms_scheduled scheduled[MS_SCHEDULED_MAX];
};

/* NULL, or the text of the first invariant that does not hold. Records are checked before encode
 * and after decode. */
const char *ms_life_broken(const struct ms_life *life);

/* The tenant-wide freeze: a mask over all assets, O(1); it changes none of them. The end of the
 * freeze before is kept because retention and the 24 h count from there. Older ones need not be:
 * before a freeze begins, everything of the tenant that was due when the one before began has been
 * applied (lifecycle.h, ms_lc_mask_freeze). */
struct ms_mask {
    uint8_t holds;                   /* enum ms_hold bits of MS_TENANT_HOLDS; 0: not frozen */
    struct ms_instant since;         /* start of this freeze, or of the last one; none: never */
    struct ms_instant lifted_at;     /* its end; none while it lasts */
    struct ms_instant lifted_before; /* end of the one before it; none */
};

const char *ms_mask_broken(const struct ms_mask *mask);

const char *ms_state_name(enum ms_state s); /* "WAITING_DELETE" */
/* Accepted, so that a change of it is an edit (product.md 3.4): UNACTIVED, ACTIVED or WAITING_DELETE. */
bool ms_state_is_finished(enum ms_state rest);
const char *ms_fail_name(enum ms_fail_type f);
const char *ms_origin_name(enum ms_origin o);

/* Exactly the names above, upper case; false and *ret_x untouched for anything else. */
bool ms_state_parse(const char *name, enum ms_state *ret_state);
bool ms_origin_parse(const char *name, enum ms_origin *ret_origin);

#endif
