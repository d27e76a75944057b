#include "scenario.h"

#include "service/tables.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "upkeep/keep.h"

#define WORDS_MAX 24

static const struct scene_verbs *const tables[] = {&scene_verbs_asset, &scene_verbs_tree,
                                                   &scene_verbs_look,  &scene_verbs_request,
                                                   &scene_verbs_money, &scene_verbs_transfer,
                                                   &scene_verbs_upload, &scene_verbs_review,
                                                   &scene_verbs_share, &scene_verbs_kinds, &scene_verbs_webhook,
                                                   &scene_verbs_gateway, &scene_verbs_payment,
                                                   &scene_verbs_journal, &scene_verbs_derive};
static const char *const sweeps_names[] = {"swept after each tick", "never swept",
                                           "swept at times"};

_Noreturn void scene_fail(const struct scene *s, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_error("%s:%u: (%s) %s\n", s->path, s->line, sweeps_names[s->sweeps], text);
    fail();
    abort();
}

/* ---- labels ------------------------------------------------------------------------------ */

const struct ms_ctx *scene_ctx(const struct scene *s) {
    return s->admin ? &s->w->admin : &s->w->ctx;
}

struct ms_instant scene_now(const struct scene *s) {
    return ms_clock_now(&s->w->clock.clock);
}

static void set_label(const struct scene *s, char ret_label[SCENE_LABEL_MAX + 1],
                      const char *label) {
    if (strlen(label) > SCENE_LABEL_MAX || strlen(label) == 0)
        scene_fail(s, "a label has 1 to %d characters", SCENE_LABEL_MAX);
    (void)snprintf(ret_label, SCENE_LABEL_MAX + 1, "%s", label);
}

/* Of a table of things that begin with their label: the one of that name, or the place behind the last
 * one. */
static unsigned place_of(const void *table, size_t size, unsigned n, const char *label) {
    unsigned i = 0;
    while (i < n && strcmp((const char *)table + i * size, label) != 0)
        i++;
    return i;
}
#define PLACE_OF(table, n, label) place_of((table), sizeof *(table), (n), (label))

static unsigned known(const struct scene *s, unsigned i, unsigned n, const char *what,
                      const char *label) {
    if (i == n)
        scene_fail(s, "no %s is called \"%s\"", what, label);
    return i;
}

static void fresh(struct scene *s, unsigned i, unsigned *n, unsigned max, const char *what) {
    if (i == max)
        scene_fail(s, "more than %u %ss", max, what);
    *n += i == *n;
}

struct scene_asset *scene_asset_of(struct scene *s, const char *label) {
    return &s->asset[known(s, PLACE_OF(s->asset, s->assets, label), s->assets, "asset", label)];
}

struct ms_handle **scene_handle_of(struct scene *s, const char *label) {
    unsigned i = known(s, PLACE_OF(s->handle, s->handles, label), s->handles, "handle", label);
    return &s->handle[i].handle;
}

struct ms_id *scene_id_of(struct scene *s, const char *label) {
    return &s->id[known(s, PLACE_OF(s->id, s->ids, label), s->ids, "thing", label)].id;
}

void scene_name_asset(struct scene *s, const char *label, struct ms_asset_id id) {
    unsigned i = PLACE_OF(s->asset, s->assets, label);
    fresh(s, i, &s->assets, SCENE_ASSETS_MAX, "asset");
    set_label(s, s->asset[i].label, label);
    s->asset[i].id = id;
    s->asset[i].tenant = s->w->ctx.tenant;
}

void scene_name_handle(struct scene *s, const char *label, struct ms_handle *handle) {
    unsigned i = PLACE_OF(s->handle, s->handles, label);
    fresh(s, i, &s->handles, SCENE_HANDLES_MAX, "handle");
    set_label(s, s->handle[i].label, label);
    s->handle[i].handle = handle;
}

void scene_name_id(struct scene *s, const char *label, struct ms_id id) {
    unsigned i = PLACE_OF(s->id, s->ids, label);
    fresh(s, i, &s->ids, SCENE_IDS_MAX, "thing");
    set_label(s, s->id[i].label, label);
    s->id[i].id = id;
}

struct ms_tenant_id scene_tenant_of(struct scene *s, const char *name) {
    for (unsigned i = 0; i < s->tenants; i++)
        if (strcmp(s->tenant[i].record.name, name) == 0)
            return (struct ms_tenant_id){s->tenant[i].record.id};
    scene_fail(s, "no tenant is called \"%s\"", name);
}

struct world *scene_world_of(const struct scene *s, struct ms_tenant_id tenant) {
    unsigned i = 0;
    while (i < s->tenants && !ms_tenant_id_equal((struct ms_tenant_id){s->tenant[i].record.id}, tenant))
        i++;
    return s->gateway[i < s->tenants ? s->tenant[i].gateway : 0];
}

/* ---- words ------------------------------------------------------------------------------- */

const char *scene_value(int n, char **words, const char *key) {
    size_t len = strlen(key);
    for (int i = 1; i < n; i++)
        if (strncmp(words[i], key, len) == 0 && words[i][len] == '=')
            return words[i] + len + 1;
    return NULL;
}

void scene_only(const struct scene *s, int n, char **words, const char *keys) {
    for (int i = 1; i < n; i++) {
        size_t len = strcspn(words[i], "=");
        if (words[i][len] == '\0' || words[i][0] == '/')
            continue;
        bool found = false;
        for (const char *p = keys; *p && !found; p += strcspn(p, " "), p += *p == ' ')
            found = strcspn(p, " ") == len && strncmp(p, words[i], len) == 0;
        if (!found)
            scene_fail(s, "%s knows no \"%.*s=\"", words[0], (int)len, words[i]);
    }
}

int64_t scene_duration(const struct scene *s, const char *text) {
    int64_t ms;
    bool minus = text[0] == '-';
    if (ms_duration_parse(text + (minus || text[0] == '+'), &ms, NULL) != MS_OK)
        scene_fail(s, "\"%s\" is no duration", text);
    return minus ? -ms : ms;
}

uint64_t scene_bytes(const struct scene *s, const char *text) {
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    uint64_t unit = strcmp(end, "KB") == 0   ? MS_KB
                    : strcmp(end, "MB") == 0 ? MS_MB
                    : strcmp(end, "GB") == 0 ? MS_GB
                                             : 1;
    if (end == text || (*end && unit == 1))
        scene_fail(s, "\"%s\" is no size", text);
    return n * unit;
}

void scene_number(const struct scene *s, int n, char **words, const char *key, uint64_t is) {
    const char *want = scene_value(n, words, key);
    if (scene_bytes(s, want ? want : "0") != is)
        scene_fail(s, "%" PRIu64 " are %s", is, key);
}

void scene_program(const struct scene *s, const char *name, const char *text, char *ret_path, size_t size) {
    (void)snprintf(ret_path, size, "%s/%s", s->w->tmp, name);
    ms_test_write_file(ret_path, text, strlen(text));
    if (chmod(ret_path, 0755) != 0)
        scene_fail(s, "cannot make %s a program", ret_path);
}

enum ms_event scene_event(const struct scene *s, const char *name) {
    for (unsigned e = 0; e < MS_EVENT_COUNT; e++)
        if (strcmp(ms_event_name((enum ms_event)e), name) == 0)
            return (enum ms_event)e;
    scene_fail(s, "there is no event %s", name);
}

static struct ms_instant base_of(struct scene *s, const char *text, size_t len) {
    char word[64], *end = word + len;
    struct ms_instant at;
    if (len >= sizeof word)
        scene_fail(s, "\"%s\" is no instant", text);
    memcpy(word, text, len);
    *end = '\0';
    if (strcmp(word, "now") == 0)
        return scene_now(s);
    if (isdigit((unsigned char)word[0]) && ms_instant_parse(word, &at, NULL) == MS_OK)
        return at;
    return s->mark[known(s, PLACE_OF(s->mark, s->marks, word), s->marks, "mark", word)].at;
}

static struct ms_instant moved(struct scene *s, struct ms_instant at, const char *text,
                               size_t len) {
    char word[32];
    if (len >= sizeof word)
        scene_fail(s, "\"%s\" is too long", text);
    memcpy(word, text, len);
    word[len] = '\0';
    if (len > 3 && word[0] == '+' && strcmp(word + len - 2, "mo") == 0)
        return ms_instant_add_months(at, (int)strtol(word + 1, NULL, 10));
    return ms_instant_add_ms(at, scene_duration(s, word));
}

struct ms_instant scene_instant(struct scene *s, const char *text) {
    /* the hyphens of a date are no signs */
    size_t len = isdigit((unsigned char)text[0]) ? strcspn(text, "Z") + 1 : strcspn(text, "+-");
    struct ms_instant at = base_of(s, text, len);
    for (const char *p = text + len; *p;) {
        size_t n = 1 + strcspn(p + 1, "+-");
        at = moved(s, at, p, n);
        p += n;
    }
    return at;
}

/* Words of a line, in its own bytes; "a b" is one word, # begins a comment. */
static int split(const struct scene *s, char *line, char **words) {
    int n = 0;
    for (char *p = line + strspn(line, " \t\r\n"); *p && *p != '#'; p += strspn(p, " \t\r\n")) {
        if (n == WORDS_MAX)
            scene_fail(s, "more than %d words", WORDS_MAX);
        char *to = words[n++] = p;
        bool quoted = false;
        for (; *p && (quoted || !isspace((unsigned char)*p)); p++) {
            if (*p == '"')
                quoted = !quoted;
            else
                *to++ = *p;
        }
        if (quoted)
            scene_fail(s, "a quote is not closed");
        bool more = *p != '\0';
        *to = '\0';
        p += more;
    }
    return n;
}

/* ---- time -------------------------------------------------------------------------------- */

void scene_go_to(struct scene *s, struct ms_instant at) {
    struct ms_sweep_result result;
    if (at.ms < scene_now(s).ms)
        scene_fail(s, "time goes forward only");
    for (unsigned i = 0; i < SCENE_GATEWAYS_MAX && s->gateway[i]; i++)
        ms_clock_fake_set(&s->gateway[i]->clock, at);
    if (s->sweeps == SCENE_NEVER ||
        (s->sweeps == SCENE_SOMETIMES && ms_random_below(s->random, 2) == 0))
        return;
    for (unsigned i = 0; i < SCENE_GATEWAYS_MAX && s->gateway[i]; i++)
        if (ms_sweep(s->gateway[i]->svc, &result, &test_err) != MS_OK)
            scene_fail(s, "the sweep fails: %s", test_err.message);
}

static enum ms_code verb_tick(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_instant at = scene_now(s);
    (void)reterr;
    for (int i = 1; i < n; i++)
        at = ms_instant_add_ms(at, scene_duration(s, words[i]));
    scene_go_to(s, at);
    return MS_OK;
}

static enum ms_code verb_until(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    scene_go_to(s, scene_instant(s, words[1]));
    return MS_OK;
}

static enum ms_code verb_sweep(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_sweep_result result;
    (void)n, (void)words;
    return ms_sweep(s->w->svc, &result, reterr);
}

static enum ms_code verb_mark(struct scene *s, int n, char **words, struct ms_error *reterr) {
    unsigned i = PLACE_OF(s->mark, s->marks, words[1]);
    (void)reterr;
    fresh(s, i, &s->marks, SCENE_MARKS_MAX, "mark");
    set_label(s, s->mark[i].label, words[1]);
    s->mark[i].at = n > 2 ? scene_instant(s, words[2]) : scene_now(s);
    return MS_OK;
}

/* ---- tenants and gateways ---------------------------------------------------------------- */

static void use(struct scene *s, struct ms_tenant_id tenant) {
    s->w = scene_world_of(s, tenant);
    s->w->ctx.tenant = s->w->admin.tenant = tenant;
}

/* Another one is made when it is first named; the clock is the same. */
static enum ms_code verb_gateway(struct scene *s, int n, char **words, struct ms_error *reterr) {
    unsigned i = (unsigned)(words[1][0] - 'A');
    (void)n, (void)reterr;
    if (i >= SCENE_GATEWAYS_MAX || words[1][1] != '\0')
        scene_fail(s, "gateways are called A to %c", 'A' + SCENE_GATEWAYS_MAX - 1);
    if (!s->gateway[i]) {
        s->gateway[i] = world_new(true, 0);
        ms_clock_fake_set(&s->gateway[i]->clock, scene_now(s));
    }
    (void)snprintf(s->gateway[i]->ctx.who, sizeof s->w->ctx.who, "%s", s->w->ctx.who);
    s->w = s->gateway[i];
    return MS_OK;
}

void scene_probed(struct scene *s) {
    if (s->tenants > 0 || s->gateway[1])
        scene_fail(s, "whether contents are probed is said first");
    world_free(MS_TAKE(s->gateway[0]));
    s->w = s->gateway[0] = world_new_probed(s->probe, NULL);
}

static enum ms_code verb_tenant(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *free_bytes = scene_value(n, words, "free"), *keep = scene_value(n, words, "bin");
    struct ms_tenant_options options = {
        .name = words[1], .free_bytes = UINT64_MAX, .retention_ms = -1};
    struct ms_tenant_record *record = &s->tenant[s->tenants].record;
    scene_only(s, n, words, "free bin");
    if (s->tenants == SCENE_TENANTS_MAX)
        scene_fail(s, "more than %d tenants", SCENE_TENANTS_MAX);
    if (free_bytes)
        options.free_bytes = scene_bytes(s, free_bytes);
    if (keep)
        options.retention_ms = scene_duration(s, keep);
    MS_TRY(ms_tenant_add(s->w->svc, s->w->admin.who, &options, record, reterr));
    for (s->tenant[s->tenants].gateway = 0; s->gateway[s->tenant[s->tenants].gateway] != s->w;)
        s->tenant[s->tenants].gateway++;
    s->tenants++;
    use(s, (struct ms_tenant_id){record->id});
    return MS_OK;
}

static enum ms_code verb_use(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    use(s, scene_tenant_of(s, words[1]));
    return MS_OK;
}

static enum ms_code verb_as(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    s->admin = strcmp(words[1], "admin") == 0;
    if (!s->admin)
        (void)snprintf(s->w->ctx.who, sizeof s->w->ctx.who, "%s", words[1]);
    return MS_OK;
}

static const struct scene_verb own_verbs[] = {
    {"tick", 1, -1, verb_tick, "DURATION...: time goes on by their sum"},
    {"until", 1, 1, verb_until, "INSTANT: time goes on to it"},
    {"sweep", 0, 0, verb_sweep, ": in every kind of run"},
    {"mark", 1, 2, verb_mark, "LABEL [INSTANT]: a name for now, or for that instant"},
    {"tenant", 1, 3, verb_tenant, "NAME [free=SIZE] [bin=DURATION]: a new one, in use from now on"},
    {"use", 1, 1, verb_use, "TENANT: later lines are about it, at its gateway"},
    {"gateway", 1, 1, verb_gateway, "A|B: tenants are made there from now on"},
    {"as", 1, 1, verb_as, "admin|NAME: who acts"},
};

/* ---- a line ------------------------------------------------------------------------------ */

static const struct scene_verb *find_in(const struct scene_verb *verb, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(verb[i].name, name) == 0)
            return &verb[i];
    return NULL;
}

static const struct scene_verb *find_verb(const char *name) {
    const struct scene_verb *found = find_in(own_verbs, MS_ARRAY_LEN(own_verbs), name);
    for (size_t i = 0; !found && i < MS_ARRAY_LEN(tables); i++)
        found = find_in(tables[i]->verb, tables[i]->n, name);
    return found;
}

static enum ms_code run_verb(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const struct scene_verb *verb = n > 0 ? find_verb(words[0]) : NULL;
    if (!verb)
        scene_fail(s, "there is no verb \"%s\"", n > 0 ? words[0] : "");
    if (n - 1 < verb->min || (verb->max >= 0 && n - 1 > verb->max))
        scene_fail(s, "%s %s", verb->name, verb->usage);
    return verb->run(s, n, words, reterr);
}

/* The text of a rule of the life cycle stands in the refusal. */
static bool says_rule(const char *name, const char *message) {
    for (unsigned r = 0; r < MS_LC_RULE_COUNT; r++)
        if (strcmp(ms_lc_rule_name((enum ms_lc_rule)r), name) == 0)
            return strstr(message, ms_lc_rule_text((enum ms_lc_rule)r)) != NULL;
    return strstr(message, name) != NULL;
}

static bool is_code(const char *name, enum ms_code code) {
    return strcmp(ms_code_name(code), name) == 0;
}

static bool any_code(const char *name) {
    for (unsigned c = 0; c < MS_CODE_COUNT; c++)
        if (is_code(name, (enum ms_code)c))
            return true;
    return false;
}

/* "WRONG_STATE", "FROZEN", "~some words": the code, the rule, or what the message says; several hold
 * with commas between. */
static void check_refusal(const struct scene *s, char *want, enum ms_code code,
                          const struct ms_error *err) {
    if (code == MS_OK)
        scene_fail(s, "this should be refused by %s, and is not", want);
    if (!err->message[0])
        scene_fail(s, "refused with %s and no word", ms_code_name(code));
    for (char *p = want, *next; p; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        bool fits = any_code(p) ? is_code(p, code) : says_rule(p + (p[0] == '~'), err->message);
        if (!fits)
            scene_fail(s, "not refused by %s but by %s: %s", p, ms_code_name(code), err->message);
    }
}

static void run_line(struct scene *s, char *line) {
    char *words[WORDS_MAX];
    struct ms_error err = {0};
    int n = split(s, line, words);
    if (n == 0)
        return;
    if (strcmp(words[0], "fails") == 0) {
        if (n < 3)
            scene_fail(s, "fails CODE|RULE VERB ...");
        enum ms_code refused = run_verb(s, n - 2, words + 2, &err);
        check_refusal(s, words[1], refused, &err);
        return;
    }
    enum ms_code code = run_verb(s, n, words, &err);
    if (code != MS_OK)
        scene_fail(s, "%s: %s", ms_code_name(code), err.message);
    if (err.code != MS_OK)
        scene_fail(s, "success with an error: %s", err.message);
}

/* ---- what is there in the end ------------------------------------------------------------ */

static const char *label_of(const struct scene *s, struct ms_id id) {
    for (unsigned i = 0; i < s->assets; i++)
        if (memcmp(s->asset[i].id.id.b, id.b, MS_ID_BYTES) == 0)
            return s->asset[i].label;
    return "?";
}

#define tell(to, ...) assert_ok(ms_buf_addf((to), &test_err, __VA_ARGS__))

/* Lines in any order that does not depend on when something was swept: by their text, which begins with
 * asset and instant. */
static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
    char **line;
    size_t n, cap;
};

/* Ids are others in each run. */
static void mask_ids(char *line) {
    for (char *p = line; *p; p++) {
        size_t n = strspn(p, "0123456789abcdef");
        if (n == MS_ID_TEXT_LEN)
            memset(p, '#', n);
        p += n > 0 ? n - 1 : 0;
    }
}

static void add_line(struct lines *to, const char *fmt, ...) MS_PRINTF(2, 3);
static void add_line(struct lines *to, const char *fmt, ...) {
    char *line;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&line, fmt, ap);
    va_end(ap);
    assert_true(n >= 0);
    mask_ids(line);
    if (to->n == to->cap) {
        to->cap = to->cap ? 2 * to->cap : 64;
        to->line = realloc(to->line, to->cap * sizeof *to->line);
        assert_non_null(to->line);
    }
    to->line[to->n++] = line;
}

static void tell_sorted(struct lines *lines, struct ms_buf *to) {
    if (lines->n > 0)
        qsort(lines->line, lines->n, sizeof *lines->line, by_text);
    for (size_t i = 0; i < lines->n; i++) {
        tell(to, "%s\n", lines->line[i]);
        free(lines->line[i]);
    }
    free(lines->line);
    *lines = (struct lines){0};
}

static const char *state_name(uint8_t state) {
    return state < MS_STATE_COUNT ? ms_state_name((enum ms_state)state) : "NEW";
}

static void tell_audit(const struct scene *s, struct ms_txn *txn, struct ms_tenant_id tenant,
                       struct ms_buf *to) {
    struct ms_key prefix = ms_key_audits_of(tenant);
    struct lines lines = {0};
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        add_line(&lines, "  %s %" PRId64 " %s %s>%s by %s: %s", label_of(s, row.asset), row.at.ms,
                 ms_audit_event_name(row.event), state_name(row.from), state_name(row.to), row.who, row.why);
    ms_scan_end(&scan);
    tell_sorted(&lines, to);
}

static void tell_ledger(const struct scene *s, struct ms_txn *txn, struct ms_tenant_id tenant,
                        struct ms_buf *to) {
    struct ms_key prefix = ms_key_ledgers_of(tenant);
    struct lines lines = {0};
    struct ms_ledger_record row;
    struct ms_scan scan;
    struct ms_view key;
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (ms_row_next_ledger(&scan, &key, &row, NULL) == MS_OK)
        add_line(&lines, "  %s %" PRId64 " %s %" PRIu64 ">%" PRIu64, label_of(s, row.asset),
                 row.at.ms, ms_why_name((enum ms_why)row.why), row.bytes_before, row.bytes_after);
    ms_scan_end(&scan);
    tell_sorted(&lines, to);
}

static void tell_assets(struct scene *s, struct ms_buf *to) {
    for (unsigned i = 0; i < s->assets; i++) {
        struct ms_error err;
        enum ms_code code = scene_look(s, &s->asset[i], &err);
        const struct ms_asset_record *a = &s->info.asset;
        if (code == MS_NOT_FOUND) {
            tell(to, "%s: gone\n", s->asset[i].label);
            continue;
        }
        assert_ok(code);
        tell(to, "%s: %s rest %s holds %u fail %u bytes %" PRIu64 " at %s reason %s: %s ops %u\n",
             s->asset[i].label, ms_state_name(s->info.state), state_name(a->rest), a->holds,
             a->fail, a->bytes, s->info.path, a->reason_code, a->reason, a->scheduled_count);
    }
}

static void tell_tenant(struct scene *s, const struct ms_tenant_record *tenant, struct ms_buf *to) {
    struct ms_tenant_id id = {tenant->id};
    struct ms_usage_record usage;
    struct ms_txn *txn;
    assert_ok(ms_read_begin(scene_world_of(s, id)->svc->store, &txn, &test_err));
    assert_ok(ms_row_get_usage(txn, ms_key_usage(id), &usage, &test_err));
    tell(to,
         "tenant %s: %" PRIu64 " bytes, %" PRIu64 " reserved, %" PRIu64 " assets, %" PRIu64
         " binned with %" PRIu64 " bytes\n",
         tenant->name, usage.standard, usage.reserved, usage.assets, usage.binned_assets,
         usage.binned_bytes);
    tell_audit(s, txn, id, to);
    tell_ledger(s, txn, id, to);
    ms_read_end(txn);
}

/* ---- rows that were promised ------------------------------------------------------------- */

static bool fits_row(const struct scene_row *want, const struct ms_audit_record *row) {
    return memcmp(want->asset.id.b, row->asset.b, MS_ID_BYTES) == 0 &&
           strcmp(want->event, ms_audit_event_name(row->event)) == 0 &&
           strcmp(want->from, state_name(row->from)) == 0 &&
           strcmp(want->to, state_name(row->to)) == 0 &&
           (!want->has_at || want->at.ms == row->at.ms);
}

static bool has_row(struct scene *s, const struct scene_row *want) {
    struct ms_key prefix = ms_key_audits_of(want->tenant);
    struct ms_audit_record row;
    struct ms_scan scan;
    struct ms_view key;
    struct ms_txn *txn;
    bool found = false;
    assert_ok(ms_read_begin(scene_world_of(s, want->tenant)->svc->store, &txn, &test_err));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while (!found && ms_row_next_audit(&scan, &key, &row, NULL) == MS_OK)
        found = fits_row(want, &row);
    ms_scan_end(&scan);
    ms_read_end(txn);
    return found;
}

static void check_rows(struct scene *s, const struct ms_buf *story) {
    for (unsigned i = 0; i < s->rows; i++) {
        if (has_row(s, &s->row[i]))
            continue;
        s->line = s->row[i].line;
        fprintf(stderr, "%s", (const char *)story->data);
        scene_fail(s, "there is no such audit row");
    }
}

/* ---- a run ------------------------------------------------------------------------------- */

static void close_handles(struct scene *s) {
    for (unsigned i = 0; i < s->handles; i++)
        if (s->handle[i].handle)
            (void)release_file(s->handle[i].handle, NULL);
}

/* Everything that is due is applied, and then the rows tell the whole story. */
static void finish(struct scene *s, struct ms_buf *ret_story) {
    struct ms_sweep_result result;
    close_handles(s);
    tell_assets(s, ret_story); /* as anybody sees them, swept or not */
    for (unsigned i = 0; i < SCENE_GATEWAYS_MAX && s->gateway[i]; i++)
        assert_ok(ms_sweep(s->gateway[i]->svc, &result, &test_err));
    tell_assets(s, ret_story);
    for (unsigned i = 0; i < s->tenants; i++)
        tell_tenant(s, &s->tenant[i].record, ret_story);
    check_rows(s, ret_story);
    for (unsigned i = 0; i < SCENE_GATEWAYS_MAX && s->gateway[i]; i++)
        check_findings(s->gateway[i]->svc);
}

/* Also behind a line that failed. */
static void end_run(struct scene *s) {
    for (size_t i = 0; i < MS_ARRAY_LEN(tables); i++)
        if (tables[i]->end)
            tables[i]->end();
    for (unsigned i = 0; i < SCENE_GATEWAYS_MAX; i++)
        world_free(MS_TAKE(s->gateway[i]));
    s->w = NULL;
}

static void run_script(struct scene *s, char *text) {
    unsigned lines = 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        s->line = ++lines;
        run_line(s, line);
    }
    if (s->assets == 0 || s->tenants == 0)
        scene_fail(s, "a script that has no asset shows nothing");
}

struct all {
    const char *path, *probe;
    struct scene *scene;
};

static void run_once(const struct all *all, enum scene_sweeps sweeps, struct ms_random *random,
                     struct ms_buf *ret_story) {
    struct scene *s = all->scene;
    char *text = ms_test_read_file(all->path, NULL);
    memset(s, 0, sizeof *s);
    s->w = s->gateway[0] = world_new(true, 0);
    s->path = all->path;
    s->probe = all->probe;
    s->sweeps = sweeps;
    s->random = random;
    run_script(s, text);
    finish(s, ret_story);
    end_run(s);
    free(text);
}

static int set_up(void **state) {
    struct all *all = *state;
    all->scene = calloc(1, sizeof *all->scene);
    return all->scene ? 0 : -1;
}

static int tear_down(void **state) {
    struct all *all = *state;
    end_run(all->scene);
    free(all->scene);
    return 0;
}

static void swept_or_not_it_is_the_same_story(void **state) {
    struct all *all = *state;
    struct ms_buf story[SCENE_SWEEPS_COUNT];
    struct ms_random_seeded random;
    ms_random_seeded_init(&random, ms_test_seed());
    for (unsigned i = 0; i < SCENE_SWEEPS_COUNT; i++) {
        story[i] = (struct ms_buf)MS_BUF_MAX(16 * MS_MB);
        run_once(all, (enum scene_sweeps)i, &random.random, &story[i]);
    }
    for (unsigned i = 1; i < SCENE_SWEEPS_COUNT; i++) {
        if (story[i].len == story[0].len && memcmp(story[i].data, story[0].data, story[0].len) == 0)
            continue;
        /* cmocka's own messages are cut at 1024 bytes */
        fprintf(stderr, "%s:\n%s\n%s:\n%s\n", sweeps_names[0], (const char *)story[0].data,
                sweeps_names[i], (const char *)story[i].data);
        fail_msg("%s: the runs end differently", all->path);
    }
    for (unsigned i = 0; i < SCENE_SWEEPS_COUNT; i++)
        ms_buf_fini(&story[i]);
    ms_random_seeded_fini(&random);
}

int main(int argc, char **argv) {
    struct all all = {.path = argc == 3 ? argv[1] : NULL, .probe = argv[argc - 1]};
    const struct CMUnitTest tests[] = {{.name = argc == 3 ? argv[1] : "?",
                                        .test_func = swept_or_not_it_is_the_same_story,
                                        .setup_func = set_up,
                                        .teardown_func = tear_down,
                                        .initial_state = &all}};
    if (argc != 3) {
        fprintf(stderr, "usage: ms_scenario SCRIPT MSASSET-PROBE\n");
        return 64;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
