/* SIGKILL in the middle of every use case: before and after each write to a file, each sync of the disk
 * and each request to the object store. What anybody sees afterwards is what was there before, or what
 * the use case makes; never something between, and the latter when it was answered.
 *
 * A use case is a row of a table: what must be there first, and what a child does then. Each kill has a
 * store of its own, so what is compared is everything that can be told of it. MS_TEST_ROUNDS: how many
 * points of each use case are tried, evenly spread (usual: 3); a large number tries all. */
#include "child.h"

#include "confirm/parcel.h"
#include "service/batch.h"
#include "service/bin.h"
#include "service/copy.h"
#include "service/package.h"
#include "service/produce.h"
#include "service/request.h"
#include "service/review.h"
#include "service/transfer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is there first ----------------------------------------------------------------- */

/* What the child is told: ids, in the order in which it wants them. */
struct setup {
    struct world *w;
    struct ms_tenant_id other;
    char told[400];
};

static void tell_id(struct setup *s, struct ms_id id) {
    size_t n = strlen(s->told);
    (void)snprintf(s->told + n, sizeof s->told - n, "%s%s", n ? " " : "", ms_id_text(id).s);
}

static struct ms_asset_id put_one(struct setup *s, const char *path) {
    uint8_t bytes[1000];
    struct behind b;
    fill_like(bytes, sizeof bytes, strrchr(path, '.') + 1);
    write_file(s->w, path, bytes, sizeof bytes);
    look_behind(s->w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

static void event_on(struct setup *s, struct ms_asset_id id, enum ms_event event) {
    apply_event(s->w, id, event, (struct ms_instant){0}, 0);
}

static struct ms_instant later(struct setup *s, int64_t ms) {
    return ms_instant_add_ms(ms_clock_now(&s->w->clock.clock), ms);
}

static void one(struct setup *s) { tell_id(s, put_one(s, "/files/a.txt").id); }

static void one_video(struct setup *s) { tell_id(s, put_one(s, "/videos/a.mp4").id); }

static void binned(struct setup *s) {
    struct ms_asset_id id = put_one(s, "/files/a.txt");
    event_on(s, id, MS_EVENT_DELETE);
    tell_id(s, id.id);
}

/* Its name is taken: it comes back under another one. */
static void frozen_in_bin(struct setup *s) {
    struct ms_asset_id id = put_one(s, "/files/a.txt");
    event_on(s, id, MS_EVENT_FREEZE);
    event_on(s, id, MS_EVENT_DELETE);
    (void)put_one(s, "/files/a.txt");
    tell_id(s, id.id);
}

static void several(struct setup *s) {
    for (unsigned i = 0; i < 4; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/files/%u.txt", i);
        tell_id(s, put_one(s, path).id);
    }
}

/* One folder in another: too many for one commit. */
static void a_folder(struct setup *s) {
    static const char *const folders[] = {"big", "sub"};
    uint64_t dir = s->w->tenant.root_ino;
    for (unsigned i = 0; i < 2; i++) {
        struct ms_make make = {.parent = dir, .name = folders[i], .mode = S_IFDIR | 0755};
        struct ms_made made;
        assert_ok(ms_tree_make(s->w->svc, &s->w->ctx, &make, &made, &test_err));
        dir = made.node.inode.ino;
    }
    for (unsigned i = 0; i < 70; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/big/%s%u.txt", i % 2 ? "sub/" : "", i);
        (void)put_one(s, path);
    }
}

static void several_binned(struct setup *s) {
    char path[] = "/files/0.txt";
    for (; path[7] < '4'; path[7]++)
        event_on(s, put_one(s, path), MS_EVENT_DELETE);
}

static void several_due(struct setup *s) {
    char path[] = "/files/0.txt";
    for (; path[7] < '4'; path[7]++) {
        struct ms_asset_id id = put_one(s, path);
        if (path[7] < '2')
            event_on(s, id, MS_EVENT_DELETE);
        else
            apply_event(s->w, id, MS_EVENT_SCHEDULE, later(s, MS_DAY_MS), MS_SCHEDULED_DELETE);
    }
    ms_clock_fake_advance(&s->w->clock, 8 * MS_DAY_MS);
}

static void reviewed(struct setup *s) {
    assert_ok(ms_review_set(s->w->svc, &s->w->admin, true, &test_err));
    one(s);
}

static void sent(struct setup *s) {
    struct parcel film;
    parcel_init(&film, "f.mp4", MS_CATEGORY_MAIN, 2000, 1);
    struct ms_asset_id id = create_asset(s->w, MS_TYPE_VIDEO, "f");
    assert_ok(declare_parcel(s->w, id, &film, &test_err));
    assert_ok(send_parcel(s->w, &film, &test_err));
    tell_id(s, film.file.id);
    parcel_fini(&film);
}

static void two_tenants(struct setup *s) {
    assert_ok(ms_transfer_allow(s->w->svc, &s->w->admin, MS_MAY_TRANSFER_ANY, &test_err));
    one(s);
    tell_id(s, s->other.id);
}

static void offered(struct setup *s) {
    struct ms_asset_id ids[2] = {put_one(s, "/files/a.txt"), put_one(s, "/files/b.txt")};
    struct ms_transfer_record job;
    struct ms_transfer_create create = {.assets = ids, .n = 2, .dest = s->other};
    assert_ok(ms_transfer_allow(s->w->svc, &s->w->admin, MS_MAY_TRANSFER_ANY, &test_err));
    assert_ok(ms_transfer_create(s->w->svc, &s->w->admin, &create, &job, &test_err));
    tell_id(s, job.id);
    tell_id(s, s->other.id);
}

static void frozen_tenant(struct setup *s) {
    one(s);
    assert_ok(ms_tenant_hold(s->w->svc, &s->w->admin, MS_HOLD_ADMIN, true, "why", &test_err));
}

static void asked(struct setup *s) {
    struct ms_request_record request;
    struct ms_asset_id id = put_one(s, "/files/a.txt");
    event_on(s, id, MS_EVENT_FREEZE);
    assert_ok(ms_request_add(s->w->svc, &s->w->ctx, id, "please", &request, &test_err));
    tell_id(s, request.id);
}

static void minutes(struct setup *s) {
    struct ms_tenant_id t = s->w->ctx.tenant;
    assert_ok(ms_tenant_set_pay_per_use(s->w->svc, &s->w->admin, true, &test_err));
    tell_id(s, t.id);
}

static const struct ms_package_order units = {.order = "o1",
                                              .name = "voice",
                                              .kind = MS_PACKAGE_VOICE_CLONE,
                                              .amount = 3,
                                              .months = 12,
                                              .terms = 1};

static void bought(struct setup *s) {
    struct ms_package_record package;
    assert_ok(ms_package_buy(s->w->svc, &s->w->admin, &units, &package, &test_err));
    tell_id(s, package.id);
}

/* Voices, and a receiver that has units for them. */
static void billed(struct setup *s) {
    struct ms_ctx receiver = s->w->admin;
    struct ms_package_record package;
    struct ms_transfer_record job;
    assert_ok(ms_package_buy(s->w->svc, &s->w->admin, &units, &package, &test_err));
    receiver.tenant = s->other;
    assert_ok(ms_package_buy(s->w->svc, &receiver, &units, &package, &test_err));
    s->w->ctx.admin = true; /* voices are the platform's to make */
    struct ms_asset_id ids[2] = {put_one(s, "/voices/a.bin"), put_one(s, "/voices/b.bin")};
    s->w->ctx.admin = false;
    const struct ms_transfer_create create = {.assets = ids, .n = 2, .dest = s->other, .billing = true};
    assert_ok(ms_transfer_create(s->w->svc, &s->w->admin, &create, &job, &test_err));
    tell_id(s, job.id);
    tell_id(s, s->other.id);
}

/* ---- what a child does ------------------------------------------------------------------- */

static void must(enum ms_code code) {
    if (code == MS_OK)
        return;
    fprintf(stderr, "child: %s: %s\n", ms_code_name(code), test_err.message);
    _Exit(9);
}

static struct ms_id told(const struct child *c, unsigned n) {
    struct ms_id id;
    char text[MS_ID_TEXT_LEN + 1];
    (void)snprintf(text, sizeof text, "%.*s", MS_ID_TEXT_LEN, c->path + n * (MS_ID_TEXT_LEN + 1));
    must(ms_id_parse(text, &id, &test_err));
    return id;
}

static const struct ms_ctx *admin(struct child *c) {
    c->ctx.admin = true;
    return &c->ctx;
}

static void apply(struct child *c, enum ms_event event, int64_t in_ms, uint8_t op) {
    struct ms_asset_event e = {.id = {told(c, 0)}, .event = event, .why = "why", .scheduled_op = op};
    if (in_ms)
        e.at = ms_instant_add_ms(ms_clock_now(&c->clock.clock), in_ms);
    must(ms_asset_apply(c->svc, admin(c), &e, NULL, &test_err));
}

static void do_freeze(struct child *c) { apply(c, MS_EVENT_FREEZE, 0, 0); }
static void do_unfreeze(struct child *c) { apply(c, MS_EVENT_UNFREEZE, 0, 0); }
static void do_delete(struct child *c) { apply(c, MS_EVENT_DELETE, 0, 0); }
static void do_restore(struct child *c) { apply(c, MS_EVENT_RESTORE, 0, 0); }
static void do_purge(struct child *c) { apply(c, MS_EVENT_FORCE_DELETE, 0, 0); }
static void do_deactivate(struct child *c) { apply(c, MS_EVENT_DEACTIVATE, 0, 0); }
static void do_announce(struct child *c) { apply(c, MS_EVENT_ANNOUNCE, MS_DAY_MS, 0); }
static void do_schedule(struct child *c) {
    apply(c, MS_EVENT_SCHEDULE, MS_DAY_MS, MS_SCHEDULED_BLOCK);
}

static void do_batch(struct child *c) {
    struct ms_asset_id ids[4] = {{told(c, 0)}, {told(c, 1)}, {told(c, 2)}, {told(c, 3)}};
    struct ms_batch_result *result = calloc(1, sizeof *result);
    if (result)
        must(ms_batch(c->svc, &c->ctx, MS_BATCH_DELETE, ids, 4, NULL, result, &test_err));
    free(result);
}

static void do_empty_bin(struct child *c) {
    struct ms_bin_empty all = {.older_ms = 0};
    struct ms_bin_emptied emptied;
    must(ms_bin_empty(c->svc, &c->ctx, &all, &emptied, &test_err));
}

static void do_bin_folder(struct child *c) {
    struct ms_node root;
    uint64_t ino, done;
    must(ms_tree_walk(c->svc, &c->ctx, "/", &root, &test_err));
    must(ms_tree_bin(c->svc, &c->ctx, root.inode.ino, "big", &ino, &test_err));
    must(ms_tree_settle(c->svc, &c->ctx, &done, &test_err));
}

static void do_sweep(struct child *c) {
    struct ms_sweep_result result;
    must(ms_sweep(c->svc, &result, &test_err));
}

static void decide(struct child *c, enum ms_verdict verdict) {
    struct ms_review_decide d = {.asset = {told(c, 0)}, .verdict = verdict, .reason = "why"};
    must(ms_review_decide(c->svc, admin(c), &d, &test_err));
}
static void do_pass(struct child *c) { decide(c, MS_VERDICT_PASS); }
static void do_reject(struct child *c) { decide(c, MS_VERDICT_REJECT); }

static void do_edit(struct child *c) {
    struct ms_asset_edit edit = {.id = {told(c, 0)}, .name = "new name", .description = "text"};
    bool held;
    must(ms_asset_edit(c->svc, &c->ctx, &edit, &held, &test_err));
}

static void do_confirm(struct child *c) {
    struct ms_confirm confirm = {.file = {told(c, 0)}, .as = MS_CONFIRM_CREATED};
    struct ms_confirmed done;
    must(ms_file_confirm(c->svc, &c->ctx, &confirm, &done, &test_err));
}

static void do_offer(struct child *c) {
    struct ms_asset_id id = {told(c, 0)};
    struct ms_transfer_create create = {.assets = &id, .n = 1, .dest = {told(c, 1)}};
    struct ms_transfer_record job;
    must(ms_transfer_create(c->svc, &c->ctx, &create, &job, &test_err));
}

static void do_accept(struct child *c) {
    struct ms_transfer_record job;
    c->ctx.tenant.id = told(c, 1);
    must(ms_transfer_end(c->svc, &c->ctx, (struct ms_transfer_id){told(c, 0)}, MS_TRANSFER_ACCEPT,
                         NULL, &job, &test_err));
}

static void do_accept_billed(struct child *c) {
    struct ms_transfer_record job;
    c->ctx.tenant.id = told(c, 1);
    must(ms_transfer_confirm(c->svc, &c->ctx, (struct ms_transfer_id){told(c, 0)}, NULL, &job, &test_err));
}

static void do_copy(struct child *c) {
    static struct ms_asset_info info;
    must(ms_asset_copy(c->svc, &c->ctx, (struct ms_asset_id){told(c, 0)}, "/files/copy.txt", &info,
                       &test_err));
}

static void hold(struct child *c, bool on) {
    must(ms_tenant_hold(c->svc, admin(c), MS_HOLD_ADMIN, on, "why", &test_err));
}
static void do_hold(struct child *c) { hold(c, true); }
static void do_lift(struct child *c) { hold(c, false); }

static void do_grant(struct child *c) {
    struct ms_request_record request;
    must(ms_request_decide(c->svc, admin(c), (struct ms_request_id){told(c, 0)}, true, "yes",
                           &request, &test_err));
}

static void do_buy(struct child *c) {
    struct ms_package_record package;
    must(ms_package_buy(c->svc, admin(c), &units, &package, &test_err));
}

static void do_renew(struct child *c) {
    struct ms_package_record package;
    must(ms_package_renew_by(c->svc, admin(c), (struct ms_package_id){told(c, 0)}, "o2", 1, &package,
                             &test_err));
}

static int local_file(const char *suffix) {
    uint8_t bytes[3000];
    char name[] = "/tmp/msasset-case.XXXXXX";
    int fd = mkstemp(name);
    fill_like(bytes, sizeof bytes, suffix);
    if (fd < 0 || unlink(name) != 0 || pwrite(fd, bytes, sizeof bytes, 0) != sizeof bytes)
        _Exit(8);
    return fd;
}

static void do_produce(struct child *c) {
    static struct ms_asset_info info;
    struct ms_produce produce = {.fd = local_file("mp4"),
                                 .path = "/videos/made.mp4",
                                 .mode = 0644,
                                 .duration_ms = 90000};
    must(ms_produce(c->svc, admin(c), &produce, &info, &test_err));
}

static void put_at(struct child *c, const char *path, bool replace) {
    static struct ms_asset_info info;
    struct ms_put put = {
        .fd = local_file("txt"), .path = path, .mode = 0644, .replace = replace};
    must(ms_asset_put(c->svc, &c->ctx, &put, &info, &test_err));
}
static void do_put(struct child *c) { put_at(c, "/files/new.txt", false); }
static void do_overwrite(struct child *c) { put_at(c, "/files/a.txt", true); }

/* ---- the table --------------------------------------------------------------------------- */

static const struct use_case {
    const char *name;
    void (*first)(struct setup *s);
    void (*fn)(struct child *c);
    bool steps; /* every asset is a step of its own */
    bool whole; /* all assets go in one step, and their rows follow */
    bool drops; /* what was half written is dropped, and the log says that it was there */
} cases[] = {
    {"freeze", one, do_freeze, 0, 0, 0},
    {"unfreeze", frozen_in_bin, do_unfreeze, 0, 0, 0},
    {"delete", one, do_delete, 0, 0, 0},
    {"restore", binned, do_restore, 0, 0, 0},
    {"purge", one, do_purge, 0, 0, 0},
    {"deactivate", one, do_deactivate, 0, 0, 0},
    {"announce", one_video, do_announce, 0, 0, 0},
    {"schedule", one, do_schedule, 0, 0, 0},
    {"batch", several, do_batch, true, 0, 0},
    {"empty-bin", several_binned, do_empty_bin, 0, 0, 0},
    {"folder", a_folder, do_bin_folder, true, true, 0},
    {"sweep", several_due, do_sweep, 0, 0, 0},
    {"review-pass", reviewed, do_pass, 0, 0, 0},
    {"review-reject", reviewed, do_reject, 0, 0, 0},
    {"edit", one, do_edit, 0, 0, 0},
    {"confirm", sent, do_confirm, 0, 0, 0},
    {"offer", two_tenants, do_offer, 0, 0, 0},
    {"accept", offered, do_accept, 0, 0, 0},
    {"accept-billed", billed, do_accept_billed, 0, 0, 0},
    {"copy", one, do_copy, 0, 0, 0},
    {"freeze-tenant", one, do_hold, 0, 0, 0},
    {"unfreeze-tenant", frozen_tenant, do_lift, 0, 0, 0},
    {"grant", asked, do_grant, 0, 0, 0},
    {"buy", one, do_buy, 0, 0, 0},
    {"renew", bought, do_renew, 0, 0, 0},
    {"produce", minutes, do_produce, 0, 0, true},
    {"put", one, do_put, 0, 0, true},
    {"overwrite", one, do_overwrite, 0, 0, true},
};

static void work_of(struct child *c);
static const struct use_case *case_now; /* of a child */

/* A child's work has no argument: one function for each would be a table again. */
static void work_of(struct child *c) {
    case_now->fn(c);
    child_says('d');
}

/* ---- what can be told -------------------------------------------------------------------- */

struct story {
    char *line[2000];
    size_t n;
};

static void say(struct story *s, const char *fmt, ...) MS_PRINTF(2, 3);
static void say(struct story *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    assert_true(s->n < MS_ARRAY_LEN(s->line));
    assert_true(vasprintf(&s->line[s->n++], fmt, ap) > 0);
    va_end(ap);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void say_assets(struct world *w, const struct ms_ctx *ctx, struct story *s) {
    static struct ms_asset_info infos[100];
    size_t n;
    assert_ok(ms_asset_list(w->svc, ctx, (struct ms_asset_id){{{0}}}, 0, infos,
                            MS_ARRAY_LEN(infos), &n, &test_err));
    assert_true(n < MS_ARRAY_LEN(infos));
    for (size_t i = 0; i < n; i++) {
        const struct ms_asset_record *a = &infos[i].asset;
        say(s,
            "asset %s \"%s\" %s: %s rest %u holds %u binned %u fail %u review %u ops %u down %" PRId64
            " bytes %" PRIu64 " %s %s",
            infos[i].path, a->name, a->description, ms_state_name(infos[i].state), a->rest, a->holds,
            a->binned, a->fail, a->in_review, a->scheduled_count, a->takedown_due.ms, a->bytes,
            a->reason_code, a->reason);
    }
}

static void say_counts(struct ms_txn *txn, struct ms_tenant_id t, struct story *s) {
    struct ms_usage_record u;
    struct ms_tenant_record tenant;
    assert_ok(ms_row_get_usage(txn, ms_key_usage(t), &u, &test_err));
    assert_ok(ms_row_get_tenant(txn, ms_key_tenant(t), &tenant, &test_err));
    say(s,
        "counts %" PRIu64 " %" PRIu64 " %" PRIu64 " reserved %" PRIu64 " assets %" PRIu64
        " inodes %" PRIu64 " binned %" PRIu64 " %" PRIu64 " extra %" PRIu64 " mask %u",
        u.standard, u.produced_free, u.excluded, u.reserved, u.assets, u.inodes, u.binned_assets,
        u.binned_bytes, u.extra_allowance, tenant.mask_holds);
}

static void say_log(struct ms_txn *txn, struct ms_tenant_id t, struct story *s) {
    struct ms_key prefix = ms_key_audits_of(t);
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        say(s, "log %s %u>%u at %" PRId64 " by %s", ms_audit_event_name(row.event), row.from, row.to,
            row.at.ms, row.who);
    ms_scan_end(&scan);
}

static void say_ledger(struct ms_txn *txn, struct ms_tenant_id t, struct story *s) {
    struct ms_key prefix = ms_key_ledgers_of(t);
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_ledger(&scan, &key, &row, NULL) == MS_OK)
        say(s, "ledger %s %" PRIu64 ">%" PRIu64 " at %" PRId64, ms_why_name((enum ms_why)row.why),
            row.bytes_before, row.bytes_after, row.at.ms);
    ms_scan_end(&scan);
}

static void say_rest(struct world *w, const struct ms_ctx *ctx, struct story *s) {
    struct ms_request_record *requests;
    struct ms_package_record *packages;
    struct ms_transfer_record *jobs;
    size_t n;
    assert_ok(ms_request_list(w->svc, ctx, &requests, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        say(s, "request %s", ms_request_state_name(requests[i].state));
    free(requests);
    assert_ok(ms_package_list(w->svc, ctx, &packages, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        say(s, "package %s used %" PRIu64 " bought %u", packages[i].name, packages[i].used,
            packages[i].bought);
    free(packages);
    assert_ok(ms_transfer_list(w->svc, ctx, &jobs, &n, &test_err));
    for (size_t i = 0; i < n; i++)
        say(s, "transfer %s", ms_transfer_state_name(jobs[i].state));
    free(jobs);
}

static void tell(struct setup *s, bool log, struct story *ret) {
    struct ms_tenant_id tenants[] = {s->w->ctx.tenant, s->other};
    *ret = (struct story){.n = 0};
    for (unsigned i = 0; i < 2; i++) {
        struct ms_ctx ctx = {.tenant = tenants[i], .who = "root@test", .admin = true};
        struct ms_txn *txn;
        say_assets(s->w, &ctx, ret);
        say_rest(s->w, &ctx, ret);
        assert_ok(ms_read_begin(s->w->svc->store, &txn, &test_err));
        say_counts(txn, tenants[i], ret);
        if (log)
            say_log(txn, tenants[i], ret);
        say_ledger(txn, tenants[i], ret);
        ms_read_end(txn);
    }
    qsort(ret->line, ret->n, sizeof ret->line[0], by_text);
}

static void forget(struct story *s) {
    for (size_t i = 0; i < s->n; i++)
        free(s->line[i]);
    s->n = 0;
}

static bool is_story(const struct story *a, const struct story *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->line[i], b->line[i]) == 0;
    return same;
}

static bool has_line(const struct story *s, const char *line) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->line[i], line) == 0)
            return true;
    return false;
}

/* Every asset is so. */
static bool has_assets_of(const struct story *is, const struct story *of) {
    for (size_t i = 0; i < is->n; i++)
        if (strncmp(is->line[i], "asset", 5) == 0 && !has_line(of, is->line[i]))
            return false;
    return true;
}

/* Each asset is as it was or as it is to be; sums are fsck's. */
static bool is_between(const struct story *is, const struct story *before,
                       const struct story *after) {
    for (size_t i = 0; i < is->n; i++)
        if (strncmp(is->line[i], "asset", 5) == 0 && !has_line(before, is->line[i]) &&
            !has_line(after, is->line[i]))
            return false;
    return true;
}

static void print_story(const char *what, const struct story *s) {
    print_message("%s:\n", what);
    for (size_t i = 0; i < s->n; i++)
        print_message("  %s\n", s->line[i]);
}

/* ---- the parent -------------------------------------------------------------------------- */

static struct world *world; /* of the kill at hand: a failed assertion leaves it to the teardown */

static int tear_down(void **state) {
    (void)state;
    world_free(MS_TAKE(world));
    return 0;
}

static void begin(struct setup *s, const struct use_case *c) {
    struct ms_tenant_options options = {
        .name = "t2", .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record other;
    world = world_new(false, 0);
    *s = (struct setup){.w = world};
    assert_ok(ms_tenant_add(s->w->svc, "root@test", &options, &other, &test_err));
    s->other = (struct ms_tenant_id){other.id};
    c->first(s);
}

static struct child_end run(struct setup *s, const struct use_case *c, struct child_plan plan) {
    struct ms_recover_result recovered;
    plan.work = c->name;
    plan.path = s->told;
    struct child_end end = child_run(s->w, &plan);
    check_findings(s->w->svc);
    assert_ok(ms_recover(s->w->svc, &recovered, &test_err));
    check_findings(s->w->svc);
    return end;
}

struct points {
    struct story before, after;
    unsigned kills, done, undone;
};

/* True: the child was killed. */
static bool kill_once(const struct use_case *c, struct child_plan plan, struct points *p) {
    struct setup s;
    struct story is;
    begin(&s, c);
    struct child_end end = run(&s, c, plan);
    tell(&s, !c->drops, &is);
    bool after = is_story(&is, &p->after), before = is_story(&is, &p->before);
    bool right = child_said(&end, 'd') || !end.killed ? after
                 : c->whole ? has_assets_of(&is, &p->before) || has_assets_of(&is, &p->after)
                 : c->steps ? is_between(&is, &p->before, &p->after)
                            : before || after;
    if (!right) {
        print_message("%s, killed %s %s %u%s\n", c->name, plan.after ? "after" : "before",
                      plan.writes ? "write" : "request", plan.kill_at,
                      child_said(&end, 'd') ? " and answered" : "");
        print_story("before", &p->before);
        print_story("is", &is);
        print_story("after", &p->after);
    }
    assert_true(right);
    /* Who was not killed has done it. What is one commit with rows that follow is done with that commit. */
    after = after || (c->whole && has_assets_of(&is, &p->after));
    before = before || (c->whole && has_assets_of(&is, &p->before));
    p->done += after && end.killed;
    p->undone += before && end.killed;
    forget(&is);
    world_free(MS_TAKE(world));
    return end.killed;
}

/* How many points there are: a child that counts further than it gets. */
static unsigned count_points(const struct use_case *c, struct child_plan plan, struct points *p) {
    unsigned n = 0;
    for (unsigned step = 64; step > 0; step /= 4)
        for (plan.kill_at = n + step; kill_once(c, plan, p); plan.kill_at += step) {
            n = plan.kill_at;
            p->kills++;
        }
    return n;
}

static void kill_around(const struct use_case *c, struct child_plan plan, unsigned tries,
                        struct points *p) {
    unsigned n = count_points(c, plan, p);
    unsigned step = n > tries ? n / tries : 1;
    for (plan.kill_at = 1; plan.kill_at <= n; plan.kill_at += step)
        p->kills += kill_once(c, plan, p);
    plan.kill_at = n; /* the last one is never left out: what has many steps is hardly done before */
    if (n > 0)
        p->kills += kill_once(c, plan, p);
}

static void kill_case(const struct use_case *c, unsigned tries, unsigned *kills) {
    struct points p = {.kills = 0};
    struct setup s;
    begin(&s, c);
    tell(&s, !c->drops, &p.before);
    assert_false(run(&s, c, (struct child_plan){.kill_at = 0}).killed);
    tell(&s, !c->drops, &p.after);
    assert_false(is_story(&p.before, &p.after));
    world_free(MS_TAKE(world));
    for (unsigned after = 0; after < 2; after++) {
        kill_around(c, (struct child_plan){.after = after, .writes = true}, tries, &p);
        kill_around(c, (struct child_plan){.after = after}, tries, &p);
    }
    print_message("%s: killed %u times, it was done %u times and not %u times\n", c->name, p.kills,
                  p.done, p.undone);
    assert_true(p.kills >= 4);
    assert_true(p.done > 0);
    assert_true(p.undone > 0);
    *kills += p.kills;
    forget(&p.before);
    forget(&p.after);
}

static void before_or_after_never_between(void **state) {
    unsigned kills = 0, tries = ms_test_rounds(3);
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++)
        kill_case(&cases[i], tries, &kills);
    print_message("killed %u times in %zu use cases\n", kills, MS_ARRAY_LEN(cases));
}

int main(int argc, char **argv) {
    struct child_work works[MS_ARRAY_LEN(cases)];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(before_or_after_never_between, tear_down)};
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        works[i] = (struct child_work){cases[i].name, work_of};
        if (argc > 5 && strcmp(argv[5], cases[i].name) == 0)
            case_now = &cases[i];
    }
    child_main(argc, argv, works, MS_ARRAY_LEN(cases));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
