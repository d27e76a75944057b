/* lifecycle.h — the life cycle of an asset as a table and pure functions over it.
 *
 * Nothing here reads a clock, a store or a setting: the caller hands in the facts and gets a
 * verdict. The table (names in states.def, rows in transitions.c) is the whole of product.md
 * section 3.2; ms_lc_step is its only reader; ms_lc_due is the only place that knows a deadline,
 * and ms_lc_step(EXPIRE) calls it.
 *
 * What the specification leaves open is decided so:
 *  - An asset's own freeze, bin and deadlines do not look at the tenant's mask, but for the two
 *    deadlines that it stops (retention, upload): a mask hides and refuses, it changes nothing. So
 *    a delete under a mask of an asset that was frozen in the bin counts as deleted again,
 *    although DELETING shows already.
 *  - What time and the platform bring about goes on under a mask: scheduled operations, announced
 *    dates, verdicts, an administrator's freeze and unfreeze of an asset, package holds.
 *  - The announced date of an asset that is binned already changes R only; it is not another
 *    deletion. A scheduled deletion is one.
 *  - A frozen asset that was deleted afterwards shows DELETING, but its bytes stay unreadable in
 *    the bin: else deleting it would lift the freeze for readers.
 *  - With the bin off (retention 0) every deletion is for good, a scheduled one and a take-down
 *    too.
 *
 * Threads: pure. See: product.md 3.1-3.3 and 3.6, gateway/README.md "States".
 */
#ifndef MS_LIFECYCLE_LIFECYCLE_H
#define MS_LIFECYCLE_LIFECYCLE_H

#include "model/life.h"

enum ms_event {
#define MS_LC_EVENT(name, guards) MS_EVENT_##name,
#include "lifecycle/states.def"
    MS_EVENT_COUNT
};

/* What one deadline of an asset does when it comes. */
enum ms_due_kind {
#define MS_LC_DUE(name) MS_DUE_##name,
#include "lifecycle/states.def"
    MS_DUE_COUNT
};

/* Why an event is refused; ordered by precedence: the first rule that is broken is the answer. */
enum ms_lc_rule {
#define MS_LC_RULE(name, text) MS_LC_##name,
#include "lifecycle/states.def"
    MS_LC_RULE_COUNT
};

/* What the caller must do beside storing the new ms_life. Bits. */
enum ms_effect {
    MS_EFFECT_FREE_BYTES = 1, /* bytes and reservations go; nothing of it is counted any longer */
    MS_EFFECT_BIN = 2,        /* leaves the tree for the recycle bin */
    MS_EFFECT_UNBIN = 4,      /* comes back into the tree */
    MS_EFFECT_PURGE = 8,      /* deleted for good: record, names and bin entry go */
    /* what shows, or what may be done, changed: warm handles and caches must ask again */
    MS_EFFECT_INVALIDATE = 16,
    MS_EFFECT_DROP_SCHEDULE = 32, /* a scheduled operation fired, or was dropped, and is removed */
    /* ... without doing anything: to be recorded as refused (auto-renew) */
    MS_EFFECT_SCHEDULE_REFUSED = 64,
    MS_EFFECT_HELD_LIVE = 128, /* the edit that was held aside passed: it goes live */
    MS_EFFECT_HELD_DROP = 256, /* it was rejected: it is dropped; the asset's state stays */
};

/* Facts beside the asset's own record. */
struct ms_lc_facts {
    struct ms_mask mask;
    struct ms_instant now; /* of the guard; deadlines fire at now >= due */
    /* An open handle or journalled bytes hold the upload deadline off until then; INT64_MAX while
     * they last, none when they do not. */
    struct ms_instant held_off;
    uint8_t origin;      /* enum ms_origin */
    uint8_t actor_admin; /* 1: an administrator or the platform (verdicts, packages, arrears) */
    uint8_t activate;    /* CONFIRM, REVIEW_PASS, TRANSFER: 1 ACTIVED, 0 UNACTIVED */
    /* DELETE and EXPIRE: the tenant's setting, 0..MS_RETENTION_MS_MAX; 0: the bin is off. What is
     * due of a tenant is applied before this setting of it changes. */
    int64_t retention_ms;
    struct ms_instant at; /* ANNOUNCE, SCHEDULE: the wanted instant */
    uint8_t scheduled_op; /* SCHEDULE: enum ms_scheduled_op, not NONE */
};

struct ms_lc_verdict {
    enum ms_lc_rule rule; /* MS_LC_ALLOWED: next and effects hold */
    struct ms_life next;  /* equal to the input when refused, or when the event changes nothing */
    uint32_t effects;     /* enum ms_effect bits */
    struct ms_instant at; /* what the change is dated with: facts.now, or EXPIRE's due instant */
};

/* A new asset: CREATING. created is not none; api_upload: its MAIN has 24 h to be confirmed. */
struct ms_life ms_lc_create(struct ms_instant created, bool api_upload);

/* The state everybody sees, at the instant of the record (nothing overdue applied). */
enum ms_state ms_lc_shown(const struct ms_life *life, struct ms_mask mask);

/* The next deadline of an asset, tenant mask considered; kind NONE and INT64_MAX when there is
 * none. While a mask lasts retention stops; after it retention runs in full, and a CREATING asset
 * gets 24 h. What was due before the mask began stays due then, swept or not. */
struct ms_lc_due {
    enum ms_due_kind kind;
    struct ms_instant at;
};
struct ms_lc_due ms_lc_due(const struct ms_life *life, struct ms_mask mask,
                           struct ms_instant held_off);

/* When retention in the bin ends as things stand, whatever else is due before; INT64_MAX: it does not run
 * (not in the bin, frozen there, the tenant frozen, bound to a package that renews itself). */
struct ms_instant ms_lc_purge_due(const struct ms_life *life, struct ms_mask mask);

/* The instant at which a file other than the first MAIN is CANCELLED: declared_due is its
 * declaration + 24 h. A tenant freeze gives the files of a CREATING asset the time that it gives
 * the asset. INT64_MAX: never. */
struct ms_instant ms_lc_file_due(const struct ms_life *life, struct ms_instant declared_due,
                                 struct ms_mask mask, struct ms_instant held_off);

/* Decide one event. Deadlines <= facts.now must have been applied before (ms_lc_effective):
 * asserted. */
struct ms_lc_verdict ms_lc_step(const struct ms_life *life, enum ms_event event,
                                const struct ms_lc_facts *facts);

/* Apply one overdue deadline after the other (at most 13) until none is due at facts->now. each is
 * called for every applied step, in order, with the event dated by its due instant; it may be NULL.
 * Returns the life that any reader must see at facts->now. */
struct ms_life ms_lc_effective(const struct ms_life *life, const struct ms_lc_facts *facts,
                               void (*each)(void *priv, const struct ms_life *before,
                                            const struct ms_lc_verdict *step,
                                            enum ms_due_kind kind),
                               void *priv);

/* The end of every life: DELETED, nothing held, binned or due. */
void ms_lc_end(struct ms_life *life);

/* Add a hold to a tenant's mask at an instant, or lift it: O(1), no asset is touched. Adding one to
 * a mask that lasts, and lifting one of two, moves no instant.
 *   hold  one bit of MS_TENANT_HOLDS     at  not before any instant of the mask
 * A freeze may begin (mask.holds == 0) only after everything of the tenant that was due at or
 * before mask.since, the start of the last freeze, has been applied to the records: the mask
 * forgets the freeze before that. The due index answers it with one look; the worker that follows
 * a freeze has usually done it long before. */
struct ms_mask ms_lc_mask_freeze(struct ms_mask mask, uint8_t hold, struct ms_instant at);
struct ms_mask ms_lc_mask_lift(struct ms_mask mask, uint8_t hold, struct ms_instant at);

/* The mask as it was when a deadline came at `due`, for what is applied later: whether that happens
 * before or after a freeze makes no difference to what is written about it. A deadline in the very
 * millisecond of a start or an end came before it. */
struct ms_mask ms_lc_mask_at(struct ms_mask mask, struct ms_instant due);

/* product.md 3.6: what the owner may do in the shown state. Bits. An asset bound to an
 * auto-renewing package can be neither deleted nor transferred. The caller adds what is not in the
 * life: MAIN of models and CUSTOMIZED assets, presets, policies. */
enum ms_right {
    MS_RIGHT_READ = 1,
    MS_RIGHT_WRITE = 2,
    MS_RIGHT_RENAME = 4, /* also chmod, chown, utimens, xattrs; in the bin: out = restore */
    MS_RIGHT_DELETE = 8,
    MS_RIGHT_SHARE = 16, /* share, copy, download URL */
    MS_RIGHT_TRANSFER = 32,
    MS_RIGHT_USE = 64,
};
uint32_t ms_lc_rights(const struct ms_life *life, struct ms_mask mask);
/* Of a tenant that the asset is shared with: read only, in ACTIVED and WAITING_DELETE. */
uint32_t ms_lc_rights_shared(const struct ms_life *life, struct ms_mask mask);
/* Why the owner lacks a right (one bit): the rule for the refusal's text; MS_LC_ALLOWED when it is
 * there. */
enum ms_lc_rule ms_lc_why(const struct ms_life *life, struct ms_mask mask, enum ms_right right);

const char *ms_event_name(enum ms_event e);
const char *ms_due_name(enum ms_due_kind k);
const char *ms_lc_rule_name(enum ms_lc_rule rule);
const char *ms_lc_rule_text(enum ms_lc_rule rule);

#endif
