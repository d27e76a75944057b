#include "service/payment.h"

#include "service/change.h"
#include "service/program.h"
#include "service/show.h"
#include "service/tree_rows.h"
#include "service/upkeep_walk.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define PACKAGES 32u

/* Those that wait, as they were read: an answer names them so. */
struct waiting {
    struct ms_tenant_record tenant;
    struct ms_package_record package[PACKAGES];
    unsigned n;
};

static enum ms_code find_in(struct ms_txn *txn, struct ms_tenant_id id, struct ms_instant now,
                            struct ms_package_id *after, struct waiting *ret,
                            struct ms_error *reterr) {
    struct ms_key prefix = ms_key_packages_of(id);
    struct ms_package_record p;
    struct ms_scan scan;
    struct ms_view key;
    enum ms_code code;
    ret->n = 0;
    MS_TRY(ms_row_get_tenant(txn, ms_key_tenant(id), &ret->tenant, reterr));
    ms_scan_prefix(&scan, txn, ms_key_view(&prefix));
    while ((code = ms_row_next_package(&scan, &key, &p, reterr)) == MS_OK && ret->n < PACKAGES)
        if (memcmp(p.id.b, after->id.b, MS_ID_BYTES) > 0 && ms_package_waits(&ret->tenant, &p, now))
            ret->package[ret->n++] = p;
    ms_scan_end(&scan);
    return ms_absent_is_fine(code, reterr);
}

static enum ms_code find(struct ms_svc *svc, struct ms_tenant_id id, struct ms_instant now,
                         struct ms_package_id *after, struct waiting *ret,
                         struct ms_error *reterr) {
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = find_in(txn, id, now, after, ret, reterr);
    ms_read_end(txn);
    return code;
}

/* ---- turns ----------------------------------------------------------------------------------- */

static bool is_place(const struct ms_asking_place *p) {
    return !ms_tenant_id_is_none(p->tenant);
}

static void next_path(const struct ms_svc *svc, char ret_path[sizeof svc->dir + 32]) {
    (void)snprintf(ret_path, sizeof svc->dir + 32, "%s/payment.next", svc->dir);
}

/* "<tenant> <package>"; anything else is no place. */
static struct ms_asking_place read_place(int fd) {
    struct ms_asking_place place = {.tenant = {{{0}}}};
    char text[2 * MS_ID_TEXT_LEN + 2];
    if (pread(fd, text, sizeof text, 0) != (ssize_t)sizeof text || text[MS_ID_TEXT_LEN] != ' ' ||
        text[sizeof text - 1] != '\n')
        return place;
    text[MS_ID_TEXT_LEN] = text[sizeof text - 1] = '\0';
    if (ms_id_parse(text, &place.tenant.id, NULL) != MS_OK ||
        ms_id_parse(text + MS_ID_TEXT_LEN + 1, &place.package.id, NULL) != MS_OK)
        return (struct ms_asking_place){.tenant = {{{0}}}};
    return place;
}

void ms_asking_begin(const struct ms_svc *svc, struct ms_asking *asking) {
    char path[sizeof svc->dir + 32];
    next_path(svc, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    asking->from = read_place(fd);
    (void)close(fd);
}

static int tenant_order(const struct ms_asking *asking, struct ms_tenant_id tenant) {
    return memcmp(tenant.id.b, asking->from.tenant.id.b, MS_ID_BYTES);
}

bool ms_asking_concerns(const struct ms_asking *asking, struct ms_tenant_id tenant) {
    int order = tenant_order(asking, tenant);
    return !is_place(&asking->from) || (asking->second ? order <= 0 : order >= 0);
}

bool ms_asking_is_last(const struct ms_asking *asking, struct ms_tenant_id tenant) {
    return !is_place(&asking->from) || asking->second || tenant_order(asking, tenant) != 0;
}

static bool is_turn(const struct ms_asking *asking, struct ms_tenant_id tenant,
                    struct ms_id package) {
    int order = tenant_order(asking, tenant);
    if (!is_place(&asking->from))
        return true;
    if (order == 0)
        order = memcmp(package.b, asking->from.package.id.b, MS_ID_BYTES);
    return asking->second ? order <= 0 : order > 0;
}

bool ms_asking_again(struct ms_asking *asking) {
    if (!is_place(&asking->from) || asking->second)
        return false;
    asking->second = true;
    return true;
}

/* Whoever asked nobody (another process did) has no word in this. */
void ms_asking_end(const struct ms_svc *svc, const struct ms_asking *asking) {
    char path[sizeof svc->dir + 32];
    if (!is_place(&asking->last))
        return;
    next_path(svc, path);
    if (asking->in_vain < MS_ASKED_IN_VAIN_MAX) {
        (void)unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || dprintf(fd, "%s %s\n", ms_id_text(asking->last.tenant.id).s,
                          ms_id_text(asking->last.package.id).s) < 0)
        ms_log_event(svc->log, MS_LOG_WARN, "payment-turn-not-noted", "path", path, NULL);
    if (fd >= 0)
        (void)close(fd);
}

/* ---- the question ---------------------------------------------------------------------------- */

/* The same for the same term, whoever asks. */
static void order_of(const struct ms_package_record *p, char ret_order[MS_ORDER_MAX + 1]) {
    (void)snprintf(ret_order, MS_ORDER_MAX + 1, "renewal-%s-%u", ms_id_text(p->id).s,
                   p->bought + 1);
}

static enum ms_code question(const struct ms_tenant_record *tenant,
                             const struct ms_package_record *p, const char *order,
                             struct ms_buf *text, struct ms_error *reterr) {
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "order_id", json_string(order));
    ms_show_set(&s, "tenant_id", json_string(ms_id_text(tenant->id).s));
    ms_show_set(&s, "tenant", json_string(tenant->name));
    ms_show_set(&s, "package_id", json_string(ms_id_text(p->id).s));
    ms_show_set(&s, "package", json_string(p->name));
    ms_show_set(&s, "kind", json_string(ms_package_kind_name(p->kind)));
    ms_show_set(&s, "amount", ms_show_u64(p->amount));
    ms_show_set(&s, "months", ms_show_u64(p->months));
    ms_show_set(&s, "term", ms_show_u64(p->bought + 1));
    ms_show_set(&s, "begins", ms_show_time(ms_package_due(p)));
    return ms_show_text(ms_show_end(&s), text, reterr);
}

static enum ms_code ask(struct ms_svc *svc, const struct ms_tenant_record *tenant,
                        const struct ms_package_record *p, bool *ret_paid,
                        struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    char order[MS_ORDER_MAX + 1];
    struct ms_program_answer answer;
    *ret_paid = true;
    if (ms_payments_unasked(svc))
        return MS_OK;
    order_of(p, order);
    MS_TRY(question(tenant, p, order, &text, reterr));
    const struct ms_program program = {.path = svc->payment_command,
                                       .what = "payment command",
                                       .argument = order,
                                       .input = ms_view_of(text.data, text.len),
                                       .timeout_ms = svc->payment_timeout_ms};
    MS_TRY(ms_program_ask(&program, &answer, reterr));
    *ret_paid = answer.status == 0;
    return MS_OK;
}

/* ---- the answer ------------------------------------------------------------------------------ */

struct answer {
    struct ms_tenant_id tenant;
    const struct ms_package_record *asked;
    struct ms_instant now;
    bool paid;
};

/* Somebody else may have been faster, or the package was changed meanwhile. */
static enum ms_code answer_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct answer *a = in;
    struct ms_tenant_record tenant;
    MS_TRY(ms_change_begin(txn, a->tenant, &tenant, reterr));
    return ms_package_answer(txn, &tenant, a->asked, a->now, a->paid, out, reterr);
}

/* The package as it is now; false: it does not wait any more. */
static enum ms_code again(struct ms_svc *svc, const struct waiting *w, struct ms_instant now,
                          struct ms_package_record *p, bool *ret_waits, struct ms_error *reterr) {
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {w->tenant.id};
    struct ms_txn *txn;
    MS_TRY(ms_read_begin(svc->store, &txn, reterr));
    enum ms_code code = ms_row_get_tenant(txn, ms_key_tenant(id), &tenant, reterr);
    if (code == MS_OK)
        code = ms_row_get_package(txn, ms_key_package(id, (struct ms_package_id){p->id}), p, reterr);
    ms_read_end(txn);
    *ret_waits = code == MS_OK && ms_package_waits(&tenant, p, now);
    return code;
}

static enum ms_code settle_one(struct ms_svc *svc, const struct waiting *w,
                               const struct ms_package_record *p, struct ms_instant now,
                               struct ms_asking *asking, struct ms_paid *paid, bool *ret_answered,
                               struct ms_error *reterr) {
    struct answer a = {.tenant = {w->tenant.id}, .asked = p, .now = now};
    struct ms_error err = {0};
    bool applied;
    struct ms_write write = {.fn = answer_op,
                             .in = &a,
                             .out = &applied,
                             .out_size = sizeof applied,
                             .fence = ms_store_fence(svc->store),
                             .frees = true};
    asking->last = (struct ms_asking_place){{w->tenant.id}, {p->id}};
    *ret_answered = ask(svc, &w->tenant, p, &a.paid, &err) == MS_OK;
    if (!*ret_answered) {
        ms_log_failure(svc->log, MS_LOG_WARN, "payment-without-answer", &err, "package",
                       ms_id_text(p->id).s, NULL);
        asking->in_vain++;
        return MS_OK;
    }
    asking->in_vain = 0;
    MS_TRY(ms_store_write(svc->store, &write, reterr));
    paid->renewed += applied && a.paid;
    paid->refused += applied && !a.paid;
    return MS_OK;
}

/* One that has renewed itself may wait again, for the term after: until it does not, or has no answer. */
static enum ms_code settle_package(struct ms_svc *svc, const struct waiting *w,
                                   struct ms_package_record *p, struct ms_instant now,
                                   struct ms_asking *asking, struct ms_paid *paid,
                                   struct ms_error *reterr) {
    bool waits = true, answered = true;
    while (waits && answered) {
        if (asking->stopped && asking->stopped(asking->priv))
            return ms_fail(reterr, MS_CANCELLED, "stopped; what is paid stays paid");
        if (asking->in_vain >= MS_ASKED_IN_VAIN_MAX)
            break;
        MS_TRY(settle_one(svc, w, p, now, asking, paid, &answered, reterr));
        if (answered)
            MS_TRY(again(svc, w, now, p, &waits, reterr));
    }
    paid->waiting += waits;
    return MS_OK;
}

static enum ms_code settle_all(struct ms_svc *svc, struct ms_tenant_id tenant, struct ms_instant now,
                               struct ms_asking *asking, struct ms_paid *paid,
                               struct ms_error *reterr) {
    struct ms_package_id after = {{{0}}};
    struct waiting w;
    do {
        MS_TRY(find(svc, tenant, now, &after, &w, reterr));
        for (unsigned i = 0; i < w.n; i++) {
            after = (struct ms_package_id){w.package[i].id};
            if (asking && is_turn(asking, tenant, w.package[i].id))
                MS_TRY(settle_package(svc, &w, &w.package[i], now, asking, paid, reterr));
            else
                paid->waiting++;
        }
    } while (w.n > 0);
    return MS_OK;
}

/* One process asks at a time; for the others there is no answer yet. */
static enum ms_code lock_questions(struct ms_svc *svc, struct ms_asking **asking, int *ret_lock,
                                   struct ms_error *reterr) {
    struct ms_error err = {0};
    enum ms_code code = ms_svc_lock(svc, "payment.lock", ret_lock, &err);
    if (code != MS_BUSY)
        return ms_pass_up(code, &err, reterr);
    *asking = NULL;
    return MS_OK;
}

enum ms_code ms_payments_settle(struct ms_svc *svc, struct ms_tenant_id tenant,
                                struct ms_instant now, struct ms_asking *asking,
                                struct ms_paid *ret_paid, struct ms_error *reterr) {
    struct ms_asking nobody = {0};
    struct ms_paid paid = {0};
    int lock = -1;
    if (ms_payments_unasked(svc))
        asking = &nobody;
    else if (asking)
        MS_TRY(lock_questions(svc, &asking, &lock, reterr));
    enum ms_code code = settle_all(svc, tenant, now, asking, &paid, reterr);
    if (lock >= 0)
        close(lock);
    *ret_paid = paid;
    return code;
}

enum ms_code ms_payments_waiting_since(struct ms_svc *svc, struct ms_tenant_id tenant,
                                       struct ms_instant now, struct ms_instant *ret_since,
                                       struct ms_error *reterr) {
    struct ms_package_id after = {{{0}}};
    struct ms_instant since = ms_instant_of(INT64_MAX);
    struct waiting w = {.n = 0};
    do {
        if (!ms_payments_unasked(svc))
            MS_TRY(find(svc, tenant, now, &after, &w, reterr));
        for (unsigned i = 0; i < w.n; i++) {
            after = (struct ms_package_id){w.package[i].id};
            since = ms_instant_min(since, ms_package_due(&w.package[i]));
        }
    } while (w.n > 0);
    *ret_since = since;
    return MS_OK;
}
