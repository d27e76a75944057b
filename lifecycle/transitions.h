/* transitions.h — the shape of the table in transitions.c. Private: read by ms_lc_step alone. */
#ifndef MS_LIFECYCLE_TRANSITIONS_H
#define MS_LIFECYCLE_TRANSITIONS_H

#include "base/assert.h"
#include "lifecycle/lifecycle.h"

#include <stddef.h>

enum ms_lc_place {
#define MS_LC_PLACE(name, rights) MS_PLACE_##name,
#include "lifecycle/states.def"
    MS_PLACE_COUNT
};
MS_STATIC_ASSERT(MS_PLACE_COUNT <= 16, "a row's set of places has 16 bits");
MS_STATIC_ASSERT(MS_LC_RULE_COUNT <= 32, "an event's set of guards has 32 bits");

/* Which of the assets in a place a row is for. */
enum ms_lc_if {
    MS_IF_ANY,
    MS_IF_API,      /* its upload has a deadline */
    MS_IF_HELD,     /* an edit is held aside */
    MS_IF_PRESET,   /* origin SYSTEM */
    MS_IF_RENEWING, /* bound to an auto-renewing package */
    MS_IF_BINNED,   /* in the bin, whatever shows */
    MS_IF_DELETING, /* in the bin, and that came last */
    MS_IF_BIN_OFF,  /* the tenant has no recycle bin */
};

/* Where R goes. */
enum ms_lc_to {
    MS_TO_SAME,
    MS_TO_REVIEWING,
    MS_TO_READY, /* ACTIVED, or UNACTIVED: facts.activate */
    MS_TO_FAILED,
    MS_TO_UNACTIVED,
    MS_TO_ACTIVED,
    MS_TO_WAITING_DELETE,
    MS_TO_DELETED,
};

/* What else happens, in this order. Bits. */
enum ms_lc_does {
    MS_DO_DROP_OP = 1,  /* the earliest scheduled operation is used up */
    MS_DO_DROP_OPS = 2, /* all of them go */
    MS_DO_ADD_OP = 4,
    MS_DO_HOLD_EDIT = 8, /* a verdict on an edit is outstanding */
    MS_DO_VERDICT = 16,  /* and has come */
    MS_DO_HOLD_ADMIN = 32,
    MS_DO_HOLD_SCHEDULED = 64,
    MS_DO_HOLD_PACKAGE = 128,
    MS_DO_LIFT_ADMIN = 256,   /* ADMIN and SCHEDULED; with no hold left also out of the bin */
    MS_DO_LIFT_PACKAGE = 512, /* takes nothing out of the bin */
    MS_DO_BIN = 1024,         /* retention starts (anew), and binned came last */
    MS_DO_RESTORE = 2048,     /* out of the bin, holds stay */
    MS_DO_RENEW_ON = 4096,
    MS_DO_RENEW_OFF = 8192,  /* retention that waited for it ends now at the earliest */
    MS_DO_RAISE_DUE = 16384, /* the upload deadline is now at the earliest */
};

struct ms_lc_row {
    uint8_t event;    /* enum ms_event */
    uint8_t due;      /* enum ms_due_kind of EXPIRE, else NONE */
    uint16_t places;  /* set of enum ms_lc_place without BLOCK and DELETING: R is meant */
    uint8_t when;     /* enum ms_lc_if */
    uint8_t to;       /* enum ms_lc_to */
    uint8_t fail;     /* enum ms_fail_type of FAILED */
    uint16_t does;    /* enum ms_lc_does */
    uint16_t effects; /* enum ms_effect bits that do not follow from the change itself */
};

/* The first row that fits is the answer; none: MS_LC_STATE. */
extern const struct ms_lc_row ms_lc_rows[];
extern const size_t ms_lc_row_count;

/* Per event: 1 << enum ms_lc_rule of all that refuse it. Per place: enum ms_right bits. */
extern const uint32_t ms_lc_guards[MS_EVENT_COUNT];
extern const uint8_t ms_lc_place_rights[MS_PLACE_COUNT];

#endif
