/* Assets that other tenants may read: product.md 3.5 and 3.6. The states stand in tests/scenario. */
#include "upkeep/keep.h"

#include "service/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (3 * MS_MB + 17)

static struct ms_tenant_id new_tenant(struct world *w, const char *name) {
    const struct ms_tenant_options options = {
        .name = name, .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record tenant;
    assert_ok(ms_tenant_add(w->svc, "root@test", &options, &tenant, &test_err));
    return (struct ms_tenant_id){tenant.id};
}

static struct ms_ctx reader(struct ms_tenant_id tenant) {
    return (struct ms_ctx){.tenant = tenant, .who = "bob"};
}

static struct ms_asset_id asset_at(struct world *w, const char *path) {
    struct behind b;
    look_behind(w, path, &b);
    return (struct ms_asset_id){b.asset.id};
}

static struct ms_instant now_of(struct world *w) { return ms_clock_now(w->svc->clock); }

static enum ms_code share(struct world *w, struct ms_asset_id asset, const struct ms_tenant_id *to, size_t n) {
    const struct ms_share args = {.asset = asset, .receivers = to, .n = n};
    return ms_share_add(w->svc, &w->ctx, &args, NULL, &test_err);
}

static size_t shares(struct world *w, struct ms_asset_id asset) {
    struct ms_share_info *infos = calloc(MS_SHARE_TENANTS_MAX + 1, sizeof *infos);
    const struct ms_share_record start = {.since = {0}};
    size_t n;
    assert_non_null(infos);
    assert_ok(ms_share_list(w->svc, &w->ctx, asset, &start, infos, MS_SHARE_TENANTS_MAX + 1, &n, &test_err));
    free(infos);
    return n;
}

static size_t audit_rows(struct world *w, uint8_t event) {
    struct ms_key prefix = ms_key_audits_of(w->ctx.tenant);
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    size_t n = 0;
    assert_ok(ms_read_begin(w->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        n += row.event == event;
    ms_scan_end(&scan);
    ms_read_end(txn);
    return n;
}

/* ---- when it ends ------------------------------------------------------------------------ */

static void a_share_ends_with_its_last_day(void **state) {
    static const struct {
        const char *now;
        int days;
        const char *until, *shown;
    } rows[] = {
        {"2026-01-01T00:00:00.000Z", 30, "2026-02-01T00:00:00.000Z", "2026-01-31T23:59:59Z"},
        {"2026-01-01T23:59:59.999Z", 30, "2026-02-01T00:00:00.000Z", "2026-01-31T23:59:59Z"},
        {"2026-01-02T00:00:00.000Z", 30, "2026-02-02T00:00:00.000Z", "2026-02-01T23:59:59Z"},
        {"2028-02-28T12:00:00.000Z", 1, "2028-03-01T00:00:00.000Z", "2028-02-29T23:59:59Z"},
        {"2026-12-31T12:00:00.000Z", 0, "2027-01-01T00:00:00.000Z", "2026-12-31T23:59:59Z"},
    };
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++) {
        struct ms_instant now;
        char until[MS_RFC3339_MS_LEN + 1], shown[MS_RFC3339_S_LEN + 1];
        assert_ok(ms_instant_parse(rows[i].now, &now, &test_err));
        ms_instant_format_ms(ms_share_ends(now, rows[i].days), until);
        ms_instant_format_s(ms_share_shown_end(ms_share_ends(now, rows[i].days)), shown);
        assert_string_equal(until, rows[i].until);
        assert_string_equal(shown, rows[i].shown);
    }
}

/* ---- who ----------------------------------------------------------------------------------- */

static void at_most_a_hundred_tenants_and_one_that_has_ended_makes_room(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to[MS_SHARE_TENANTS_MAX + 1];
    write_file(w, "/files/a.txt", "bytes\n", 6);
    struct ms_asset_id a = asset_at(w, "/files/a.txt");
    for (size_t i = 0; i < MS_ARRAY_LEN(to); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "r%zu", i);
        to[i] = new_tenant(w, name);
    }
    assert_code(share(w, a, to, MS_ARRAY_LEN(to)), MS_RANGE);
    assert_code(share(w, a, to, 0), MS_INVALID);
    assert_ok(share(w, a, to, 60));
    assert_code(share(w, a, to + 1, MS_SHARE_TENANTS_MAX), MS_RANGE); /* and none of them has it now */
    assert_int_equal(shares(w, a), 60);
    assert_ok(share(w, a, to, MS_SHARE_TENANTS_MAX));
    assert_int_equal(shares(w, a), MS_SHARE_TENANTS_MAX);
    assert_code(share(w, a, to + MS_SHARE_TENANTS_MAX, 1), MS_RANGE);
    assert_non_null(strstr(test_err.message, "100"));
    ms_clock_fake_set(&w->clock, ms_share_ends(now_of(w), MS_SHARE_DAYS)); /* not swept */
    assert_int_equal(shares(w, a), 0);
    assert_ok(share(w, a, to + MS_SHARE_TENANTS_MAX, 1));
    assert_int_equal(audit_rows(w, MS_AUDIT_SHARE_EXPIRED), MS_SHARE_TENANTS_MAX);
    check_clean(w->svc);
}

static void sharing_again_writes_only_what_changes(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to[2] = {new_tenant(w, "r0"), new_tenant(w, "r1")}, none = {.id = {{7}}};
    write_file(w, "/files/a.txt", "bytes\n", 6);
    struct ms_asset_id a = asset_at(w, "/files/a.txt");
    struct ms_tenant_id twice[2] = {to[0], to[0]};
    assert_ok(share(w, a, twice, 2));
    assert_int_equal(shares(w, a), 1);
    assert_int_equal(audit_rows(w, MS_AUDIT_SHARED), 1);
    assert_ok(share(w, a, to, 2));
    assert_int_equal(audit_rows(w, MS_AUDIT_SHARED), 2);
    ms_clock_fake_advance(&w->clock, MS_DAY_MS);
    assert_ok(share(w, a, to, 2)); /* a day longer, both */
    assert_int_equal(audit_rows(w, MS_AUDIT_SHARED), 4);
    assert_int_equal(shares(w, a), 2);
    assert_int_equal(count_rows(w->svc, ms_key_sharedues_of(w->ctx.tenant)), 2);
    assert_code(share(w, a, &none, 1), MS_NO_TENANT);
    assert_code(share(w, a, &w->ctx.tenant, 1), MS_INVALID);
    check_clean(w->svc);
}

/* ---- reading ------------------------------------------------------------------------------- */

struct taking {
    struct world *w;
    struct ms_asset_id asset;
    uint64_t stop_at; /* withdrawn when so much has come; 0: never */
};

static bool watch(void *priv, uint64_t done, uint64_t total) {
    struct taking *t = priv;
    const struct ms_share all = {.asset = t->asset};
    (void)total;
    if (t->stop_at != 0 && done >= t->stop_at) {
        assert_ok(ms_share_remove(t->w->svc, &t->w->ctx, &all, NULL, &test_err));
        t->stop_at = 0;
    }
    return true;
}

static enum ms_code take(struct world *w, struct ms_tenant_id to, struct ms_asset_id asset, uint64_t stop_at,
                         uint8_t *into, size_t *ret_n) {
    struct taking taking = {w, asset, stop_at};
    int fd = memfd_create("taken", MFD_CLOEXEC);
    struct ms_get get = {.id = asset, .fd = fd, .progress = watch, .priv = &taking};
    struct ms_ctx ctx = reader(to);
    struct stat st;
    assert_true(fd >= 0);
    enum ms_code code = ms_shared_fetch(w->svc, &ctx, &get, &test_err);
    assert_int_equal(fstat(fd, &st), 0);
    *ret_n = (size_t)st.st_size;
    assert_int_equal(pread(fd, into, *ret_n, 0), st.st_size);
    close(fd);
    return code;
}

static void a_reader_gets_the_bytes_until_it_is_withdrawn_in_the_middle_too(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to = new_tenant(w, "r0"), other = new_tenant(w, "r1");
    uint8_t *bytes = malloc(SIZE), *taken = malloc(SIZE);
    size_t n;
    assert_true(bytes && taken);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 31 >> 4);
    write_file(w, "/files/a.bin", bytes, SIZE);
    write_file(w, "/files/empty.bin", bytes, 0);
    struct ms_asset_id a = asset_at(w, "/files/a.bin"), empty = asset_at(w, "/files/empty.bin");
    assert_code(take(w, to, a, 0, taken, &n), MS_NOT_FOUND);
    assert_ok(share(w, a, &to, 1));
    assert_ok(share(w, empty, &to, 1));
    assert_ok(take(w, to, a, 0, taken, &n));
    assert_int_equal(n, SIZE);
    assert_memory_equal(taken, bytes, SIZE);
    assert_ok(take(w, to, empty, 0, taken, &n));
    assert_int_equal(n, 0);
    assert_code(take(w, other, a, 0, taken, &n), MS_NOT_FOUND);
    assert_code(take(w, to, a, MS_MB, taken, &n), MS_NOT_FOUND); /* withdrawn behind the first piece */
    assert_int_equal(n, MS_MB);
    assert_int_equal(shares(w, a), 0);
    free(taken);
    free(bytes);
}

/* All the tests' assets are of the world's tenant. */
static enum ms_code put_asset(struct ms_txn *txn, const void *arg, struct ms_error *reterr) {
    const struct ms_asset_record *asset = arg;
    struct ms_asset_id id = {asset->id};
    struct ms_id owner;
    MS_TRY(ms_row_get_id(txn, ms_key_aowner(id), &owner, reterr));
    return ms_row_put_asset(txn, ms_key_asset((struct ms_tenant_id){owner}, id), asset, reterr);
}

static void a_name_is_the_owner_and_then_whatever_the_asset_is_called(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to = new_tenant(w, "r0");
    struct ms_ctx ctx = reader(to);
    struct ms_shared_info *info = malloc(sizeof *info);
    static const char *const texts[] = {"../../etc/passwd", "a/b", "/", "..", "plain"};
    assert_non_null(info);
    for (size_t i = 0; i < MS_ARRAY_LEN(texts); i++) {
        char path[32], name[64];
        struct behind b;
        (void)snprintf(path, sizeof path, "/files/%zu.txt", i);
        write_file(w, path, "bytes\n", 6);
        look_behind(w, path, &b);
        struct ms_asset_id id = {b.asset.id};
        assert_ok(share(w, id, &to, 1));
        (void)snprintf(b.asset.name, sizeof b.asset.name, "%s", texts[i]);
        (void)snprintf(b.asset.reason, sizeof b.asset.reason, "the owner's");
        (void)snprintf(b.asset.app_user_id, sizeof b.asset.app_user_id, "the owner's");
        change_rows(w->svc, put_asset, &b.asset);
        (void)snprintf(name, sizeof name, "t1/%s", texts[i]);
        assert_ok(ms_shared_find(w->svc, &ctx, name, info, &test_err));
        assert_memory_equal(&info->asset.id, &id, sizeof id);
        assert_string_equal(info->owner, "t1");
        assert_string_equal(info->asset.reason, "");
        assert_string_equal(info->asset.app_user_id, "");
    }
    assert_code(ms_shared_find(w->svc, &ctx, "t2/plain", info, &test_err), MS_NOT_FOUND);
    assert_code(ms_shared_find(w->svc, &ctx, "plain", info, &test_err), MS_NOT_FOUND);
    assert_code(ms_shared_find(w->svc, &ctx, "t1", info, &test_err), MS_NOT_FOUND);
    assert_code(ms_shared_find(w->svc, &ctx, "", info, &test_err), MS_NOT_FOUND);
    free(info);
}

static void pages_give_every_share_once(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to[3] = {new_tenant(w, "r0"), new_tenant(w, "r1"), new_tenant(w, "r2")};
    struct ms_shared_info *with = calloc(2, sizeof *with);
    struct ms_share_info *by = calloc(2, sizeof *by);
    struct ms_share_record after = {.since = {0}};
    struct ms_asset_id behind = {{{0}}};
    struct ms_ctx ctx = reader(to[1]);
    size_t n, by_n = 0, with_n = 0;
    assert_true(with && by);
    for (int i = 0; i < 5; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/files/%d.txt", i);
        write_file(w, path, "bytes\n", 6);
        assert_ok(share(w, asset_at(w, path), to, 3));
    }
    do {
        assert_ok(ms_share_list(w->svc, &w->ctx, (struct ms_asset_id){{{0}}}, &after, by, 2, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            assert_true(memcmp(&after.asset, &by[i].share.asset, MS_ID_BYTES) < 0 ||
                        memcmp(&after.receiver, &by[i].share.receiver, MS_ID_BYTES) < 0);
            after = by[i].share;
        }
        by_n += n;
    } while (n == 2);
    do {
        assert_ok(ms_shared_list(w->svc, &ctx, behind, with, 2, &n, &test_err));
        for (size_t i = 0; i < n; i++) {
            assert_true(memcmp(&behind, &with[i].share.asset, MS_ID_BYTES) < 0);
            behind.id = with[i].share.asset;
        }
        with_n += n;
    } while (n == 2);
    assert_int_equal(by_n, 15);
    assert_int_equal(with_n, 5);
    free(by);
    free(with);
}

/* ---- with the asset ------------------------------------------------------------------------ */

/* Both in /files. */
static void rename_over(struct world *w, const char *from, const char *to) {
    const uint64_t files = ino_of(w, "/files");
    const struct ms_rename rename = {.parent = files, .name = from, .new_parent = files, .new_name = to};
    struct ms_gone gone;
    struct ms_node node;
    assert_ok(ms_tree_rename(w->svc, &w->ctx, &rename, &node, &gone, &test_err));
}

static void a_file_renamed_over_it_keeps_its_shares_unless_it_is_shared_itself(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to = new_tenant(w, "r0");
    write_file(w, "/files/a.txt", "old\n", 4);
    write_file(w, "/files/new.txt", "newer\n", 6);
    struct ms_asset_id a = asset_at(w, "/files/a.txt");
    assert_ok(share(w, a, &to, 1));
    rename_over(w, "new.txt", "a.txt");
    struct ms_asset_id kept = asset_at(w, "/files/a.txt");
    assert_memory_equal(&kept, &a, sizeof a);
    assert_int_equal(shares(w, a), 1);
    write_file(w, "/files/new.txt", "shared\n", 7);
    struct ms_asset_id b = asset_at(w, "/files/new.txt");
    assert_ok(share(w, b, &to, 1));
    ms_clock_fake_advance(&w->clock, 2 * MS_MINUTE_MS); /* younger ones go for good */
    rename_over(w, "new.txt", "a.txt");
    struct ms_asset_id is = asset_at(w, "/files/a.txt");
    assert_memory_equal(&is, &b, sizeof b); /* the other one is in the bin, shared still */
    assert_int_equal(shares(w, a), 1);
    assert_int_equal(shares(w, b), 1);
    check_clean(w->svc);
}

static void a_sweep_removes_rows_in_batches_and_says_when_the_next_one_ends(void **state) {
    struct world *w = *state;
    struct ms_tenant_id to[90];
    struct ms_sweep_result swept;
    write_file(w, "/files/a.txt", "bytes\n", 6);
    write_file(w, "/files/b.txt", "bytes\n", 6);
    struct ms_asset_id a = asset_at(w, "/files/a.txt"), b = asset_at(w, "/files/b.txt");
    for (size_t i = 0; i < MS_ARRAY_LEN(to); i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "r%zu", i);
        to[i] = new_tenant(w, name);
    }
    struct ms_instant end = ms_share_ends(now_of(w), MS_SHARE_DAYS);
    assert_ok(share(w, a, to, MS_ARRAY_LEN(to)));
    ms_clock_fake_advance(&w->clock, MS_DAY_MS);
    assert_ok(share(w, b, to, MS_ARRAY_LEN(to)));
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    assert_int_equal(swept.ended_shares, 0);
    assert_int_equal(swept.next.ms, end.ms);
    ms_clock_fake_set(&w->clock, ms_instant_add_ms(end, -1));
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    assert_int_equal(swept.ended_shares, 0);
    ms_clock_fake_set(&w->clock, end);
    uint64_t commits = commits_of(w->svc);
    assert_ok(ms_sweep(w->svc, &swept, &test_err));
    assert_int_equal(swept.ended_shares, MS_ARRAY_LEN(to));
    assert_true(commits_of(w->svc) - commits >= 2); /* 64 and 26 */
    assert_int_equal(swept.next.ms, end.ms + MS_DAY_MS);
    assert_int_equal(count_rows(w->svc, ms_key_shares_of(w->ctx.tenant)), MS_ARRAY_LEN(to));
    assert_int_equal(count_rows(w->svc, ms_key_shared_with(to[0])), 1);
    check_clean(w->svc);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup_dir, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share_ends_with_its_last_day),
        T(at_most_a_hundred_tenants_and_one_that_has_ended_makes_room),
        T(sharing_again_writes_only_what_changes),
        T(a_reader_gets_the_bytes_until_it_is_withdrawn_in_the_middle_too),
        T(a_name_is_the_owner_and_then_whatever_the_asset_is_called),
        T(pages_give_every_share_once),
        T(a_file_renamed_over_it_keeps_its_shares_unless_it_is_shared_itself),
        T(a_sweep_removes_rows_in_batches_and_says_when_the_next_one_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
