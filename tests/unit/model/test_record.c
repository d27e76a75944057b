#include "support/test.h"

#include "model/facts.h"
#include "unit/model/sample_records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *golden_path;

/* One record of each sort fits; decoded into memory that is seen to stay untouched on failure. */
#define UNTOUCHED 0xa5
static union {
#define MEMBER(name, version, FIELDS) struct ms_##name##_record name;
    MS_RECORDS(MEMBER)
    uint8_t bytes[1];
} one, other;
static uint8_t value[MS_RECORD_BYTES_MAX + 1];

static struct ms_view encoded(const struct sample_kind *k) {
    struct ms_writer w = ms_writer_on(value, MS_RECORD_BYTES_MAX);

    k->encode(&one, &w);
    assert_false(w.failed);
    return ms_writer_view(&w);
}

static void assert_refused(const struct sample_kind *k, struct ms_view v) {
    memset(&other, UNTOUCHED, sizeof(other));
    assert_code(k->decode(v, &other, &test_err), MS_CORRUPT);
    assert_non_null(strstr(test_err.message, k->name));
    for (size_t i = 0; i < k->size; i++)
        assert_int_equal((&other.bytes[0])[i], UNTOUCHED);
}

static void what_is_encoded_is_decoded_again(void **state) {
    struct sample_source s = {ms_test_seed(), false};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++)
        for (unsigned i = 0; i < ms_test_rounds(2000); i++) {
            k->sample(&s, &one);
            assert_ok(k->decode(encoded(k), &other, &test_err));
            assert_true(k->equal(&one, &other));
        }
}

static void every_truncation_and_any_byte_more_is_refused(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++)
        for (unsigned i = 0; i < 8; i++) {
            struct ms_view v;

            s.small = i > 0;
            k->sample(&s, &one);
            v = encoded(k);
            for (size_t n = 0; n < v.n; n += s.small ? 1 : 1 + v.n / 256)
                assert_refused(k, ms_view_of(v.p, n));
            for (unsigned more = 0; more < 256; more++) {
                value[v.n] = (uint8_t)more;
                assert_refused(k, ms_view_of(v.p, v.n + 1));
            }
        }
}

static void no_other_version_is_read(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++) {
        struct ms_view v;

        k->sample(&s, &one);
        v = encoded(k);
        for (unsigned version = 0; version < 256; version++) {
            value[0] = (uint8_t)version;
            if (version < 1 || version > k->version)
                assert_refused(k, v);
        }
    }
}

/* Damage gives a refusal, or by chance another valid record: then exactly these bytes are its
 * encoding. One of an older version is encoded as the present one. */
static void decode_any(const struct sample_kind *k, struct ms_view v) {
    static uint8_t again[MS_RECORD_BYTES_MAX];
    struct ms_writer w = ms_writer_on(again, sizeof(again));
    enum ms_code code;

    memset(&other, UNTOUCHED, sizeof(other));
    code = k->decode(v, &other, NULL);
    if (code != MS_OK) {
        assert_int_equal(code, MS_CORRUPT);
        return;
    }
    k->encode(&other, &w);
    assert_true(((const uint8_t *)v.p)[0] < k->version || ms_view_equal(v, ms_writer_view(&w)));
}

static void damaged_bytes_never_do_harm(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++)
        for (unsigned i = 0; i < ms_test_rounds(2000); i++) {
            struct ms_view v;

            k->sample(&s, &one);
            v = encoded(k);
            for (uint64_t n = 1 + sample_below(&s, 3); n > 0; n--)
                value[1 + sample_below(&s, v.n - 1)] ^= (uint8_t)(1 << sample_below(&s, 8));
            decode_any(k, v);
        }
}

static void random_bytes_never_do_harm(void **state) {
    struct sample_source s = {ms_test_seed(), false};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++)
        for (unsigned i = 0; i < ms_test_rounds(2000); i++) {
            size_t n = 1 + sample_below(&s, i % 8 ? 300 : MS_RECORD_BYTES_MAX);

            for (size_t at = 0; at < n; at++)
                value[at] = (uint8_t)sample_u64(&s);
            if (i % 4)
                value[0] = 1;
            decode_any(k, ms_view_of(value, n));
        }
}

static void a_record_that_does_not_fit_fails_the_writer(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++) {
        struct ms_writer w;

        k->sample(&s, &one);
        w = ms_writer_on(value, encoded(k).n - 1);
        k->encode(&one, &w);
        assert_true(w.failed);
    }
}

static void as_file(struct ms_inode_record *r) {
    r->mode = 0100644;
    r->special = 0;
    r->parent = 0;
    memset(&r->was_asset, 0, sizeof r->was_asset);
    r->shut = 0;
}

/* Each row breaks one invariant of an otherwise valid record and names the text that must be told.
 */
#define BROKEN_ROWS(B)                                                                             \
    B(meta, memset(&r->store_id, 0, 16), "no id")                                                  \
    B(meta, r->retention_ms = -1, "retention")                                                     \
    B(tenant, memset(&r->id, 0, 16), "no id")                                                      \
    B(tenant, r->name[0] = '\0', "name")                                                           \
    B(tenant, r->name[0] = 'A', "name")                                                            \
    B(tenant, r->retention_ms = -1, "retention")                                                   \
    B(tenant, r->review = 2, "flag")                                                               \
    B(tenant, r->start_unactived = 2, "flag")                                                      \
    B(tenant, r->pay_per_use = 255, "flag")                                                        \
    B(facts, r->outcome = MS_FACTS_OUTCOME_COUNT, "outcome")                                       \
    B(facts, r->width = MS_FACTS_SIDE_MAX + 1, "larger")                                           \
    B(facts, r->container[0] = '\n', "word")                                                       \
    B(facts, r->alpha = 2, "flag")                                                                 \
    B(tenant, r->umask = 01000, "umask")                                                           \
    B(tenant, r->mask_holds = MS_HOLD_PACKAGE, "hold")                                             \
    B(tenant, r->arrears = 4, "arrears")                                                           \
    B(tenant, (r->arrears = 1, r->arrears_since.ms = 0), "arrears")                                \
    B(tenant, (r->arrears = 0, r->arrears_since.ms = 9), "arrears")                                \
    B(tenant,                                                                                      \
      (r->arrears = 2, r->arrears_since.ms = 9, r->mask_holds = 0, r->mask_since.ms = 0,           \
       r->mask_lifted.ms = 0, r->mask_lifted_before.ms = 0),                                       \
      "grace")                                                                                     \
    B(asset, memset(&r->id, 0, 16), "no id")                                                       \
    B(asset, r->type = 14, "type")                                                                 \
    B(asset, r->origin = 3, "origin")                                                              \
    B(asset, r->named = 2, "flag")                                                                 \
    B(asset, r->from_mount = 2, "flag")                                                            \
    B(asset, r->rest = MS_STATE_BLOCK, "resting state")                                            \
    B(asset, r->holds |= MS_HOLD_ARREARS, "hold")                                                  \
    B(asset, r->last = 3, "last")                                                                  \
    B(asset, r->fail = 6, "fail")                                                                  \
    B(file, memset(&r->id, 0, 16), "no id")                                                        \
    B(file, r->category = 7, "category")                                                           \
    B(file, r->state = 9, "state")                                                                 \
    B(file, r->has_md5 = 2, "flag")                                                                \
    B(file, r->size = MS_FILE_BYTES_MAX + 1, "larger")                                             \
    B(version, memset(&r->id, 0, 16), "no id")                                                     \
    B(version, r->size = MS_FILE_BYTES_MAX + 1, "larger")                                          \
    B(version, (r->size = 0, r->object.b[0] = 1), "empty version")                                 \
    B(version, (r->size = 1, r->local = 0, memset(&r->object, 0, 16)), "neither an object")        \
    B(version, (r->size = 1, r->local = 1, r->block_log2 = 11), "block size")                      \
    B(version, (r->size = 1, r->local = 1, r->block_log2 = 25), "block size")                      \
    B(version, r->hashed = 2, "flag")                                                              \
    B(object, memset(&r->id, 0, 16), "no id")                                                      \
    B(object, r->key[0] = '\0', "no key")                                                          \
    B(object, r->size = 0, "size")                                                                 \
    B(object, r->size = MS_FILE_BYTES_MAX + 1, "size")                                             \
    B(object, r->block_log2 = 0, "block size")                                                     \
    B(hashes, r->count = 0, "number of hashes")                                                    \
    B(tombstone, memset(&r->object, 0, 16), "no object")                                           \
    B(tombstone, r->key[0] = '\0', "no key")                                                       \
    B(inode, r->ino = 0, "no number")                                                              \
    B(inode, r->mode = 0644, "file type")                                                          \
    B(inode, r->mode |= 0170000, "file type")                                                      \
    B(inode, r->atime_ns = 1000000000, "nanoseconds")                                              \
    B(inode, r->mtime_ns = 1000000000, "nanoseconds")                                              \
    B(inode, r->ctime_ns = 1000000000, "nanoseconds")                                              \
    B(inode, r->btime_ns = 1000000000, "nanoseconds")                                              \
    B(inode, r->orphan = 2, "flag")                                                                \
    B(inode, r->unsealed = 2, "flag")                                                              \
    B(inode, r->shut = 2, "flag")                                                                  \
    B(inode, (as_file(r), r->asset.b[3] = r->was_asset.b[3] = 1), "lost")                          \
    B(inode, (as_file(r), r->asset.b[3] = r->shut = 1), "lost")                                    \
    B(inode, r->special = 13, "special")                                                           \
    B(inode, (r->mode = 0100644, r->special = 1), "special")                                       \
    B(inode, (r->mode = 0120777, r->special = 0, r->asset.b[3] = 1), "regular files")              \
    B(inode, (r->mode = 0100644, r->special = 0, r->parent = 1), "parent")                         \
    B(inode,                                                                                       \
      (r->mode = 0040755, memset(&r->asset, 0, 16), memset(&r->version, 0, 16), r->next_seq = 2),  \
      "from 3")                                                                                    \
    B(name, r->ino = 0, "nowhere")                                                                 \
    B(name, r->mode = 0, "file type")                                                              \
    B(name, r->seq = 2, "from 3")                                                                  \
    B(name, r->spelling[0] = '\0', "spelling")                                                     \
    B(name, strcpy(r->spelling, "a/b"), "spelling")                                                \
    B(name, strcpy(r->spelling, ".."), "spelling")                                                 \
    B(entry, r->nfc[0] = '\0', "name")                                                             \
    B(entry, strcpy(r->nfc, "."), "name")                                                          \
    B(link, r->none = 1, "something")                                                              \
    B(bin, memset(&r->id, 0, 16), "no id")                                                         \
    B(bin, memset(&r->asset, 0, 16), "no asset")                                                   \
    B(bin, strcpy(r->name, "x/"), "name")                                                          \
    B(due, r->kind = 0, "nothing")                                                                 \
    B(ledger, r->type = 14, "type")                                                                \
    B(ledger, r->origin = 3, "origin")                                                             \
    B(audit, r->from = 9, "state")                                                                 \
    B(audit, r->to = 9, "state")                                                                   \
    B(lease, memset(&r->instance, 0, 16), "holder")                                                \
    B(lease, r->ino = 0, "holder")                                                                 \
    B(intent, memset(&r->id, 0, 16), "no id")                                                      \
    B(intent, memset(&r->instance, 0, 16), "no owner")                                             \
    B(intent, r->fsynced = 2, "flag")                                                              \
    B(part, r->part_no = 0, "part number")                                                         \
    B(part, r->part_no = 10001, "part number")                                                     \
    B(review, memset(&r->asset, 0, 16), "no asset")                                                \
    B(review, r->human = 2, "flag")                                                                \
    B(upload, memset(&r->file, 0, 16), "no file")                                                  \
    B(upload, r->key[0] = 0, "no file")                                                            \
    B(upload, r->large = 2, "flag")                                                                \
    B(upload, r->parts = 0, "number of parts")                                                     \
    B(upload, r->parts = 101, "number of parts")                                                   \
    B(upload, (r->size = 7, r->reserved = 8), "reserved")                                          \
    B(treeop, memset(&r->id, 0, 16), "no id")                                                      \
    B(treeop, strcpy(r->name, "/"), "name")                                                        \
    B(treeop, r->done = 2, "flag")                                                                 \
    B(ledger, r->pay_per_use = 2, "flag")                                                          \
    B(account, r->ledger_seq = 0, "begin with 1")                                                  \
    B(account, r->parked = 2, "flag")                                                              \
    B(asset, r->produced = 3, "produced")                                                          \
    B(package, memset(&r->id, 0, 16), "no id")                                                     \
    B(package, r->running = 2, "flag")                                                             \
    B(package, r->current = r->bought, "not bought")                                               \
    B(ledger, r->fee = 2, "flag")                                                                  \
    B(adjust, r->seq = 0, "begin with 1")                                                          \
    B(adjust, r->reason[0] = 0, "reason")                                                          \
    B(adjust, r->credit = 2, "flag")                                                               \
    B(day, r->seq = 0, "begin with 1")                                                             \
    B(day, r->midnight.ms = MS_DAY_MS + 1, "midnight")

static const struct sample_kind *kind_of(const char *name) {
    for (const struct sample_kind *k = sample_kinds; k < sample_kinds + sample_kinds_n; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    fail_msg("there is no record \"%s\"", name);
    return NULL;
}

static void assert_broken(const struct sample_kind *k, const char *text) {
    struct ms_writer w = ms_writer_on(value, MS_RECORD_BYTES_MAX);

    k->raw(&one, &w);
    assert_false(w.failed);
    assert_refused(k, ms_writer_view(&w));
    if (!strstr(test_err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", test_err.message, text);
}

static void a_broken_invariant_is_refused_and_named(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
#define BREAK(name, change, text)                                                                  \
    {                                                                                              \
        struct ms_##name##_record *r = &one.name;                                                  \
        sample_##name(&s, r);                                                                      \
        (void)(change);                                                                            \
        assert_broken(kind_of(#name), text);                                                       \
    }
        BROKEN_ROWS(BREAK)
    }
}

static void a_count_beyond_its_array_is_refused(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    sample_hashes(&s, &one.hashes);
    (void)encoded(kind_of("hashes"));
    value[1] = 0;
    value[2] = MS_HASHES_PER_ROW + 1;
    assert_refused(kind_of("hashes"), ms_view_of(value, 3 + 8 * (MS_HASHES_PER_ROW + 1)));
}

static void encoding_a_broken_record_stops_the_program(void **state) {
    const struct rlimit no_core = {0, 0};
    int status = 0;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        struct ms_writer w = ms_writer_on(value, MS_RECORD_BYTES_MAX);

        (void)!freopen("/dev/null", "w", stderr);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        memset(&one, 0, sizeof(one));
        ms_part_encode(&one.part, &w);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void the_life_of_an_asset_goes_in_and_out(void **state) {
    struct sample_source s = {ms_test_seed(), true};

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct ms_life life;

        sample_asset(&s, &one.asset);
        life = ms_asset_life(&one.asset);
        assert_null(ms_life_broken(&life));
        other.asset = one.asset;
        memset(&life, 0, sizeof(life));
        ms_asset_set_life(&other.asset, &life);
        life = ms_asset_life(&one.asset);
        ms_asset_set_life(&other.asset, &life);
        assert_true(kind_of("asset")->equal(&one.asset, &other.asset));
    }
}

/* The golden file: for each record of each version that ever was, "[name version]", "bytes <hex>"
 * and what these bytes mean. It grows with a new version; what stands in it never changes, or
 * stores that exist cannot be read. */

static void print_record(const struct sample_kind *k, struct ms_view v, struct ms_buf *out) {
    assert_ok(ms_buf_addf(out, &test_err, "[%s %u]\nbytes ", k->name, ((const uint8_t *)v.p)[0]));
    for (size_t i = 0; i < v.n; i++)
        assert_ok(ms_buf_addf(out, &test_err, "%02x", ((const uint8_t *)v.p)[i]));
    assert_ok(ms_buf_addf(out, &test_err, "\n"));
    assert_ok(k->decode(v, &other, &test_err));
    k->print(&other, out);
}

static size_t from_hex(const char *hex) {
    size_t n = 0;

    for (; hex[2 * n] != '\n'; n++) {
        unsigned byte = 0;

        assert_true(n < MS_RECORD_BYTES_MAX);
        assert_int_equal(sscanf(hex + 2 * n, "%2x", &byte), 1);
        value[n] = (uint8_t)byte;
    }
    return n;
}

/* A section "[name version]" up to the next one. An old version's records also say what its later
 * fields are: zero. */
static const struct sample_kind *check_section(const char *text, size_t n) {
    struct ms_buf out = MS_BUF_MAX(1 << 20);
    char name[32], *copy = strndup(text, n);
    const struct sample_kind *k;
    unsigned version;

    assert_int_equal(sscanf(copy, "[%31s %u]\nbytes ", name, &version), 2);
    k = kind_of(name);
    print_record(k, ms_view_of(value, from_hex(strstr(copy, "\nbytes ") + 7)), &out);
    assert_string_equal((const char *)out.data, copy);
    if (version == k->version) {
        struct ms_writer w = ms_writer_on(value, MS_RECORD_BYTES_MAX);
        char *again = strndup((const char *)out.data, out.len);

        k->encode(&other, &w);
        ms_buf_clear(&out);
        print_record(k, ms_writer_view(&w), &out);
        assert_string_equal((const char *)out.data, again);
        free(again);
    }
    ms_buf_fini(&out);
    free(copy);
    return version == k->version ? k : NULL;
}

static void records_of_every_version_are_read_as_ever(void **state) {
    char *text = ms_test_read_file(golden_path, NULL);
    unsigned current = 0;

    (void)state;
    for (const char *at = strchr(text, '['), *next; at; at = next) {
        next = strstr(at, "\n[");
        next = next ? next + 1 : NULL;
        if (check_section(at, next ? (size_t)(next - at) : strlen(at)))
            current++;
    }
    assert_int_equal(current, sample_kinds_n);
    free(text);
}

/* With a second argument: print sections for a new golden file, of the records named there ("all":
 * every one). */
static int print_golden(const char *which) {
    struct ms_buf out = MS_BUF_MAX(1 << 20);

    for (size_t i = 0; i < sample_kinds_n; i++) {
        struct sample_source s = {i + 1, true};

        if (strcmp(which, "all") != 0 && strcmp(which, sample_kinds[i].name) != 0)
            continue;
        sample_kinds[i].sample(&s, &one);
        print_record(&sample_kinds[i], encoded(&sample_kinds[i]), &out);
    }
    fwrite(out.data, 1, out.len, stdout);
    ms_buf_fini(&out);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded_again),
        cmocka_unit_test(every_truncation_and_any_byte_more_is_refused),
        cmocka_unit_test(no_other_version_is_read),
        cmocka_unit_test(damaged_bytes_never_do_harm),
        cmocka_unit_test(random_bytes_never_do_harm),
        cmocka_unit_test(a_record_that_does_not_fit_fails_the_writer),
        cmocka_unit_test(a_broken_invariant_is_refused_and_named),
        cmocka_unit_test(a_count_beyond_its_array_is_refused),
        cmocka_unit_test(encoding_a_broken_record_stops_the_program),
        cmocka_unit_test(the_life_of_an_asset_goes_in_and_out),
        cmocka_unit_test(records_of_every_version_are_read_as_ever),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s GOLDEN-FILE [RECORD | all]\n", argv[0]);
        return 2;
    }
    if (argc > 2)
        return print_golden(argv[2]);
    golden_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
