#include "support/test.h"

#include "model/keys.h"

#include <stdlib.h>
#include <string.h>

static struct ms_random_seeded rnd;

/* A key as the tuple that it stands for: its members are compared one by one, as the layout in
 * keys.h says. */
struct tuple {
    struct ms_id id[3];
    uint64_t number[3];
    int64_t at;
    uint8_t kind;
    char text[MS_NAME_BYTES_MAX + 1];
};

#define TENANT(x)                                                                                  \
    (struct ms_tenant_id) { (x)->id[0] }
#define FILE_ID(x)                                                                                 \
    (struct ms_file_id) { (x)->id[1] }
#define RECEIVER(x)                                                                                \
    (struct ms_tenant_id) { (x)->id[2] }
#define ASSET(x, i)                                                                                \
    (struct ms_asset_id) { (x)->id[i] }

static int by_bytes(const void *a, const void *b, size_t n) {
    int c = memcmp(a, b, n);

    return (c > 0) - (c < 0);
}
static int by_id(const struct tuple *a, const struct tuple *b, unsigned i) {
    return by_bytes(a->id[i].b, b->id[i].b, MS_ID_BYTES);
}
static int by_number(const struct tuple *a, const struct tuple *b, unsigned i) {
    return (a->number[i] > b->number[i]) - (a->number[i] < b->number[i]);
}
static int by_at(const struct tuple *a, const struct tuple *b) {
    return (a->at > b->at) - (a->at < b->at);
}
static int by_text(const struct tuple *a, const struct tuple *b) {
    int c = strcmp(a->text, b->text);

    return (c > 0) - (c < 0);
}
static int first(const int *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c[i])
            return c[i];
    return 0;
}
#define ORDER(...)                                                                                 \
    first((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static uint32_t u32(uint64_t n) { return (uint32_t)(n & UINT32_MAX); }

/* K(name, table byte, length without text, key, prefix or all, order of two tuples a and b) */
#define KEYS(K)                                                                                    \
    K(tenant, 'T', 17, ms_key_tenant(TENANT(x)), ms_key_tenants(), by_id(a, b, 0))                 \
    K(tname, 't', 1, ms_key_tname(x->text), all('t'), by_text(a, b))                               \
    K(aowner, 'a', 17, ms_key_aowner(ASSET(x, 0)), all('a'), by_id(a, b, 0))                       \
    K(object, 'O', 17, ms_key_object((struct ms_object_id){x->id[0]}), ms_key_objects(),           \
      by_id(a, b, 0))                                                                              \
    K(hashes, 'H', 21, ms_key_hashes((struct ms_object_id){x->id[0]}, u32(x->number[0])),          \
      ms_key_hashes_of((struct ms_object_id){x->id[0]}), ORDER(by_id(a, b, 0), by_u32(a, b)))      \
    K(tomb, 'K', 17, ms_key_tomb((struct ms_object_id){x->id[0]}), ms_key_tombs(), by_id(a, b, 0)) \
    K(local, 'W', 25, ms_key_local(ms_instant_of(x->at), (struct ms_object_id){x->id[0]}),         \
      ms_key_locals(), ORDER(by_at(a, b), by_id(a, b, 0)))                                         \
    K(intent, 'J', 33,                                                                             \
      ms_key_intent((struct ms_instance_id){x->id[0]}, (struct ms_intent_id){x->id[1]}),           \
      ms_key_intents_of((struct ms_instance_id){x->id[0]}), ORDER(by_id(a, b, 0), by_id(a, b, 1))) \
    K(intents, 'J', 33,                                                                            \
      ms_key_intent((struct ms_instance_id){x->id[0]}, (struct ms_intent_id){x->id[1]}),           \
      ms_key_intents(), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                     \
    K(part, 'q', 21, ms_key_part((struct ms_intent_id){x->id[0]}, u32(x->number[0])),              \
      ms_key_parts_of((struct ms_intent_id){x->id[0]}), ORDER(by_id(a, b, 0), by_u32(a, b)))       \
    K(lease, 'S', 41, ms_key_lease(TENANT(x), x->number[0], (struct ms_instance_id){x->id[1]}),    \
      ms_key_leases_of(TENANT(x)), ORDER(by_id(a, b, 0), by_number(a, b, 0), by_id(a, b, 1)))      \
    K(usage, 'U', 17, ms_key_usage(TENANT(x)), all('U'), by_id(a, b, 0))                           \
    K(asset, 'A', 33, ms_key_asset(TENANT(x), ASSET(x, 1)), ms_key_assets_of(TENANT(x)),           \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(file, 'F', 49, ms_key_file(TENANT(x), ASSET(x, 1), (struct ms_file_id){x->id[2]}),           \
      ms_key_files_of(TENANT(x), ASSET(x, 1)),                                                     \
      ORDER(by_id(a, b, 0), by_id(a, b, 1), by_id(a, b, 2)))                                       \
    K(version, 'V', 33, ms_key_version(TENANT(x), (struct ms_version_id){x->id[1]}),               \
      ms_key_versions_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                        \
    K(facts, 'f', 33, ms_key_facts(TENANT(x), (struct ms_version_id){x->id[1]}),                   \
      ms_key_facts_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                           \
    K(inode, 'I', 25, ms_key_inode(TENANT(x), x->number[0]), ms_key_inodes_of(TENANT(x)),          \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(name, 'N', 25, ms_key_name(TENANT(x), x->number[0], x->text),                                \
      ms_key_names_of(TENANT(x), x->number[0]),                                                    \
      ORDER(by_id(a, b, 0), by_number(a, b, 0), by_text(a, b)))                                    \
    K(entry, 'n', 33, ms_key_entry(TENANT(x), x->number[0], x->number[1]),                         \
      ms_key_entries_of(TENANT(x), x->number[0]),                                                  \
      ORDER(by_id(a, b, 0), by_number(a, b, 0), by_number(a, b, 1)))                               \
    K(link, 'p', 41, ms_key_link(TENANT(x), x->number[0], x->number[1], x->number[2]),             \
      ms_key_links_of(TENANT(x), x->number[0]),                                                    \
      ORDER(by_id(a, b, 0), by_number(a, b, 0), by_number(a, b, 1), by_number(a, b, 2)))           \
    K(symlink, 'y', 25, ms_key_symlink(TENANT(x), x->number[0]), all('y'),                         \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(xattr, 'X', 25, ms_key_xattr(TENANT(x), x->number[0], x->text),                              \
      ms_key_xattrs_of(TENANT(x), x->number[0]),                                                   \
      ORDER(by_id(a, b, 0), by_number(a, b, 0), by_text(a, b)))                                    \
    K(bin, 'B', 33, ms_key_bin(TENANT(x), (struct ms_bin_id){x->id[1]}),                           \
      ms_key_bins_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                            \
    K(binasset, 'b', 33, ms_key_binasset(TENANT(x), ASSET(x, 1)), all('b'),                        \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(due, 'D', 42, ms_key_due(TENANT(x), ms_instant_of(x->at), x->kind, x->id[1]),                \
      ms_key_dues_of(TENANT(x)),                                                                   \
      ORDER(by_id(a, b, 0), by_at(a, b), a->kind - b->kind, by_id(a, b, 1)))                       \
    K(ledger, 'L', 25, ms_key_ledger(TENANT(x), x->number[0]), ms_key_ledgers_of(TENANT(x)),       \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(audit, 'E', 25, ms_key_audit(TENANT(x), x->number[0]), ms_key_audits_of(TENANT(x)),          \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(chain, 'C', 18, ms_key_chain(TENANT(x), x->kind & 1 ? 'L' : 'E'), all('C'),                  \
      ORDER(by_id(a, b, 0), (a->kind & 1) - (b->kind & 1)))                                        \
    K(treeop, 'R', 33, ms_key_treeop(TENANT(x), (struct ms_treeop_id){x->id[1]}),                  \
      ms_key_treeops_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                         \
    K(request, 'Q', 33, ms_key_request(TENANT(x), (struct ms_request_id){x->id[1]}),               \
      ms_key_requests_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                        \
    K(asked, 'u', 33, ms_key_asked(TENANT(x), ASSET(x, 1)), all('u'),                              \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(transfer, 'x', 17, ms_key_transfer((struct ms_transfer_id){x->id[0]}), all('x'),             \
      by_id(a, b, 0))                                                                              \
    K(transfer_asset, 'v', 33,                                                                     \
      ms_key_transfer_asset((struct ms_transfer_id){x->id[0]}, ASSET(x, 1)),                       \
      ms_key_transfer_assets((struct ms_transfer_id){x->id[0]}),                                   \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(pending, 'e', 17, ms_key_pending(ASSET(x, 0)), all('e'), by_id(a, b, 0))                     \
    K(transfer_of, 'h', 33, ms_key_transfer_of(TENANT(x), (struct ms_transfer_id){x->id[1]}),      \
      ms_key_transfers_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                       \
    K(orphan, 'o', 25, ms_key_orphan(TENANT(x), x->number[0]), ms_key_orphans_of(TENANT(x)),       \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(account, 'Z', 17, ms_key_account(TENANT(x)), all('Z'), by_id(a, b, 0))                       \
    K(day, 'Y', 25, ms_key_day(TENANT(x), ms_instant_of(x->at)), ms_key_days_of(TENANT(x)),        \
      ORDER(by_id(a, b, 0), by_at(a, b)))                                                          \
    K(package, 'G', 33, ms_key_package(TENANT(x), (struct ms_package_id){x->id[1]}),               \
      ms_key_packages_of(TENANT(x)), ORDER(by_id(a, b, 0), by_id(a, b, 1)))                        \
    K(adjust, 'j', 25, ms_key_adjust(TENANT(x), x->number[0]), ms_key_adjusts_of(TENANT(x)),       \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(ratemonth, 'r', 9, ms_key_ratemonth(ms_instant_of(x->at)), ms_key_ratemonths(), by_at(a, b)) \
    K(mark, 'k', 26, mark_key(x), ms_key_marks_of(TENANT(x)),                                      \
      ORDER(by_id(a, b, 0), by_number(a, b, 0)))                                                   \
    K(review, 'i', 33, ms_key_review(TENANT(x), ASSET(x, 1)), ms_key_reviews_of(TENANT(x)),        \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(upload, 'P', 33, ms_key_upload(TENANT(x), FILE_ID(x)), ms_key_uploads_of(TENANT(x)),         \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(ended, 'g', 33, ms_key_ended(TENANT(x), FILE_ID(x)), ms_key_ended_of(TENANT(x)),             \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(filedue, 'd', 41, ms_key_filedue(TENANT(x), ms_instant_of(x->at), FILE_ID(x)),               \
      ms_key_filedues_of(TENANT(x)), ORDER(by_id(a, b, 0), by_at(a, b), by_id(a, b, 1)))           \
    K(fowner, 'w', 33, ms_key_fowner(TENANT(x), FILE_ID(x)), ms_key_fowners_of(TENANT(x)),         \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(share, 'l', 49, ms_key_share(TENANT(x), ASSET(x, 1), RECEIVER(x)),                           \
      ms_key_shares_of_asset(TENANT(x), ASSET(x, 1)),                                              \
      ORDER(by_id(a, b, 0), by_id(a, b, 1), by_id(a, b, 2)))                                       \
    K(shared, 's', 33, ms_key_shared(TENANT(x), ASSET(x, 1)), ms_key_shared_with(TENANT(x)),       \
      ORDER(by_id(a, b, 0), by_id(a, b, 1)))                                                       \
    K(sharedue, 'm', 57,                                                                           \
      ms_key_sharedue(TENANT(x), ms_instant_of(x->at), ASSET(x, 1), RECEIVER(x)),                  \
      ms_key_sharedues_of(TENANT(x)),                                                              \
      ORDER(by_id(a, b, 0), by_at(a, b), by_id(a, b, 1), by_id(a, b, 2)))                          \
    K(catalogue, 'c', 17, ms_key_catalogue(TENANT(x)), all('c'), by_id(a, b, 0))

static int by_u32(const struct tuple *a, const struct tuple *b) {
    return (u32(a->number[0]) > u32(b->number[0])) - (u32(a->number[0]) < u32(b->number[0]));
}

static struct ms_key mark_key(const struct tuple *x) {
    struct ms_key inode = ms_key_inode(TENANT(x), x->number[0]);

    return ms_key_mark(&inode);
}

static struct ms_key all(char table) {
    struct ms_key k = {.bytes = {(uint8_t)table}, .len = 1};

    return k;
}

struct kind {
    const char *name;
    uint8_t table;
    size_t length;
    struct ms_key (*key)(const struct tuple *x);
    struct ms_key (*prefix)(const struct tuple *x);
    int (*order)(const struct tuple *a, const struct tuple *b);
};

#define KEY_FUNCTIONS(name, table, length, key, prefix, order)                                     \
    static struct ms_key key_##name(const struct tuple *x) { return (void)x, key; }                \
    static struct ms_key prefix_##name(const struct tuple *x) { return (void)x, prefix; }          \
    static int order_##name(const struct tuple *a, const struct tuple *b) { return order; }
KEYS(KEY_FUNCTIONS)

#define KEY_ROW(name, table, length, key, prefix, order)                                           \
    {#name, table, length, key_##name, prefix_##name, order_##name},
static const struct kind kinds[] = {KEYS(KEY_ROW)};
static const size_t kinds_n = MS_ARRAY_LEN(kinds);

/* Values near the bounds and values that agree with others in front, so that each member decides at
 * times. */
static uint64_t a_number(void) {
    static const uint64_t edges[] = {0,          1,
                                     2,          3,
                                     255,        256,
                                     UINT32_MAX, UINT64_C(1) << 32,
                                     INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX};

    return ms_random_below(&rnd.random, 4) ? edges[ms_random_below(&rnd.random, 11)]
                                           : ms_random_u64(&rnd.random);
}

static void a_text(char *text) {
    size_t n =
        1 + ms_random_below(&rnd.random, ms_random_below(&rnd.random, 8) ? 3 : MS_TENANT_NAME_MAX);

    for (size_t i = 0; i < n; i++)
        text[i] = (char)("a\x7f\xc3\xff"[ms_random_below(&rnd.random, 4)]);
    text[n] = '\0';
}

static struct tuple a_tuple(void) {
    struct tuple x;

    memset(&x, 0, sizeof(x));
    for (unsigned i = 0; i < 3; i++) {
        x.id[i].b[ms_random_below(&rnd.random, 2) * 15] =
            (uint8_t)(1 + ms_random_below(&rnd.random, 255));
        x.number[i] = a_number();
    }
    x.at = (int64_t)a_number();
    x.kind = (uint8_t)ms_random_below(&rnd.random, 3);
    a_text(x.text);
    return x;
}

/* Some members of b are those of a. */
static void share(const struct tuple *a, struct tuple *b) {
    for (unsigned i = 0; i < 3; i++) {
        if (ms_random_below(&rnd.random, 4))
            b->id[i] = a->id[i];
        if (ms_random_below(&rnd.random, 2))
            b->number[i] = a->number[i];
    }
    if (ms_random_below(&rnd.random, 2))
        b->at = a->at;
    if (ms_random_below(&rnd.random, 4) == 0)
        memcpy(b->text, a->text, sizeof(a->text));
}

static int key_order(struct ms_key a, struct ms_key b) {
    int c = by_bytes(a.bytes, b.bytes, a.len < b.len ? a.len : b.len);

    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int sign(int v) { return (v > 0) - (v < 0); }

static void keys_sort_as_the_tuples_that_they_stand_for(void **state) {
    (void)state;
    for (const struct kind *k = kinds; k < kinds + kinds_n; k++)
        for (unsigned i = 0; i < ms_test_rounds(3000); i++) {
            struct tuple a = a_tuple(), b = a_tuple();

            share(&a, &b);
            if (key_order(k->key(&a), k->key(&b)) != sign(k->order(&a, &b)))
                fail_msg("two keys of %s are out of order", k->name);
        }
}

static void a_key_has_the_length_that_its_layout_says(void **state) {
    (void)state;
    for (const struct kind *k = kinds; k < kinds + kinds_n; k++) {
        struct tuple x = a_tuple();
        bool text = k->table == 't' || k->table == 'N' || k->table == 'X';
        struct ms_key key = k->key(&x);

        assert_int_equal(key.bytes[0], k->table);
        assert_int_equal(key.len, k->length + (text ? strlen(x.text) : 0));
        assert_true(ms_key_view(&key).p == key.bytes && ms_key_view(&key).n == key.len);
    }
}

static bool starts_with(struct ms_key key, struct ms_key prefix) {
    return key.len >= prefix.len && memcmp(key.bytes, prefix.bytes, prefix.len) == 0;
}

static void a_prefix_holds_its_own_keys_and_no_others(void **state) {
    (void)state;
    for (const struct kind *k = kinds; k < kinds + kinds_n; k++)
        for (unsigned i = 0; i < ms_test_rounds(1000); i++) {
            struct tuple a = a_tuple(), b = a_tuple();

            share(&a, &b);
            assert_true(starts_with(k->key(&a), k->prefix(&a)));
            /* A foreign key is inside exactly when its own prefix is the same one. */
            assert_int_equal(starts_with(k->key(&b), k->prefix(&a)),
                             key_order(k->prefix(&a), k->prefix(&b)) == 0);
        }
}

static void no_two_tables_share_a_first_byte(void **state) {
    struct tuple x = a_tuple();

    (void)state;
    for (const struct kind *a = kinds; a < kinds + kinds_n; a++) {
        assert_int_not_equal(a->table, 0); /* the store's own rows */
        assert_int_not_equal(a->table, 'M');
        for (const struct kind *b = kinds; b < a; b++)
            if (strcmp(a->name, "intents") != 0)
                assert_int_not_equal(a->key(&x).bytes[0], b->key(&x).bytes[0]);
    }
    assert_int_equal(ms_key_meta().len, 1);
    assert_int_equal(ms_key_meta().bytes[0], 'M');
}

static void the_longest_names_fit_a_key_of_lmdb(void **state) {
    struct ms_tenant_id t = {{{1}}};
    char longest[MS_NAME_BYTES_MAX + 1];

    (void)state;
    memset(longest, 'n', MS_NAME_BYTES_MAX);
    longest[MS_NAME_BYTES_MAX] = '\0';
    assert_int_equal(ms_key_name(t, UINT64_MAX, longest).len, 280);
    assert_int_equal(ms_key_xattr(t, UINT64_MAX, longest).len, 280);
    assert_true(sizeof((struct ms_key){0}.bytes) <= 511);
}

static void a_text_beyond_every_limit_finds_nothing_and_is_confused_with_nothing(void **state) {
    struct ms_tenant_id t = {{{1}}};
    char longest[MS_NAME_BYTES_MAX + 1], longer[1000];

    (void)state;
    memset(longest, 'n', MS_NAME_BYTES_MAX);
    longest[MS_NAME_BYTES_MAX] = '\0';
    memset(longer, 'n', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_not_equal(key_order(ms_key_name(t, 1, longer), ms_key_name(t, 1, longest)), 0);
    assert_int_not_equal(key_order(ms_key_xattr(t, 1, longer), ms_key_xattr(t, 1, longest)), 0);
    assert_int_equal(ms_key_name(t, 1, longer).len, 281);
    assert_int_equal(ms_key_tname(longer).len, 1 + MS_TENANT_NAME_MAX + 1);
}

static void a_due_key_comes_apart_again(void **state) {
    (void)state;
    for (unsigned i = 0; i < ms_test_rounds(1000); i++) {
        struct tuple x = a_tuple();
        struct ms_key k = key_due(&x);
        struct ms_tenant_id t;
        struct ms_instant at;
        struct ms_id id;
        uint8_t kind;

        assert_ok(ms_key_split_due(ms_key_view(&k), &t, &at, &kind, &id, &test_err));
        assert_memory_equal(&t, &x.id[0], MS_ID_BYTES);
        assert_int_equal(at.ms, x.at);
        assert_int_equal(kind, x.kind);
        assert_memory_equal(&id, &x.id[1], MS_ID_BYTES);
    }
}

static void a_link_key_comes_apart_again(void **state) {
    (void)state;
    for (unsigned i = 0; i < ms_test_rounds(1000); i++) {
        struct tuple x = a_tuple();
        struct ms_key k = key_link(&x);
        uint64_t ino, parent, seq;

        assert_ok(ms_key_split_link(ms_key_view(&k), &ino, &parent, &seq, &test_err));
        assert_true(ino == x.number[0] && parent == x.number[1] && seq == x.number[2]);
    }
}

static void a_key_of_the_end_of_a_share_comes_apart_again(void **state) {
    (void)state;
    for (unsigned i = 0; i < ms_test_rounds(1000); i++) {
        struct tuple x = a_tuple();
        struct ms_key k = key_sharedue(&x);
        struct ms_tenant_id t, receiver;
        struct ms_asset_id asset;
        struct ms_instant at;

        assert_ok(ms_key_split_sharedue(ms_key_view(&k), &t, &at, &asset, &receiver, &test_err));
        assert_memory_equal(&t, &x.id[0], MS_ID_BYTES);
        assert_int_equal(at.ms, x.at);
        assert_memory_equal(&asset, &x.id[1], MS_ID_BYTES);
        assert_memory_equal(&receiver, &x.id[2], MS_ID_BYTES);
        for (size_t n = 0; n <= k.len + 1; n++)
            if (n != k.len)
                assert_code(ms_key_split_sharedue(ms_view_of(k.bytes, n), &t, &at, &asset, &receiver,
                                                  &test_err),
                            MS_CORRUPT);
        k.bytes[0] = 'd';
        assert_code(ms_key_split_sharedue(ms_key_view(&k), &t, &at, &asset, &receiver, &test_err),
                    MS_CORRUPT);
    }
}

static void a_key_of_another_length_or_table_is_damage(void **state) {
    struct tuple x = a_tuple();
    struct ms_key due = key_due(&x), link = key_link(&x);
    struct ms_tenant_id t;
    struct ms_instant at;
    struct ms_id id;
    uint8_t kind;
    uint64_t a, b, c;

    (void)state;
    for (size_t n = 0; n <= due.len + 1; n++)
        if (n != due.len)
            assert_code(ms_key_split_due(ms_view_of(due.bytes, n), &t, &at, &kind, &id, &test_err),
                        MS_CORRUPT);
    for (size_t n = 0; n <= link.len + 1; n++)
        if (n != link.len)
            assert_code(ms_key_split_link(ms_view_of(link.bytes, n), &a, &b, &c, &test_err),
                        MS_CORRUPT);
    due.bytes[0] = 'd';
    link.bytes[0] = 'P';
    assert_code(ms_key_split_due(ms_key_view(&due), &t, &at, &kind, &id, &test_err), MS_CORRUPT);
    assert_code(ms_key_split_link(ms_key_view(&link), &a, &b, &c, &test_err), MS_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_as_the_tuples_that_they_stand_for),
        cmocka_unit_test(a_key_has_the_length_that_its_layout_says),
        cmocka_unit_test(a_prefix_holds_its_own_keys_and_no_others),
        cmocka_unit_test(no_two_tables_share_a_first_byte),
        cmocka_unit_test(the_longest_names_fit_a_key_of_lmdb),
        cmocka_unit_test(a_text_beyond_every_limit_finds_nothing_and_is_confused_with_nothing),
        cmocka_unit_test(a_due_key_comes_apart_again),
        cmocka_unit_test(a_link_key_comes_apart_again),
        cmocka_unit_test(a_key_of_the_end_of_a_share_comes_apart_again),
        cmocka_unit_test(a_key_of_another_length_or_table_is_damage),
    };
    int failed;

    ms_random_seeded_init(&rnd, ms_test_seed());
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ms_random_seeded_fini(&rnd);
    return failed;
}
