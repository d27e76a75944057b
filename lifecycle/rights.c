/* What shows, and what the owner and others may do: product.md sections 3.1 and 3.6. */
#include "base/assert.h"
#include "lifecycle/place.h"

enum ms_lc_place ms_lc_place(const struct ms_life *life) {
    switch ((enum ms_state)life->rest) {
    case MS_STATE_CREATING:
        return life->sealed ? MS_PLACE_REVIEWING : MS_PLACE_UPLOADING;
    case MS_STATE_FAILED:
        if (!life->sealed)
            return MS_PLACE_FAILED_FREED;
        return life->fail == MS_FAIL_CONTENT ? MS_PLACE_FAILED_CONTENT : MS_PLACE_FAILED_REVIEW;
    case MS_STATE_UNACTIVED:
        return MS_PLACE_UNACTIVED;
    case MS_STATE_ACTIVED:
        return MS_PLACE_ACTIVED;
    case MS_STATE_WAITING_DELETE:
        return MS_PLACE_WAITING_DELETE;
    case MS_STATE_DELETED:
        return MS_PLACE_DELETED;
    case MS_STATE_BLOCK:
    case MS_STATE_DELETING:
    case MS_STATE_COUNT:
        break;
    }
    ms_assert_failed("a resting state", __FILE__, __LINE__, __func__);
}

enum ms_state ms_lc_shown(const struct ms_life *life, struct ms_mask mask) {
    MS_ASSERT(life->rest < MS_REST_COUNT);
    if (life->rest == MS_STATE_DELETED)
        return MS_STATE_DELETED;
    if (mask.holds)
        return life->binned ? MS_STATE_DELETING : MS_STATE_BLOCK;
    if (life->last == MS_LAST_FROZEN)
        return MS_STATE_BLOCK;
    return life->last == MS_LAST_BINNED ? MS_STATE_DELETING : (enum ms_state)life->rest;
}

/* The row of the table of 3.6. */
static enum ms_lc_place shown_place(const struct ms_life *life, struct ms_mask mask) {
    enum ms_state shown = ms_lc_shown(life, mask);
    if (shown == MS_STATE_BLOCK)
        return MS_PLACE_BLOCK;
    return shown == MS_STATE_DELETING ? MS_PLACE_DELETING : ms_lc_place(life);
}

uint32_t ms_lc_rights(const struct ms_life *life, struct ms_mask mask) {
    uint32_t rights = ms_lc_place_rights[shown_place(life, mask)];
    if (mask.holds)
        rights &= MS_RIGHT_DELETE;
    /* DELETING over a freeze, or over a rejection: the bin is no way around it */
    if (life->holds || !(ms_lc_place_rights[ms_lc_place(life)] & MS_RIGHT_READ))
        rights &= ~(uint32_t)MS_RIGHT_READ;
    if (life->auto_renew)
        rights &= ~(uint32_t)(MS_RIGHT_DELETE | MS_RIGHT_TRANSFER);
    if (life->in_review)
        rights &= ~(uint32_t)MS_RIGHT_TRANSFER;
    return rights;
}

uint32_t ms_lc_rights_shared(const struct ms_life *life, struct ms_mask mask) {
    enum ms_state shown = ms_lc_shown(life, mask);
    bool live = shown == MS_STATE_ACTIVED || shown == MS_STATE_WAITING_DELETE;
    return live ? (uint32_t)MS_RIGHT_READ : 0;
}

enum ms_lc_rule ms_lc_why(const struct ms_life *life, struct ms_mask mask, enum ms_right right) {
    if (ms_lc_rights(life, mask) & right)
        return MS_LC_ALLOWED;
    if (life->rest == MS_STATE_DELETED)
        return MS_LC_DELETED;
    if (mask.holds && right != MS_RIGHT_DELETE)
        return MS_LC_TENANT_FROZEN;
    if (life->auto_renew && (right == MS_RIGHT_DELETE || right == MS_RIGHT_TRANSFER))
        return MS_LC_AUTO_RENEW;
    if (life->holds)
        return MS_LC_FROZEN;
    if (life->binned && right != MS_RIGHT_READ)
        return MS_LC_BINNED;
    bool edit = life->in_review && right == MS_RIGHT_TRANSFER && life->rest != MS_STATE_CREATING;
    return edit && life->rest != MS_STATE_WAITING_DELETE ? MS_LC_IN_REVIEW : MS_LC_STATE;
}
