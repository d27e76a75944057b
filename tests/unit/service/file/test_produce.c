/* Produced videos: what is refused, what becomes of minutes and bytes, and the instant at which the
 * bytes begin to count. */
#include "unit/service/file/world.h"

#include "quota/quota.h"
#include "service/change.h"
#include "service/copy.h"
#include "service/produce.h"
#include "service/upkeep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BYTES 300000u

static uint8_t bytes[BYTES];
static struct ms_asset_info info;

static int video_file(struct world *w, size_t n, const char *like) {
    char *path = ms_test_path(w->tmp, "in");
    if (n > 0)
        fill_like(bytes, BYTES, like);
    ms_test_write_file(path, bytes, n);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    assert_true(fd >= 0);
    return fd;
}

static enum ms_code produce_as(struct world *w, const struct ms_ctx *ctx, const char *path,
                               size_t n, const char *like, uint64_t duration_ms) {
    struct ms_produce p = {
        .fd = video_file(w, n, like), .path = path, .mode = 0644, .duration_ms = duration_ms};
    enum ms_code code = ms_produce(w->svc, ctx, &p, &info, &test_err);
    close(p.fd);
    return code;
}

static enum ms_code produce(struct world *w, const char *path) {
    return produce_as(w, &w->admin, path, BYTES, "mp4", 754499);
}

static void pay_per_use(struct world *w, bool on) {
    assert_ok(ms_tenant_set_pay_per_use(w->svc, &w->admin, on, &test_err));
}

static bool is_there(struct world *w, const char *path) {
    struct ms_node node;
    enum ms_code code = ms_tree_walk(w->svc, &w->ctx, path, &node, &test_err);
    assert_true(code == MS_OK || code == MS_NOT_FOUND);
    return code == MS_OK;
}

/* The ledger's last row. */
static struct ms_ledger_record last_row(struct world *w) {
    struct ms_ledger_record row;
    struct ms_chain_record head;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_chain(txn, ms_key_chain(w->ctx.tenant, 'L'), &head, &test_err));
    assert_ok(ms_row_get_ledger(txn, ms_key_ledger(w->ctx.tenant, head.seq - 1), &row, &test_err));
    ms_read_end(txn);
    return row;
}

static void minutes_and_bytes_come_in_one_row(void **state) {
    struct world *w = *state;
    pay_per_use(w, true);
    assert_ok(produce(w, "/videos/v.mp4"));
    struct ms_ledger_record row = last_row(w);
    assert_int_equal(info.state, MS_STATE_ACTIVED);
    assert_int_equal(info.asset.origin, MS_ORIGIN_CUSTOMIZED);
    assert_int_equal(info.asset.type, MS_TYPE_VIDEO);
    assert_int_equal(info.asset.seconds, 754);
    assert_int_equal(row.why, MS_WHY_PRODUCE);
    assert_int_equal(row.seconds, 754);
    assert_int_equal(row.hundredths, 1257);
    assert_int_equal(row.paid_hundredths, 1257);
    assert_int_equal(row.bytes_after, BYTES);
    assert_int_equal(row.at.ms, info.asset.created.ms);
    assert_int_equal(quota_of(w).usage.produced_free, BYTES);
    assert_int_equal(quota_of(w).metered, 0);
    assert_int_equal(quota_of(w).reserved, 0);
    /* the tenant may not change it */
    struct ms_open over = {.ino = info.asset.ino, .write = true};
    struct ms_handle *h;
    assert_code(ms_file_open(w->svc, &w->ctx, &over, &h, &test_err), MS_WRONG_STATE);
}

static void seconds_are_rounded_half_up_once(void **state) {
    struct world *w = *state;
    pay_per_use(w, true);
    static const struct {
        uint64_t ms, seconds, hundredths;
    } table[] = {{0, 0, 0},       {499, 0, 0},      {500, 1, 2},      {1499, 1, 2},
                 {1500, 2, 3},    {59999, 60, 100}, {60500, 61, 102}, {3600000, 3600, 6000}};
    for (size_t i = 0; i < MS_ARRAY_LEN(table); i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/videos/%zu.mp4", i);
        assert_ok(produce_as(w, &w->admin, path, BYTES, "mp4", table[i].ms));
        assert_int_equal(last_row(w).seconds, table[i].seconds);
        assert_int_equal(last_row(w).hundredths, table[i].hundredths);
    }
}

static void without_pay_per_use_nothing_is_produced_and_nothing_charged(void **state) {
    struct world *w = *state;
    struct ms_ledger_record before = last_row(w);
    assert_code(produce(w, "/videos/v.mp4"), MS_QUOTA);
    assert_non_null(strstr(test_err.message, "12.57"));
    assert_non_null(strstr(test_err.message, "pay-per-use"));
    assert_false(is_there(w, "/videos/v.mp4"));
    assert_int_equal(last_row(w).seq, before.seq);
    check_settled(w);
}

struct switcher {
    struct world *w;
    bool done;
};

static bool switch_off(void *priv, uint64_t done, uint64_t total) {
    struct switcher *s = priv;
    (void)done, (void)total;
    if (!s->done)
        pay_per_use(s->w, false);
    s->done = true;
    return true;
}

static void what_is_switched_off_while_it_uploads_is_refused_too(void **state) {
    struct world *w = *state;
    struct switcher s = {.w = w};
    struct ms_produce p = {.fd = video_file(w, BYTES, "mp4"),
                           .path = "/videos/v.mp4",
                           .mode = 0644,
                           .duration_ms = 60000,
                           .progress = switch_off,
                           .priv = &s};
    pay_per_use(w, true);
    assert_code(ms_produce(w->svc, &w->admin, &p, &info, &test_err), MS_QUOTA);
    close(p.fd);
    assert_true(s.done);
    assert_false(is_there(w, "/videos/v.mp4"));
    assert_int_equal(last_row(w).why, MS_WHY_SETTINGS);
    check_settled(w);
}

static void what_is_no_video_or_is_there_or_comes_from_a_tenant_is_refused(void **state) {
    struct world *w = *state;
    pay_per_use(w, true);
    struct ms_ledger_record before = last_row(w);
    assert_code(produce_as(w, &w->ctx, "/videos/v.mp4", BYTES, "mp4", 1000), MS_DENIED);
    assert_code(produce_as(w, &w->admin, "/videos/v.txt", BYTES, "mp4", 1000), MS_WRONG_KIND);
    assert_code(produce_as(w, &w->admin, "/videos/v.mp4", BYTES, "png", 1000), MS_WRONG_KIND);
    assert_code(produce_as(w, &w->admin, "/videos/v.mp4", 0, "mp4", 1000), MS_WRONG_KIND);
    assert_code(produce_as(w, &w->admin, "/videos/v.mp4", BYTES, "mp4", UINT64_MAX), MS_RANGE);
    assert_false(is_there(w, "/videos/v.mp4"));
    assert_int_equal(last_row(w).seq, before.seq);
    check_settled(w);
    assert_ok(produce(w, "/videos/v.mp4"));
    assert_code(produce(w, "/videos/v.mp4"), MS_EXISTS);
}

static void it_needs_no_quota_until_it_counts(void **state) {
    struct world *w = *state;
    pay_per_use(w, true);
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, 0, &test_err));
    assert_ok(produce(w, "/videos/v.mp4"));
    assert_int_equal(quota_of(w).left, 0);
    assert_int_equal(quota_of(w).metered, 0);
}

static struct ms_instant counts_from(void) {
    return ms_instant_add_months(info.asset.created, 6);
}

/* Else a copy every six months would be free for ever. Its minutes are not metered again. */
static void a_copy_counts_when_its_source_does(void **state) {
    struct world *w = *state;
    struct ms_asset_info copy;
    pay_per_use(w, true);
    assert_ok(produce(w, "/videos/v.mp4"));
    struct ms_instant due = counts_from();
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, -MS_DAY_MS));
    assert_ok(ms_asset_copy(w->svc, &w->ctx, (struct ms_asset_id){info.asset.id}, "/videos/c.mp4",
                            &copy, &test_err));
    assert_int_equal(copy.asset.origin, MS_ORIGIN_CUSTOMIZED);
    assert_int_equal(copy.asset.created.ms, info.asset.created.ms);
    struct ms_ledger_record row = last_row(w);
    assert_int_equal(row.hundredths + row.seconds, 0);
    assert_int_equal(row.class_after, MS_CLASS_PRODUCED_FREE);
    assert_int_equal(row.asset_created.ms, info.asset.created.ms);
    assert_int_equal(quota_of(w).metered, 0);
    ms_clock_fake_set(&w->clock, due);
    assert_int_equal(quota_of(w).usage.produced, 2 * BYTES);
    assert_ok(ms_asset_copy(w->svc, &w->ctx, (struct ms_asset_id){info.asset.id}, "/videos/d.mp4",
                            &copy, &test_err));
    assert_int_equal(quota_of(w).usage.produced, 3 * BYTES);
}

static void it_counts_at_its_instant_swept_or_not(void **state) {
    struct world *w = *state;
    struct ms_sweep_result swept;
    pay_per_use(w, true);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(ms_clock_now(&w->clock.clock), 61 * MS_DAY_MS + 7));
    assert_ok(produce(w, "/videos/v.mp4"));
    struct ms_asset_id id = {info.asset.id};
    struct ms_instant due = counts_from();
    assert_ok(ms_tenant_set_quota(w->svc, &w->admin, BYTES, &test_err));
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, -1));
    assert_int_equal(quota_of(w).left, BYTES);
    ms_clock_fake_set(&w->clock, due);
    assert_int_equal(quota_of(w).left, 0);
    assert_int_equal(quota_of(w).usage.produced, BYTES);
    assert_int_equal(quota_of(w).usage.produced_free, 0);
    /* and nobody can write past it before a sweep */
    struct ms_handle *h = make_file(w, "/files/x");
    size_t n;
    assert_code(ms_file_write(h, 0, "x", 1, &n, &test_err), MS_QUOTA);
    ms_file_abandon(h);
    assert_code(release_file(h, &test_err), MS_CANCELLED);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, 5 * MS_DAY_MS));
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    struct ms_ledger_record row = last_row(w);
    assert_int_equal(row.why, MS_WHY_CLASS);
    assert_int_equal(row.at.ms, due.ms);
    assert_int_equal(row.class_before, MS_CLASS_PRODUCED_FREE);
    assert_int_equal(row.class_after, MS_CLASS_PRODUCED);
    assert_int_equal(row.bytes_after, BYTES);
    assert_ok(ms_asset_get(w->svc, &w->ctx, id, &info, &test_err));
    assert_int_equal(info.asset.due_kind, MS_DUE_NONE);
    assert_ok(ms_sweep(w->svc, &swept, &test_err)); /* once */
    assert_int_equal(last_row(w).seq, row.seq);
}

static void event(struct world *w, enum ms_event what) {
    struct ms_asset_event e = {
        .id = {info.asset.id}, .event = what, .why = "test", .reason_code = "T1"};
    assert_ok(ms_asset_apply(w->svc, &w->admin, &e, &info, &test_err));
}

/* Frozen it counts from the same instant; deleted before, what follows is dated in order: bin,
 * class, end of retention. */
static void what_happens_to_it_moves_no_instant(void **state) {
    struct world *w = *state;
    struct ms_sweep_result swept;
    pay_per_use(w, true);
    assert_ok(produce(w, "/videos/v.mp4"));
    struct ms_instant due = counts_from();
    event(w, MS_EVENT_FREEZE);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, -3 * MS_DAY_MS));
    event(w, MS_EVENT_UNFREEZE);
    event(w, MS_EVENT_DELETE); /* seven days in the bin */
    assert_int_equal(info.asset.due_kind, MS_DUE_CLASS);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(due, 30 * MS_DAY_MS));
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    assert_int_equal(swept.purged, 1);
    struct ms_ledger_record row = last_row(w);
    assert_int_equal(row.why, MS_WHY_DELETE);
    assert_int_equal(row.at.ms, due.ms + 4 * MS_DAY_MS);
    assert_int_equal(row.class_before, MS_CLASS_PRODUCED);
    assert_int_equal(quota_of(w).usage.produced, 0);
    check_settled(w);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(minutes_and_bytes_come_in_one_row),
        TEST(seconds_are_rounded_half_up_once),
        TEST(without_pay_per_use_nothing_is_produced_and_nothing_charged),
        TEST(what_is_switched_off_while_it_uploads_is_refused_too),
        TEST(what_is_no_video_or_is_there_or_comes_from_a_tenant_is_refused),
        TEST(it_needs_no_quota_until_it_counts),
        TEST(a_copy_counts_when_its_source_does),
        TEST(it_counts_at_its_instant_swept_or_not),
        TEST(what_happens_to_it_moves_no_instant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
