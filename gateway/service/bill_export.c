/* The bill as CSV, JSON and FOCUS. */
#include "service/bill_export.h"

#include "service/bill_part.h"
#include "service/show.h"
#include "service/tenant.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum unit { UNIT_BYTE_MS, UNIT_HUNDREDTHS, UNIT_CHARGE };

/* id, item, unit, FOCUS: description, category, frequency, service category and subcategory */
#define ITEMS(X)                                                                                   \
    X(STORAGE, "storage", BYTE_MS, "Storage above the allowance", "Usage", "Usage-Based",          \
      "Storage", "Object Storage")                                                                 \
    X(STORAGE_INCLUDED, "storage_included", BYTE_MS, "Storage within the allowance", "Usage",      \
      "Usage-Based", "Storage", "Object Storage")                                                  \
    X(STORAGE_FREE, "storage_free", BYTE_MS, "Produced videos in their first six months", "Usage", \
      "Usage-Based", "Storage", "Object Storage")                                                  \
    X(STORAGE_EXCLUDED, "storage_excluded", BYTE_MS, "Storage that is never charged", "Usage",     \
      "Usage-Based", "Storage", "Object Storage")                                                  \
    X(VIDEO, "video", HUNDREDTHS, "Minutes of produced video, pay-per-use", "Usage",               \
      "Usage-Based", "Media", "Content Creation")                                                  \
    X(VIDEO_INCLUDED, "video_included", HUNDREDTHS, "Minutes of produced video held by packages",  \
      "Usage", "Usage-Based", "Media", "Content Creation")                                         \
    X(PACKAGE, "package", CHARGE, "Fees of the package terms that began", "Purchase", "Recurring", \
      "Other", "Other (Other)")                                                                    \
    X(ADJUSTMENT, "adjustment", CHARGE, "", "Adjustment", "One-Time", "Other", "Other (Other)")
enum item {
#define ITEM_ENUM(id, ...) ITEM_##id,
    ITEMS(ITEM_ENUM)
#undef ITEM_ENUM
};
static const struct {
    const char *name;
    enum unit unit;
    const char *description, *category, *frequency, *service_category, *service_subcategory;
} items[] = {
#define ITEM_ROW(id, name, unit, ...) {name, UNIT_##unit, __VA_ARGS__},
    ITEMS(ITEM_ROW)
#undef ITEM_ROW
};
static const char *const units[] = {"byte-ms", "hundredths of a minute", "charge"};

struct row {
    enum item item;
    struct ms_instant day; /* midnight */
    ms_u128 quantity, micros;
    bool credit;
    struct ms_instant corrects; /* none */
    const char *note;
};

struct writing {
    const struct ms_bill_export *export;
    struct ms_tenant_record tenant;
    struct ms_id store;
    enum ms_currency currency;
    struct ms_buf buf;
    uint64_t rows;
    enum ms_code code;
    struct ms_error error;
};

bool ms_bill_format_parse(const char *text, enum ms_bill_format *ret_format) {
    static const char *const names[MS_BILL_FORMAT_COUNT] = {"csv", "json", "focus"};
    for (unsigned i = 0; i < MS_BILL_FORMAT_COUNT; i++) {
        if (strcmp(text, names[i]) != 0)
            continue;
        *ret_format = (enum ms_bill_format)i;
        return true;
    }
    return false;
}

/* ---- texts ----------------------------------------------------------------------------------- */

struct text {
    char s[MS_REASON_MAX + 1];
};

/* numerator / denominator with 9 digits behind the point, cut off. */
static struct text decimal(ms_u128 numerator, ms_u128 denominator) {
    struct text t;
    uint64_t nano = (uint64_t)(numerator % denominator * MS_NANO / denominator);
    (void)snprintf(t.s, sizeof t.s, "%s.%09" PRIu64, ms_u128_text(numerator / denominator).s, nano);
    return t;
}

static struct text money(const struct row *row) {
    struct text t;
    (void)snprintf(t.s, sizeof t.s, "%s%s.%06u", row->credit && row->micros ? "-" : "",
                   ms_u128_text(row->micros / MS_MICRO).s, (unsigned)(row->micros % MS_MICRO));
    return t;
}

static struct text micros(const struct row *row) {
    struct text t;
    (void)snprintf(t.s, sizeof t.s, "%s%s", row->credit && row->micros ? "-" : "",
                   ms_u128_text(row->micros).s);
    return t;
}

static struct text instant(struct ms_instant at) {
    struct text t;
    ms_instant_format_s(at, t.s);
    return t;
}

static struct text day_of(struct ms_instant at) {
    struct text t = instant(at);
    t.s[10] = '\0';
    return t;
}

/* RFC 4180: quoted when it must be. */
static enum ms_code add_field(struct ms_buf *buf, const char *text, bool last,
                              struct ms_error *reterr) {
    bool quoted = text[strcspn(text, ",\"\r\n")] != '\0';
    if (!quoted)
        return ms_buf_addf(buf, reterr, "%s%s", text, last ? "\r\n" : ",");
    MS_TRY(ms_buf_add(buf, "\"", 1, reterr));
    for (const char *c = text; *c; c++)
        MS_TRY(ms_buf_add(buf, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1, reterr));
    return ms_buf_addf(buf, reterr, "\"%s", last ? "\r\n" : ",");
}

/* ---- CSV and JSON ---------------------------------------------------------------------------- */

#define PLAIN_COLUMNS 10
static const char *const plain_names[PLAIN_COLUMNS] = {
    "tenant_id", "tenant", "day", "item", "quantity", "unit", "micros", "amount", "currency", "note"};

struct plain {
    struct text text[PLAIN_COLUMNS];
};

static void set(struct text *t, const char *s) { (void)snprintf(t->s, sizeof t->s, "%s", s); }

static void plain_of(const struct writing *w, const struct row *row, struct plain *ret_plain) {
    struct text *t = ret_plain->text;
    set(&t[0], ms_id_text(w->tenant.id).s);
    set(&t[1], w->tenant.name);
    t[2] = day_of(row->day);
    set(&t[3], items[row->item].name);
    set(&t[4], ms_u128_text(row->quantity).s);
    set(&t[5], units[items[row->item].unit]);
    t[6] = micros(row);
    t[7] = money(row);
    set(&t[8], ms_currency_name(w->currency));
    set(&t[9], row->note);
}

static enum ms_code add_csv(struct writing *w, const struct row *row, struct ms_error *reterr) {
    struct plain p;
    plain_of(w, row, &p);
    for (unsigned i = 0; i < PLAIN_COLUMNS; i++)
        MS_TRY(add_field(&w->buf, p.text[i].s, i + 1 == PLAIN_COLUMNS, reterr));
    return MS_OK;
}

static enum ms_code add_json(struct writing *w, const struct row *row, struct ms_error *reterr) {
    struct plain p;
    json_t *o = json_object();
    bool failed = o == NULL;
    plain_of(w, row, &p);
    for (unsigned i = 0; i < PLAIN_COLUMNS && !failed; i++)
        failed = json_object_set_new(o, plain_names[i], json_string(p.text[i].s)) != 0;
    char *line = failed ? NULL : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (!line)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a line of JSON");
    enum ms_code code = ms_buf_addf(&w->buf, reterr, "%s\n", line);
    free(line);
    return code;
}

/* ---- FOCUS ----------------------------------------------------------------------------------- */

struct focus {
    struct text account, provider, cost, currency, month_start, month_end, day_start, day_end;
    struct text category, class, description, frequency, consumed, consumed_unit, invoice;
    struct text pricing_category, pricing, pricing_unit;
    struct text service_category, service, service_subcategory, tenant_id, tenant;
};

/* Usage has what was consumed and what it is priced by, a purchase only the latter; an adjustment
 * has neither. */
static void focus_quantities(const struct row *row, struct focus *f) {
    enum unit unit = items[row->item].unit;
    bool usage = strcmp(items[row->item].category, "Usage") == 0;
    if (row->item == ITEM_ADJUSTMENT)
        return;
    set(&f->pricing_category, "Standard");
    if (unit == UNIT_BYTE_MS) {
        set(&f->pricing, ms_gb_months_text(row->quantity, row->day).s);
        set(&f->pricing_unit, "GiB-Months");
        f->consumed = decimal(row->quantity, (ms_u128)MS_GB * MS_HOUR_MS);
        set(&f->consumed_unit, "GiB-Hours");
        return;
    }
    f->pricing = decimal(row->quantity, unit == UNIT_HUNDREDTHS ? 100 : 1);
    set(&f->pricing_unit, unit == UNIT_HUNDREDTHS ? "Minutes" : "Charges");
    if (usage) {
        f->consumed = f->pricing;
        f->consumed_unit = f->pricing_unit;
    }
}

static void focus_of(const struct writing *w, const struct row *row, struct focus *f) {
    struct ms_instant month = ms_instant_month_start(row->day);
    *f = (struct focus){0};
    set(&f->account, ms_id_text(w->store).s);
    set(&f->provider, w->export->provider);
    f->cost = money(row);
    set(&f->currency, ms_currency_name(w->currency));
    f->month_start = instant(month);
    f->month_end = instant(ms_instant_add_months(month, 1));
    f->day_start = instant(row->day);
    f->day_end = instant(ms_instant_add_ms(row->day, MS_DAY_MS));
    set(&f->category, items[row->item].category);
    if (!ms_instant_is_none(row->corrects) && row->corrects.ms < month.ms)
        set(&f->class, "Correction"); /* only of a billing period that is over */
    set(&f->description, row->item == ITEM_ADJUSTMENT ? row->note : items[row->item].description);
    set(&f->frequency, items[row->item].frequency);
    (void)snprintf(f->invoice.s, sizeof f->invoice.s, "%s-%.7s", w->tenant.name, f->month_start.s);
    focus_quantities(row, f);
    set(&f->service_category, items[row->item].service_category);
    set(&f->service, "Digital asset storage");
    set(&f->service_subcategory, items[row->item].service_subcategory);
    set(&f->tenant_id, ms_id_text(w->tenant.id).s);
    set(&f->tenant, w->tenant.name);
}

static const char *const focus_names[] = {
#define C(name, member) #name,
#include "service/bill_focus.def"
};
static const size_t focus_places[] = {
#define C(name, member) offsetof(struct focus, member),
#include "service/bill_focus.def"
};
#define FOCUS_COLUMNS (sizeof focus_names / sizeof focus_names[0])

static enum ms_code add_focus(struct writing *w, const struct row *row, struct ms_error *reterr) {
    struct focus f;
    focus_of(w, row, &f);
    for (unsigned i = 0; i < FOCUS_COLUMNS; i++)
        MS_TRY(add_field(&w->buf, ((const struct text *)((const char *)&f + focus_places[i]))->s,
                         i + 1 == FOCUS_COLUMNS, reterr));
    return MS_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum ms_code hand_out(struct writing *w, struct ms_error *reterr) {
    bool more = w->export->write(w->export->priv, w->buf.data, w->buf.len);
    ms_buf_clear(&w->buf);
    return more ? MS_OK : ms_fail(reterr, MS_CANCELLED, "the export was stopped");
}

static bool add(struct writing *w, const struct row *row) {
    if (row->quantity == 0 && row->micros == 0)
        return true;
    switch (w->export->format) {
    case MS_BILL_CSV:
        w->code = add_csv(w, row, &w->error);
        break;
    case MS_BILL_JSON:
        w->code = add_json(w, row, &w->error);
        break;
    case MS_BILL_FOCUS:
    case MS_BILL_FORMAT_COUNT:
        w->code = add_focus(w, row, &w->error);
        break;
    }
    if (w->code == MS_OK)
        w->code = hand_out(w, &w->error);
    w->rows += w->code == MS_OK;
    return w->code == MS_OK;
}

static bool add_day(void *priv, const struct ms_bill_day *d) {
    const struct ms_day *day = &d->day;
    ms_u128 metered = day->bytes[MS_CLASS_STANDARD] + day->bytes[MS_CLASS_PRODUCED];
    const struct row rows[] = {
        {.item = ITEM_STORAGE, .quantity = day->excess, .micros = d->line.storage},
        {.item = ITEM_STORAGE_INCLUDED, .quantity = metered - day->excess},
        {.item = ITEM_STORAGE_FREE, .quantity = day->bytes[MS_CLASS_PRODUCED_FREE]},
        {.item = ITEM_STORAGE_EXCLUDED, .quantity = day->bytes[MS_CLASS_EXCLUDED]},
        {.item = ITEM_VIDEO, .quantity = day->video_paid_hundredths, .micros = d->line.video},
        {.item = ITEM_VIDEO_INCLUDED,
         .quantity = day->video_hundredths - day->video_paid_hundredths},
        {.item = ITEM_PACKAGE, .quantity = d->line.package > 0, .micros = d->line.package},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct row row = rows[i];
        row.day = day->midnight;
        row.note = "";
        if (!add(priv, &row))
            return false;
    }
    return true;
}

static bool add_adjustment(void *priv, const struct ms_adjust_record *a) {
    struct row row = {.item = ITEM_ADJUSTMENT,
                      .day = ms_instant_day_start(a->at),
                      .quantity = 1,
                      .micros = a->micros,
                      .credit = a->credit,
                      .corrects = a->day,
                      .note = a->reason};
    return add(priv, &row);
}

static enum ms_code add_header(struct writing *w, struct ms_error *reterr) {
    bool focus = w->export->format == MS_BILL_FOCUS;
    const char *const *names = focus ? focus_names : plain_names;
    size_t n = focus ? FOCUS_COLUMNS : PLAIN_COLUMNS;
    if (w->export->format == MS_BILL_JSON)
        return MS_OK;
    for (size_t i = 0; i < n; i++)
        MS_TRY(add_field(&w->buf, names[i], i + 1 == n, reterr));
    return hand_out(w, reterr);
}

static enum ms_code export_tenant(struct ms_svc *svc, struct writing *w, struct ms_error *reterr) {
    const struct ms_bill_export *e = w->export;
    struct ms_tenant_id id = {w->tenant.id};
    MS_TRY(ms_bill_days(svc, id, e->from, e->to, add_day, w, reterr));
    if (w->code == MS_OK)
        MS_TRY(ms_bill_adjustments(svc, id, e->from, e->to, add_adjustment, w, reterr));
    return ms_pass_up(w->code, &w->error, reterr);
}

static enum ms_code export_all(struct ms_svc *svc, struct writing *w, struct ms_error *reterr) {
    struct ms_tenant_id id = {{{0}}};
    struct ms_error err = {0};
    enum ms_code code;
    while ((code = ms_tenant_behind(svc, id, &w->tenant, &err)) == MS_OK) {
        id = (struct ms_tenant_id){w->tenant.id};
        MS_TRY(export_tenant(svc, w, reterr));
    }
    return code == MS_NOT_FOUND ? MS_OK : ms_pass_up(code, &err, reterr);
}

enum ms_code ms_bill_export(struct ms_svc *svc, const struct ms_bill_export *export,
                            uint64_t *ret_rows, struct ms_error *reterr) {
    struct writing w = {.export = export, .store = svc->store_id};
    MS_TRY(ms_bill_currency(svc, &w.currency, reterr));
    enum ms_code code = add_header(&w, reterr);
    if (code == MS_OK && ms_tenant_id_is_none(export->tenant))
        code = export_all(svc, &w, reterr);
    else if (code == MS_OK &&
             (code = ms_tenant_get(svc, export->tenant, &w.tenant, reterr)) == MS_OK)
        code = export_tenant(svc, &w, reterr);
    ms_buf_fini(&w.buf);
    *ret_rows = w.rows;
    return code;
}
