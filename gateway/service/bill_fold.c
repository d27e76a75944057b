/* From ledger rows to days: a stretch of the ledger, and the books that take it. */
#include "service/bill_part.h"

#include "base/assert.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_A_READ 2048u

static void set_u128(uint64_t *hi, uint64_t *lo, ms_u128 v) {
    *hi = (uint64_t)(v >> 64);
    *lo = (uint64_t)v;
}
static ms_u128 get_u128(uint64_t hi, uint64_t lo) { return (ms_u128)hi << 64 | lo; }
#define SET(record, m, v) set_u128(&(record)->m##_hi, &(record)->m##_lo, (v))
#define GET(record, m) get_u128((record)->m##_hi, (record)->m##_lo)

/* ---- a stretch of the ledger ----------------------------------------------------------------- */

bool ms_bill_is_of_package(uint8_t why) {
    return why == MS_WHY_PACKAGE || why == MS_WHY_RENEW || why == MS_WHY_TERM ||
           why == MS_WHY_EXPIRE;
}

static enum ms_code more_of(struct ms_bill_stretch *s, struct ms_txn *txn,
                            const struct ms_ledger_record *row, struct ms_bill_more *ret_more,
                            struct ms_error *reterr) {
    struct ms_package_record package;
    *ret_more = (struct ms_bill_more){.hundredths = row->hundredths,
                                      .paid_hundredths = row->paid_hundredths,
                                      .capacity_more = row->capacity_more,
                                      .capacity_less = row->capacity_less};
    if (!row->fee)
        return MS_OK;
    struct ms_key key = ms_key_package(s->tenant, (struct ms_package_id){row->package});
    MS_TRY(ms_row_get_package(txn, key, &package, reterr));
    memcpy(ret_more->fee, package.name, sizeof ret_more->fee);
    return MS_OK;
}

static enum ms_code keep_more(struct ms_bill_stretch *s, struct ms_txn *txn,
                              const struct ms_ledger_record *row, struct ms_bill_event *event,
                              struct ms_error *reterr) {
    if (row->why != MS_WHY_PRODUCE && !ms_bill_is_of_package(row->why))
        return MS_OK;
    if (s->more_n == s->more_cap) {
        size_t cap = s->more_cap ? 2 * s->more_cap : 64;
        struct ms_bill_more *more = realloc(s->more, cap * sizeof *more);
        if (!more)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu videos and terms", cap);
        s->more = more;
        s->more_cap = cap;
    }
    event->more = (uint32_t)s->more_n;
    MS_TRY(more_of(s, txn, row, &s->more[s->more_n], reterr));
    s->more_n++;
    return MS_OK;
}

static enum ms_code keep(struct ms_bill_stretch *s, struct ms_txn *txn,
                         const struct ms_ledger_record *row, struct ms_error *reterr) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        struct ms_bill_event *events = realloc(s->events, cap * sizeof *events);
        if (!events)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu ledger rows", cap);
        s->events = events;
        s->cap = cap;
    }
    struct ms_bill_event *event = &s->events[s->n++];
    *event = (struct ms_bill_event){
        .at = row->at,
        .seq = row->seq,
        .bytes_before = row->bytes_before,
        .bytes_after = row->why == MS_WHY_SETTINGS ? row->free_bytes : row->bytes_after,
        .class_before = row->class_before,
        .class_after = row->class_after,
        .why = row->why,
    };
    return keep_more(s, txn, row, event, reterr);
}

static enum ms_code take_row(struct ms_bill_stretch *s, struct ms_txn *txn,
                             const struct ms_ledger_record *row, struct ms_error *reterr) {
    s->next = row->seq + 1;
    if (row->at.ms < s->since.ms && row->seq < s->seen)
        return MS_OK;
    enum ms_usage_fault fault = ms_usage_apply(&s->fold, row);
    if (fault != MS_USAGE_FINE && s->fault[0] == '\0')
        (void)snprintf(s->fault, sizeof s->fault, "ledger row %" PRIu64 ": %s", row->seq,
                       ms_usage_fault_text(fault));
    if (row->at.ms < s->until.ms)
        return keep(s, txn, row, reterr);
    if (s->beyond == 0)
        s->beyond = row->seq;
    return MS_OK;
}

/* *ret_end: that was the last row, and the counters were read with it. */
static enum ms_code read_some(struct ms_bill_stretch *s, struct ms_txn *txn, bool *ret_end,
                              struct ms_error *reterr) {
    struct ms_key from = ms_key_ledger(s->tenant, s->next);
    struct ms_key to = ms_key_ledger(s->tenant, UINT64_MAX);
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code = MS_OK;
    *ret_end = false;
    ms_scan_begin(&scan, txn, ms_key_view(&from), ms_key_view(&to));
    for (unsigned i = 0; i < ROWS_A_READ && code == MS_OK; i++) {
        code = ms_row_next_ledger(&scan, &key, &row, reterr);
        if (code == MS_OK)
            code = take_row(s, txn, &row, reterr);
    }
    ms_scan_end(&scan);
    if (code != MS_NOT_FOUND)
        return code;
    *ret_end = true;
    return ms_row_get_usage(txn, ms_key_usage(s->tenant), &s->usage, reterr);
}

static int by_effect(const void *x, const void *y) {
    const struct ms_bill_event *a = x, *b = y;
    if (a->at.ms != b->at.ms)
        return a->at.ms < b->at.ms ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

enum ms_code ms_bill_stretch_read(struct ms_svc *svc, struct ms_bill_stretch *s,
                                  struct ms_error *reterr) {
    enum ms_code code = MS_OK;
    struct ms_error err = {0};
    s->next = s->from;
    for (bool end = false; !end && code == MS_OK;) {
        struct ms_txn *txn;
        code = ms_read_begin(svc->store, &txn, &err);
        if (code != MS_OK)
            break;
        code = read_some(s, txn, &end, &err);
        ms_read_end(txn);
    }
    if (s->beyond == 0)
        s->beyond = s->next;
    if (s->n > 1)
        qsort(s->events, s->n, sizeof *s->events, by_effect);
    return ms_pass_up(code, &err, reterr);
}

void ms_bill_stretch_fini(struct ms_bill_stretch *s) {
    free(s->events);
    free(s->more);
    s->events = NULL;
    s->more = NULL;
    s->n = s->cap = s->more_n = s->more_cap = 0;
}

bool ms_bill_stretch_adds_up(const struct ms_bill_stretch *s, char ret_why[MS_BILL_WHY_MAX]) {
    const uint64_t counter[MS_CLASS_COUNT] = {s->usage.standard, s->usage.produced_free,
                                              s->usage.produced, s->usage.excluded};
    const uint64_t fold[MS_CLASS_COUNT] = {s->fold.standard, s->fold.produced_free,
                                           s->fold.produced, s->fold.excluded};
    if (s->fault[0] != '\0') {
        (void)snprintf(ret_why, MS_BILL_WHY_MAX, "%s", s->fault);
        return false;
    }
    for (unsigned c = 0; c < MS_CLASS_COUNT; c++) {
        if (counter[c] == fold[c])
            continue;
        (void)snprintf(ret_why, MS_BILL_WHY_MAX,
                       "the counter of class %s is %" PRIu64 " bytes, its ledger adds up to %" PRIu64,
                       ms_class_name((enum ms_class)c), counter[c], fold[c]);
        return false;
    }
    return true;
}

/* ---- the books ------------------------------------------------------------------------------- */

struct ms_account_record ms_bill_account_of(const struct ms_tenant_record *tenant) {
    (void)tenant;
    return (struct ms_account_record){.ledger_seq = 1};
}

struct ms_instant ms_bill_books_from(const struct ms_tenant_record *tenant,
                                     const struct ms_account_record *account) {
    return account->days > 0 ? account->closed_until : tenant->created;
}

void ms_bill_books_open(struct ms_bill_books *b, const struct ms_tenant_record *tenant,
                        const struct ms_account_record *account, const struct ms_rates *rates,
                        const struct ms_bill_stretch *stretch) {
    struct ms_statement *m = &b->rating.month;
    ms_meter_begin(&b->meter, ms_bill_books_from(tenant, account));
    b->meter.usage.standard = account->standard;
    b->meter.usage.produced_free = account->produced_free;
    b->meter.usage.produced = account->produced;
    b->meter.usage.excluded = account->excluded;
    b->meter.allowance = account->allowance;
    ms_rating_begin(&b->rating, rates);
    m->month = account->month;
    m->days = account->month_days;
    m->excess = GET(account, excess);
    m->video_hundredths = GET(account, video_hundredths);
    m->video_paid_hundredths = GET(account, video_paid_hundredths);
    m->storage = GET(account, storage_micros);
    m->video = GET(account, video_micros);
    m->package = GET(account, package_micros);
    m->total = m->storage + m->video + m->package;
    b->next = stretch->events;
    b->end = stretch->events + stretch->n;
    b->more = stretch->more;
    b->capacity = account->capacity;
}

/* Capacity is told by what comes and goes, not by the sum: rows are dated earlier than they were
 * written when time brought them about, and then the sum of that moment is not that of their instant. */
static bool take_package(struct ms_bill_books *b, const struct ms_bill_event *e,
                         char ret_why[MS_BILL_WHY_MAX]) {
    const struct ms_bill_more *m = &b->more[e->more];
    const struct ms_card *card = ms_rates_card(b->rating.rates, e->at);
    uint64_t free_bytes = b->meter.allowance - b->capacity;
    if (b->capacity + m->capacity_more < m->capacity_less) {
        (void)snprintf(ret_why, MS_BILL_WHY_MAX,
                       "ledger row %" PRIu64 " takes more capacity away than packages have", e->seq);
        return false;
    }
    b->capacity = b->capacity + m->capacity_more - m->capacity_less;
    ms_meter_allow(&b->meter, e->at, free_bytes + b->capacity);
    if (m->fee[0])
        ms_meter_add_fee(&b->meter, ms_price_package(card, ms_view_str(m->fee)));
    return true;
}

bool ms_bill_books_take(struct ms_bill_books *b, char ret_why[MS_BILL_WHY_MAX]) {
    const struct ms_bill_event *e = b->next++;
    struct ms_ledger_record row = {
        .at = e->at,
        .class_before = e->class_before,
        .bytes_before = e->bytes_before,
        .class_after = e->class_after,
        .bytes_after = e->bytes_after,
    };
    char text[MS_RFC3339_MS_LEN + 1];
    enum ms_usage_fault fault;
    if (e->at.ms < b->meter.at.ms) {
        ms_instant_format_ms(e->at, text);
        (void)snprintf(ret_why, MS_BILL_WHY_MAX,
                       "ledger row %" PRIu64 " is of %s, in a day that was closed before it",
                       e->seq, text);
        return false;
    }
    if (e->why == MS_WHY_SETTINGS) {
        ms_meter_allow(&b->meter, e->at, e->bytes_after + b->capacity);
        return true;
    }
    if (ms_bill_is_of_package(e->why))
        return take_package(b, e, ret_why);
    fault = ms_meter_apply(&b->meter, &row);
    if (fault == MS_USAGE_FINE && e->why == MS_WHY_PRODUCE)
        ms_meter_add_video(&b->meter, b->more[e->more].hundredths,
                           b->more[e->more].paid_hundredths);
    if (fault == MS_USAGE_FINE)
        return true;
    (void)snprintf(ret_why, MS_BILL_WHY_MAX, "ledger row %" PRIu64 ", in the order of instants: %s",
                   e->seq, ms_usage_fault_text(fault));
    return false;
}

bool ms_bill_books_close(struct ms_bill_books *b, struct ms_day_record *ret_row,
                         char ret_why[MS_BILL_WHY_MAX]) {
    struct ms_instant end = ms_meter_day_end(&b->meter);
    struct ms_day day;
    struct ms_line line;
    *ret_row = (struct ms_day_record){0};
    for (; b->next < b->end && b->next->at.ms < end.ms; ret_row->events++)
        if (!ms_bill_books_take(b, ret_why))
            return false;
    ms_meter_close_day(&b->meter, &day);
    ms_rating_day(&b->rating, &day, &line);
    (void)ms_rating_statement(&b->rating); /* asserts that both ways to the total agree */
    ret_row->midnight = day.midnight;
    SET(ret_row, standard, day.bytes[MS_CLASS_STANDARD]);
    SET(ret_row, produced_free, day.bytes[MS_CLASS_PRODUCED_FREE]);
    SET(ret_row, produced, day.bytes[MS_CLASS_PRODUCED]);
    SET(ret_row, excluded, day.bytes[MS_CLASS_EXCLUDED]);
    SET(ret_row, allowance, day.allowance);
    SET(ret_row, excess, day.excess);
    SET(ret_row, video_hundredths, day.video_hundredths);
    SET(ret_row, video_paid_hundredths, day.video_paid_hundredths);
    SET(ret_row, storage_micros, line.storage);
    SET(ret_row, video_micros, line.video);
    SET(ret_row, package_micros, line.package);
    ms_bill_card_hash(b->rating.rates, ms_instant_month_start(day.midnight), ret_row->card);
    return true;
}

void ms_bill_books_store(const struct ms_bill_books *b, struct ms_account_record *account) {
    const struct ms_statement *m = &b->rating.month;
    account->closed_until = b->meter.day.midnight;
    account->standard = b->meter.usage.standard;
    account->produced_free = b->meter.usage.produced_free;
    account->produced = b->meter.usage.produced;
    account->excluded = b->meter.usage.excluded;
    account->allowance = b->meter.allowance;
    account->capacity = b->capacity;
    account->month = m->month;
    account->month_days = m->days;
    SET(account, excess, m->excess);
    SET(account, video_hundredths, m->video_hundredths);
    SET(account, video_paid_hundredths, m->video_paid_hundredths);
    SET(account, storage_micros, m->storage);
    SET(account, video_micros, m->video);
    SET(account, package_micros, m->package);
}

/* ---- rows ------------------------------------------------------------------------------------ */

void ms_bill_day_of_row(const struct ms_day_record *row, struct ms_bill_day *ret_day) {
    *ret_day = (struct ms_bill_day){
        .day = {.midnight = row->midnight,
                .bytes = {[MS_CLASS_STANDARD] = GET(row, standard),
                          [MS_CLASS_PRODUCED_FREE] = GET(row, produced_free),
                          [MS_CLASS_PRODUCED] = GET(row, produced),
                          [MS_CLASS_EXCLUDED] = GET(row, excluded)},
                .allowance = GET(row, allowance),
                .excess = GET(row, excess),
                .video_hundredths = GET(row, video_hundredths),
                .video_paid_hundredths = GET(row, video_paid_hundredths),
                .package_micros = GET(row, package_micros)},
        .line = {.storage = GET(row, storage_micros),
                 .video = GET(row, video_micros),
                 .package = GET(row, package_micros)},
        .closed_at = row->closed_at,
        .seq = row->seq,
        .events = row->events,
    };
    ret_day->line.total = ret_day->line.storage + ret_day->line.video + ret_day->line.package;
}

enum ms_code ms_bill_account(struct ms_txn *txn, const struct ms_tenant_record *tenant,
                             struct ms_account_record *ret_account, struct ms_error *reterr) {
    struct ms_key key = ms_key_account((struct ms_tenant_id){tenant->id});
    bool there;
    MS_TRY(ms_allow_absent(ms_row_get_account(txn, key, ret_account, reterr), &there));
    if (!there)
        *ret_account = ms_bill_account_of(tenant);
    return MS_OK;
}

/* ---- cards ----------------------------------------------------------------------------------- */

static void add_bytes(EVP_MD_CTX *md, const void *p, size_t n) {
    int ok = EVP_DigestUpdate(md, p, n);
    MS_ASSERT(ok == 1);
}

static void add_u64(EVP_MD_CTX *md, uint64_t v) {
    uint8_t be[8];
    for (unsigned i = 0; i < 8; i++)
        be[i] = (uint8_t)(v >> (56 - 8 * i));
    add_bytes(md, be, sizeof be);
}

static int by_name(const void *x, const void *y) {
    const struct ms_package_price *const *a = x, *const *b = y;
    size_t n = (*a)->name_len < (*b)->name_len ? (*a)->name_len : (*b)->name_len;
    int c = memcmp((*a)->name, (*b)->name, n);
    return c ? c : ((*a)->name_len > (*b)->name_len) - ((*a)->name_len < (*b)->name_len);
}

/* In the order of their names, whatever that of the file is. */
static void add_packages(EVP_MD_CTX *md, const struct ms_card *card) {
    const struct ms_package_price **sorted = calloc(card->packages_n + 1, sizeof(void *));
    MS_ASSERT(sorted != NULL);
    for (size_t i = 0; i < card->packages_n; i++)
        sorted[i] = &card->packages[i];
    qsort(sorted, card->packages_n, sizeof(void *), by_name);
    add_u64(md, card->packages_n);
    for (size_t i = 0; i < card->packages_n; i++) {
        add_u64(md, sorted[i]->name_len);
        add_bytes(md, sorted[i]->name, sorted[i]->name_len);
        add_u64(md, sorted[i]->price_nano);
    }
    free(sorted);
}

void ms_bill_card_hash(const struct ms_rates *rates, struct ms_instant month, uint8_t ret_hash[32]) {
    const struct ms_card *card = ms_rates_card(rates, month);
    EVP_MD_CTX *md;
    int ok;
    memset(ret_hash, 0, 32);
    if (!card)
        return;
    md = EVP_MD_CTX_new();
    MS_ASSERT(md != NULL);
    ok = EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    MS_ASSERT(ok == 1);
    add_u64(md, rates->currency);
    add_u64(md, card->tiers_n);
    for (size_t i = 0; i < card->tiers_n; i++) {
        add_u64(md, card->tiers[i].up_to_nano);
        add_u64(md, card->tiers[i].price_nano);
    }
    add_u64(md, card->minute_nano);
    add_packages(md, card);
    ok = EVP_DigestFinal_ex(md, ret_hash, NULL);
    MS_ASSERT(ok == 1);
    EVP_MD_CTX_free(md);
}
