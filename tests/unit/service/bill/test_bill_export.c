/* Adjustments, and the bill as files: what CSV and JSON say adds up to the days, and a FOCUS file
 * keeps the column rules of the specification, which stand in this test as a table. */
#include "unit/service/tree/fixture.h"

#include "quota/rates.h"
#include "service/bill_export.h"
#include "service/chain.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char cards[] =
    "{\"currency\":\"EUR\",\"cards\":[{\"valid_from\":\"2026-01\",\"storage\":[{\"price\":\"0.37\"}],"
    "\"video_minute\":\"3.5\"}]}";

static struct ms_ctx admin(const struct fx *f) {
    struct ms_ctx ctx = f->ctx;
    ctx.admin = true;
    return ctx;
}

static void run(struct fx *f) {
    struct ms_rates rates;
    struct ms_bill_options options = {.rates = &rates};
    struct ms_bill_result r;
    assert_ok(ms_rates_parse(cards, strlen(cards), &rates, &test_err));
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    ms_rates_fini(&rates);
}

static struct ms_instant day(int n) {
    return ms_instant_of(INT64_C(1767225600000) + (int64_t)n * MS_DAY_MS);
}

/* Forty days with something of every class. */
static void live(struct fx *f) {
    struct ms_ctx ctx = admin(f);
    assert_ok(ms_tenant_set_pay_per_use(&f->svc, &ctx, true, &test_err));
    (void)fx_file(f, f->root, "a.mp4", 7 * MS_GB, "video/mp4");
    fx_advance(f, 5 * MS_HOUR_MS);
    (void)fx_produce(f, f->root, "v.mp4", MS_GB, 754);
    fx_advance(f, 40 * MS_DAY_MS);
    run(f);
}

static enum ms_code adjust(struct fx *f, const struct ms_bill_adjustment *a) {
    struct ms_ctx ctx = admin(f);
    struct ms_adjust_record row;
    return ms_bill_adjust(&f->svc, &ctx, a, &row, &test_err);
}

/* ---- adjustments ----------------------------------------------------------------------------- */

static bool last_adjustment(void *priv, const struct ms_adjust_record *row) {
    *(struct ms_adjust_record *)priv = *row;
    return true;
}

static bool sum_day(void *priv, const struct ms_bill_day *d) {
    *(ms_u128 *)priv += d->line.total;
    return true;
}

static ms_u128 total(struct fx *f) {
    ms_u128 sum = 0;
    assert_ok(ms_bill_days(&f->svc, f->ctx.tenant, (struct ms_instant){0}, (struct ms_instant){0},
                           sum_day, &sum, &test_err));
    return sum;
}

static void an_adjustment_is_a_line_of_an_open_day_and_changes_no_closed_one(void **state) {
    struct fx *f = *state;
    struct ms_adjust_record row = {0};
    live(f);
    ms_u128 before = total(f);
    struct ms_bill_adjustment a = {
        .credit = true, .micros = 12500000, .day = day(3), .reason = "outage"};
    assert_ok(adjust(f, &a));
    assert_true(total(f) == before);
    assert_ok(ms_bill_adjustments(&f->svc, f->ctx.tenant, day(40), day(41), last_adjustment, &row,
                                  &test_err));
    assert_int_equal(row.seq, 1);
    assert_int_equal(row.micros, 12500000);
    assert_int_equal(row.credit, 1);
    assert_int_equal(row.currency, MS_CURRENCY_EUR);
    assert_string_equal(row.who, "alice");
    assert_true(row.at.ms >= day(40).ms);
    row.seq = 0;
    assert_ok(ms_bill_adjustments(&f->svc, f->ctx.tenant, day(0), day(40), last_adjustment, &row,
                                  &test_err));
    assert_int_equal(row.seq, 0);
}

static void adjustments_that_say_too_little_are_refused(void **state) {
    struct fx *f = *state;
    struct ms_adjust_record row;
    live(f);
    char lengthy[MS_REASON_MAX + 2];
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = '\0';
    struct ms_bill_adjustment a = {.micros = 1, .reason = ""};
    assert_code(adjust(f, &a), MS_INVALID);
    a.reason = lengthy;
    assert_code(adjust(f, &a), MS_INVALID);
    a.reason = "right";
    a.micros = 0;
    assert_code(adjust(f, &a), MS_INVALID);
    a.micros = 1;
    a.day = day(40); /* open */
    assert_code(adjust(f, &a), MS_RANGE);
    assert_non_null(strstr(test_err.message, "2026-02-10"));
    a.day = day(39);
    assert_code(ms_bill_adjust(&f->svc, &f->ctx, &a, &row, &test_err), MS_DENIED);
    assert_ok(adjust(f, &a));
}

static enum ms_code tamper_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct ms_tenant_id *id = in;
    struct ms_key key = ms_key_adjust(*id, 2);
    struct ms_adjust_record row;
    (void)out;
    MS_TRY(ms_row_get_adjust(txn, key, &row, reterr));
    row.micros++;
    return ms_row_put_adjust(txn, key, &row, reterr);
}

static void count_finding(void *priv, const char *text) {
    assert_non_null(strstr(text, "adjustment"));
    ++*(unsigned *)priv;
}

static unsigned findings(struct fx *f) {
    static const struct ms_rates none;
    struct ms_bill_check check;
    unsigned n = 0;
    assert_ok(ms_bill_verify(&f->svc, &none, f->ctx.tenant, count_finding, &n, &check, &test_err));
    return n;
}

static void an_adjustment_that_was_changed_afterwards_is_found(void **state) {
    struct fx *f = *state;
    struct ms_bill_adjustment a = {.micros = 1, .reason = "a"};
    struct ms_write write = {.fn = tamper_op, .in = &f->ctx.tenant};
    for (unsigned i = 0; i < 3; i++)
        assert_ok(adjust(f, &a));
    assert_int_equal(findings(f), 0);
    assert_ok(ms_store_write(f->svc.store, &write, &test_err));
    assert_int_equal(findings(f), 1);
}

/* ---- one run at a time ----------------------------------------------------------------------- */

static void two_runs_do_not_overlap(void **state) {
    struct fx *f = *state;
    struct ms_bill_options options = {.rates = NULL};
    struct ms_bill_result r;
    char *path = ms_test_path(f->dir, "bill.lock");
    run(f);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* the run gave it back */
    fx_advance(f, MS_DAY_MS);
    assert_code(ms_bill_run(&f->svc, &options, &r, &test_err), MS_BUSY);
    assert_non_null(strstr(test_err.message, "another bill run"));
    assert_int_equal(r.days, 0);
    close(fd); /* as the kernel does when its holder dies */
    assert_ok(ms_bill_run(&f->svc, &options, &r, &test_err));
    assert_int_equal(r.days, 1);
}

/* ---- the files ------------------------------------------------------------------------------- */

static bool keep(void *priv, const void *p, size_t n) {
    assert_ok(ms_buf_add(priv, p, n, &test_err));
    return true;
}

static struct ms_buf exported(struct fx *f, enum ms_bill_format format, uint64_t *ret_rows) {
    struct ms_buf buf = MS_BUF_MAX(1 << 24);
    struct ms_bill_export e = {
        .format = format, .provider = "ACME, \"Media\" Ltd", .write = keep, .priv = &buf};
    assert_ok(ms_bill_export(&f->svc, &e, ret_rows, &test_err));
    return buf;
}

#define COLUMNS_MAX 64

/* The next row of RFC 4180, in place: how many fields; 0 at the end. */
static size_t csv_row(char **at, char *fields[COLUMNS_MAX]) {
    char *in = *at;
    size_t n = 0;
    if (!*in)
        return 0;
    for (bool more = true; more;) {
        char *out = in;
        bool quoted = *in == '"';
        assert_true(n < COLUMNS_MAX);
        fields[n++] = out;
        in += quoted;
        while (quoted ? !(in[0] == '"' && in[1] != '"') : !strchr(",\r", *in)) {
            assert_true(*in != '\0');
            in += quoted && in[0] == '"';
            *out++ = *in++;
        }
        in += quoted;
        more = *in == ',';
        if (!more)
            assert_true(in[0] == '\r' && in[1] == '\n');
        in += more ? 1 : 2;
        *out = '\0';
    }
    *at = in;
    return n;
}

static void the_rows_of_a_day_add_up_to_what_was_stored_and_what_it_costs(void **state) {
    struct fx *f = *state;
    uint64_t rows, lines = 0;
    char *fields[COLUMNS_MAX];
    live(f);
    struct ms_buf buf = exported(f, MS_BILL_CSV, &rows);
    char *at = (char *)buf.data;
    ms_u128 bytes = 0, micros = 0;
    unsigned long hundredths = 0;
    assert_int_equal(csv_row(&at, fields), 10);
    assert_string_equal(fields[3], "item");
    while (csv_row(&at, fields) == 10) {
        lines++;
        assert_string_equal(fields[1], "t1");
        assert_string_equal(fields[8], "EUR");
        micros += strtoull(fields[6], NULL, 10);
        if (strcmp(fields[5], "byte-ms") == 0 && strcmp(fields[2], "2026-01-20") == 0)
            bytes += strtoull(fields[4], NULL, 10);
        if (strncmp(fields[3], "video", 5) == 0)
            hundredths += strtoul(fields[4], NULL, 10);
    }
    assert_int_equal(lines, rows);
    assert_true(bytes == (ms_u128)(8 * MS_GB) * MS_DAY_MS);
    assert_true(micros == total(f));
    assert_int_equal(hundredths, 1257);
    ms_buf_fini(&buf);
}

static void json_says_what_csv_says(void **state) {
    struct fx *f = *state;
    uint64_t rows, same;
    char *fields[COLUMNS_MAX], *names[COLUMNS_MAX];
    live(f);
    assert_ok(adjust(f, &(struct ms_bill_adjustment){
                            .credit = true, .micros = 1500000, .reason = "it's \"quoted\", yes"}));
    struct ms_buf csv = exported(f, MS_BILL_CSV, &rows), json = exported(f, MS_BILL_JSON, &same);
    char *at = (char *)csv.data, *line = (char *)json.data, *save = NULL;
    assert_int_equal(rows, same);
    size_t n = csv_row(&at, names);
    for (line = strtok_r(line, "\n", &save); line; line = strtok_r(NULL, "\n", &save), rows--) {
        json_t *o = json_loads(line, 0, NULL);
        assert_int_equal(csv_row(&at, fields), n);
        assert_int_equal(json_object_size(o), n);
        for (size_t i = 0; i < n; i++)
            assert_string_equal(json_string_value(json_object_get(o, names[i])), fields[i]);
        if (rows == 1) {
            assert_string_equal(fields[3], "adjustment");
            assert_string_equal(fields[6], "-1500000");
            assert_string_equal(fields[7], "-1.500000");
            assert_string_equal(fields[9], "it's \"quoted\", yes");
        }
        json_decref(o);
    }
    assert_int_equal(rows, 0);
    ms_buf_fini(&csv);
    ms_buf_fini(&json);
}

/* ---- FOCUS 1.2: name, type, may it be null, allowed values ------------------------------------ */

enum type { STRING, DECIMAL, DATE };
static const char categories[] = "|Usage|Purchase|Tax|Credit|Adjustment|";
static const char frequencies[] = "|One-Time|Recurring|Usage-Based|";
static const char pricing_categories[] = "|Standard|Dynamic|Committed|Other|";
static const char currencies[] = "|CNY|USD|EUR|JPY|";
static const char services[] =
    "|AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|"
    "Multicloud|Identity|Integration|Internet of Things|Management and Governance|Media|Migration|"
    "Mobile|Networking|Security|Storage|Web|Other|";
/* of the service categories that we use */
static const char subcategories[] =
    "|Storage:Backup Storage|Storage:Block Storage|Storage:File Storage|Storage:Object Storage|"
    "Storage:Storage Platforms|Storage:Other (Storage)|Media:Content Creation|Media:Gaming|"
    "Media:Media Streaming|Media:Mixed Reality|Media:Other (Media)|Other:Other (Other)|";

static const struct rule {
    const char *name;
    enum type type;
    bool null, mandatory;
    const char *allowed;
} rules[] = {
    {"AvailabilityZone", STRING, true, false, NULL},
    {"BilledCost", DECIMAL, false, true, NULL},
    {"BillingAccountId", STRING, false, true, NULL},
    {"BillingAccountName", STRING, true, true, NULL},
    {"BillingAccountType", STRING, true, false, NULL},
    {"BillingCurrency", STRING, false, true, currencies},
    {"BillingPeriodEnd", DATE, false, true, NULL},
    {"BillingPeriodStart", DATE, false, true, NULL},
    {"CapacityReservationId", STRING, true, false, NULL},
    {"CapacityReservationStatus", STRING, true, false, "|Used|Unused|"},
    {"ChargeCategory", STRING, false, true, categories},
    {"ChargeClass", STRING, true, true, "|Correction|"},
    {"ChargeDescription", STRING, true, true, NULL},
    {"ChargeFrequency", STRING, false, false, frequencies},
    {"ChargePeriodEnd", DATE, false, true, NULL},
    {"ChargePeriodStart", DATE, false, true, NULL},
    {"CommitmentDiscountCategory", STRING, true, false, "|Spend|Usage|"},
    {"CommitmentDiscountId", STRING, true, false, NULL},
    {"CommitmentDiscountName", STRING, true, false, NULL},
    {"CommitmentDiscountQuantity", DECIMAL, true, false, NULL},
    {"CommitmentDiscountStatus", STRING, true, false, "|Used|Unused|"},
    {"CommitmentDiscountType", STRING, true, false, NULL},
    {"CommitmentDiscountUnit", STRING, true, false, NULL},
    {"ConsumedQuantity", DECIMAL, true, false, NULL},
    {"ConsumedUnit", STRING, true, false, NULL},
    {"ContractedCost", DECIMAL, false, true, NULL},
    {"ContractedUnitPrice", DECIMAL, true, false, NULL},
    {"EffectiveCost", DECIMAL, false, true, NULL},
    {"InvoiceId", STRING, true, false, NULL},
    {"InvoiceIssuerName", STRING, false, true, NULL},
    {"ListCost", DECIMAL, false, true, NULL},
    {"ListUnitPrice", DECIMAL, true, false, NULL},
    {"PricingCategory", STRING, true, false, pricing_categories},
    {"PricingCurrency", STRING, true, false, NULL},
    {"PricingCurrencyContractedUnitPrice", DECIMAL, true, false, NULL},
    {"PricingCurrencyEffectiveCost", DECIMAL, true, false, NULL},
    {"PricingCurrencyListUnitPrice", DECIMAL, true, false, NULL},
    {"PricingQuantity", DECIMAL, true, true, NULL},
    {"PricingUnit", STRING, true, true, NULL},
    {"ProviderName", STRING, false, true, NULL},
    {"PublisherName", STRING, false, true, NULL},
    {"RegionId", STRING, true, false, NULL},
    {"RegionName", STRING, true, false, NULL},
    {"ResourceId", STRING, true, false, NULL},
    {"ResourceName", STRING, true, false, NULL},
    {"ResourceType", STRING, true, false, NULL},
    {"ServiceCategory", STRING, false, true, services},
    {"ServiceName", STRING, false, true, NULL},
    {"ServiceSubcategory", STRING, false, false, NULL},
    {"SkuId", STRING, true, false, NULL},
    {"SkuMeter", STRING, true, false, NULL},
    {"SkuPriceDetails", STRING, true, false, NULL},
    {"SkuPriceId", STRING, true, false, NULL},
    {"SubAccountId", STRING, true, false, NULL},
    {"SubAccountName", STRING, true, false, NULL},
    {"SubAccountType", STRING, true, false, NULL},
    {"Tags", STRING, true, false, NULL},
};

struct focus_file {
    size_t n;
    const struct rule *rule[COLUMNS_MAX];
    char **field;
};

static const char *value(const struct focus_file *file, const char *name) {
    for (size_t i = 0; i < file->n; i++)
        if (strcmp(file->rule[i]->name, name) == 0)
            return file->field[i];
    fail_msg("there is no column %s", name);
    return NULL;
}
static bool is_null(const struct focus_file *file, const char *name) {
    return value(file, name)[0] == '\0';
}
static bool is(const struct focus_file *file, const char *name, const char *wanted) {
    return strcmp(value(file, name), wanted) == 0;
}

static void check_header(struct focus_file *file, char *names[]) {
    size_t mandatory = 0;
    for (size_t i = 0; i < file->n; i++) {
        for (size_t k = 0; k < MS_ARRAY_LEN(rules); k++)
            if (strcmp(rules[k].name, names[i]) == 0)
                file->rule[i] = &rules[k];
        if (!file->rule[i])
            fail_msg("FOCUS has no column %s", names[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[k], names[i]);
        mandatory += file->rule[i]->mandatory;
    }
    assert_int_equal(MS_ARRAY_LEN(rules), 57);
    assert_int_equal(mandatory, 21);
}

static void check_type(const struct rule *rule, const char *text) {
    struct ms_instant at;
    size_t sign = text[0] == '-', digits = strspn(text + sign, "0123456789");
    size_t rest = sign + digits;
    if (rule->type == DATE) {
        assert_int_equal(strlen(text), 20);
        assert_ok(ms_instant_parse(text, &at, &test_err));
    }
    if (rule->type != DECIMAL)
        return;
    assert_true(digits > 0);
    if (text[rest] == '.')
        rest += 1 + strspn(text + rest + 1, "0123456789");
    assert_int_equal(text[rest], '\0');
}

static void check_values(const struct focus_file *file) {
    char wanted[300];
    for (size_t i = 0; i < file->n; i++) {
        const struct rule *rule = file->rule[i];
        const char *text = file->field[i];
        if (text[0] == '\0') {
            if (!rule->null)
                fail_msg("%s is null", rule->name);
            continue;
        }
        check_type(rule, text);
        (void)snprintf(wanted, sizeof wanted, "|%s|", text);
        if (rule->allowed && !strstr(rule->allowed, wanted))
            fail_msg("%s is \"%s\"", rule->name, text);
    }
    (void)snprintf(wanted, sizeof wanted, "|%s:%s|", value(file, "ServiceCategory"),
                   value(file, "ServiceSubcategory"));
    assert_non_null(strstr(subcategories, wanted));
}

/* What one column says of another. */
static void check_together(const struct focus_file *file) {
    bool usage = is(file, "ChargeCategory", "Usage"), purchase = is(file, "ChargeCategory", "Purchase");
    bool correction = is(file, "ChargeClass", "Correction");
    assert_false(purchase && is(file, "ChargeFrequency", "Usage-Based"));
    if ((usage || purchase) && !correction) {
        assert_false(is_null(file, "PricingQuantity"));
        assert_false(is_null(file, "PricingCategory"));
    }
    if (usage && !correction)
        assert_false(is_null(file, "ConsumedQuantity"));
    if (!usage)
        assert_true(is_null(file, "ConsumedQuantity"));
    assert_int_equal(is_null(file, "PricingQuantity"), is_null(file, "PricingUnit"));
    assert_int_equal(is_null(file, "ConsumedQuantity"), is_null(file, "ConsumedUnit"));
    assert_true(strcmp(value(file, "BillingPeriodStart"), value(file, "ChargePeriodStart")) <= 0);
    assert_true(strcmp(value(file, "ChargePeriodStart"), value(file, "ChargePeriodEnd")) < 0);
    assert_true(strcmp(value(file, "ChargePeriodEnd"), value(file, "BillingPeriodEnd")) <= 0);
}

static int64_t micros_of(const char *text) {
    const char *digits = text + (text[0] == '-');
    uint64_t nano;
    assert_true(ms_decimal_parse(digits, strlen(digits), &nano));
    return (text[0] == '-' ? -1 : 1) * (int64_t)(nano / 1000);
}

static void a_focus_file_keeps_the_rules_of_its_columns(void **state) {
    struct fx *f = *state;
    char *names[COLUMNS_MAX], *fields[COLUMNS_MAX];
    struct focus_file file = {.field = fields};
    uint64_t rows, seen = 0, corrections = 0;
    int64_t billed = 0;
    live(f);
    assert_ok(adjust(f, &(struct ms_bill_adjustment){
                            .credit = true, .micros = 2500000, .day = day(2), .reason = "outage"}));
    assert_ok(adjust(f, &(struct ms_bill_adjustment){.micros = 4000000, .reason = "on-site help"}));
    assert_ok(adjust(f, &(struct ms_bill_adjustment){
                            .micros = 1, .day = day(35), .reason = "of the open billing period"}));
    struct ms_buf buf = exported(f, MS_BILL_FOCUS, &rows);
    char *at = (char *)buf.data;
    file.n = csv_row(&at, names);
    check_header(&file, names);
    for (; csv_row(&at, fields) == file.n; seen++) {
        check_values(&file);
        check_together(&file);
        billed += micros_of(value(&file, "BilledCost"));
        corrections += is(&file, "ChargeClass", "Correction");
        assert_string_equal(value(&file, "ProviderName"), "ACME, \"Media\" Ltd");
    }
    assert_int_equal(seen, rows);
    assert_int_equal(corrections, 1);
    assert_int_equal(billed, (int64_t)total(f) - 2500000 + 4000000 + 1);
    ms_buf_fini(&buf);
}

FX_TESTS(FX(an_adjustment_is_a_line_of_an_open_day_and_changes_no_closed_one),
         FX(adjustments_that_say_too_little_are_refused),
         FX(an_adjustment_that_was_changed_afterwards_is_found), FX(two_runs_do_not_overlap),
         FX(the_rows_of_a_day_add_up_to_what_was_stored_and_what_it_costs),
         FX(json_says_what_csv_says), FX(a_focus_file_keeps_the_rules_of_its_columns))
