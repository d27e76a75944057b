#include "play.h"

#include "service/audit.h"
#include "service/bin.h"
#include "service/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "upkeep/keep.h"

/* ---- small things ------------------------------------------------------------------------ */

uint64_t play_below(struct play *p, uint64_t n) { return ms_random_below(p->random, n); }

bool play_chance(struct play *p, unsigned one_in) { return play_below(p, one_in) == 0; }

struct ms_ctx play_ctx(const struct play *p, int tenant, bool admin) {
    struct ms_ctx ctx = {.tenant = p->tenant[tenant], .admin = admin};
    (void)snprintf(ctx.who, sizeof ctx.who, "%s", admin ? "root@test" : "alice");
    return ctx;
}

void play_say(struct play *p, int asset, const char *fmt, ...) {
    char *line = p->trace[p->done++ % PLAY_TRACE];
    va_list ap;
    int n = snprintf(line, sizeof p->trace[0], "%" PRIu64 " @%" PRId64 " #%d ", p->step, p->m.now,
                     asset);
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof p->trace[0] - (size_t)n, fmt, ap);
    va_end(ap);
}

/* What was done to the asset, as far as it is remembered. */
static void print_trace(const struct play *p, int asset) {
    char mark[24];
    uint64_t from = p->done > PLAY_TRACE ? p->done - PLAY_TRACE : 0;
    (void)snprintf(mark, sizeof mark, " #%d ", asset);
    for (uint64_t i = from; i < p->done; i++) {
        const char *line = p->trace[i % PLAY_TRACE];
        if (p->done - i < 20 || (asset >= 0 && strstr(line, mark)))
            fprintf(stderr, "  %s\n", line);
    }
}

void play_fail(struct play *p, int asset, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_trace(p, asset);
    print_error("step %" PRIu64 ", %" PRId64 " ms, asset %d of tenant %d: %s\n", p->step, p->m.now,
                asset, asset >= 0 ? p->m.asset[asset].tenant : -1, text);
    fail();
    abort();
}

static enum m_answer answer_of(enum ms_code code) {
    switch ((int)code) {
    case MS_OK:
        return M_OK;
    case MS_NOT_FOUND:
        return M_GONE;
    case MS_EXISTS:
        return M_EXISTS;
    case MS_QUOTA:
        return M_QUOTA;
    case MS_WRONG_STATE:
    case MS_NOT_PERMITTED:
    case MS_NOT_READABLE:
    case MS_DENIED:
    case MS_WRONG_KIND:
        return M_REFUSED;
    default:
        return (enum m_answer)-1;
    }
}

void play_agree(struct play *p, int asset, enum ms_code code, const struct ms_error *err,
                enum m_answer answer) {
    static const char *const names[] = {"OK", "REFUSED", "EXISTS", "GONE", "QUOTA"};
    p->refused += answer != M_OK;
    if (answer_of(code) != answer)
        play_fail(p, asset, "the gateway says %s (%s), the model %s", ms_code_name(code),
                  code == MS_OK ? "" : err->message, names[answer]);
    if (code != MS_OK && !err->message[0])
        play_fail(p, asset, "refused with %s and no word", ms_code_name(code));
}

/* ---- the audit log ----------------------------------------------------------------------- */

static const uint8_t events[M_EVENTS] = {
    [M_CREATED] = MS_AUDIT_CREATED,
    [M_EXPIRE] = MS_EVENT_EXPIRE,
    [M_CONFIRM] = MS_EVENT_CONFIRM,
    [M_CONFIRM_REVIEW] = MS_EVENT_CONFIRM_REVIEW,
    [M_EDIT_REVIEW] = MS_EVENT_EDIT_REVIEW,
    [M_MISMATCH] = MS_EVENT_MISMATCH,
    [M_CONTENT_FAIL] = MS_EVENT_CONTENT_FAIL,
    [M_REVIEW_PASS] = MS_EVENT_REVIEW_PASS,
    [M_REVIEW_REJECT] = MS_EVENT_REVIEW_REJECT_MANUAL,
    [M_ACTIVATE] = MS_EVENT_ACTIVATE,
    [M_DEACTIVATE] = MS_EVENT_DEACTIVATE,
    [M_ANNOUNCE] = MS_EVENT_ANNOUNCE,
    [M_WITHDRAW] = MS_EVENT_WITHDRAW,
    [M_DELETE] = MS_EVENT_DELETE,
    [M_RESTORE] = MS_EVENT_RESTORE,
    [M_FORCE_DELETE] = MS_EVENT_FORCE_DELETE,
    [M_FREEZE] = MS_EVENT_FREEZE,
    [M_UNFREEZE] = MS_EVENT_UNFREEZE,
    [M_SCHEDULE] = MS_EVENT_SCHEDULE,
    [M_UNSCHEDULE] = MS_EVENT_UNSCHEDULE,
    [M_TRANSFER] = MS_EVENT_TRANSFER,
    [M_FILE_CANCELLED] = MS_AUDIT_FILE_CANCELLED,
};

static int slot_of(const struct play *p, const uint8_t id[MS_ID_BYTES]) {
    for (int i = 0; i < p->m.assets; i++)
        if (memcmp(p->asset[i].id.id.b, id, MS_ID_BYTES) == 0)
            return i;
    return -1;
}

static bool is_row(const struct m_row *want, const struct ms_audit_record *row) {
    return events[want->event] == row->event && want->at == row->at.ms &&
           (unsigned)want->from == row->from && (unsigned)want->to == row->to;
}

static void tell_difference(struct play *p, int asset, const struct m_row *want,
                            const struct ms_audit_record *row) {
    play_fail(p, asset,
              "the log has %s %u>%u at %" PRId64 " by %s (%s), the model %s %d>%d at %" PRId64,
              ms_audit_event_name(row->event), row->from, row->to, row->at.ms, row->who, row->why,
              want ? ms_audit_event_name(events[want->event]) : "nothing", want ? (int)want->from : -1,
              want ? (int)want->to : -1, want ? want->at : 0);
}

/* Rows that change no state: of files, requests, texts. What time has cancelled is no such: when, and what the asset
 * showed then, must be right. */
static bool is_note(const struct ms_audit_record *row) {
    bool by_time = row->event == MS_AUDIT_FILE_CANCELLED && strcmp(row->who, "msasset") == 0;
    return row->event >= MS_EVENT_COUNT && row->event != MS_AUDIT_CREATED && !by_time;
}

static void hear_tenant_row(struct play *p, int tenant, const struct ms_audit_record *row) {
    struct m_tenant *t = &p->m.tenant[tenant];
    if (t->rows == 0 || !is_row(&t->row[0], row))
        tell_difference(p, -1, t->rows ? &t->row[0] : NULL, row);
    memmove(t->row, t->row + 1, (size_t)--t->rows * sizeof t->row[0]);
}

/* A file that no quota had room for was there while it was written: made, and gone without a trace but
 * these two rows. */
static bool is_stray(struct play *p, int tenant, const struct ms_audit_record *row) {
    if (tenant != p->stray_tenant || row->at.ms != p->m.now)
        return false;
    if (row->event == MS_AUDIT_CREATED && row->from == M_NEW && row->to == M_CREATING) {
        p->stray = row->asset;
        p->stray_tenant = tenant;
        return true;
    }
    if (row->event != MS_EVENT_FORCE_DELETE || row->from != M_CREATING || row->to != M_DELETED ||
        memcmp(row->asset.b, p->stray.b, MS_ID_BYTES) != 0)
        return false;
    p->stray_tenant = -1;
    return true;
}

static void hear_row(struct play *p, int tenant, const struct ms_audit_record *row) {
    static const uint8_t none[MS_ID_BYTES];
    if (is_note(row)) {
        if (row->from != row->to)
            tell_difference(p, -1, NULL, row);
        return;
    }
    if (memcmp(row->asset.b, none, MS_ID_BYTES) == 0) {
        hear_tenant_row(p, tenant, row);
        return;
    }
    if (is_stray(p, tenant, row))
        return;
    int i = slot_of(p, row->asset.b);
    struct m_asset *a = i < 0 ? NULL : &p->m.asset[i];
    if (!a || a->rows == 0 || a->row[0].tenant != tenant || !is_row(&a->row[0], row))
        tell_difference(p, i, a && a->rows ? &a->row[0] : NULL, row);
    m_told(&p->m, a, 1);
}

static void hear_log(struct play *p, int tenant) {
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    const struct ms_audit_filter all = {.who = NULL};
    bool end = false;
    while (!end) {
        size_t n;
        assert_ok(ms_audit_page(p->w->svc, &ctx, &all, p->seen[tenant], p->rows,
                                MS_ARRAY_LEN(p->rows), &n, &p->seen[tenant], &end, &test_err));
        for (size_t i = 0; i < n; i++)
            hear_row(p, tenant, &p->rows[i]);
    }
    if (p->m.tenant[tenant].rows > 0)
        play_fail(p, -1, "the log lacks a row of tenant %d itself", tenant);
}

/* What the log lacks is what time brought about and nobody has written yet; swept: nothing. */
static void check_untold(struct play *p, int tenant, bool swept) {
    for (int i = 0; i < p->m.assets; i++) {
        const struct m_asset *a = &p->m.asset[i];
        for (int r = 0; r < a->rows; r++)
            if (a->row[r].tenant == tenant && (swept || !a->row[r].by_time))
                play_fail(p, i, "the log lacks %s %d>%d at %" PRId64,
                          ms_audit_event_name(events[a->row[r].event]), a->row[r].from,
                          a->row[r].to, a->row[r].at);
    }
}

/* ---- counters ---------------------------------------------------------------------------- */

static void compare_counts(struct play *p, int tenant) {
    struct m_counts want = m_counts_behind(&p->m, tenant);
    struct ms_usage_record is;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(p->w->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_usage(txn, ms_key_usage(p->tenant[tenant]), &is, &test_err));
    ms_read_end(txn);
    if (is.assets != (uint64_t)want.assets || is.standard != (uint64_t)want.bytes ||
        is.reserved != (uint64_t)want.reserved ||
        is.binned_assets != (uint64_t)want.binned_assets ||
        is.binned_bytes != (uint64_t)want.binned_bytes)
        play_fail(p, p->last,
                  "tenant %d counts %" PRIu64 " assets, %" PRIu64 " bytes, %" PRIu64
                  " reserved, %" PRIu64 " binned with %" PRIu64 ", the model %" PRId64 ", %" PRId64
                  ", %" PRId64 ", %" PRId64 " with %" PRId64,
                  tenant, is.assets, is.standard, is.reserved, is.binned_assets, is.binned_bytes,
                  want.assets, want.bytes, want.reserved, want.binned_assets, want.binned_bytes);
}

/* ---- one asset --------------------------------------------------------------------------- */

static bool has_path(const struct m_life *l, const char *path) {
    const char *name = path[0] == '/' ? path + 1 : path;
    if (l->binned || l->names == 0)
        return strcmp(name, l->binned ? l->bin_name : "") == 0;
    for (int i = 0; i < l->names; i++)
        if (strcmp(name, l->name[i]) == 0)
            return true;
    return false;
}

static const char *differs(const struct m_life *l, enum m_state state,
                           const struct ms_asset_info *is) {
    const struct ms_asset_record *a = &is->asset;
    if ((unsigned)is->state != (unsigned)state)
        return "state";
    if (a->rest != (unsigned)l->rest)
        return "resting state";
    if (a->holds != l->holds)
        return "holds";
    if (a->binned != l->binned)
        return "binned";
    if (a->bytes != l->bytes)
        return "bytes";
    if (a->scheduled_count != l->ops)
        return "scheduled operations";
    if (a->takedown_due.ms != l->takedown_due)
        return "announced date";
    if (a->in_review != l->in_review)
        return "review";
    if (a->created.ms != l->created)
        return "creation";
    if (l->held > 0 && (is->size != l->held || is->main.size != l->bytes - l->held))
        return "size";
    return has_path(l, is->path) ? NULL : "path";
}

static void compare_asset(struct play *p, int i) {
    const struct m_asset *a = &p->m.asset[i];
    struct ms_ctx ctx = play_ctx(p, a->tenant, true);
    struct ms_error err = {0};
    enum ms_code code = ms_asset_get(p->w->svc, &ctx, p->asset[i].id, &p->info, &err);
    if (a->life.rest == M_DELETED && code == MS_NOT_FOUND)
        return;
    if (code != MS_OK)
        play_fail(p, i, "%s: %s", ms_code_name(code), err.message);
    enum m_state want = m_shown(&p->m, a);
    const char *what = differs(&a->life, want, &p->info);
    if (what)
        play_fail(p, i,
                  "another %s: %s (rest %u holds %u binned %u bytes %" PRIu64 " ops %u at %s), the "
                  "model %s (rest %d holds %u binned %d bytes %" PRIu64 " ops %d at %s)",
                  what, ms_state_name(p->info.state), p->info.asset.rest, p->info.asset.holds,
                  p->info.asset.binned, p->info.asset.bytes, p->info.asset.scheduled_count,
                  p->info.path, ms_state_name((enum ms_state)want), a->life.rest, a->life.holds,
                  a->life.binned, a->life.bytes, a->life.ops,
                  a->life.names ? a->life.name[0] : a->life.bin_name);
}

/* ---- the bin ----------------------------------------------------------------------------- */

static void compare_bin(struct play *p, int tenant) {
    static struct ms_bin_entry entry[64];
    struct ms_ctx ctx = play_ctx(p, tenant, true);
    struct ms_bin_id after = {{{0}}};
    int64_t listed = 0;
    size_t n = MS_ARRAY_LEN(entry);
    while (n == MS_ARRAY_LEN(entry)) {
        assert_ok(ms_bin_list(p->w->svc, &ctx, after, entry, MS_ARRAY_LEN(entry), &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            int slot = slot_of(p, entry[i].asset.id.b);
            const struct m_asset *a = slot < 0 ? NULL : &p->m.asset[slot];
            if (!a || a->tenant != tenant || !a->life.binned || a->life.rest == M_DELETED)
                play_fail(p, slot, "it is in the list of the bin");
            bool runs = a->life.last == M_LAST_BINNED && !p->m.tenant[tenant].holds;
            int64_t until = runs ? a->life.purge_due : 0;
            if ((unsigned)entry[i].state != (unsigned)m_shown(&p->m, a) ||
                entry[i].at.ms != a->life.binned_at || entry[i].until.ms != until ||
                entry[i].bytes != a->life.bytes || !has_path(&a->life, entry[i].path))
                play_fail(p, slot,
                          "in the bin it is %s since %" PRId64 " until %" PRId64
                          ", was at %s; in the model since %" PRId64 " until %" PRId64 ", at %s",
                          ms_state_name(entry[i].state), entry[i].at.ms, entry[i].until.ms,
                          entry[i].path, a->life.binned_at, until, a->life.bin_name);
            listed++;
        }
        if (n > 0)
            after = entry[n - 1].id;
    }
    if (listed != p->m.tenant[tenant].counts.binned_assets)
        play_fail(p, -1, "%" PRId64 " are in the bin of tenant %d, in the model %" PRId64, listed,
                  tenant, p->m.tenant[tenant].counts.binned_assets);
    hear_log(p, tenant); /* the list has swept */
    check_untold(p, tenant, true);
}

/* ---- all ---------------------------------------------------------------------------------- */

void play_compare(struct play *p, struct play_touched touched) {
    int tenants[] = {touched.tenant, touched.other};
    for (unsigned i = 0; i < MS_ARRAY_LEN(tenants); i++)
        if (tenants[i] >= 0)
            hear_log(p, tenants[i]);
    for (unsigned i = 0; i < MS_ARRAY_LEN(tenants); i++) {
        if (tenants[i] < 0)
            continue;
        check_untold(p, tenants[i], false);
        compare_counts(p, tenants[i]);
    }
    if (touched.asset >= 0)
        compare_asset(p, touched.asset);
}

static void compare_list(struct play *p, int tenant) {
    static struct ms_asset_info infos[32];
    struct ms_ctx ctx = play_ctx(p, tenant, false);
    struct ms_asset_id after = {{{0}}};
    int64_t listed = 0;
    size_t n = MS_ARRAY_LEN(infos);
    while (n == MS_ARRAY_LEN(infos)) {
        assert_ok(ms_asset_list(p->w->svc, &ctx, after, 0, infos, MS_ARRAY_LEN(infos), &n,
                                &test_err));
        for (size_t i = 0; i < n; i++) {
            int slot = slot_of(p, infos[i].asset.id.b);
            if (slot < 0 || p->m.asset[slot].life.rest == M_DELETED)
                play_fail(p, slot, "it is listed");
        }
        listed += (int64_t)n;
        if (n > 0)
            after.id = infos[n - 1].asset.id;
    }
    if (listed != p->m.tenant[tenant].counts.assets)
        play_fail(p, -1, "tenant %d lists %" PRId64 " assets, in the model it has %" PRId64, tenant,
                  listed, p->m.tenant[tenant].counts.assets);
}

/* Rows against rows; objects against rows when all is over. */
static void check_rows(struct play *p) {
    struct said *said = calloc(1, sizeof *said);
    assert_non_null(said);
    run_fsck(p->w->svc, false, false, said);
    if (said->findings > 0)
        play_fail(p, -1, "fsck finds %s: %s", said->finding[0].name, said->finding[0].text);
    free(said);
}

void play_compare_all(struct play *p) {
    p->deep++;
    check_rows(p);
    for (int i = 0; i < p->m.assets; i++)
        compare_asset(p, i);
    for (int t = 0; t < PLAY_TENANTS; t++) {
        hear_log(p, t);
        check_untold(p, t, false);
        compare_counts(p, t);
        compare_list(p, t);
        if (p->sweeps != PLAY_NEVER)
            compare_bin(p, t);
    }
}

void play_sweep(struct play *p, int tenant) {
    struct ms_sweep_result result;
    play_say(p, -1, "sweep %d", tenant);
    if (tenant >= 0)
        assert_ok(ms_sweep_tenant(p->w->svc, p->tenant[tenant], &result, &test_err));
    else
        assert_ok(ms_sweep(p->w->svc, &result, &test_err));
    for (int t = 0; t < PLAY_TENANTS; t++) {
        if (tenant >= 0 && t != tenant)
            continue;
        hear_log(p, t);
        check_untold(p, t, true);
        compare_counts(p, t);
    }
}

/* ---- begin and end ----------------------------------------------------------------------- */

static int content(const char *suffix, uint8_t bytes[4096]) {
    int fd = memfd_create(suffix, MFD_CLOEXEC);
    assert_true(fd >= 0);
    fill_like(bytes, 4096, suffix);
    return fd;
}

static void add_tenant(struct play *p, int t) {
    char name[16];
    struct ms_tenant_record record;
    struct m_tenant *m = &p->m.tenant[t];
    static const int64_t keep[] = {7 * M_DAY, M_DAY, 0, 30 * M_DAY, M_HOUR, 7 * M_DAY};
    m->retention = keep[t % (int)MS_ARRAY_LEN(keep)];
    m->quota = t % 5 == 4 ? 40000 : UINT64_C(5) << 30;
    (void)snprintf(name, sizeof name, "m%d", t);
    struct ms_tenant_options options = {
        .name = name, .free_bytes = m->quota, .retention_ms = m->retention};
    assert_ok(ms_tenant_add(p->w->svc, "root@test", &options, &record, &test_err));
    p->tenant[t] = (struct ms_tenant_id){record.id};
    struct ms_ctx ctx = play_ctx(p, t, true);
    assert_ok(ms_transfer_allow(p->w->svc, &ctx, MS_MAY_TRANSFER_ANY, &test_err));
}

void play_begin(struct play *p, struct ms_random *random, enum play_sweeps sweeps, uint64_t steps) {
    memset(p, 0, sizeof *p);
    p->w = world_new(true, 0);
    p->random = random;
    p->sweeps = sweeps;
    p->steps = steps;
    p->last = p->stray_tenant = -1;
    m_init(&p->m, ms_clock_now(&p->w->clock.clock).ms, PLAY_TENANTS, PLAY_ASSETS_MAX);
    for (int t = 0; t < PLAY_TENANTS; t++)
        add_tenant(p, t);
    p->text = content("txt", p->text_bytes);
    p->video = content("mp4", p->video_bytes);
}

void play_end(struct play *p) {
    play_compare_all(p);
    play_sweep(p, -1);
    play_compare_all(p);
    for (int t = 0; t < PLAY_TENANTS; t++)
        compare_bin(p, t);
    check_findings(p->w->svc);
    (void)close(p->text);
    (void)close(p->video);
    m_fini(&p->m);
    world_free(MS_TAKE(p->w));
}
