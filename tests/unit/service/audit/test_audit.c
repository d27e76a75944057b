/* The audit log as it is shown and verified. */
#include "upkeep/keep.h"

#include "service/audit.h"
#include "service/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL 4096

/* All rows that fit, by pages of `page` rows; the caller's: free(). */
static struct ms_audit_record *rows_that_fit(struct world *w, const struct ms_audit_filter *f,
                                             size_t page, size_t *ret_n) {
    struct ms_audit_record *rows = calloc(ALL, sizeof *rows);
    uint64_t after = 0;
    bool end = false;
    assert_non_null(rows);
    *ret_n = 0;
    while (!end) {
        size_t n;
        assert_ok(ms_audit_page(w->svc, &w->ctx, f, after, rows + *ret_n, page, &n, &after, &end,
                                &test_err));
        *ret_n += n;
    }
    return rows;
}

static size_t count(struct world *w, struct ms_audit_filter f) {
    size_t n, pages[2];
    for (unsigned i = 0; i < 2; i++) { /* the same by small pages and by large ones */
        free(rows_that_fit(w, &f, i ? 1000 : 3, &n));
        pages[i] = n;
    }
    assert_int_equal(pages[0], pages[1]);
    return n;
}

static struct ms_asset_id asset_behind(struct world *w, const char *path) {
    struct behind b;
    look_behind(w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

static void every_filter_takes_what_it_says_and_nothing_else(void **state) {
    struct world *w = *state;
    struct ms_audit_filter none = {.who = NULL}, f;
    fill_world(w);
    struct ms_asset_id id = asset_behind(w, "/files/a.txt");
    struct ms_instant begin = ms_clock_now(&w->clock.clock);
    ms_clock_fake_advance(&w->clock, 1000);
    apply_event(w, id, MS_EVENT_FREEZE, none.since, 0);
    struct ms_instant frozen = ms_clock_now(&w->clock.clock);
    ms_clock_fake_advance(&w->clock, 1000);
    apply_event(w, id, MS_EVENT_UNFREEZE, none.since, 0);
    size_t all = count(w, none);
    f = (struct ms_audit_filter){.asset = id};
    assert_int_equal(count(w, f), 4); /* created, confirmed, frozen, unfrozen */
    f = (struct ms_audit_filter){.has_event = true, .event = MS_EVENT_FREEZE};
    assert_int_equal(count(w, f), 1);
    f = (struct ms_audit_filter){.who = "root@test"};
    assert_int_equal(count(w, f), 3); /* one scheduled operation, a freeze, its end */
    f = (struct ms_audit_filter){.who = "nobody"};
    assert_int_equal(count(w, f), 0);
    f = (struct ms_audit_filter){.since = frozen};
    assert_int_equal(count(w, f), 2);
    f = (struct ms_audit_filter){.since = ms_instant_add_ms(frozen, 1)};
    assert_int_equal(count(w, f), 1);
    f = (struct ms_audit_filter){.until = frozen};
    assert_int_equal(count(w, f), all - 2);
    f = (struct ms_audit_filter){.since = begin, .until = ms_instant_add_ms(frozen, 1), .asset = id};
    assert_int_equal(count(w, f), 1);
}

static void events_are_found_by_their_names(void **state) {
    uint8_t event;
    (void)state;
    assert_true(ms_audit_event_parse("freeze", &event));
    assert_int_equal(event, MS_EVENT_FREEZE);
    assert_true(ms_audit_event_parse("CREATED", &event));
    assert_int_equal(event, MS_AUDIT_CREATED);
    assert_true(ms_audit_event_parse("FILE_DECLARED", &event));
    assert_int_equal(event, MS_AUDIT_FILE_DECLARED);
    assert_false(ms_audit_event_parse("?", &event));
    assert_false(ms_audit_event_parse("FREEZ", &event));
    for (unsigned e = 0; e < MS_EVENT_COUNT; e++) {
        assert_true(ms_audit_event_parse(ms_event_name((enum ms_event)e), &event));
        assert_int_equal(event, e);
    }
}

/* ---- the chain --------------------------------------------------------------------------- */

static struct ms_audit_verdict verdict_of(struct world *w) {
    struct ms_audit_verdict v;
    assert_ok(ms_audit_verify(w->svc, &w->ctx, NULL, NULL, &v, &test_err));
    return v;
}

struct change {
    const struct world *w;
    uint64_t seq;
    enum { EDIT, DELETE, CUT_HEAD, SWAP } how;
};

static enum ms_code change_fn_(struct ms_txn *txn, const void *arg, struct ms_error *e) {
    const struct change *c = arg;
    struct ms_tenant_id t = c->w->ctx.tenant;
    struct ms_audit_record row, other;
    struct ms_chain_record head;
    enum ms_code code = ms_row_get_audit(txn, ms_key_audit(t, c->seq), &row, e);
    if (code == MS_OK && c->how == EDIT) {
        (void)snprintf(row.why, sizeof row.why, "nothing happened");
        return ms_row_put_audit(txn, ms_key_audit(t, c->seq), &row, e);
    }
    if (code == MS_OK && c->how == DELETE)
        return ms_row_del(txn, ms_key_audit(t, c->seq), e);
    if (code == MS_OK && c->how == SWAP) {
        code = ms_row_get_audit(txn, ms_key_audit(t, c->seq + 1), &other, e);
        if (code == MS_OK)
            code = ms_row_put_audit(txn, ms_key_audit(t, c->seq), &other, e);
        return code == MS_OK ? ms_row_put_audit(txn, ms_key_audit(t, c->seq + 1), &row, e) : code;
    }
    if (code == MS_OK)
        code = ms_row_get_chain(txn, ms_key_chain(t, 'E'), &head, e);
    head.seq = c->seq; /* the rows behind it are forgotten */
    memcpy(head.head, row.previous, sizeof head.head);
    return code == MS_OK ? ms_row_put_chain(txn, ms_key_chain(t, 'E'), &head, e) : code;
}

static void a_whole_log_is_whole_and_every_change_of_a_row_is_named(void **state) {
    struct world *w = *state;
    assert_int_equal(verdict_of(w).rows, 0);
    assert_false(verdict_of(w).broken);
    fill_world(w);
    struct ms_audit_verdict whole = verdict_of(w);
    assert_false(whole.broken);
    assert_true(whole.rows > 10);
    struct rows *rows = rows_of(w->svc);
    for (uint64_t seq = 1; seq <= whole.rows; seq++)
        for (unsigned how = EDIT; how <= SWAP; how++) {
            struct change c = {w, seq, how};
            if (how == SWAP && seq == whole.rows)
                continue;
            change_rows(w->svc, change_fn_, &c);
            struct ms_audit_verdict v = verdict_of(w);
            assert_true(v.broken);
            /* an edited row shows in the next one's hash, or in the head */
            uint64_t named = how == EDIT && seq < whole.rows ? seq + 1
                             : how == CUT_HEAD               ? whole.rows
                                                             : seq;
            assert_int_equal(v.seq, named);
            assert_int_equal(v.rows, how == CUT_HEAD || (how == EDIT && seq == whole.rows)
                                         ? whole.rows
                                         : named - 1);
            rows_restore(w->svc, rows);
        }
    assert_false(verdict_of(w).broken);
    rows_free(rows);
}

#define MEM_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup_mem, world_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        MEM_TEST(every_filter_takes_what_it_says_and_nothing_else),
        cmocka_unit_test(events_are_found_by_their_names),
        MEM_TEST(a_whole_log_is_whole_and_every_change_of_a_row_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
