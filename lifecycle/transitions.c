/* The table of product.md section 3.2, row by row in its order. Nothing here is code. */
#include "lifecycle/transitions.h"

#define G(rule) (UINT32_C(1) << MS_LC_##rule)
/* What nobody but an owner does, to an asset that is still there. */
#define OWNER (G(DELETED) | G(SYSTEM_ASSET))
/* ... and not while it, or its tenant, is frozen, or it is in the bin. */
#define EDIT (OWNER | G(TENANT_FROZEN) | G(FROZEN) | G(BINNED))
/* What administrators and the platform do, whatever the tenant's mask says. */
#define PLATFORM (G(DELETED) | G(ADMIN_ONLY))

const uint32_t ms_lc_guards[MS_EVENT_COUNT] = {
#define MS_LC_EVENT(name, guards) [MS_EVENT_##name] = (guards),
#include "lifecycle/states.def"
};

enum {
    NOTHING = 0,
    READ = MS_RIGHT_READ,
    WRITE = MS_RIGHT_WRITE,
    RENAME = MS_RIGHT_RENAME,
    DELETE = MS_RIGHT_DELETE,
    SHARE = MS_RIGHT_SHARE,
    TRANSFER = MS_RIGHT_TRANSFER,
    USE = MS_RIGHT_USE,
};

const uint8_t ms_lc_place_rights[MS_PLACE_COUNT] = {
#define MS_LC_PLACE(name, rights) [MS_PLACE_##name] = (rights),
#include "lifecycle/states.def"
};

#define AT(place) (1u << MS_PLACE_##place)
#define FINISHED (AT(UNACTIVED) | AT(ACTIVED) | AT(WAITING_DELETE))
#define LIVE                                                                                       \
    (AT(UPLOADING) | AT(REVIEWING) | AT(FAILED_FREED) | AT(FAILED_CONTENT) | AT(FAILED_REVIEW) |   \
     FINISHED)
#define ANY (LIVE | AT(DELETED))

/* event, places, condition, R becomes, then by name: .fail, .does, .effects */
#define ON(e, p, c, t, ...)                                                                        \
    { .event = MS_EVENT_##e, .places = (p), .when = MS_IF_##c, .to = MS_TO_##t, __VA_ARGS__ }
/* the same for a deadline */
#define DUE(d, p, c, t, ...)                                                                       \
    {                                                                                              \
        .event = MS_EVENT_EXPIRE, .due = MS_DUE_##d, .places = (p), .when = MS_IF_##c,             \
        .to = MS_TO_##t, __VA_ARGS__                                                               \
    }

/* clang-format off */
const struct ms_lc_row ms_lc_rows[] = {
    /* MAIN confirmed; a new MAIN, or name, after a failure by content is checked as at creation */
    ON(CONFIRM, AT(UPLOADING) | AT(FAILED_CONTENT), ANY, READY),
    ON(CONFIRM_REVIEW, AT(UPLOADING) | AT(FAILED_CONTENT), ANY, REVIEWING),
    /* 24 h after creation and MAIN not confirmed */
    DUE(UPLOAD, AT(UPLOADING), API, FAILED, .fail = MS_FAIL_TIMEOUT),
    ON(HELD_OFF, AT(UPLOADING), API, SAME, .does = MS_DO_RAISE_DUE),
    ON(HELD_OFF, LIVE, ANY, SAME),
    /* MAIN is not what was declared */
    ON(MISMATCH, AT(UPLOADING), ANY, FAILED, .fail = MS_FAIL_MISMATCH),
    /* content breaks a rule of section 4 */
    ON(CONTENT_FAIL, AT(UPLOADING) | AT(FAILED_CONTENT), ANY, FAILED, .fail = MS_FAIL_CONTENT),
    ON(PROBE_FAIL, AT(REVIEWING), ANY, FAILED, .fail = MS_FAIL_CONTENT),
    ON(PROBE_FAIL, FINISHED, HELD, SAME, .does = MS_DO_VERDICT, .effects = MS_EFFECT_HELD_DROP),
    /* review; the verdict on an edit of a finished asset changes no state */
    ON(REVIEW_PASS, AT(REVIEWING), ANY, READY),
    ON(REVIEW_PASS, FINISHED, HELD, SAME, .does = MS_DO_VERDICT, .effects = MS_EFFECT_HELD_LIVE),
    ON(REVIEW_REJECT_AUTO, AT(REVIEWING), ANY, FAILED, .fail = MS_FAIL_AUTOMATIC_REVIEW_REJECT),
    ON(REVIEW_REJECT_AUTO, FINISHED, HELD, SAME, .does = MS_DO_VERDICT,
       .effects = MS_EFFECT_HELD_DROP),
    ON(REVIEW_REJECT_MANUAL, AT(REVIEWING), ANY, FAILED, .fail = MS_FAIL_MANUAL_REVIEW_REJECT),
    ON(REVIEW_REJECT_MANUAL, FINISHED, HELD, SAME, .does = MS_DO_VERDICT,
       .effects = MS_EFFECT_HELD_DROP),
    ON(EDIT_REVIEW, FINISHED, ANY, SAME, .does = MS_DO_HOLD_EDIT),
    /* activate, deactivate */
    ON(ACTIVATE, AT(UNACTIVED) | AT(ACTIVED), ANY, ACTIVED),
    ON(DEACTIVATE, AT(UNACTIVED) | AT(ACTIVED), ANY, UNACTIVED),
    /* announce take-down, withdraw, the announced date */
    ON(ANNOUNCE, AT(ACTIVED), ANY, WAITING_DELETE),
    ON(WITHDRAW, AT(WAITING_DELETE), ANY, ACTIVED),
    DUE(TAKEDOWN, AT(WAITING_DELETE), PRESET, DELETED),
    DUE(TAKEDOWN, AT(WAITING_DELETE), BINNED, UNACTIVED),
    DUE(TAKEDOWN, AT(WAITING_DELETE), RENEWING, UNACTIVED, .does = MS_DO_BIN),
    DUE(TAKEDOWN, AT(WAITING_DELETE), BIN_OFF, DELETED),
    DUE(TAKEDOWN, AT(WAITING_DELETE), ANY, UNACTIVED, .does = MS_DO_BIN),
    /* delete, restore, retention, force delete */
    ON(DELETE, LIVE, DELETING, SAME),
    ON(DELETE, LIVE, BIN_OFF, DELETED),
    ON(DELETE, LIVE, ANY, SAME, .does = MS_DO_BIN),
    ON(RESTORE, LIVE, ANY, SAME, .does = MS_DO_RESTORE),
    DUE(PURGE, LIVE, ANY, DELETED),
    ON(FORCE_DELETE, ANY, ANY, DELETED),
    ON(TERMINATE, ANY, ANY, DELETED),
    /* freeze, unfreeze; holds of packages */
    ON(FREEZE, LIVE, ANY, SAME, .does = MS_DO_HOLD_ADMIN),
    ON(UNFREEZE, LIVE, ANY, SAME, .does = MS_DO_LIFT_ADMIN),
    ON(PACKAGE_HOLD, LIVE, ANY, SAME, .does = MS_DO_HOLD_PACKAGE),
    ON(PACKAGE_RENEW, LIVE, ANY, SAME, .does = MS_DO_LIFT_PACKAGE),
    ON(AUTO_RENEW_ON, LIVE, ANY, SAME, .does = MS_DO_RENEW_ON),
    ON(AUTO_RENEW_OFF, LIVE, ANY, SAME, .does = MS_DO_RENEW_OFF),
    /* scheduled operations: fire once and are removed */
    ON(SCHEDULE, LIVE, ANY, SAME, .does = MS_DO_ADD_OP),
    ON(UNSCHEDULE, LIVE, ANY, SAME, .does = MS_DO_DROP_OPS),
    DUE(SCHEDULED_BLOCK, LIVE, ANY, SAME, .does = MS_DO_DROP_OP | MS_DO_HOLD_SCHEDULED),
    DUE(SCHEDULED_DELETE, LIVE, RENEWING, SAME, .does = MS_DO_DROP_OP,
        .effects = MS_EFFECT_SCHEDULE_REFUSED),
    DUE(SCHEDULED_DELETE, LIVE, DELETING, SAME, .does = MS_DO_DROP_OP),
    DUE(SCHEDULED_DELETE, LIVE, BIN_OFF, DELETED),
    DUE(SCHEDULED_DELETE, LIVE, ANY, SAME, .does = MS_DO_DROP_OP | MS_DO_BIN),
    /* transfer accepted: what the receiver gets */
    ON(TRANSFER, AT(UNACTIVED) | AT(ACTIVED), ANY, READY, .does = MS_DO_DROP_OPS,
       .effects = MS_EFFECT_INVALIDATE),
};
/* clang-format on */
const size_t ms_lc_row_count = sizeof(ms_lc_rows) / sizeof(ms_lc_rows[0]);
