/* lifecycle.h — the life cycle of an asset as a table and pure functions over it.
 *
 * Nothing here reads a clock, a store or a setting: the caller hands in the facts and gets a verdict. The table
 * (transitions.c, rows of states.def) is the whole of product.md section 3.2; ms_lc_step is its only reader;
 * ms_lc_due is the only place that knows a deadline, and ms_lc_step(EXPIRE) calls it.
 *
 * Threads: pure. See: product.md 3.1-3.3 and 3.6, gateway/README.md "States".
 */
#ifndef MS_LIFECYCLE_LIFECYCLE_H
#define MS_LIFECYCLE_LIFECYCLE_H

#include "model/life.h"

#define MS_EVENTS(X)                                                                               \
    X(CONFIRM)        /* MAIN sealed as declared; content rules hold; passes or needs no review */  \
    X(CONFIRM_REVIEW) /* MAIN sealed as declared; a verdict is outstanding */                      \
    X(MISMATCH)       /* MAIN is not what was declared */                                          \
    X(CONTENT_FAIL)   /* content breaks a rule of section 4 */                                     \
    X(CONTENT_FIT)    /* a new MAIN, or name, of an asset failed by content now fits */            \
    X(REVIEW_PASS)    X(REVIEW_REJECT_AUTO) X(REVIEW_REJECT_MANUAL)                                \
    X(ACTIVATE) X(DEACTIVATE)                                                                      \
    X(ANNOUNCE) X(WITHDRAW)                                                                        \
    X(DELETE) X(RESTORE) X(FORCE_DELETE)                                                           \
    X(FREEZE) X(UNFREEZE)                                                                          \
    X(PACKAGE_HOLD) X(PACKAGE_RENEW)                                                               \
    X(SCHEDULE)       /* set or replace the earliest scheduled operation */                        \
    X(TRANSFER)       /* accepted: what the receiver gets */                                       \
    X(EXPIRE)         /* the earliest deadline has come */
enum ms_event {
#define MS_EVENT_ENUM(n) MS_EVENT_##n,
    MS_EVENTS(MS_EVENT_ENUM)
#undef MS_EVENT_ENUM
        MS_EVENT_COUNT
};

/* What one deadline of an asset does when it comes. */
#define MS_DUES(X)                                                                                 \
    X(NONE) X(UPLOAD)  /* 24 h after creation: FAILED, TIMEOUT */                                  \
    X(PURGE)           /* retention is over: DELETED */                                            \
    X(TAKEDOWN)        /* announced date */                                                        \
    X(SCHEDULED)       /* auto_operation_config */
enum ms_due_kind {
#define MS_DUE_ENUM(n) MS_DUE_##n,
    MS_DUES(MS_DUE_ENUM)
#undef MS_DUE_ENUM
        MS_DUE_COUNT
};

/* What the caller must do beside storing the new ms_life. Bits. */
enum ms_effect {
    MS_EFFECT_FREE_BYTES = 1,      /* bytes and reservations go; nothing of it is counted any longer */
    MS_EFFECT_BIN = 2,             /* leaves the tree for the recycle bin */
    MS_EFFECT_UNBIN = 4,           /* comes back into the tree */
    MS_EFFECT_PURGE = 8,           /* deleted for good: record, names and bin entry go */
    MS_EFFECT_INVALIDATE = 16,     /* warm handles and caches must ask again */
    MS_EFFECT_DROP_SCHEDULE = 32,  /* the scheduled operation fired and is removed */
};

/* Facts beside the asset's own record. */
struct ms_lc_facts {
    struct ms_mask mask;
    struct ms_instant now;      /* of the guard; deadlines fire at now >= due */
    struct ms_instant held_off; /* an open handle or journalled bytes hold the upload deadline off until then;
                                   INT64_MAX while they last, none when they do not */
    uint8_t origin;             /* enum ms_origin */
    uint8_t actor_admin;        /* 1: an administrator or the platform */
    uint8_t activate;           /* CONFIRM, REVIEW_PASS, TRANSFER: 1 ACTIVED, 0 UNACTIVED */
    int64_t retention_ms;       /* DELETE: the tenant's setting; 0: the bin is off, deletes for good */
    struct ms_instant at;       /* ANNOUNCE, SCHEDULE: the wanted instant */
    uint8_t scheduled_op;       /* SCHEDULE: enum ms_scheduled_op */
};

/* Why a step was refused; ordered by precedence: the first rule that fails is the answer. */
#define MS_LC_RULES(X)                                                                             \
    X(ALLOWED, "allowed")                                                                          \
    X(DELETED, "the asset is deleted for good")                                                    \
    X(TENANT_FROZEN, "the tenant is frozen")                                                       \
    X(AUTO_RENEW, "the asset is bound to a package that renews itself; switch auto-renew off first") \
    X(ADMIN_ONLY, "only an administrator may do this")                                             \
    X(SYSTEM_ASSET, "preset assets are read-only")                                                 \
    X(FROZEN, "the asset is frozen")                                                               \
    X(BINNED, "the asset is in the recycle bin")                                                   \
    X(NOT_BINNED, "the asset is not in the recycle bin")                                           \
    X(HOLD_PACKAGE, "its package ran out: renew the package")                                      \
    X(NOT_FROZEN, "the asset is not frozen")                                                       \
    X(STATE, "the asset's state does not allow it")                                                \
    X(PAST, "the instant lies in the past")                                                        \
    X(TOO_SOON, "presets are announced at least three months ahead")                               \
    X(NOT_DUE, "nothing is due")
enum ms_lc_rule {
#define MS_LC_RULE_ENUM(n, text) MS_LC_##n,
    MS_LC_RULES(MS_LC_RULE_ENUM)
#undef MS_LC_RULE_ENUM
        MS_LC_RULE_COUNT
};

struct ms_lc_verdict {
    enum ms_lc_rule rule;    /* MS_LC_ALLOWED: next and effects hold */
    struct ms_life next;     /* equal to the input when refused, or when the event changes nothing */
    uint32_t effects;        /* enum ms_effect bits */
    struct ms_instant at;    /* the instant the change is dated with: facts.now, or the due instant of EXPIRE */
};

/* The state everybody sees, at the instant of the record (nothing overdue applied). */
enum ms_state ms_lc_shown(const struct ms_life *life, struct ms_mask mask);

/* The next deadline of an asset, tenant mask considered; kind NONE and INT64_MAX when there is none.
 * While a mask lasts retention stops; after it retention runs in full, and a CREATING asset gets 24 h. */
struct ms_lc_due {
    enum ms_due_kind kind;
    struct ms_instant at;
};
struct ms_lc_due ms_lc_due(const struct ms_life *life, struct ms_mask mask, struct ms_instant held_off,
                           uint8_t origin);

/* Decide one event. Pending deadlines <= facts.now must have been applied before (ms_lc_effective). */
struct ms_lc_verdict ms_lc_step(const struct ms_life *life, enum ms_event event,
                                const struct ms_lc_facts *facts);

/* Apply one overdue deadline after the other (at most a handful) until none is due at facts->now. each is called
 * for every applied step, in order, with the event dated by its due instant; it may be NULL. Returns the life that
 * any reader must see at facts->now. */
struct ms_life ms_lc_effective(const struct ms_life *life, const struct ms_lc_facts *facts,
                               void (*each)(void *priv, const struct ms_life *before,
                                            const struct ms_lc_verdict *step, enum ms_due_kind kind),
                               void *priv);

/* The end of every life: DELETED, nothing held, binned or due. */
void ms_lc_end(struct ms_life *life);

/* product.md 3.6: what the owner may do in the shown state. Bits. Reads of a model's MAIN, CUSTOMIZED and
 * auto-renew rules are the caller's extra facts (ms_lc_may). */
enum ms_right {
    MS_RIGHT_READ = 1,
    MS_RIGHT_WRITE = 2,
    MS_RIGHT_RENAME = 4,
    MS_RIGHT_DELETE = 8,
    MS_RIGHT_SHARE = 16, /* share, copy, download URL */
    MS_RIGHT_TRANSFER = 32,
    MS_RIGHT_USE = 64,
};
uint32_t ms_lc_rights(const struct ms_life *life, struct ms_mask mask);
/* Of a tenant that the asset is shared with: read only, in ACTIVED and WAITING_DELETE. */
uint32_t ms_lc_rights_shared(const struct ms_life *life, struct ms_mask mask);

/* NULL or the number of the broken invariant's text; records are checked before encode and after decode. */
const char *ms_life_broken(const struct ms_life *life);

const char *ms_state_name(enum ms_state s);
const char *ms_event_name(enum ms_event e);
const char *ms_due_name(enum ms_due_kind k);
const char *ms_fail_name(enum ms_fail_type f);
const char *ms_origin_name(enum ms_origin o);
const char *ms_lc_rule_text(enum ms_lc_rule rule);

#endif
