#include "unit/model/sample_records.h"

#include "model/asset_type.h"
#include "model/facts.h"
#include "model/record_codec.h"

#include "support/test.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

uint64_t sample_u64(struct sample_source *s) {
    uint64_t z = s->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sample_below(struct sample_source *s, uint64_t bound) { return sample_u64(s) % bound; }

static void fill_bytes(struct sample_source *s, uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)sample_u64(s);
}

/* Any bytes but NUL; often empty, short or as long as may be. */
static void fill_str(struct sample_source *s, char *p, size_t max) {
    uint64_t how = sample_below(s, 4);
    size_t n = s->small   ? 1 + sample_below(s, 12)
               : how == 0 ? 0
               : how == 1 ? max
                          : sample_below(s, max + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = (char)(s->small ? 'a' + sample_below(s, 26) : 1 + sample_below(s, 255));
    p[n] = '\0';
}

static void fill_u64s(struct sample_source *s, uint64_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = sample_u64(s);
}

static int64_t an_instant(struct sample_source *s) {
    return 1 + (int64_t)sample_below(s, MS_INSTANT_MAX);
}

#define FILL_u8(m, max) r->m = (uint8_t)sample_u64(s);
#define FILL_u16(m, max) r->m = (uint16_t)sample_u64(s);
#define FILL_u32(m, max) r->m = (uint32_t)sample_u64(s);
#define FILL_u64(m, max) r->m = sample_u64(s);
#define FILL_i64(m, max) r->m = (int64_t)sample_u64(s);
#define FILL_instant(m, max) r->m.ms = an_instant(s);
#define FILL_id(m, max) fill_bytes(s, r->m.b, MS_ID_BYTES);
#define FILL_hash16(m, max) fill_bytes(s, r->m, 16);
#define FILL_hash32(m, max) fill_bytes(s, r->m, 32);
#define FILL_str(m, max) fill_str(s, r->m, max);
#define FILL_hashes(m, max) fill_u64s(s, r->m, max);
#define FILL_schedule(m, max) /* by valid_asset */
#define FILL_since(version, max)
#define FILL_FIELD(kind, m, max) FILL_##kind(m, max)

/* From any values to a record without a broken invariant. */

static void flag(uint8_t *v) { *v &= 1; }

static void range(uint8_t *v, unsigned count) { *v = (uint8_t)(*v % count); }

static uint32_t a_mode(struct sample_source *s) {
    static const uint32_t kinds[] = {S_IFREG,  S_IFDIR, S_IFLNK, S_IFIFO,
                                     S_IFSOCK, S_IFCHR, S_IFBLK};

    return kinds[sample_below(s, MS_ARRAY_LEN(kinds))] | (uint32_t)sample_below(s, 010000);
}

static void a_name(struct sample_source *s, char *name) {
    for (char *p = name; *p; p++)
        if (*p == '/' || *p == '.')
            *p = 'x';
    if (!*name) {
        name[0] = (char)('a' + sample_below(s, 26));
        name[1] = '\0';
    }
}

static void valid_meta(struct sample_source *s, struct ms_meta_record *r) {
    r->retention_ms = (int64_t)sample_below(s, INT64_MAX);
}

static void a_mask(struct sample_source *s, struct ms_tenant_record *r) {
    bool ever = sample_below(s, 2), now = ever && sample_below(s, 2);

    r->mask_since.ms = ever ? 1000 + (int64_t)sample_below(s, 1000) : 0;
    r->mask_lifted.ms = ever && !now ? r->mask_since.ms + (int64_t)sample_below(s, 1000) : 0;
    r->mask_lifted_before.ms = ever ? (int64_t)sample_below(s, 1000) : 0;
    r->mask_holds = (uint8_t)(now ? (sample_below(s, 2) ? MS_HOLD_ADMIN : MS_TENANT_HOLDS) : 0);
}

static void some_arrears(struct sample_source *s, struct ms_tenant_record *r) {
    r->arrears = (uint8_t)sample_below(s, r->mask_holds & MS_HOLD_ARREARS ? 4 : 2);
    r->arrears_since.ms = r->arrears ? 1 + (int64_t)sample_below(s, 1000) : 0;
}

static void valid_tenant(struct sample_source *s, struct ms_tenant_record *r) {
    for (char *p = r->name; *p; p++)
        *p = (char)('a' + sample_below(s, 26));
    if (!r->name[0])
        r->name[0] = '7', r->name[1] = '\0';
    r->retention_ms = (int64_t)sample_below(s, (uint64_t)MS_RETENTION_MS_MAX + 1);
    flag(&r->start_unactived);
    flag(&r->review);
    flag(&r->pay_per_use);
    range(&r->may_transfer, 3);
    r->umask &= 0777;
    a_mask(s, r);
    some_arrears(s, r);
}

static void valid_usage(struct sample_source *s, struct ms_usage_record *r) { (void)s, (void)r; }

static void a_resting_state(struct sample_source *s, struct ms_life *l) {
    l->rest = (uint8_t)sample_below(s, MS_REST_COUNT - 1); /* not DELETED */
    if (l->rest == MS_STATE_FAILED)
        l->fail = (uint8_t)(1 + sample_below(s, MS_FAIL_COUNT - 1));
    if (l->rest == MS_STATE_FAILED)
        l->sealed = l->fail != MS_FAIL_TIMEOUT && l->fail != MS_FAIL_MISMATCH;
    else
        l->sealed = l->rest != MS_STATE_CREATING || sample_below(s, 2);
    if (l->rest != MS_STATE_FAILED)
        l->in_review = l->rest == MS_STATE_CREATING ? l->sealed : (uint8_t)sample_below(s, 2);
    if (l->rest == MS_STATE_CREATING && !l->sealed)
        l->confirm_due.ms = an_instant(s);
    if (l->rest == MS_STATE_WAITING_DELETE)
        l->takedown_due.ms = an_instant(s);
    l->auto_renew = (uint8_t)sample_below(s, 2);
    l->created.ms = an_instant(s);
}

static void some_facts(struct sample_source *s, struct ms_life *l) {
    l->holds = (uint8_t)(sample_u64(s) & MS_ASSET_HOLDS);
    l->binned = (uint8_t)sample_below(s, 2);
    if (l->binned) {
        l->binned_at.ms = an_instant(s);
        l->retention_ms = (int64_t)sample_below(s, MS_RETENTION_MS_MAX);
    }
    if (l->holds && l->binned)
        l->last = sample_below(s, 2) ? MS_LAST_FROZEN : MS_LAST_BINNED;
    else
        l->last = l->holds ? MS_LAST_FROZEN : l->binned ? MS_LAST_BINNED : MS_LAST_NONE;
}

static void valid_asset(struct sample_source *s, struct ms_asset_record *r) {
    struct ms_life life = {0};

    range(&r->type, MS_TYPE_COUNT);
    range(&r->origin, MS_ORIGIN_COUNT);
    flag(&r->named);
    range(&r->produced, MS_PRODUCED + 1);
    flag(&r->from_mount);
    a_resting_state(s, &life);
    some_facts(s, &life);
    life.scheduled_count = (uint8_t)sample_below(s, MS_SCHEDULED_MAX + 1);
    for (unsigned i = 0; i < life.scheduled_count; i++) {
        life.scheduled[i].at.ms = 1 + i * 1000 + (int64_t)sample_below(s, 1000);
        life.scheduled[i].op = sample_below(s, 2) ? MS_SCHEDULED_BLOCK : MS_SCHEDULED_DELETE;
    }
    ms_asset_set_life(r, &life);
}

static void valid_file(struct sample_source *s, struct ms_file_record *r) {
    range(&r->category, MS_CATEGORY_COUNT);
    range(&r->state, MS_FILE_STATE_COUNT);
    flag(&r->has_md5);
    r->size = sample_below(s, MS_FILE_BYTES_MAX + 1);
}

static uint8_t a_block_log2(struct sample_source *s) {
    return (uint8_t)(MS_BLOCK_LOG2_MIN +
                     sample_below(s, MS_BLOCK_LOG2_MAX - MS_BLOCK_LOG2_MIN + 1));
}

static void valid_version(struct sample_source *s, struct ms_version_record *r) {
    r->size = sample_below(s, 8) ? sample_below(s, MS_FILE_BYTES_MAX + 1) : 0;
    r->block_log2 = a_block_log2(s);
    flag(&r->hashed);
    flag(&r->local);
    if (r->size == 0 || (r->local && sample_below(s, 2)))
        memset(&r->object, 0, sizeof(r->object));
}

static void valid_object(struct sample_source *s, struct ms_object_record *r) {
    a_name(s, r->key);
    r->size = 1 + sample_below(s, MS_FILE_BYTES_MAX);
    r->block_log2 = a_block_log2(s);
}

static void valid_hashes(struct sample_source *s, struct ms_hashes_record *r) {
    r->count = (uint16_t)(1 + sample_below(s, s->small ? 3 : MS_HASHES_PER_ROW));
    for (size_t i = r->count; i < MS_HASHES_PER_ROW; i++)
        r->hash[i] = 0;
}

static void valid_tombstone(struct sample_source *s, struct ms_tombstone_record *r) {
    a_name(s, r->key);
}

static void valid_inode(struct sample_source *s, struct ms_inode_record *r) {
    r->mode = a_mode(s);
    r->atime_ns %= 1000000000;
    r->mtime_ns %= 1000000000;
    r->ctime_ns %= 1000000000;
    r->btime_ns %= 1000000000;
    flag(&r->orphan);
    flag(&r->unsealed);
    flag(&r->shut);
    range(&r->special, S_ISDIR(r->mode) ? MS_SPECIAL_COUNT : 1);
    if (!S_ISREG(r->mode)) {
        memset(&r->asset, 0, sizeof(r->asset));
        memset(&r->version, 0, sizeof(r->version));
    }
    if (memcmp(&r->asset, &(struct ms_id){{0}}, sizeof r->asset) != 0) {
        memset(&r->was_asset, 0, sizeof(r->was_asset));
        r->shut = 0;
    }
    if (!S_ISDIR(r->mode))
        r->parent = 0;
    else if (r->next_seq < 3)
        r->next_seq = 3;
}

static void valid_name(struct sample_source *s, struct ms_name_record *r) {
    r->mode = a_mode(s);
    a_name(s, r->spelling);
}

static void valid_entry(struct sample_source *s, struct ms_entry_record *r) { a_name(s, r->nfc); }

static void valid_link(struct sample_source *s, struct ms_link_record *r) { (void)s, r->none = 0; }

static void valid_bin(struct sample_source *s, struct ms_bin_record *r) {
    if (r->name[0])
        a_name(s, r->name);
}

static void valid_request(struct sample_source *s, struct ms_request_record *r) {
    (void)s;
    range(&r->state, 3);
    if (r->state == 0)
        r->decided_at.ms = 0;
}

static void valid_transfer(struct sample_source *s, struct ms_transfer_record *r) {
    (void)s;
    range(&r->state, 5);
    flag(&r->active);
    flag(&r->billing);
}

static void valid_share(struct sample_source *s, struct ms_share_record *r) {
    (void)s;
    r->tenant.b[0] |= 1; /* somebody else than the receiver, and not none */
    r->receiver.b[0] &= 0xfe;
    r->receiver.b[1] |= 1;
    r->asset.b[0] |= 1;
    if (r->until.ms <= r->since.ms)
        r->until.ms = r->since.ms + 1;
}

static void valid_due(struct sample_source *s, struct ms_due_record *r) {
    r->kind = (uint8_t)(1 + sample_below(s, 255));
}

static void valid_ledger(struct sample_source *s, struct ms_ledger_record *r) {
    (void)s;
    range(&r->type, MS_TYPE_COUNT);
    range(&r->origin, MS_ORIGIN_COUNT);
    flag(&r->fee);
    flag(&r->pay_per_use);
}

static void valid_package(struct sample_source *s, struct ms_package_record *r) {
    (void)s;
    flag(&r->paid);
    flag(&r->auto_renew);
    flag(&r->running);
    r->bought |= 1;
    r->current %= r->bought;
}

static void valid_adjust(struct sample_source *s, struct ms_adjust_record *r) {
    (void)s;
    r->seq |= 1;
    flag(&r->credit);
    if (!r->reason[0])
        r->reason[0] = 'r', r->reason[1] = '\0';
}

static void valid_account(struct sample_source *s, struct ms_account_record *r) {
    r->ledger_seq = 1 + sample_below(s, INT64_MAX);
    flag(&r->parked);
}

static void valid_day(struct sample_source *s, struct ms_day_record *r) {
    r->seq = 1 + sample_below(s, INT64_MAX);
    r->midnight.ms -= r->midnight.ms % MS_DAY_MS;
}

static void valid_ratemonth(struct sample_source *s, struct ms_ratemonth_record *r) {
    (void)s, (void)r;
}

static void valid_audit(struct sample_source *s, struct ms_audit_record *r) {
    (void)s;
    range(&r->from, MS_STATE_COUNT + 1);
    range(&r->to, MS_STATE_COUNT + 1);
}

static void valid_chain(struct sample_source *s, struct ms_chain_record *r) { (void)s, (void)r; }

static void valid_catalogue(struct sample_source *s, struct ms_catalogue_record *r) {
    (void)s, (void)r;
}

static void valid_lease(struct sample_source *s, struct ms_lease_record *r) { (void)s, (void)r; }

static void valid_intent(struct sample_source *s, struct ms_intent_record *r) {
    (void)s;
    flag(&r->fsynced);
    flag(&r->local);
}

static void valid_part(struct sample_source *s, struct ms_part_record *r) {
    r->part_no = (uint32_t)(1 + sample_below(s, MS_PARTS_MAX));
}

static void valid_treeop(struct sample_source *s, struct ms_treeop_record *r) {
    if (r->name[0])
        a_name(s, r->name);
    flag(&r->done);
}

static void valid_review(struct sample_source *s, struct ms_review_record *r) {
    (void)s;
    flag(&r->human);
    flag(&r->has_name);
    flag(&r->has_description);
}

static void valid_upload(struct sample_source *s, struct ms_upload_record *r) {
    a_name(s, r->key);
    flag(&r->large);
    r->parts = (uint32_t)(1 + sample_below(s, MS_UPLOAD_PARTS_MAX));
    r->size = sample_below(s, MS_FILE_BYTES_MAX + 1);
    r->reserved = sample_below(s, r->size + 1);
}

static void valid_local(struct sample_source *s, struct ms_local_record *r) {
    a_name(s, r->key);
    r->since.ms = 1 + (int64_t)sample_below(s, 1000000);
    r->size = 1 + sample_below(s, MS_FILE_BYTES_MAX);
}

static void a_word(char *word) {
    for (char *p = word; *p; p++)
        *p = (char)('a' + (unsigned char)*p % 26);
}

static void valid_facts(struct sample_source *s, struct ms_facts_record *r) {
    bool read = sample_below(s, 2);

    a_word(r->container);
    a_word(r->video_codec);
    a_word(r->audio_codec);
    a_word(r->pixel_format);
    r->outcome = (uint8_t)(read ? MS_FACTS_READ : 1 + sample_below(s, MS_FACTS_OUTCOME_COUNT - 1));
    a_word(r->reason);
    if (read)
        r->reason[0] = '\0';
    else if (!r->reason[0])
        r->reason[0] = 'x', r->reason[1] = '\0';
    r->width %= MS_FACTS_SIDE_MAX + 1;
    r->height %= MS_FACTS_SIDE_MAX + 1;
    if (r->rate_den == 0)
        r->rate_num = 0;
    r->duration_ms %= MS_FACTS_DURATION_MS_MAX + 1;
    flag(&r->alpha);
    flag(&r->yuv420);
    flag(&r->encrypted);
}

#define EQUAL_u8(m, max) &&a->m == b->m
#define EQUAL_u16 EQUAL_u8
#define EQUAL_u32 EQUAL_u8
#define EQUAL_u64 EQUAL_u8
#define EQUAL_i64 EQUAL_u8
#define EQUAL_instant(m, max) &&a->m.ms == b->m.ms
#define EQUAL_id(m, max) &&memcmp(a->m.b, b->m.b, MS_ID_BYTES) == 0
#define EQUAL_hash16(m, max) &&memcmp(a->m, b->m, 16) == 0
#define EQUAL_hash32(m, max) &&memcmp(a->m, b->m, 32) == 0
#define EQUAL_str(m, max) &&strcmp(a->m, b->m) == 0
#define EQUAL_hashes(m, max) &&memcmp(a->m, b->m, sizeof(a->m)) == 0
#define EQUAL_schedule(m, max) &&schedule_equal(a->m, b->m, max)
#define EQUAL_since(version, max)
#define EQUAL_FIELD(kind, m, max) EQUAL_##kind(m, max)

static bool schedule_equal(const struct ms_scheduled *a, const struct ms_scheduled *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i].at.ms != b[i].at.ms || a[i].op != b[i].op)
            return false;
    return true;
}

static void print_bytes(struct ms_buf *out, const char *member, const uint8_t *p, size_t n) {
    assert_ok(ms_buf_addf(out, &test_err, "%s ", member));
    for (size_t i = 0; i < n; i++)
        assert_ok(ms_buf_addf(out, &test_err, "%02x", p[i]));
    assert_ok(ms_buf_addf(out, &test_err, "\n"));
}

static void print_i64(struct ms_buf *out, const char *member, int64_t v) {
    assert_ok(ms_buf_addf(out, &test_err, "%s %" PRId64 "\n", member, v));
}

static void print_u64(struct ms_buf *out, const char *member, uint64_t v) {
    assert_ok(ms_buf_addf(out, &test_err, "%s %" PRIu64 "\n", member, v));
}

static void print_str(struct ms_buf *out, const char *member, const char *s) {
    assert_ok(ms_buf_addf(out, &test_err, "%s \"%s\"\n", member, s));
}

static void print_u64s(struct ms_buf *out, const char *member, const uint64_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        print_u64(out, member, p[i]);
}

static void print_schedule(struct ms_buf *out, const char *member, const struct ms_scheduled *p,
                           size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_ok(ms_buf_addf(out, &test_err, "%s %" PRId64 " %u\n", member, p[i].at.ms, p[i].op));
}

#define PRINT_u8(m, max) print_u64(out, #m, r->m);
#define PRINT_u16 PRINT_u8
#define PRINT_u32 PRINT_u8
#define PRINT_u64 PRINT_u8
#define PRINT_i64(m, max) print_i64(out, #m, r->m);
#define PRINT_instant(m, max) print_i64(out, #m, r->m.ms);
#define PRINT_id(m, max) print_bytes(out, #m, r->m.b, MS_ID_BYTES);
#define PRINT_hash16(m, max) print_bytes(out, #m, r->m, 16);
#define PRINT_hash32(m, max) print_bytes(out, #m, r->m, 32);
#define PRINT_str(m, max) print_str(out, #m, r->m);
#define PRINT_hashes(m, max) print_u64s(out, #m, r->m, r->count);
#define PRINT_schedule(m, max) print_schedule(out, #m, r->m, r->m##_count);
#define PRINT_since(version, max)
#define PRINT_FIELD(kind, m, max) PRINT_##kind(m, max)

#define SAMPLE_DEFINE(name, newest, FIELDS)                                                        \
    void sample_##name(struct sample_source *s, struct ms_##name##_record *r) {                    \
        memset(r, 0, sizeof(*r));                                                                  \
        FIELDS(FILL_FIELD)                                                                         \
        valid_##name(s, r);                                                                        \
    }                                                                                              \
    void raw_##name(const struct ms_##name##_record *record, struct ms_writer *w) {                \
        const unsigned version = newest;                                                           \
        ms_write_u8(w, version);                                                                   \
        FIELDS(MS_WRITE_FIELD)                                                                     \
    }                                                                                              \
    static void any_sample_##name(struct sample_source *s, void *r) { sample_##name(s, r); }       \
    static void any_raw_##name(const void *r, struct ms_writer *w) { raw_##name(r, w); }           \
    static void any_encode_##name(const void *r, struct ms_writer *w) {                            \
        ms_##name##_encode(r, w);                                                                  \
    }                                                                                              \
    static enum ms_code any_decode_##name(struct ms_view v, void *r, struct ms_error *reterr) {    \
        return ms_##name##_decode(v, r, reterr);                                                   \
    }                                                                                              \
    static bool any_equal_##name(const void *one, const void *other) {                             \
        const struct ms_##name##_record *a = one, *b = other;                                      \
        return true FIELDS(EQUAL_FIELD);                                                           \
    }                                                                                              \
    static void any_print_##name(const void *record, struct ms_buf *out) {                         \
        const struct ms_##name##_record *r = record;                                               \
        FIELDS(PRINT_FIELD)                                                                        \
    }
MS_RECORDS(SAMPLE_DEFINE)

#define SAMPLE_KIND(name, version, FIELDS)                                                         \
    {#name,                                                                                        \
     version,                                                                                      \
     sizeof(struct ms_##name##_record),                                                            \
     any_sample_##name,                                                                            \
     any_raw_##name,                                                                               \
     any_encode_##name,                                                                            \
     any_decode_##name,                                                                            \
     any_equal_##name,                                                                             \
     any_print_##name},
const struct sample_kind sample_kinds[] = {MS_RECORDS(SAMPLE_KIND)};
const size_t sample_kinds_n = MS_ARRAY_LEN(sample_kinds);
