#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the test itself: in every build. */
#define MUST(x) ((x) ? (void)0 : abort())

void m_init(struct model *m, int64_t now, int tenants, int assets_max) {
    *m = (struct model){.now = now,
                        .tenant = calloc((size_t)tenants, sizeof *m->tenant),
                        .tenants = tenants,
                        .asset = calloc((size_t)assets_max, sizeof *m->asset),
                        .assets_max = assets_max};
    if (!m->tenant || !m->asset)
        abort();
}

void m_fini(struct model *m) {
    free(m->tenant);
    free(m->asset);
}

static struct m_tenant *owner(const struct model *m, const struct m_asset *a) {
    return &m->tenant[a->tenant];
}

static bool gone(const struct m_asset *a) { return a->life.rest == M_DELETED; }

/* ---- 3.1: what shows ------------------------------------------------------------------------- */

static enum m_state shown(const struct m_tenant *t, const struct m_life *l) {
    if (l->rest == M_DELETED)
        return M_DELETED;
    if (t->holds) /* every asset shows BLOCK, in the bin DELETING */
        return l->binned ? M_DELETING : M_BLOCK;
    if (l->last == M_LAST_FROZEN)
        return M_BLOCK;
    return l->last == M_LAST_BINNED ? M_DELETING : l->rest;
}

enum m_state m_shown(const struct model *m, const struct m_asset *a) {
    return shown(owner(m, a), &a->life);
}

/* ---- rows and counters ----------------------------------------------------------------------- */

static struct m_counts counts_of(const struct m_life *l) {
    bool is = l->rest != M_DELETED;
    return (struct m_counts){.assets = is,
                             .bytes = is ? (int64_t)l->bytes : 0,
                             .reserved = is ? (int64_t)l->reserved : 0,
                             .binned_assets = is && l->binned,
                             .binned_bytes = is && l->binned ? (int64_t)l->bytes : 0};
}

static void add(struct m_counts *to, const struct m_counts *more, int64_t times) {
    to->assets += times * more->assets;
    to->bytes += times * more->bytes;
    to->reserved += times * more->reserved;
    to->binned_assets += times * more->binned_assets;
    to->binned_bytes += times * more->binned_bytes;
}

static struct m_counts between(const struct m_counts *from, const struct m_counts *to) {
    struct m_counts more = *to;
    add(&more, from, -1);
    return more;
}

static void add_row(struct m_asset *a, const struct m_row *row) {
    MUST(a->rows < M_ROWS_MAX);
    a->row[a->rows++] = *row;
}

/* The asset was `was` and is what it is now. */
static void note(struct model *m, struct m_asset *a, const struct m_life *was, enum m_event event,
                 int64_t at, bool by_time) {
    struct m_tenant *t = owner(m, a);
    struct m_counts before = counts_of(was), after = counts_of(&a->life);
    struct m_row row = {.tenant = a->tenant,
                        .event = event,
                        .at = at,
                        .from = shown(t, was),
                        .to = shown(t, &a->life),
                        .by_time = by_time,
                        .more = between(&before, &after)};
    add_row(a, &row);
    add(&t->counts, &row.more, 1);
}

/* A change that has no row of its own in the log. */
static void recount(struct model *m, struct m_asset *a, const struct m_life *was) {
    struct m_counts before = counts_of(was), after = counts_of(&a->life);
    struct m_counts more = between(&before, &after);
    add(&owner(m, a)->counts, &more, 1);
}

void m_told(struct model *m, struct m_asset *a, int rows) {
    (void)m;
    memmove(a->row, a->row + rows, (size_t)(a->rows - rows) * sizeof a->row[0]);
    a->rows -= rows;
    a->free = gone(a) && a->rows == 0;
}

struct m_counts m_counts_behind(const struct model *m, int tenant) {
    struct m_counts counts = m->tenant[tenant].counts;
    for (int i = 0; i < m->assets; i++) {
        const struct m_asset *a = &m->asset[i];
        for (int r = 0; r < a->rows; r++)
            if (a->row[r].tenant == tenant)
                add(&counts, &a->row[r].more, -1);
    }
    return counts;
}

/* ---- names ----------------------------------------------------------------------------------- */

int m_named(const struct model *m, int tenant, const char *name) {
    for (int i = 0; i < m->assets; i++) {
        const struct m_asset *a = &m->asset[i];
        if (a->tenant != tenant || gone(a) || a->life.binned)
            continue;
        for (int n = 0; n < a->life.names; n++)
            if (strcmp(a->life.name[n], name) == 0)
                return i;
    }
    return -1;
}

static void add_name(struct m_life *l, const char *name) {
    MUST(l->names < M_NAMES_MAX);
    (void)snprintf(l->name[l->names++], M_NAME_MAX + 1, "%s", name);
}

static void call(struct m_life *l, const char *name) {
    (void)snprintf(l->called, sizeof l->called, "%s", name);
}

static void drop_name(struct m_life *l, const char *name) {
    int n = 0;
    while (n < l->names && strcmp(l->name[n], name) != 0)
        n++;
    MUST(n < l->names);
    memmove(l->name[n], l->name[n + 1], (size_t)(l->names - n - 1) * sizeof l->name[0]);
    l->names--;
}

/* A taken name gets " (2)". */
static void add_free_name(const struct model *m, int tenant, struct m_life *l, const char *name) {
    char text[M_NAME_MAX + 1];
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    (void)snprintf(text, sizeof text, "%s", name);
    for (int n = 2; m_named(m, tenant, text) >= 0; n++)
        (void)snprintf(text, sizeof text, "%.*s (%d)%s", stem, name, n, dot ? dot : "");
    add_name(l, text);
}

/* ---- the bin --------------------------------------------------------------------------------- */

static void end_of(struct m_life *l) {
    *l = (struct m_life){.rest = M_DELETED, .created = l->created};
}

static void into_bin(struct m_life *l, int64_t at, int64_t retention) {
    if (!l->binned) {
        (void)snprintf(l->bin_name, sizeof l->bin_name, "%s", l->names ? l->name[0] : "");
        l->names = 0;
    }
    l->binned = true;
    l->last = M_LAST_BINNED;
    l->binned_at = at;
    l->retention = retention;
    l->purge_due = at + retention;
}

static void out_of_bin(struct m_life *l) {
    l->binned = false;
    l->binned_at = l->purge_due = l->retention = 0;
    l->last = l->holds ? M_LAST_FROZEN : M_LAST_NONE;
    l->bin_name[0] = '\0';
}

/* Deleted: with the bin off for good. */
static void deletion(struct m_life *l, int64_t at, int64_t retention) {
    if (retention == 0)
        end_of(l);
    else
        into_bin(l, at, retention);
}

/* ---- 3.3: what time brings about --------------------------------------------------------------- */

/* What is due at one instant comes in this order. */
enum due { DUE_COVER, DUE_UPLOAD, DUE_PURGE, DUE_TAKEDOWN, DUE_OP, DUE_NONE };

static enum due next_of(const struct m_tenant *t, const struct m_life *l, int64_t *ret_at) {
    int64_t at[DUE_NONE] = {M_NEVER, M_NEVER, M_NEVER, M_NEVER, M_NEVER};
    enum due first = DUE_COVER;
    if (l->rest == M_DELETED)
        return *ret_at = M_NEVER, DUE_NONE;
    if (l->cover == M_MAIN_DECLARED || l->cover == M_MAIN_SENT)
        at[DUE_COVER] = l->cover_due;
    if (l->confirm_due && !t->holds) /* a freeze stops these two */
        at[DUE_UPLOAD] = l->confirm_due;
    if (l->last == M_LAST_BINNED && !t->holds)
        at[DUE_PURGE] = l->purge_due;
    if (l->takedown_due)
        at[DUE_TAKEDOWN] = l->takedown_due;
    if (l->ops > 0)
        at[DUE_OP] = l->op[0].at;
    for (enum due d = DUE_COVER; d < DUE_NONE; d++)
        if (at[d] < at[first])
            first = d;
    *ret_at = at[first];
    return at[first] == M_NEVER ? DUE_NONE : first;
}

int64_t m_next_due(const struct model *m, const struct m_asset *a) {
    int64_t at;
    (void)next_of(owner(m, a), &a->life, &at);
    return at;
}

static void fail_freed(struct m_life *l, enum m_fail fail) {
    l->rest = M_FAILED;
    l->fail = fail;
    l->confirm_due = 0;
    l->bytes = l->reserved = 0;
    l->main = M_MAIN_NONE;
}

static void fire_op(struct m_life *l, int64_t at, int64_t retention) {
    enum m_op_kind kind = l->op[0].kind;
    memmove(l->op, l->op + 1, (size_t)(l->ops - 1) * sizeof l->op[0]);
    l->ops--; /* fires once and is removed */
    if (kind == M_OP_BLOCK) {
        l->holds |= M_SCHEDULED;
        l->last = M_LAST_FROZEN;
    } else if (l->last != M_LAST_BINNED) {
        deletion(l, at, retention);
    }
}

static void fire_takedown(struct m_life *l, int64_t at, int64_t retention) {
    l->takedown_due = 0;
    l->rest = M_UNACTIVED;
    if (!l->binned)
        deletion(l, at, retention);
}

/* It is there no longer: its reservation, or its bytes. */
static void drop_cover(struct m_life *l) {
    if (l->cover == M_MAIN_THERE)
        l->bytes -= l->cover_bytes;
    else if (l->cover != M_MAIN_NONE)
        l->reserved -= l->cover_bytes;
    l->cover = M_MAIN_NONE;
    l->cover_bytes = 0;
    l->cover_due = 0;
}

static void fire(struct model *m, struct m_asset *a, enum due due, int64_t at) {
    struct m_life was = a->life;
    int64_t retention = owner(m, a)->retention;
    if (due == DUE_COVER) { /* that file is CANCELLED, and R stays */
        drop_cover(&a->life);
        note(m, a, &was, M_FILE_CANCELLED, at, true);
        return;
    }
    if (due == DUE_UPLOAD)
        fail_freed(&a->life, M_FAIL_TIMEOUT);
    else if (due == DUE_PURGE)
        end_of(&a->life);
    else if (due == DUE_TAKEDOWN)
        fire_takedown(&a->life, at, retention);
    else
        fire_op(&a->life, at, retention);
    note(m, a, &was, M_EXPIRE, at, true);
}

void m_go_to(struct model *m, int64_t to) {
    MUST(to >= m->now);
    for (int i = 0; i < m->assets; i++) {
        int64_t at;
        enum due due;
        while ((due = next_of(owner(m, &m->asset[i]), &m->asset[i].life, &at)) != DUE_NONE &&
               at <= to)
            fire(m, &m->asset[i], due, at);
    }
    m->now = to;
}

/* ---- who may --------------------------------------------------------------------------------- */

/* confirm, activate, deactivate, edit, share, copy and transfer: not while it is frozen or binned, or
 * the tenant frozen. */
static enum m_answer editable(const struct model *m, const struct m_asset *a) {
    if (gone(a))
        return M_GONE;
    return owner(m, a)->holds || a->life.holds || a->life.binned ? M_REFUSED : M_OK;
}

static bool is_resting(const struct m_asset *a, unsigned states) {
    return states >> a->life.rest & 1;
}
#define IN(s) (1u << (s))

/* The rename column of 3.6. */
static enum m_answer renamable(const struct model *m, const struct m_asset *a) {
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    return a->life.rest == M_FAILED && a->life.fail != M_FAIL_CONTENT ? M_REFUSED : M_OK;
}

static enum m_answer writable(const struct model *m, const struct m_asset *a) {
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    bool failed = a->life.rest == M_FAILED && a->life.fail == M_FAIL_CONTENT;
    return is_resting(a, IN(M_UNACTIVED) | IN(M_ACTIVED)) || failed ? M_OK : M_REFUSED;
}

static uint64_t left(const struct m_tenant *t) {
    uint64_t used = (uint64_t)(t->counts.bytes + t->counts.reserved);
    return used < t->quota ? t->quota - used : 0;
}

/* ---- new ones -------------------------------------------------------------------------------- */

int m_place(struct model *m) {
    for (int i = 0; i < m->assets; i++)
        if (m->asset[i].free)
            return i;
    return m->assets < m->assets_max ? m->assets++ : -1;
}

static struct m_asset *begin_new(struct model *m, int tenant, int *ret_asset) {
    int i = m_place(m);
    MUST(i >= 0);
    struct m_asset *a = &m->asset[i];
    *a = (struct m_asset){.tenant = tenant, .serial = ++m->serials,
                            .life = {.rest = M_CREATING, .created = m->now}};
    struct m_row row = {.tenant = tenant,
                        .event = M_CREATED,
                        .at = m->now,
                        .from = M_NEW,
                        .to = M_CREATING,
                        .more = counts_of(&a->life)};
    add_row(a, &row);
    add(&m->tenant[tenant].counts, &row.more, 1);
    *ret_asset = i;
    return a;
}

/* Its MAIN is there, and as it should be. */
static void finish(struct model *m, struct m_asset *a, uint64_t bytes) {
    struct m_tenant *t = owner(m, a);
    struct m_life was = a->life, *l = &a->life;
    bool cover = l->cover == M_MAIN_THERE;
    l->bytes = bytes + (cover ? l->cover_bytes : 0);
    l->reserved = cover ? 0 : l->cover_bytes;
    l->confirm_due = 0;
    l->main = M_MAIN_THERE;
    l->fail = M_FAIL_NONE;
    l->in_review = t->review;
    l->rest = t->review ? M_CREATING : t->unactived ? M_UNACTIVED : M_ACTIVED;
    note(m, a, &was, t->review ? M_CONFIRM_REVIEW : M_CONFIRM, m->now, false);
}

enum m_answer m_put(struct model *m, int tenant, const char *name, uint64_t bytes, int *ret_asset) {
    struct m_tenant *t = &m->tenant[tenant];
    if (m_named(m, tenant, name) >= 0)
        return M_EXISTS;
    if (t->holds)
        return M_REFUSED;
    if (bytes > left(t))
        return M_QUOTA;
    struct m_asset *a = begin_new(m, tenant, ret_asset);
    add_name(&a->life, name);
    call(&a->life, name);
    finish(m, a, bytes);
    return M_OK;
}

enum m_answer m_overwrite(struct model *m, int tenant, const char *name, uint64_t bytes) {
    int i = m_named(m, tenant, name);
    if (i < 0)
        return M_GONE;
    struct m_asset *a = &m->asset[i];
    struct m_life was = a->life;
    enum m_answer may = writable(m, a);
    if (may != M_OK)
        return may;
    bool failed = a->life.rest == M_FAILED;
    bool waits = !failed && (owner(m, a)->review || a->life.held > 0);
    uint64_t cover = a->life.cover == M_MAIN_THERE ? a->life.cover_bytes : 0;
    uint64_t base = waits ? a->life.held : a->life.bytes - cover;
    if (bytes > base && bytes - base > left(owner(m, a)))
        return M_QUOTA;
    if (failed) { /* checked as at creation */
        finish(m, a, bytes);
        return M_OK;
    }
    a->life.bytes = a->life.bytes - base + bytes;
    if (!waits) {
        recount(m, a, &was);
        return M_OK;
    }
    a->life.held = bytes;
    a->life.in_review = true;
    note(m, a, &was, M_EDIT_REVIEW, m->now, false);
    return M_OK;
}

enum m_answer m_copy(struct model *m, int asset, const char *name, int *ret_asset) {
    const struct m_asset *a = &m->asset[asset];
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    if (!is_resting(a, IN(M_UNACTIVED) | IN(M_ACTIVED) | IN(M_WAITING_DELETE)))
        return M_REFUSED;
    if (m_named(m, a->tenant, name) >= 0)
        return M_EXISTS;
    uint64_t bytes = a->life.bytes - a->life.held; /* what is live */
    if (bytes > left(owner(m, a)))
        return M_QUOTA;
    bool cover = a->life.cover == M_MAIN_THERE; /* what is not confirmed is not copied */
    uint64_t cover_bytes = cover ? a->life.cover_bytes : 0;
    int64_t created = a->life.created; /* of the source: bill.md section 2 */
    struct m_asset *copy = begin_new(m, a->tenant, ret_asset);
    copy->life.created = created;
    struct m_life was = copy->life;
    struct m_tenant *t = owner(m, copy);
    add_name(&copy->life, name);
    call(&copy->life, name);
    copy->life.bytes = bytes;
    copy->life.cover = cover ? M_MAIN_THERE : M_MAIN_NONE;
    copy->life.cover_bytes = cover_bytes;
    copy->life.main = M_MAIN_THERE;
    copy->life.rest = t->unactived ? M_UNACTIVED : M_ACTIVED; /* its bytes were judged */
    note(m, copy, &was, M_CONFIRM, m->now, false);
    return M_OK;
}

/* ---- uploads --------------------------------------------------------------------------------- */

enum m_answer m_create(struct model *m, int tenant, int *ret_asset) {
    if (m->tenant[tenant].holds)
        return M_REFUSED;
    struct m_asset *a = begin_new(m, tenant, ret_asset);
    a->life.confirm_due = m->now + M_DAY;
    return M_OK;
}

static enum m_answer uploading(const struct model *m, const struct m_asset *a) {
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    return a->life.rest == M_CREATING && !a->life.in_review ? M_OK : M_REFUSED;
}

enum m_answer m_declare(struct model *m, int asset, uint64_t bytes) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = uploading(m, a);
    if (may != M_GONE && a->life.main != M_MAIN_NONE) /* a second MAIN */
        return M_EXISTS;
    if (may != M_OK)
        return may;
    if (bytes > left(owner(m, a)))
        return M_QUOTA;
    a->life.main = M_MAIN_DECLARED;
    a->life.reserved = bytes;
    recount(m, a, &was);
    return M_OK;
}

enum m_answer m_send(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    enum m_answer may = uploading(m, a);
    if (may != M_OK)
        return may;
    if (a->life.main == M_MAIN_NONE)
        return M_GONE;
    a->life.main = M_MAIN_SENT;
    return M_OK;
}

enum m_answer m_confirm(struct model *m, int asset, bool right, bool fits, const char *name) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = uploading(m, a);
    if (may != M_OK)
        return may;
    if (a->life.main != M_MAIN_SENT)
        return M_GONE;
    if (!right) {
        fail_freed(&a->life, M_FAIL_MISMATCH);
        note(m, a, &was, M_MISMATCH, m->now, false);
        return M_OK;
    }
    add_free_name(m, a->tenant, &a->life, name);
    call(&a->life, name);
    if (fits) {
        finish(m, a, a->life.reserved);
        return M_OK;
    }
    a->life.rest = M_FAILED;
    a->life.fail = M_FAIL_CONTENT;
    a->life.bytes = a->life.reserved; /* bytes kept and counted */
    a->life.reserved = 0;
    a->life.confirm_due = 0;
    a->life.main = M_MAIN_THERE;
    note(m, a, &was, M_CONTENT_FAIL, m->now, false);
    return M_OK;
}

enum m_answer m_cancel(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = uploading(m, a);
    if (may != M_OK)
        return may;
    if (a->life.main == M_MAIN_NONE)
        return M_GONE;
    a->life.main = M_MAIN_NONE;
    a->life.reserved = 0;
    recount(m, a, &was);
    return M_OK;
}

/* ---- a cover of what has a MAIN ----------------------------------------------------------------- */

static enum m_answer takes_cover(const struct model *m, const struct m_asset *a) {
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    bool failed = a->life.rest == M_FAILED && a->life.fail == M_FAIL_CONTENT;
    bool finished = is_resting(a, IN(M_UNACTIVED) | IN(M_ACTIVED) | IN(M_WAITING_DELETE));
    return failed || finished ? M_OK : M_REFUSED;
}

enum m_answer m_cover_declare(struct model *m, int asset, uint64_t bytes) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = takes_cover(m, a);
    if (may != M_OK)
        return may;
    if (a->life.cover != M_MAIN_NONE) /* one COVER */
        return M_EXISTS;
    if (bytes > left(owner(m, a)))
        return M_QUOTA;
    a->life.cover = M_MAIN_DECLARED;
    a->life.cover_bytes = bytes;
    a->life.cover_due = m->now + M_DAY;
    a->life.reserved += bytes;
    recount(m, a, &was);
    return M_OK;
}

enum m_answer m_cover_send(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    enum m_answer may = gone(a) || a->life.cover == M_MAIN_NONE ? M_GONE : M_OK;
    if (may == M_OK)
        may = a->life.cover == M_MAIN_THERE ? M_REFUSED : takes_cover(m, a);
    if (may == M_OK)
        a->life.cover = M_MAIN_SENT;
    return may;
}

/* Other bytes than declared: that file fails, and its reservation is freed. */
enum m_answer m_cover_confirm(struct model *m, int asset, bool right) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = takes_cover(m, a);
    if (may != M_OK)
        return may;
    if (a->life.cover == M_MAIN_THERE)
        return M_REFUSED;
    if (a->life.cover != M_MAIN_SENT)
        return M_GONE;
    if (right) {
        a->life.cover = M_MAIN_THERE;
        a->life.cover_due = 0;
        a->life.reserved -= a->life.cover_bytes;
        a->life.bytes += a->life.cover_bytes;
    } else {
        drop_cover(&a->life);
    }
    recount(m, a, &was);
    return M_OK;
}

enum m_answer m_cover_cancel(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = takes_cover(m, a);
    if (may != M_OK)
        return may;
    if (a->life.cover == M_MAIN_THERE)
        return M_REFUSED;
    drop_cover(&a->life);
    recount(m, a, &was);
    return M_OK;
}

enum m_answer m_cover_remove(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = takes_cover(m, a);
    if (may != M_OK)
        return may;
    drop_cover(&a->life);
    recount(m, a, &was);
    return M_OK;
}

/* ---- 3.2: events ----------------------------------------------------------------------------- */

enum m_answer m_delete(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a))
        return M_GONE;
    if (a->life.last == M_LAST_BINNED) /* again while DELETING: nothing */
        return M_OK;
    deletion(&a->life, m->now, owner(m, a)->retention);
    note(m, a, &was, M_DELETE, m->now, false);
    return M_OK;
}

enum m_answer m_purge(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a))
        return M_GONE;
    end_of(&a->life);
    note(m, a, &was, M_FORCE_DELETE, m->now, false);
    return M_OK;
}

enum m_answer m_restore(struct model *m, int asset, const char *to) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a))
        return M_GONE;
    if (m_shown(m, a) != M_DELETING || owner(m, a)->holds)
        return M_REFUSED;
    const char *name = to && a->life.bin_name[0] ? to : was.bin_name;
    if (name[0] && m_named(m, a->tenant, name) >= 0)
        return M_EXISTS;
    out_of_bin(&a->life);
    if (name[0]) {
        add_name(&a->life, name);
        call(&a->life, name);
    }
    note(m, a, &was, M_RESTORE, m->now, false);
    return M_OK;
}

static bool bypasses(const struct m_tenant *t, const char *name) {
    size_t n = strlen(name), len = strlen(t->bypass);
    return len > 0 && n >= len && strcmp(name + n - len, t->bypass) == 0;
}

static enum m_answer lose_name(struct model *m, int i, const char *name) {
    struct m_asset *a = &m->asset[i];
    struct m_life was = a->life;
    if (a->life.names > 1) {
        drop_name(&a->life, name);
        call(&a->life, a->life.name[0]);
        return M_OK;
    }
    /* the last name: to the bin, unless it is younger than 60 s or its name bypasses the bin; what is frozen goes
     * no shorter way */
    if (!a->life.holds && (m->now - a->life.created < M_MINUTE || bypasses(owner(m, a), name)))
        return m_purge(m, i);
    deletion(&a->life, m->now, owner(m, a)->retention);
    note(m, a, &was, M_DELETE, m->now, false);
    return M_OK;
}

enum m_answer m_unlink(struct model *m, int tenant, const char *name) {
    int i = m_named(m, tenant, name);
    return i < 0 ? M_GONE : lose_name(m, i, name);
}

enum m_answer m_rename_over(struct model *m, int tenant, const char *name, const char *to) {
    if (m->tenant[tenant].holds)
        return M_REFUSED;
    int i = m_named(m, tenant, name), over = m_named(m, tenant, to);
    if (i < 0)
        return M_GONE;
    if (i == over) /* two names of one file: nothing happens */
        return M_OK;
    enum m_answer may = renamable(m, &m->asset[i]);
    if (may == M_OK && over >= 0)
        may = lose_name(m, over, to);
    return may == M_OK ? m_rename(m, tenant, name, to) : may;
}

enum m_answer m_rename(struct model *m, int tenant, const char *name, const char *to) {
    if (m->tenant[tenant].holds)
        return M_REFUSED;
    int i = m_named(m, tenant, name);
    if (i < 0)
        return M_GONE;
    if (m_named(m, tenant, to) >= 0)
        return M_EXISTS;
    enum m_answer may = renamable(m, &m->asset[i]);
    if (may != M_OK)
        return may;
    drop_name(&m->asset[i].life, name);
    add_name(&m->asset[i].life, to);
    call(&m->asset[i].life, to);
    return M_OK;
}

enum m_answer m_link(struct model *m, int tenant, const char *name, const char *to) {
    if (m->tenant[tenant].holds)
        return M_REFUSED;
    int i = m_named(m, tenant, name);
    if (i < 0)
        return M_GONE;
    if (m_named(m, tenant, to) >= 0)
        return M_EXISTS;
    enum m_answer may = renamable(m, &m->asset[i]);
    if (may != M_OK)
        return may;
    if (m->asset[i].life.fail == M_FAIL_CONTENT) /* the name asks for what the content is not */
        return M_REFUSED;
    add_name(&m->asset[i].life, to);
    return M_OK;
}

enum m_answer m_freeze(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a))
        return M_GONE;
    a->life.holds |= M_ADMIN;
    a->life.last = M_LAST_FROZEN; /* every hold that is set */
    if (was.holds != a->life.holds || was.last != a->life.last)
        note(m, a, &was, M_FREEZE, m->now, false);
    return M_OK;
}

enum m_answer m_unfreeze(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a))
        return M_GONE;
    if (!(a->life.holds & (M_ADMIN | M_SCHEDULED)))
        return M_REFUSED;
    a->life.holds &= ~(unsigned)(M_ADMIN | M_SCHEDULED);
    if (a->life.holds == 0) { /* not frozen and not binned */
        out_of_bin(&a->life);
        if (was.binned && was.bin_name[0]) {
            add_free_name(m, a->tenant, &a->life, was.bin_name);
            call(&a->life, a->life.name[0]);
        }
    }
    note(m, a, &was, M_UNFREEZE, m->now, false);
    a->asked = false; /* what was asked for is done */
    return M_OK;
}

enum m_answer m_activate(struct model *m, int asset, bool on) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    if (!is_resting(a, IN(M_UNACTIVED) | IN(M_ACTIVED)))
        return M_REFUSED;
    a->life.rest = on ? M_ACTIVED : M_UNACTIVED;
    if (a->life.rest != was.rest)
        note(m, a, &was, on ? M_ACTIVATE : M_DEACTIVATE, m->now, false);
    return M_OK;
}

enum m_answer m_announce(struct model *m, int asset, int64_t at) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    if (a->life.rest != M_ACTIVED || at <= m->now)
        return M_REFUSED;
    a->life.rest = M_WAITING_DELETE;
    a->life.takedown_due = at;
    note(m, a, &was, M_ANNOUNCE, m->now, false);
    return M_OK;
}

enum m_answer m_withdraw(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    if (a->life.rest != M_WAITING_DELETE)
        return M_REFUSED;
    a->life.rest = M_ACTIVED;
    a->life.takedown_due = 0;
    note(m, a, &was, M_WITHDRAW, m->now, false);
    return M_OK;
}

static bool op_before(const struct m_op *a, const struct m_op *b) {
    return a->at != b->at ? a->at < b->at : a->kind < b->kind;
}

enum m_answer m_schedule(struct model *m, int asset, enum m_op_kind kind, int64_t at) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life, *l = &a->life;
    struct m_op op = {at, kind};
    enum m_answer may = editable(m, a);
    int i = 0;
    if (may != M_OK)
        return may;
    if (at <= m->now || l->ops == M_OPS_MAX)
        return M_REFUSED;
    while (i < l->ops && op_before(&l->op[i], &op))
        i++;
    if (i < l->ops && l->op[i].at == at && l->op[i].kind == kind)
        return M_OK; /* it is there already */
    memmove(&l->op[i + 1], &l->op[i], (size_t)(l->ops - i) * sizeof l->op[0]);
    l->op[i] = op;
    l->ops++;
    note(m, a, &was, M_SCHEDULE, m->now, false);
    return M_OK;
}

enum m_answer m_unschedule(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    a->life.ops = 0;
    if (was.ops > 0)
        note(m, a, &was, M_UNSCHEDULE, m->now, false);
    return M_OK;
}

enum m_answer m_verdict(struct model *m, int asset, bool pass) {
    struct m_asset *a = &m->asset[asset];
    struct m_life was = a->life;
    if (gone(a) || !a->life.in_review)
        return M_GONE;
    a->life.in_review = false;
    if (a->life.rest != M_CREATING) { /* an edit: no state changes */
        a->life.bytes = pass ? was.held : was.bytes - was.held;
        a->life.held = 0;
        note(m, a, &was, pass ? M_REVIEW_PASS : M_REVIEW_REJECT, m->now, false);
        return M_OK;
    }
    a->life.rest = !pass ? M_FAILED : owner(m, a)->unactived ? M_UNACTIVED : M_ACTIVED;
    a->life.fail = pass ? M_FAIL_NONE : M_FAIL_REVIEW;
    note(m, a, &was, pass ? M_REVIEW_PASS : M_REVIEW_REJECT, m->now, false);
    return M_OK;
}

/* ---- 3.5: requests --------------------------------------------------------------------------- */

enum m_answer m_ask(struct model *m, int asset) {
    struct m_asset *a = &m->asset[asset];
    if (gone(a))
        return M_GONE;
    if (!(a->life.holds & (M_ADMIN | M_SCHEDULED)))
        return M_REFUSED;
    if (a->asked)
        return M_EXISTS;
    a->asked = true;
    return M_OK;
}

/* Granted, it is an unfreeze; where there is nothing to lift any more, it goes on waiting. */
enum m_answer m_decide(struct model *m, int asset, bool grant) {
    struct m_asset *a = &m->asset[asset];
    enum m_answer answer = grant ? m_unfreeze(m, asset) : M_OK;
    if (answer == M_OK)
        a->asked = false;
    return answer;
}

/* ---- 3.5: transfer --------------------------------------------------------------------------- */

static enum m_answer may_go(const struct model *m, const struct m_asset *a) {
    enum m_answer may = editable(m, a);
    if (may != M_OK)
        return may;
    if (a->life.cover == M_MAIN_DECLARED || a->life.cover == M_MAIN_SENT) /* an upload is under way */
        return M_REFUSED;
    return is_resting(a, IN(M_UNACTIVED) | IN(M_ACTIVED)) && !a->life.in_review ? M_OK : M_REFUSED;
}

static bool expired(const struct model *m, int job) { return m->now >= m->job[job].expire; }

static void end_job(struct model *m, int job) { m->job[job] = m->job[--m->jobs]; }

enum m_answer m_offer(struct model *m, int asset, int to, bool active, int *ret_job) {
    const struct m_asset *a = &m->asset[asset];
    enum m_answer may = owner(m, a)->holds ? M_REFUSED : may_go(m, a);
    MUST(m->jobs < M_JOBS_MAX);
    for (int i = 0; may == M_OK && i < m->jobs; i++)
        if (m->job[i].serial == a->serial && !expired(m, i)) /* one pending job per asset */
            may = M_EXISTS;
    if (may != M_OK)
        return may;
    *ret_job = m->jobs;
    m->job[m->jobs++] = (struct m_job){.asset = asset,
                                       .from = a->tenant,
                                       .to = to,
                                       .serial = a->serial,
                                       .expire = m->now + 7 * M_DAY,
                                       .active = active};
    return M_OK;
}

static void change_hands(struct model *m, struct m_asset *a, int to, bool active) {
    struct m_life was = a->life, *l = &a->life;
    struct m_counts had = counts_of(&was), none = {0};
    char name[M_NAME_MAX + 1];
    struct m_row out = {.tenant = a->tenant,
                        .event = M_TRANSFER,
                        .at = m->now,
                        .from = shown(owner(m, a), &was),
                        .to = M_NEW,
                        .more = between(&had, &none)};
    add_row(a, &out);
    add(&owner(m, a)->counts, &out.more, 1);
    (void)snprintf(name, sizeof name, "%s", l->called);
    a->tenant = to;
    a->asked = false; /* whoever has it now has not asked */
    a->shares = 0;
    l->names = 0;
    l->ops = 0; /* scheduled operations are dropped */
    l->rest = active ? M_ACTIVED : M_UNACTIVED;
    struct m_row in = {.tenant = to,
                       .event = M_TRANSFER,
                       .at = m->now,
                       .from = M_NEW,
                       .to = shown(owner(m, a), l),
                       .more = counts_of(l)};
    add_row(a, &in);
    add(&owner(m, a)->counts, &in.more, 1);
    add_free_name(m, to, l, name);
}

/* Everything is looked at again; what does not hold ends the job, and nothing moves. */
enum m_answer m_accept(struct model *m, int job, bool *ret_moved) {
    struct m_job j = m->job[job];
    struct m_asset *a = &m->asset[j.asset];
    *ret_moved = false;
    if (expired(m, job)) {
        end_job(m, job);
        return M_REFUSED;
    }
    if (m->tenant[j.to].holds) /* while it lasts nothing is accepted; the job waits */
        return M_REFUSED;
    end_job(m, job);
    if (a->serial != j.serial || a->tenant != j.from || may_go(m, a) != M_OK ||
        a->life.bytes > left(&m->tenant[j.to]))
        return M_REFUSED;
    change_hands(m, a, j.to, j.active);
    *ret_moved = true;
    return M_OK;
}

enum m_answer m_drop_job(struct model *m, int job, bool *ret_expired) {
    *ret_expired = expired(m, job);
    end_job(m, job);
    return *ret_expired ? M_REFUSED : M_OK;
}

/* ---- shares ------------------------------------------------------------------------------------ */

static struct m_share *share_with(const struct model *m, struct m_asset *a, int to) {
    for (int i = 0; i < a->shares; i++)
        if (a->share[i].to == to && a->share[i].until > m->now)
            return &a->share[i];
    return NULL;
}

static void drop_ended(const struct model *m, struct m_asset *a) {
    for (int i = a->shares; i-- > 0;)
        if (a->share[i].until <= m->now)
            a->share[i] = a->share[--a->shares];
}

int64_t m_next_share_end(const struct model *m, const struct m_asset *a) {
    int64_t at = M_NEVER;
    for (int i = 0; i < a->shares; i++)
        if (a->share[i].until > m->now && a->share[i].until < at)
            at = a->share[i].until;
    return at;
}

bool m_may_share_with(struct model *m, int asset, int to) {
    struct m_asset *a = &m->asset[asset];
    drop_ended(m, a);
    return to != a->tenant && (a->shares < M_SHARES_MAX || share_with(m, a, to));
}

/* The column "share" of 3.6; shares in both directions are refused under a tenant freeze (3.1). */
enum m_answer m_share(struct model *m, int asset, int to, int64_t until) {
    struct m_asset *a = &m->asset[asset];
    enum m_state is = m_shown(m, a);
    if (owner(m, a)->holds)
        return M_REFUSED;
    if (gone(a))
        return M_GONE;
    if (m->tenant[to].holds || (is != M_UNACTIVED && is != M_ACTIVED && is != M_WAITING_DELETE))
        return M_REFUSED;
    struct m_share *share = share_with(m, a, to);
    if (!share)
        share = &a->share[a->shares++];
    *share = (struct m_share){to, until};
    return M_OK;
}

enum m_answer m_unshare(struct model *m, int asset, int to) {
    struct m_asset *a = &m->asset[asset];
    struct m_share *share = share_with(m, a, to);
    if (owner(m, a)->holds)
        return M_REFUSED;
    if (gone(a) || !share)
        return M_GONE;
    share->until = m->now;
    return M_OK;
}

enum m_answer m_read_shared(struct model *m, int asset, int to) {
    struct m_asset *a = &m->asset[asset];
    enum m_state is = m_shown(m, a);
    if (gone(a) || !share_with(m, a, to))
        return M_GONE;
    if (owner(m, a)->holds || m->tenant[to].holds)
        return M_REFUSED;
    return is == M_ACTIVED || is == M_WAITING_DELETE ? M_OK : M_REFUSED;
}

/* ---- the tenant as a whole --------------------------------------------------------------------- */

/* Retention starts again in full; an upload gets at least 24 h. */
static void thaw(struct model *m, int tenant) {
    for (int i = 0; i < m->assets; i++) {
        struct m_life *l = &m->asset[i].life;
        if (m->asset[i].tenant != tenant || l->rest == M_DELETED)
            continue;
        if (l->binned)
            l->purge_due = m->now + l->retention;
        if (l->confirm_due && l->confirm_due < m->now + M_DAY)
            l->confirm_due = m->now + M_DAY;
    }
}

enum m_answer m_hold_tenant(struct model *m, int tenant, unsigned hold, bool on) {
    struct m_tenant *t = &m->tenant[tenant];
    unsigned was = t->holds;
    if (!on && hold == M_ADMIN && t->holds == M_ARREARS)
        return M_REFUSED; /* each is lifted only by its own cause */
    t->holds = on ? t->holds | hold : t->holds & ~hold;
    if (t->holds == was)
        return M_OK;
    struct m_row row = {.tenant = tenant,
                        .event = on ? M_FREEZE : M_UNFREEZE,
                        .at = m->now,
                        .from = was ? M_BLOCK : M_ACTIVED,
                        .to = t->holds ? M_BLOCK : M_ACTIVED};
    MUST(t->rows < M_ROWS_MAX);
    t->row[t->rows++] = row;
    if (was && !t->holds)
        thaw(m, tenant);
    return M_OK;
}

void m_bin_set(struct model *m, int tenant, int64_t retention) {
    m->tenant[tenant].retention = retention;
}

void m_bin_empty(struct model *m, int tenant, int64_t older, int *ret_gone, uint64_t *ret_bytes) {
    *ret_gone = 0;
    *ret_bytes = 0;
    for (int i = 0; i < m->assets; i++) {
        struct m_asset *a = &m->asset[i];
        if (a->tenant != tenant || m_shown(m, a) != M_DELETING)
            continue;
        if (a->life.last != M_LAST_BINNED || m->now - a->life.binned_at < older)
            continue;
        ++*ret_gone;
        *ret_bytes += a->life.bytes;
        (void)m_purge(m, i);
    }
}
