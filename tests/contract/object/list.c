/* list.c — LIST: order, prefixes, pages. */
#include "contract.h"

#define KEYS_MAX 600

struct keys {
    char key[KEYS_MAX][MS_OBJECT_KEY_MAX + 1];
    size_t n;
};

/* Page by page; the marker that a wrapped store has is left out. */
static enum ms_code list_all(struct subject *s, const char *prefix, size_t page, struct keys *ret) {
    char after[MS_OBJECT_KEY_MAX + 1] = "";
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .key = prefix, .list_max = page};
    enum ms_code code;

    ret->n = 0;
    for (;;) {
        code = do_op(s, &r);
        if (code != MS_OK)
            return code;
        assert_true(r.ret_n <= page);
        assert_false(r.ret_more && r.ret_n < page);
        for (size_t i = 0; i < r.ret_n; i++) {
            snprintf(after, sizeof after, "%s", r.ret_entries[i].key);
            if (strcmp(after, MS_OBJ_MARKER_KEY) != 0)
                strcpy(ret->key[ret->n++], after);
        }
        r.after = after;
        if (!r.ret_more)
            break;
    }
    ms_obj_drop_results(&r);
    return MS_OK;
}

static void put_all(struct subject *s, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_ok(do_put(s, keys[i], s->bytes, i));
}

static void assert_keys(const struct keys *got, const char *const *want, size_t n) {
    assert_int_equal(got->n, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(got->key[i], want[i]);
}

static const char *const sorted[] = {"a!x",   "a-b",   "a-b.c", "a/-",     "a/b/c", "a/b/d/e",
                                     "a/bb",  "a/c",   "a.b",   "a0",      "aa/x",  "b/\x7e",
                                     "b/ä",   "b/映",  "c"};
#define SORTED_N MS_ARRAY_LEN(sorted)

static struct keys *keys_new(void) { return calloc(1, sizeof(struct keys)); }

static void an_empty_store_lists_nothing(void **state) {
    struct keys *k = keys_new();

    assert_ok(list_all(*state, NULL, 10, k));
    assert_int_equal(k->n, 0);
    assert_ok(list_all(*state, "some/prefix/", 10, k));
    assert_int_equal(k->n, 0);
    free(k);
}

/* "a.b" sorts behind "a/c" but "a" as a folder name sorts before "a.b": the order is that of whole keys. */
static void keys_come_in_the_order_of_their_bytes(void **state) {
    struct subject *s = *state;
    const char *want[SORTED_N];
    struct keys *k = keys_new();

    for (size_t i = 0; i < SORTED_N; i++)
        want[i] = sorted[i];
    for (size_t i = 1; i < SORTED_N; i++) /* the table may be kept in any order */
        for (size_t j = i; j > 0 && strcmp(want[j - 1], want[j]) > 0; j--) {
            const char *t = want[j];

            want[j] = want[j - 1];
            want[j - 1] = t;
        }
    put_all(s, sorted, SORTED_N);
    for (size_t page = 1; page <= 20; page++) {
        assert_ok(list_all(s, NULL, page, k));
        assert_keys(k, want, SORTED_N);
    }
    free(k);
}

static void a_prefix_ends_anywhere(void **state) {
    struct subject *s = *state;
    static const struct {
        const char *prefix;
        size_t n;
    } cases[] = {{"", SORTED_N}, {"a", 11},  {"a/", 5}, {"a/b", 3},  {"a/b/", 2}, {"a/b/d/e", 1},
                 {"a/b/d/ee", 0}, {"b/", 3}, {"c", 1},  {"c/", 0},   {"d", 0},    {"a//", 0},
                 {"../", 0},      {"/", 0},  {"a/../", 0}, {".uploads/", 0}, {"a-b", 2}, {"b/\xe6", 1}};
    struct keys *k = keys_new();

    put_all(s, sorted, SORTED_N);
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++)
        for (size_t page = 1; page <= 5; page += 2) {
            assert_ok(list_all(s, cases[i].prefix, page, k));
            if (k->n != cases[i].n)
                print_message("prefix '%s': %zu keys\n", cases[i].prefix, k->n);
            assert_int_equal(k->n, cases[i].n);
        }
    free(k);
}

static void a_list_goes_on_behind_any_text(void **state) {
    struct subject *s = *state;
    static const char *const keys[] = {"p/a/1", "p/a/2", "p/b/1", "p/c"};
    static const struct {
        const char *after;
        size_t n;
    } cases[] = {{"", 4}, {"p", 4}, {"p/", 4}, {"p/a", 4}, {"p/a/", 4}, {"p/a/1", 3}, {"p/a/10", 3},
                 {"p/a/2", 2}, {"p/a/9", 2}, {"p/a0", 2}, {"p/b", 2}, {"p/b/1", 1}, {"p/bz", 1},
                 {"p/c", 0}, {"q", 0}, {"a", 4}};

    put_all(s, keys, MS_ARRAY_LEN(keys));
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct ms_obj_request r = {
            .op = MS_OBJ_LIST, .key = "p/", .after = cases[i].after, .list_max = 100};

        assert_ok(do_op(s, &r));
        if (r.ret_n != cases[i].n)
            print_message("after '%s': %zu keys\n", cases[i].after, r.ret_n);
        assert_int_equal(r.ret_n, cases[i].n);
        assert_false(r.ret_more);
        ms_obj_drop_results(&r);
    }
}

static void an_entry_tells_size_etag_and_time(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .key = "e/", .list_max = 100};
    char etag[MS_ETAG_MAX + 1];

    assert_ok(do_put_meta(s, "e/x", s->bytes, 12345, NULL, etag));
    assert_ok(do_op(s, &r));
    assert_int_equal(r.ret_n, 1);
    assert_string_equal(r.ret_entries[0].key, "e/x");
    assert_int_equal(r.ret_entries[0].size, 12345);
    assert_string_equal(r.ret_entries[0].etag, etag);
    assert_true(r.ret_entries[0].modified.ms > 0);
    ms_obj_drop_results(&r);
}

static void more_tells_exactly_whether_there_is_more(void **state) {
    struct subject *s = *state;
    char key[32];
    struct ms_obj_request r = {.op = MS_OBJ_LIST, .key = "n/"};

    for (int i = 0; i < 10; i++) {
        snprintf(key, sizeof key, "n/%d/x", i);
        assert_ok(do_put(s, key, "x", 1));
    }
    for (size_t max = 1; max <= 12; max++) {
        r.list_max = max;
        assert_ok(do_op(s, &r));
        assert_int_equal(r.ret_n, max < 10 ? max : 10);
        assert_int_equal(r.ret_more, max < 10);
        ms_obj_drop_results(&r);
    }
}

static void a_deleted_object_leaves_the_list(void **state) {
    struct subject *s = *state;
    static const char *const keys[] = {"l/a", "l/b/c", "l/d"};
    static const char *const want[] = {"l/a", "l/d"};
    struct keys *k = keys_new();

    put_all(s, keys, 3);
    assert_ok(do_delete(s, "l/b/c"));
    assert_ok(list_all(s, NULL, 100, k));
    assert_keys(k, want, 2);
    free(k);
}

static void many_keys_are_listed_once_each(void **state) {
    struct subject *s = *state;
    struct keys *k = keys_new();
    char key[64];

    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "many/%03d/%d", i * 7 % 50, i);
        assert_ok(do_put(s, key, "x", 1));
    }
    for (size_t page = 7; page <= 1000; page = page * 5 + 1) {
        assert_ok(list_all(s, "many/", page, k));
        assert_int_equal(k->n, 500);
        for (size_t i = 1; i < k->n; i++)
            assert_true(strcmp(k->key[i - 1], k->key[i]) < 0);
    }
    free(k);
}

static void pages_outside_1_to_1000_are_invalid(void **state) {
    struct subject *s = *state;
    struct ms_obj_request r = {.op = MS_OBJ_LIST};

    assert_code(do_op(s, &r), MS_INVALID);
    r.list_max = 1001;
    assert_code(do_op(s, &r), MS_INVALID);
    r.list_max = 1000;
    assert_ok(do_op(s, &r));
    ms_obj_drop_results(&r);
}

const struct contract_case list_cases[] = {
    CASE(CORE, an_empty_store_lists_nothing),
    CASE(CORE, keys_come_in_the_order_of_their_bytes),
    CASE(CORE, a_prefix_ends_anywhere),
    CASE(CORE, a_list_goes_on_behind_any_text),
    CASE(CORE, an_entry_tells_size_etag_and_time),
    CASE(CORE, more_tells_exactly_whether_there_is_more),
    CASE(CORE, a_deleted_object_leaves_the_list),
    CASE(CORE, many_keys_are_listed_once_each),
    CASE(CORE, pages_outside_1_to_1000_are_invalid),
};
const size_t list_cases_n = MS_ARRAY_LEN(list_cases);
