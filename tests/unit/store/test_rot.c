/* Rot: a byte that changed on the disk is reported, or the record is refused; never a wrong record. */
#include "store_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS 40

static const char marked[] = "the value whose every byte is flipped, one after the other";

static void value_of(unsigned i, char value[64]) { snprintf(value, 64, "value number %u of %d", i, RECORDS); }

static void make_records(struct store_test *t) {
    store_test_open(t);
    for (unsigned i = 0; i < RECORDS; i++) {
        char key[8], value[64];

        snprintf(key, sizeof key, "k%02u", i);
        value_of(i, value);
        assert_ok(store_test_put(t->store, key, value, &test_err));
    }
    assert_ok(store_test_put(t->store, "marked", marked, &test_err));
    store_test_close(t);
    t->options.create = false;
}

static enum ms_code read_marked(struct ms_store *store, bool *ret_right) {
    struct ms_view v;
    struct ms_txn *txn;
    enum ms_code code = ms_read_begin(store, &txn, NULL);

    *ret_right = false;
    if (code != MS_OK)
        return code;
    code = ms_txn_get(txn, ms_view_str("marked"), &v, NULL);
    if (code == MS_OK)
        *ret_right = v.n == strlen(marked) && memcmp(v.p, marked, v.n) == 0;
    ms_read_end(txn);
    return code;
}

static void flip(const char *path, off_t at, uint8_t mask) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t b;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= mask;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
    close(fd);
}

static void count(void *priv, struct ms_view key, const struct ms_error *err) {
    (void)key;
    ++*(unsigned *)priv;
    assert_int_equal(err->code, MS_CORRUPT);
}

/* Old copies of a leaf page lie in the file too; every place where the value stands is flipped together. */
static void every_flipped_byte_of_a_record_is_found(void **state) {
    struct store_test *t = *state;
    char *path = ms_test_path(t->store_dir, "meta/data.mdb"), *bytes;
    size_t n, len = strlen(marked), places = 0, place[64];
    const size_t before = MS_ENVELOPE_BYTES + strlen("marked");

    make_records(t);
    bytes = ms_test_read_file(path, &n);
    for (size_t i = before; i + len <= n && places < 64; i++)
        if (memcmp(bytes + i, marked, len) == 0)
            place[places++] = i;
    assert_true(places > 0);
    t->options.read_only = true;
    for (size_t i = 0; i < before + len; i++) {
        unsigned found = 0;
        enum ms_code code;
        bool right;

        for (size_t j = 0; j < places; j++)
            flip(path, (off_t)(place[j] - before + i), (uint8_t)(1u << i % 8));
        store_test_open(t);
        code = read_marked(t->store, &right);
        assert_false(right);
        assert_true(code == MS_CORRUPT || (code == MS_NOT_FOUND && i < strlen("marked")));
        assert_ok(ms_store_check(t->store, count, &found, &test_err));
        assert_int_equal(found, 1);
        store_test_close(t);
        for (size_t j = 0; j < places; j++)
            flip(path, (off_t)(place[j] - before + i), (uint8_t)(1u << i % 8));
    }
    store_test_open(t);
    assert_ok(ms_store_check(t->store, count, NULL, &test_err));
    free(bytes);
    free(path);
}

static enum ms_code repair_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    struct ms_view v;

    (void)in, (void)out;
    if (ms_txn_get(txn, ms_view_str("marked"), &v, NULL) != MS_CORRUPT)
        return ms_fail(reterr, MS_INTERNAL, "not damaged");
    return ms_txn_put(txn, ms_view_str("marked"), ms_view_str("whole again"), reterr);
}

static enum ms_code look_op(struct ms_txn *txn, const void *in, void *out, struct ms_error *reterr) {
    (void)in, (void)out, (void)reterr;
    return ms_txn_has(txn, ms_view_str("marked")) ? MS_INTERNAL : MS_OK;
}

static void damage(struct store_test *t) {
    char *path = ms_test_path(t->store_dir, "meta/data.mdb"), *bytes;
    size_t n, len = strlen(marked);

    make_records(t);
    bytes = ms_test_read_file(path, &n);
    for (size_t i = 0; i + len <= n; i++)
        if (memcmp(bytes + i, marked, len) == 0)
            flip(path, (off_t)i, 1);
    free(bytes);
    free(path);
}

static void damage_fails_what_relies_on_it_and_can_be_overwritten(void **state) {
    struct store_test *t = *state;
    unsigned found = 0, seen = 0;
    struct ms_scan scan;
    struct ms_txn *txn;
    enum ms_code code;
    char *text;

    damage(t);
    store_test_open(t);
    assert_code(ms_store_write(t->store, &(struct ms_write){.fn = look_op}, &test_err), MS_CORRUPT);
    assert_ok(ms_read_begin(t->store, &txn, &test_err));
    ms_scan_begin(&scan, txn, ms_view_of(NULL, 0), ms_view_of(NULL, 0)); /* a scan says so and goes on */
    while ((code = ms_scan_next(&scan, NULL, NULL, NULL)) != MS_NOT_FOUND) {
        seen++;
        found += code == MS_CORRUPT;
    }
    ms_scan_end(&scan);
    ms_read_end(txn);
    assert_int_equal(found, 1);
    assert_int_equal(seen, RECORDS + 1);
    assert_ok(ms_store_write(t->store, &(struct ms_write){.fn = repair_op}, &test_err));
    text = store_test_get(t->store, "marked");
    assert_string_equal(text, "whole again");
    free(text);
}

/* Rule 10: what does not read back is no copy. */
static void a_copy_of_a_damaged_store_is_refused_and_removed(void **state) {
    struct store_test *t = *state;
    char *to = ms_test_path(t->dir, "copy");

    damage(t);
    store_test_open(t);
    assert_int_equal(mkdir(to, 0700), 0);
    assert_code(ms_store_copy(t->store, to, &test_err), MS_CORRUPT);
    assert_int_equal(rmdir(to), 0);
    free(to);
}

/* ---- any byte of the file -------------------------------------------------------------------------------------- */

/* Read all that can be read. 0: all right; 3: refused or reported; 9: a wrong record was given. */
static int read_child(struct ms_store_options *o, unsigned place, unsigned n) {
    struct ms_store *store = NULL;
    unsigned missing = 0;

    (void)place, (void)n;
    o->create = false;
    o->read_only = true;
    if (ms_store_open(o, &store, NULL) != MS_OK)
        return 3;
    for (unsigned i = 0; i < RECORDS; i++) {
        char key[8], value[64], *text;

        snprintf(key, sizeof key, "k%02u", i);
        value_of(i, value);
        text = store_test_get(store, key);
        if (text && strcmp(text, value) != 0)
            return 9;
        missing += !text;
        free(text);
    }
    return missing ? 3 : 0;
}

static void no_flipped_byte_anywhere_gives_a_wrong_record(void **state) {
    struct store_test *t = *state;
    char *copy = ms_test_path(t->dir, "copy"), *path = ms_test_path(copy, "meta/data.mdb");
    unsigned rounds = ms_test_rounds(100), harmless = 0, reported = 0, died = 0;
    struct ms_random_seeded random;
    struct stat st;

    ms_random_seeded_init(&random, ms_test_seed());
    make_records(t);
    store_test_open(t);
    assert_int_equal(mkdir(copy, 0700), 0);
    assert_ok(ms_store_copy(t->store, copy, &test_err)); /* without pages that are free */
    store_test_close(t);
    free(t->store_dir);
    t->store_dir = copy;
    assert_int_equal(stat(path, &st), 0);
    for (unsigned i = 0; i < rounds; i++) {
        off_t at = (off_t)ms_random_below(&random.random, (uint64_t)st.st_size);
        uint8_t mask = (uint8_t)(1u << ms_random_below(&random.random, 8));
        int status;

        flip(path, at, mask);
        status = store_test_run(t, "read", 0, 0);
        flip(path, at, mask);
        if (status == 9)
            fail_msg("byte %lld, mask %02x: a wrong record", (long long)at, mask);
        harmless += status == 0; /* bytes of a page that are not in use, or the older meta page */
        reported += status == 3;
        died += status != 0 && status != 3; /* LMDB trusts its file: hence the child */
    }
    print_message("%u flips: %u in nothing, %u reported, %u ended the reader\n", rounds, harmless, reported, died);
    assert_true(reported + died > 0);
    ms_random_seeded_fini(&random);
    free(path);
}

static const struct store_test_child children[] = {{"read", read_child}, {NULL, NULL}};

int main(int argc, char **argv) {
#define T(f) cmocka_unit_test_setup_teardown(f, store_test_setup_folder, store_test_teardown)
    const struct CMUnitTest tests[] = {
        T(every_flipped_byte_of_a_record_is_found),
        T(damage_fails_what_relies_on_it_and_can_be_overwritten),
        T(a_copy_of_a_damaged_store_is_refused_and_removed),
        T(no_flipped_byte_anywhere_gives_a_wrong_record),
    };
    int status;

    if (store_test_main(argc, argv, children, &status))
        return status;
    return cmocka_run_group_tests_name("store rot", tests, NULL, NULL);
}
