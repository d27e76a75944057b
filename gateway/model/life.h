/* life.h — what the life cycle of an asset is, underneath (product.md section 3.1).
 *
 * A resting state and two facts beside it: frozen (a set of holds) and binned, with a note of which came last.
 * The state that everybody sees is derived, never stored: lifecycle/lifecycle.h. So unfreeze and restore cannot
 * forget the state before them, and delete + restore cannot lift a freeze.
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

enum ms_last { MS_LAST_NONE, MS_LAST_FROZEN, MS_LAST_BINNED };

/* Why an asset is FAILED, and so what became of its bytes. */
#define MS_FAILS(X) X(NONE) X(TIMEOUT) X(MISMATCH) X(CONTENT) X(AUTOMATIC_REVIEW_REJECT) X(MANUAL_REVIEW_REJECT)
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

struct ms_life {
    uint8_t rest;   /* enum ms_state, below MS_REST_COUNT */
    uint8_t holds;  /* enum ms_hold bits of MS_ASSET_HOLDS */
    uint8_t binned; /* 0, 1 */
    uint8_t last;   /* enum ms_last; NONE when neither frozen nor binned */
    uint8_t fail;   /* enum ms_fail_type; NONE unless rest is FAILED */
    uint8_t sealed; /* 1 once MAIN is confirmed: size and MD5 as declared */
    uint8_t in_review;  /* 1: a verdict is outstanding; with rest CREATING nothing is live yet */
    uint8_t auto_renew; /* 1: bound to a package that renews itself: no way to delete it */
    struct ms_instant created;
    struct ms_instant confirm_due;  /* API uploads: created + 24 h; none for files made in a mount */
    struct ms_instant binned_at;    /* start of the running retention; none unless binned */
    int64_t retention_ms;           /* fixed at deletion from the tenant's setting */
    struct ms_instant takedown_due; /* announced date; none unless WAITING_DELETE */
    struct ms_instant scheduled_due; /* earliest scheduled operation; none */
    uint8_t scheduled_op;            /* enum ms_scheduled_op of that operation */
};

enum ms_scheduled_op { MS_SCHEDULED_NONE, MS_SCHEDULED_BLOCK, MS_SCHEDULED_DELETE };

/* The tenant-wide freeze: a mask over all assets, O(1); it changes none of them. */
struct ms_mask {
    uint8_t holds;               /* enum ms_hold bits of MS_TENANT_HOLDS; 0: not frozen */
    struct ms_instant lifted_at; /* when the last mask ended; none if there never was one */
};

#endif
