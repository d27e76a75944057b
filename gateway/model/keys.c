#include "model/keys.h"

#include "base/assert.h"

MS_STATIC_ASSERT(1 + MS_ID_BYTES + 8 + MS_NAME_BYTES_MAX + 1 <= 480, "a name key must fit");
MS_STATIC_ASSERT(1 + MS_ID_BYTES + 8 + MS_XATTR_NAME_MAX + 1 <= 480, "an attribute key must fit");

static struct ms_key key_start(char table) {
    struct ms_key k;

    k.bytes[0] = (uint8_t)table;
    k.len = 1;
    return k;
}

static void add_bytes(struct ms_key *k, const void *p, size_t n) {
    MS_ASSERT(n <= sizeof(k->bytes) - k->len);
    memcpy(k->bytes + k->len, p, n);
    k->len += n;
}

static void add_id(struct ms_key *k, struct ms_id id) { add_bytes(k, id.b, MS_ID_BYTES); }

static void add_be(struct ms_key *k, uint64_t v, size_t n) {
    uint8_t be[8];

    for (size_t i = n; i-- > 0; v >>= 8)
        be[i] = (uint8_t)v;
    add_bytes(k, be, n);
}

static void add_u64(struct ms_key *k, uint64_t v) { add_be(k, v, 8); }

/* A longer text than any row has is cut behind max: the key then finds nothing, and nothing is
 * confused. */
static void add_text(struct ms_key *k, const char *text, size_t max) {
    add_bytes(k, text, strnlen(text, max + 1));
}

static struct ms_key key_of_id(char table, struct ms_id id) {
    struct ms_key k = key_start(table);

    add_id(&k, id);
    return k;
}

static struct ms_key key_of_ids(char table, struct ms_id a, struct ms_id b) {
    struct ms_key k = key_of_id(table, a);

    add_id(&k, b);
    return k;
}

static struct ms_key key_of_number(char table, struct ms_tenant_id t, uint64_t n) {
    struct ms_key k = key_of_id(table, t.id);

    add_u64(&k, n);
    return k;
}

static struct ms_key key_of_numbers(char table, struct ms_tenant_id t, uint64_t a, uint64_t b) {
    struct ms_key k = key_of_number(table, t, a);

    add_u64(&k, b);
    return k;
}

struct ms_key ms_key_meta(void) { return key_start('M'); }

struct ms_key ms_key_tenant(struct ms_tenant_id t) { return key_of_id('T', t.id); }
struct ms_key ms_key_tenants(void) { return key_start('T'); }

struct ms_key ms_key_tname(const char *name) {
    struct ms_key k = key_start('t');

    add_text(&k, name, MS_TENANT_NAME_MAX);
    return k;
}

struct ms_key ms_key_aowner(struct ms_asset_id a) { return key_of_id('a', a.id); }

struct ms_key ms_key_object(struct ms_object_id o) { return key_of_id('O', o.id); }
struct ms_key ms_key_objects(void) { return key_start('O'); }

struct ms_key ms_key_hashes(struct ms_object_id o, uint32_t chunk) {
    struct ms_key k = key_of_id('H', o.id);

    add_be(&k, chunk, 4);
    return k;
}
struct ms_key ms_key_hashes_of(struct ms_object_id o) { return key_of_id('H', o.id); }

struct ms_key ms_key_tomb(struct ms_object_id o) { return key_of_id('K', o.id); }
struct ms_key ms_key_tombs(void) { return key_start('K'); }

struct ms_key ms_key_local(struct ms_instant since, struct ms_object_id o) {
    struct ms_key k = key_start('W');

    add_u64(&k, (uint64_t)since.ms ^ (UINT64_C(1) << 63));
    add_id(&k, o.id);
    return k;
}
struct ms_key ms_key_locals(void) { return key_start('W'); }

struct ms_key ms_key_intent(struct ms_instance_id i, struct ms_intent_id n) {
    return key_of_ids('J', i.id, n.id);
}
struct ms_key ms_key_intents_of(struct ms_instance_id i) { return key_of_id('J', i.id); }
struct ms_key ms_key_intents(void) { return key_start('J'); }

struct ms_key ms_key_part(struct ms_intent_id n, uint32_t part_no) {
    struct ms_key k = key_of_id('q', n.id);

    add_be(&k, part_no, 4);
    return k;
}
struct ms_key ms_key_parts_of(struct ms_intent_id n) { return key_of_id('q', n.id); }

struct ms_key ms_key_lease(struct ms_tenant_id t, uint64_t ino, struct ms_instance_id i) {
    struct ms_key k = key_of_number('S', t, ino);

    add_id(&k, i.id);
    return k;
}
struct ms_key ms_key_leases_of(struct ms_tenant_id t) { return key_of_id('S', t.id); }

struct ms_key ms_key_usage(struct ms_tenant_id t) { return key_of_id('U', t.id); }

struct ms_key ms_key_asset(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('A', t.id, a.id);
}
struct ms_key ms_key_assets_of(struct ms_tenant_id t) { return key_of_id('A', t.id); }

struct ms_key ms_key_file(struct ms_tenant_id t, struct ms_asset_id a, struct ms_file_id f) {
    struct ms_key k = key_of_ids('F', t.id, a.id);

    add_id(&k, f.id);
    return k;
}
struct ms_key ms_key_files_of(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('F', t.id, a.id);
}

struct ms_key ms_key_version(struct ms_tenant_id t, struct ms_version_id v) {
    return key_of_ids('V', t.id, v.id);
}
struct ms_key ms_key_versions_of(struct ms_tenant_id t) { return key_of_id('V', t.id); }

struct ms_key ms_key_facts(struct ms_tenant_id t, struct ms_version_id v) {
    return key_of_ids('f', t.id, v.id);
}
struct ms_key ms_key_facts_of(struct ms_tenant_id t) { return key_of_id('f', t.id); }

struct ms_key ms_key_inode(struct ms_tenant_id t, uint64_t ino) {
    return key_of_number('I', t, ino);
}
struct ms_key ms_key_inodes_of(struct ms_tenant_id t) { return key_of_id('I', t.id); }

struct ms_key ms_key_name(struct ms_tenant_id t, uint64_t parent, const char *nfc) {
    struct ms_key k = key_of_number('N', t, parent);

    add_text(&k, nfc, MS_NAME_BYTES_MAX);
    return k;
}
struct ms_key ms_key_names_of(struct ms_tenant_id t, uint64_t parent) {
    return key_of_number('N', t, parent);
}

struct ms_key ms_key_entry(struct ms_tenant_id t, uint64_t parent, uint64_t seq) {
    return key_of_numbers('n', t, parent, seq);
}
struct ms_key ms_key_entries_of(struct ms_tenant_id t, uint64_t parent) {
    return key_of_number('n', t, parent);
}

struct ms_key ms_key_link(struct ms_tenant_id t, uint64_t ino, uint64_t parent, uint64_t seq) {
    struct ms_key k = key_of_numbers('p', t, ino, parent);

    add_u64(&k, seq);
    return k;
}
struct ms_key ms_key_links_of(struct ms_tenant_id t, uint64_t ino) {
    return key_of_number('p', t, ino);
}

struct ms_key ms_key_symlink(struct ms_tenant_id t, uint64_t ino) {
    return key_of_number('y', t, ino);
}

struct ms_key ms_key_xattr(struct ms_tenant_id t, uint64_t ino, const char *name) {
    struct ms_key k = key_of_number('X', t, ino);

    add_text(&k, name, MS_XATTR_NAME_MAX);
    return k;
}
struct ms_key ms_key_xattrs_of(struct ms_tenant_id t, uint64_t ino) {
    return key_of_number('X', t, ino);
}

struct ms_key ms_key_bin(struct ms_tenant_id t, struct ms_bin_id b) {
    return key_of_ids('B', t.id, b.id);
}
struct ms_key ms_key_bins_of(struct ms_tenant_id t) { return key_of_id('B', t.id); }

struct ms_key ms_key_binasset(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('b', t.id, a.id);
}

/* Big-endian in the order of time, before 1970 too. */
static uint64_t number_of(struct ms_instant at) { return (uint64_t)at.ms ^ (UINT64_C(1) << 63); }

struct ms_key ms_key_due(struct ms_tenant_id t, struct ms_instant at, uint8_t kind,
                         struct ms_id id) {
    struct ms_key k = key_of_number('D', t, number_of(at));

    add_be(&k, kind, 1);
    add_id(&k, id);
    return k;
}
struct ms_key ms_key_dues_of(struct ms_tenant_id t) { return key_of_id('D', t.id); }

struct ms_key ms_key_ledger(struct ms_tenant_id t, uint64_t seq) {
    return key_of_number('L', t, seq);
}
struct ms_key ms_key_ledgers_of(struct ms_tenant_id t) { return key_of_id('L', t.id); }

struct ms_key ms_key_audit(struct ms_tenant_id t, uint64_t seq) {
    return key_of_number('E', t, seq);
}
struct ms_key ms_key_audits_of(struct ms_tenant_id t) { return key_of_id('E', t.id); }

struct ms_key ms_key_chain(struct ms_tenant_id t, char which) {
    struct ms_key k = key_of_id('C', t.id);

    MS_ASSERT(which == 'L' || which == 'E' || which == 'J');
    add_bytes(&k, &which, 1);
    return k;
}

struct ms_key ms_key_treeop(struct ms_tenant_id t, struct ms_treeop_id r) {
    return key_of_ids('R', t.id, r.id);
}
struct ms_key ms_key_treeops_of(struct ms_tenant_id t) { return key_of_id('R', t.id); }

struct ms_key ms_key_request(struct ms_tenant_id t, struct ms_request_id r) {
    return key_of_ids('Q', t.id, r.id);
}
struct ms_key ms_key_requests_of(struct ms_tenant_id t) { return key_of_id('Q', t.id); }
struct ms_key ms_key_asked(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('u', t.id, a.id);
}

struct ms_key ms_key_transfer(struct ms_transfer_id x) { return key_of_id('x', x.id); }
struct ms_key ms_key_transfer_asset(struct ms_transfer_id x, struct ms_asset_id a) {
    return key_of_ids('v', x.id, a.id);
}
struct ms_key ms_key_transfer_assets(struct ms_transfer_id x) { return key_of_id('v', x.id); }
struct ms_key ms_key_pending(struct ms_asset_id a) { return key_of_id('e', a.id); }
struct ms_key ms_key_transfer_of(struct ms_tenant_id t, struct ms_transfer_id x) {
    return key_of_ids('h', t.id, x.id);
}
struct ms_key ms_key_transfers_of(struct ms_tenant_id t) { return key_of_id('h', t.id); }

struct ms_key ms_key_orphan(struct ms_tenant_id t, uint64_t ino) {
    return key_of_number('o', t, ino);
}
struct ms_key ms_key_orphans_of(struct ms_tenant_id t) { return key_of_id('o', t.id); }

struct ms_key ms_key_account(struct ms_tenant_id t) { return key_of_id('Z', t.id); }

struct ms_key ms_key_day(struct ms_tenant_id t, struct ms_instant midnight) {
    return key_of_number('Y', t, number_of(midnight));
}
struct ms_key ms_key_days_of(struct ms_tenant_id t) { return key_of_id('Y', t.id); }

struct ms_key ms_key_package(struct ms_tenant_id t, struct ms_package_id p) {
    return key_of_ids('G', t.id, p.id);
}
struct ms_key ms_key_packages_of(struct ms_tenant_id t) { return key_of_id('G', t.id); }
struct ms_key ms_key_bound(struct ms_tenant_id t, struct ms_package_id p, struct ms_asset_id a) {
    struct ms_key k = key_of_ids('v', t.id, p.id);

    add_id(&k, a.id);
    return k;
}
struct ms_key ms_key_bound_to(struct ms_tenant_id t, struct ms_package_id p) {
    return key_of_ids('v', t.id, p.id);
}
struct ms_key ms_key_order(struct ms_tenant_id t, const char *order) {
    struct ms_key k = key_of_id('e', t.id);

    add_text(&k, order, MS_ORDER_MAX);
    return k;
}

struct ms_key ms_key_adjust(struct ms_tenant_id t, uint64_t seq) {
    return key_of_number('j', t, seq);
}
struct ms_key ms_key_adjusts_of(struct ms_tenant_id t) { return key_of_id('j', t.id); }

struct ms_key ms_key_ratemonth(struct ms_instant month) {
    struct ms_key k = {.bytes = {'r'}, .len = 1};

    add_be(&k, number_of(month), 8);
    return k;
}

struct ms_key ms_key_ratemonths(void) { return (struct ms_key){.bytes = {'r'}, .len = 1}; }

struct ms_key ms_key_mark(const struct ms_key *of) {
    struct ms_key k = key_start('k');

    MS_ASSERT(of->len > MS_ID_BYTES);
    add_bytes(&k, of->bytes + 1, MS_ID_BYTES);
    add_bytes(&k, of->bytes, 1);
    add_bytes(&k, of->bytes + 1 + MS_ID_BYTES, of->len - 1 - MS_ID_BYTES);
    return k;
}
struct ms_key ms_key_of_dead(struct ms_tenant_id t, struct ms_object_id o) {
    return key_of_ids('K', t.id, o.id);
}
struct ms_key ms_key_marks_of(struct ms_tenant_id t) { return key_of_id('k', t.id); }
struct ms_key ms_key_marks(void) { return key_start('k'); }
struct ms_key ms_key_catalogue(struct ms_tenant_id t) { return key_of_id('c', t.id); }

struct ms_key ms_key_review(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('i', t.id, a.id);
}
struct ms_key ms_key_reviews_of(struct ms_tenant_id t) { return key_of_id('i', t.id); }
struct ms_key ms_key_upload(struct ms_tenant_id t, struct ms_file_id f) {
    return key_of_ids('P', t.id, f.id);
}
struct ms_key ms_key_uploads_of(struct ms_tenant_id t) { return key_of_id('P', t.id); }
struct ms_key ms_key_uploads(void) { return key_start('P'); }
struct ms_key ms_key_ended(struct ms_tenant_id t, struct ms_file_id f) {
    return key_of_ids('g', t.id, f.id);
}
struct ms_key ms_key_ended_of(struct ms_tenant_id t) { return key_of_id('g', t.id); }

struct ms_key ms_key_filedue(struct ms_tenant_id t, struct ms_instant at, struct ms_file_id f) {
    struct ms_key k = key_of_number('d', t, number_of(at));

    add_id(&k, f.id);
    return k;
}
struct ms_key ms_key_filedues_of(struct ms_tenant_id t) { return key_of_id('d', t.id); }

struct ms_key ms_key_fowner(struct ms_tenant_id t, struct ms_file_id f) {
    return key_of_ids('w', t.id, f.id);
}
struct ms_key ms_key_fowners_of(struct ms_tenant_id t) { return key_of_id('w', t.id); }

struct ms_key ms_key_share(struct ms_tenant_id t, struct ms_asset_id a, struct ms_tenant_id receiver) {
    struct ms_key k = key_of_ids('l', t.id, a.id);

    add_id(&k, receiver.id);
    return k;
}
struct ms_key ms_key_shares_of(struct ms_tenant_id t) { return key_of_id('l', t.id); }
struct ms_key ms_key_shares_of_asset(struct ms_tenant_id t, struct ms_asset_id a) {
    return key_of_ids('l', t.id, a.id);
}
struct ms_key ms_key_shared(struct ms_tenant_id receiver, struct ms_asset_id a) {
    return key_of_ids('s', receiver.id, a.id);
}
struct ms_key ms_key_shared_with(struct ms_tenant_id receiver) { return key_of_id('s', receiver.id); }

struct ms_key ms_key_sharedue(struct ms_tenant_id t, struct ms_instant at, struct ms_asset_id a,
                              struct ms_tenant_id receiver) {
    struct ms_key k = key_of_number('m', t, number_of(at));

    add_id(&k, a.id);
    add_id(&k, receiver.id);
    return k;
}
struct ms_key ms_key_sharedues_of(struct ms_tenant_id t) { return key_of_id('m', t.id); }

struct ms_key ms_key_scratch(char what, const void *p, size_t n) {
    struct ms_key k = key_start('z');

    add_bytes(&k, &what, 1);
    add_bytes(&k, p, n);
    return k;
}

static enum ms_code split_end(const struct ms_reader *r, bool right_table, const char *table,
                              struct ms_error *reterr) {
    if (right_table && ms_reader_done(r))
        return MS_OK;
    return ms_fail(reterr, MS_CORRUPT, "a key of table %s is damaged: %zu bytes; run msasset fsck",
                   table, r->n);
}

enum ms_code ms_key_split_due(struct ms_view key, struct ms_tenant_id *ret_t,
                              struct ms_instant *ret_at, uint8_t *ret_kind, struct ms_id *ret_id,
                              struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(key);
    bool right_table = ms_read_u8(&r) == 'D';
    struct ms_tenant_id t;
    struct ms_instant at;
    struct ms_id id;
    uint8_t kind;
    enum ms_code code;

    ms_read_bytes(&r, t.id.b, MS_ID_BYTES);
    at = ms_instant_of(ms_read_i64(&r));
    kind = ms_read_u8(&r);
    ms_read_bytes(&r, id.b, MS_ID_BYTES);
    code = split_end(&r, right_table, "due", reterr);
    if (code != MS_OK)
        return code;
    *ret_t = t;
    *ret_at = at;
    *ret_kind = kind;
    *ret_id = id;
    return MS_OK;
}

enum ms_code ms_key_split_filedue(struct ms_view key, struct ms_tenant_id *ret_t,
                                  struct ms_instant *ret_at, struct ms_file_id *ret_file,
                                  struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(key);
    bool right_table = ms_read_u8(&r) == 'd';
    struct ms_tenant_id t;
    struct ms_instant at;
    struct ms_file_id file;
    enum ms_code code;

    ms_read_bytes(&r, t.id.b, MS_ID_BYTES);
    at = ms_instant_of(ms_read_i64(&r));
    ms_read_bytes(&r, file.id.b, MS_ID_BYTES);
    code = split_end(&r, right_table, "filedue", reterr);
    if (code != MS_OK)
        return code;
    *ret_t = t;
    *ret_at = at;
    *ret_file = file;
    return MS_OK;
}

enum ms_code ms_key_split_sharedue(struct ms_view key, struct ms_tenant_id *ret_t,
                                   struct ms_instant *ret_at, struct ms_asset_id *ret_asset,
                                   struct ms_tenant_id *ret_receiver, struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(key);
    bool right_table = ms_read_u8(&r) == 'm';
    struct ms_tenant_id t, receiver;
    struct ms_asset_id asset;
    struct ms_instant at;
    enum ms_code code;

    ms_read_bytes(&r, t.id.b, MS_ID_BYTES);
    at = ms_instant_of(ms_read_i64(&r));
    ms_read_bytes(&r, asset.id.b, MS_ID_BYTES);
    ms_read_bytes(&r, receiver.id.b, MS_ID_BYTES);
    code = split_end(&r, right_table, "sharedue", reterr);
    if (code != MS_OK)
        return code;
    *ret_t = t;
    *ret_at = at;
    *ret_asset = asset;
    *ret_receiver = receiver;
    return MS_OK;
}

enum ms_code ms_key_split_link(struct ms_view key, uint64_t *ret_ino, uint64_t *ret_parent,
                               uint64_t *ret_seq, struct ms_error *reterr) {
    struct ms_reader r = ms_reader_on(key);
    bool right_table = ms_read_u8(&r) == 'p';
    struct ms_id tenant;
    uint64_t ino, parent, seq;
    enum ms_code code;

    ms_read_bytes(&r, tenant.b, MS_ID_BYTES);
    ino = ms_read_u64(&r);
    parent = ms_read_u64(&r);
    seq = ms_read_u64(&r);
    code = split_end(&r, right_table, "link", reterr);
    if (code != MS_OK)
        return code;
    *ret_ino = ino;
    *ret_parent = parent;
    *ret_seq = seq;
    return MS_OK;
}
