/* Reading the change feed inside a transaction: what a cache made of rows has missed. */
#include "store_test.h"

#include <stdio.h>

static enum ms_code feed_op(struct ms_txn *txn, const void *in, void *out,
                            struct ms_error *reterr) {
    (void)out;
    return ms_txn_feed(txn, ms_view_str(in), reterr);
}

static void feed(struct ms_store *store, const char *text) {
    assert_ok(ms_store_write(store, &(struct ms_write){.fn = feed_op, .in = text}, &test_err));
}

static void append(void *priv, struct ms_view change) {
    struct ms_buf *heard = priv;
    if (ms_buf_add(heard, change.p, change.n, NULL) != MS_OK ||
        ms_buf_add(heard, " ", 1, NULL) != MS_OK)
        heard->len = 0;
}

/* What came since *at, each followed by a blank; "lost". */
static struct ms_buf since(struct ms_store *store, uint64_t *at) {
    struct ms_buf heard = {0};
    struct ms_txn *txn;
    bool lost = false;
    assert_ok(ms_read_begin(store, &txn, &test_err));
    assert_ok(ms_txn_feed_read(txn, at, append, &heard, &lost, &test_err));
    ms_read_end(txn);
    assert_true(!lost || heard.len == 0);
    assert_ok(ms_buf_add(&heard, lost ? "lost" : "", lost ? 4 : 0, &test_err));
    return heard;
}

static void expect(struct ms_store *store, uint64_t *at, const char *want) {
    struct ms_buf heard = since(store, at);
    char got[128] = "";
    (void)snprintf(got, sizeof got, "%s", heard.data ? (const char *)heard.data : "");
    ms_buf_fini(&heard);
    assert_string_equal(got, want);
}

static void our_own_changes_are_read_in_order_and_once(void **state) {
    struct store_test *t = *state;
    uint64_t at = 0;
    feed(t->store, "before");
    expect(t->store, &at, "lost");
    expect(t->store, &at, "");
    feed(t->store, "one");
    feed(t->store, "two");
    expect(t->store, &at, "one two ");
    feed(t->store, "three");
    expect(t->store, &at, "three ");
    expect(t->store, &at, "");
}

static void who_fell_behind_the_trim_is_told(void **state) {
    struct store_test *t = *state;
    uint64_t at = 0, late;
    store_test_close(t);
    t->options.feed_rows_max = 8;
    store_test_open(t);
    feed(t->store, "first");
    expect(t->store, &at, "lost");
    late = at;
    for (int i = 0; i < 40; i++)
        feed(t->store, "more");
    expect(t->store, &late, "lost");
    feed(t->store, "last");
    expect(t->store, &late, "last ");
}

static void a_damaged_row_is_reported_and_the_place_is_kept(void **state) {
    struct store_test *t = *state;
    uint64_t at = 0, before;
    bool lost;
    MDB_txn *mdb;
    struct ms_txn *txn;
    MDB_val v = {5, (void *)(uintptr_t) "wrong"};
    feed(t->store, "fine");
    expect(t->store, &at, "lost");
    before = at;
    feed(t->store, "hurt");
    struct ms_store_key key = ms_store_key_seq(MS_ROW_FEED, at);
    MDB_val k = ms_val_of(ms_store_key_view(&key));
    assert_int_equal(mdb_txn_begin(t->store->env, NULL, 0, &mdb), 0);
    assert_int_equal(mdb_put(mdb, t->store->dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(mdb), 0);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    enum ms_code code = ms_txn_feed_read(txn, &at, append, &(struct ms_buf){0}, &lost, NULL);
    ms_read_end(txn);
    assert_int_equal(code, MS_CORRUPT);
    assert_int_equal(at, before);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(our_own_changes_are_read_in_order_and_once),
        T(who_fell_behind_the_trim_is_told),
        T(a_damaged_row_is_reported_and_the_place_is_kept),
    };
    return cmocka_run_group_tests_name("store feed read", tests, NULL, NULL);
}
