#include "clockwork.h"

#include <string.h>

static bool frozen(const struct clockwork *c) { return c->admin || c->scheduled || c->package; }

static bool deleting(const struct clockwork *c) {
    return c->rest != MS_STATE_DELETED && c->in_bin && !c->block_over_bin;
}

enum ms_state cw_shows(const struct clockwork *c) {
    if (c->rest == MS_STATE_DELETED)
        return MS_STATE_DELETED;
    if (c->tenant_frozen)
        return c->in_bin ? MS_STATE_DELETING : MS_STATE_BLOCK;
    if (c->in_bin)
        return c->block_over_bin ? MS_STATE_BLOCK : MS_STATE_DELETING;
    return frozen(c) ? MS_STATE_BLOCK : c->rest;
}

void cw_create(struct clockwork *c, int tenant_retention) {
    memset(c, 0, sizeof *c);
    c->rest = MS_STATE_CREATING;
    c->upload_hour = 24;
    c->takedown_hour = -1;
    c->tenant_retention = tenant_retention;
}

static void end(struct clockwork *c) {
    c->rest = MS_STATE_DELETED;
    c->admin = c->scheduled = c->package = c->in_bin = c->block_over_bin = c->renews = false;
    c->ops = 0;
    c->upload_hour = c->takedown_hour = -1;
}

static void into_bin(struct clockwork *c) {
    c->in_bin = true;
    c->block_over_bin = false;
    c->retention = c->left = c->tenant_retention;
}

static void delete (struct clockwork *c) {
    if (deleting(c))
        return;
    if (c->tenant_retention == 0)
        end(c);
    else
        into_bin(c);
}

static void takedown(struct clockwork *c) {
    c->rest = MS_STATE_UNACTIVED;
    c->takedown_hour = -1;
    if (c->in_bin)
        return;
    if (c->tenant_retention == 0 && !c->renews)
        end(c);
    else
        into_bin(c);
}

/* The op that comes next: by hour, blocks first. */
static int next_op(const struct clockwork *c) {
    int best = -1;
    for (int i = 0; i < c->ops; i++)
        if (c->op[i].hour <= c->hour &&
            (best < 0 || c->op[i].hour < c->op[best].hour ||
             (c->op[i].hour == c->op[best].hour && c->op[best].deletes && !c->op[i].deletes)))
            best = i;
    return best;
}

static void run_op(struct clockwork *c, int i) {
    bool deletes = c->op[i].deletes;
    c->op[i] = c->op[--c->ops];
    if (!deletes) {
        c->scheduled = true;
        c->block_over_bin = c->in_bin;
    } else if (!c->renews) {
        delete (c);
    }
}

static void look(struct clockwork *c) {
    if (c->rest == MS_STATE_CREATING && !c->confirmed && !c->handle_open && !c->tenant_frozen &&
        c->upload_hour >= 0 && c->upload_hour <= c->hour) {
        c->rest = MS_STATE_FAILED;
        c->upload_hour = -1;
    }
    if (deleting(c) && c->left == 0 && !c->renews && !c->tenant_frozen)
        end(c);
    if (c->rest == MS_STATE_WAITING_DELETE && c->takedown_hour <= c->hour)
        takedown(c);
    for (int i = next_op(c); c->rest != MS_STATE_DELETED && i >= 0; i = next_op(c))
        run_op(c, i);
}

void cw_tick(struct clockwork *c) {
    c->hour++;
    if (deleting(c) && c->left > 0 && !c->tenant_frozen)
        c->left--;
    look(c);
}

static bool editable(const struct clockwork *c) {
    return c->rest != MS_STATE_DELETED && !c->tenant_frozen && !frozen(c) && !c->in_bin;
}

static bool edit(struct clockwork *c, enum ms_event event, int at_hour, bool deletes) {
    if (!editable(c))
        return false;
    if (event == MS_EVENT_CONFIRM && c->rest == MS_STATE_CREATING) {
        c->rest = MS_STATE_ACTIVED;
        c->confirmed = true;
        c->upload_hour = -1;
        return true;
    }
    if (event == MS_EVENT_ANNOUNCE && c->rest == MS_STATE_ACTIVED && at_hour > c->hour) {
        c->rest = MS_STATE_WAITING_DELETE;
        c->takedown_hour = at_hour;
        return true;
    }
    if (event == MS_EVENT_SCHEDULE && at_hour > c->hour && c->ops < 10) {
        for (int i = 0; i < c->ops; i++)
            if (c->op[i].hour == at_hour && c->op[i].deletes == deletes)
                return true;
        c->op[c->ops].hour = at_hour;
        c->op[c->ops++].deletes = deletes;
        return true;
    }
    return false;
}

static bool lift(struct clockwork *c, enum ms_event event) {
    if (event == MS_EVENT_UNFREEZE) {
        if (!c->admin && !c->scheduled)
            return false;
        c->admin = c->scheduled = false;
        if (!frozen(c))
            c->in_bin = c->block_over_bin = false;
        return true;
    }
    c->package = false;
    if (!frozen(c) && c->block_over_bin) {
        c->block_over_bin = false;
        c->left = c->retention;
    }
    return true;
}

static bool happens(struct clockwork *c, enum ms_event event, int at_hour, bool deletes) {
    if (c->rest == MS_STATE_DELETED)
        return false;
    if (event == MS_EVENT_FREEZE || event == MS_EVENT_PACKAGE_HOLD) {
        *(event == MS_EVENT_FREEZE ? &c->admin : &c->package) = true;
        c->block_over_bin = c->in_bin;
        return true;
    }
    if (event == MS_EVENT_UNFREEZE || event == MS_EVENT_PACKAGE_RENEW)
        return lift(c, event);
    if (event == MS_EVENT_AUTO_RENEW_ON || event == MS_EVENT_AUTO_RENEW_OFF) {
        c->renews = event == MS_EVENT_AUTO_RENEW_ON;
        return true;
    }
    if (event == MS_EVENT_DELETE) {
        if (c->renews)
            return false;
        delete (c);
        return true;
    }
    if (event == MS_EVENT_RESTORE) {
        if (c->tenant_frozen || !deleting(c))
            return false;
        c->in_bin = false;
        return true;
    }
    return edit(c, event, at_hour, deletes);
}

bool cw_event(struct clockwork *c, enum ms_event event, int at_hour, bool deletes) {
    bool happened = happens(c, event, at_hour, deletes);
    look(c);
    return happened;
}

void cw_freeze_tenant(struct clockwork *c) { c->tenant_frozen = true; }

void cw_lift_tenant(struct clockwork *c) {
    c->tenant_frozen = false;
    c->left = c->retention;
    if (c->upload_hour >= 0 && c->upload_hour < c->hour + 24)
        c->upload_hour = c->hour + 24;
    look(c);
}

void cw_close_handle(struct clockwork *c) {
    c->handle_open = false;
    if (c->upload_hour >= 0 && c->upload_hour < c->hour)
        c->upload_hour = c->hour;
    look(c);
}
