/* clockwork.h — one asset's life by ticking: a model that never computes an instant.
 *
 * Time is whole hours. Each tick counts what is left of a retention down and looks what has come to
 * zero; a tenant freeze stops the count and its end winds it up again. Nothing is shared with
 * lifecycle/ but the names of states.
 */
#ifndef MS_TESTS_LIFECYCLE_CLOCKWORK_H
#define MS_TESTS_LIFECYCLE_CLOCKWORK_H

#include "lifecycle/lifecycle.h"

#define CW_OPS 24 /* more than the API allows: the model has no limit of its own to get wrong */

struct clockwork {
    int hour;
    enum ms_state rest;
    bool admin, scheduled, package, renews, confirmed;
    bool in_bin, block_over_bin; /* the second: frozen after it was binned */
    int retention, left;         /* hours: set at deletion, and still to go */
    int upload_hour;             /* fails when this hour has come; -1: no such deadline */
    int takedown_hour;           /* -1: not announced */
    struct {
        int hour;
        bool deletes;
    } op[CW_OPS];
    int ops;
    bool tenant_frozen, handle_open;
    int tenant_retention;
};

void cw_create(struct clockwork *c, int tenant_retention);
void cw_tick(struct clockwork *c);
/* False: refused. Also lets happen at once what has come to zero by it. */
bool cw_event(struct clockwork *c, enum ms_event event, int at_hour, bool deletes);
void cw_freeze_tenant(struct clockwork *c);
void cw_lift_tenant(struct clockwork *c);
void cw_close_handle(struct clockwork *c);
enum ms_state cw_shows(const struct clockwork *c);

#endif
