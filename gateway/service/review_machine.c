/* The machine's verdict: the list of words, then the program, then the URL. */
#include "service/review.h"

#include "base/fd.h"
#include "model/words.h"
#include "object/http_post.h"
#include "service/confirm_part.h"
#include "service/program.h"
#include "service/show.h"
#include "service/upkeep_walk.h"
#include "service/webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WHO "msasset"
#define CASES 64
#define RETRY_MS_MAX MS_HOUR_MS
#define IN_VAIN_MAX 3 /* cases in a row that nobody answered: the reviewer is down */

struct machine {
    struct ms_svc *svc;
    struct ms_words *words; /* NULL: none configured */
    struct ms_webhook hook; /* url NULL: none configured */
    unsigned in_vain;
    struct ms_reviewed done;
};

struct answer {
    enum ms_verdict verdict;
    char reason[MS_REASON_MAX + 1];
};

/* ---- words ----------------------------------------------------------------------------------- */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static enum ms_code read_list(const char *path, struct ms_buf *buf, struct ms_error *reterr) {
    __attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct ms_error err = {0};
    if (fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "the list of words %s cannot be read: %s", path,
                       strerror(errno));
    enum ms_code code = ms_fd_read_all(fd, buf, &err);
    if (code == MS_OK)
        return MS_OK;
    return ms_fail(reterr, code == MS_RANGE || code == MS_NO_MEMORY ? code : MS_NO_INPUT,
                   "the list of words %s: %s", path, err.message);
}

static enum ms_code load_words(struct machine *m, struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf buf = MS_BUF_MAX(MS_WORDS_BYTES_MAX);
    if (m->svc->review_words[0] == '\0')
        return MS_OK;
    MS_TRY(read_list(m->svc->review_words, &buf, reterr));
    return ms_words_new(ms_view_of(buf.data, buf.len), &m->words, reterr);
}

static enum ms_code by_words(const struct machine *m, const struct ms_review_case *c,
                             struct answer *answer, struct ms_error *reterr) {
    const char *const texts[][2] = {
        {"the title", c->row.has_name ? c->row.name : c->asset.name},
        {"the description", c->row.has_description ? c->row.description : c->asset.description}};
    for (size_t i = 0; m->words && i < MS_ARRAY_LEN(texts); i++) {
        const char *word;
        MS_TRY(ms_words_find(m->words, texts[i][1], &word, reterr));
        if (!word)
            continue;
        answer->verdict = MS_VERDICT_REJECT;
        (void)snprintf(answer->reason, sizeof answer->reason, "%s holds \"%.150s\"", texts[i][0],
                       word);
        return MS_OK;
    }
    return MS_OK;
}

/* ---- the program ----------------------------------------------------------------------------- */

static enum ms_code question(const struct ms_review_case *c, struct ms_tenant_id tenant,
                             struct ms_buf *text, struct ms_error *reterr) {
    struct ms_show s = ms_show_begin();
    ms_show_set(&s, "asset_id", json_string(ms_id_text(c->row.asset).s));
    ms_show_set(&s, "tenant_id", json_string(ms_id_text(tenant.id).s));
    ms_show_set(&s, "asset_type", json_string(ms_asset_type_name(c->asset.type)));
    ms_show_set(&s, "asset_name", json_string(c->row.has_name ? c->row.name : c->asset.name));
    ms_show_set(&s, "asset_description",
                json_string(c->row.has_description ? c->row.description : c->asset.description));
    ms_show_set(&s, "tags", json_string(c->asset.tags));
    ms_show_set(&s, "media_type", json_string(c->main.media_type));
    ms_show_set(&s, "size_bytes", ms_show_u64(c->main.size));
    ms_show_set(&s, "edit", json_boolean(c->edit));
    return ms_show_text(ms_show_end(&s), text, reterr);
}

/* The first line, as far as it is text. */
static void first_line(char *said, char ret_reason[MS_REASON_MAX + 1]) {
    said[strcspn(said, "\r\n")] = '\0';
    for (unsigned char *p = (unsigned char *)said; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    (void)snprintf(ret_reason, MS_REASON_MAX + 1, "%.*s", MS_REASON_MAX - 3, said);
}

static enum ms_code by_program(const struct machine *m, const struct ms_review_case *c,
                               struct ms_tenant_id tenant, struct answer *answer,
                               struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    struct ms_program_answer said;
    MS_TRY(question(c, tenant, &text, reterr));
    const struct ms_program program = {.path = m->svc->review_command,
                                       .what = "reviewer",
                                       .input = ms_view_of(text.data, text.len),
                                       .timeout_ms = m->svc->review_timeout_ms};
    MS_TRY(ms_program_ask(&program, &said, reterr));
    if (said.status > MS_VERDICT_HUMAN)
        return ms_fail(reterr, MS_PROTOCOL,
                       "the reviewer %.100s ended with status %d, which is no verdict",
                       program.path, said.status);
    answer->verdict = (enum ms_verdict)said.status;
    first_line(said.said, answer->reason);
    return MS_OK;
}

/* ---- the URL ----------------------------------------------------------------------------------- */

static enum ms_code load_hook(struct machine *m, struct ms_error *reterr) {
    const struct ms_svc *svc = m->svc;
    if (svc->review_webhook[0] == '\0')
        return MS_OK;
    MS_TRY(ms_http_url_check(svc->review_webhook, reterr));
    if (svc->review_webhook_secret[0] == '\0')
        return ms_fail(reterr, MS_CONFIG,
                       "review_webhook is set and review_webhook_secret is not: name the file of the "
                       "secret that signs its requests");
    MS_TRY(ms_webhook_secret(svc->review_webhook_secret, &m->hook.secret, reterr));
    m->hook.timeout_ms = svc->review_timeout_ms;
    m->hook.url = svc->review_webhook;
    return MS_OK;
}

static enum ms_code by_webhook(const struct machine *m, const struct ms_review_case *c,
                               struct ms_tenant_id tenant, struct answer *answer,
                               struct ms_error *reterr) {
    MS_AUTO(ms_buf_fini) struct ms_buf text = {0};
    struct ms_webhook_answer said;
    MS_TRY(question(c, tenant, &text, reterr));
    MS_TRY(ms_webhook_ask(&m->hook, ms_clock_now(m->svc->clock), ms_view_of(text.data, text.len),
                          &said, reterr));
    answer->verdict = said.verdict;
    memcpy(answer->reason, said.reason, sizeof answer->reason);
    return MS_OK;
}

/* Words reject, or have nothing to say; so does the program where there is a URL. Who has nothing
 * configured asks a person. */
static enum ms_code ask(const struct machine *m, const struct ms_review_case *c,
                        struct ms_tenant_id tenant, struct answer *answer,
                        struct ms_error *reterr) {
    *answer = (struct answer){.verdict = MS_VERDICT_PASS};
    MS_TRY(by_words(m, c, answer, reterr));
    if (answer->verdict == MS_VERDICT_REJECT)
        return MS_OK;
    if (m->svc->review_command[0])
        MS_TRY(by_program(m, c, tenant, answer, reterr));
    if (m->hook.url && answer->verdict == MS_VERDICT_PASS)
        MS_TRY(by_webhook(m, c, tenant, answer, reterr));
    if (!m->words && !m->svc->review_command[0] && !m->hook.url)
        answer->verdict = MS_VERDICT_HUMAN;
    return MS_OK;
}

/* ---- cases ----------------------------------------------------------------------------------- */

struct failed {
    struct ms_tenant_id tenant;
    const struct ms_review_case *c;
    struct ms_instant now;
    const char *why;
};

/* Asked again after 1, 2, 4 ... minutes. tries: in vain so far. */
static int64_t wait_ms(uint32_t tries) {
    int64_t wait = MS_MINUTE_MS << (tries < 6 ? tries : 6);
    return wait < RETRY_MS_MAX ? wait : RETRY_MS_MAX;
}

static enum ms_code failed_op(struct ms_txn *txn, const void *in, void *out,
                              struct ms_error *reterr) {
    const struct failed *f = in;
    struct ms_key key = ms_key_review(f->tenant, (struct ms_asset_id){f->c->row.asset});
    struct ms_review_record row;
    bool there;
    (void)out;
    MS_TRY(ms_allow_absent(ms_row_get_review(txn, key, &row, reterr), &there));
    if (!there || row.since.ms != f->c->row.since.ms)
        return MS_OK;
    row.retry_at = ms_instant_add_ms(f->now, wait_ms(row.tries));
    row.tries++;
    ms_reason_cut(f->why, row.note);
    return ms_row_put_review(txn, key, &row, reterr);
}

static enum ms_code unanswered(struct machine *m, const struct ms_ctx *ctx,
                               const struct ms_review_case *c, const struct ms_error *why,
                               struct ms_error *reterr) {
    const struct failed f = {ctx->tenant, c, ms_clock_now(m->svc->clock), why->message};
    const struct ms_write write = {
        .fn = failed_op, .in = &f, .fence = ms_store_fence(m->svc->store)};
    ms_log_failure(m->svc->log, MS_LOG_WARN, "reviewer-without-verdict", why, "asset",
                   ms_id_text(c->row.asset).s, NULL);
    m->done.unanswered++;
    m->in_vain++;
    return ms_store_write(m->svc->store, &write, reterr);
}

static enum ms_code review_one(struct machine *m, const struct ms_ctx *ctx,
                               const struct ms_review_case *c, struct ms_error *reterr) {
    struct answer answer;
    struct ms_error err = {0};
    enum ms_code code = ask(m, c, ctx->tenant, &answer, &err);
    if (code != MS_OK)
        return unanswered(m, ctx, c, &err, reterr);
    m->in_vain = 0;
    const struct ms_review_decide decide = {.asset = {c->row.asset},
                                            .verdict = answer.verdict,
                                            .machine = true,
                                            .since = c->row.since,
                                            .reason = answer.reason};
    code = ms_review_decide(m->svc, ctx, &decide, &err);
    if (code == MS_CONFLICT || code == MS_NOT_FOUND) /* edited, or decided, meanwhile */
        return MS_OK;
    m->done.passed += code == MS_OK && answer.verdict == MS_VERDICT_PASS;
    m->done.rejected += code == MS_OK && answer.verdict == MS_VERDICT_REJECT;
    m->done.human += code == MS_OK && answer.verdict == MS_VERDICT_HUMAN;
    return ms_pass_up(code, &err, reterr);
}

/* ---- a run ------------------------------------------------------------------------------------- */

/* Cases that nobody answered before, and when they were asked about last. */
struct retry {
    struct ms_asset_id asset;
    struct ms_instant tried;
};
struct retries {
    struct retry *list;
    size_t n, cap;
};

static enum ms_code add_retry(struct retries *to, const struct ms_review_record *row,
                              struct ms_error *reterr) {
    if (to->n == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : CASES;
        struct retry *list = reallocarray(to->list, cap, sizeof *list);
        if (!list)
            return ms_fail(reterr, MS_NO_MEMORY, "no memory for %zu cases of review", cap);
        to->list = list;
        to->cap = cap;
    }
    to->list[to->n++] = (struct retry){
        .asset = {row->asset}, .tried = ms_instant_add_ms(row->retry_at, -wait_ms(row->tries - 1))};
    return MS_OK;
}

static int by_last_try(const void *a, const void *b) {
    const struct retry *x = a, *y = b;
    if (x->tried.ms != y->tried.ms)
        return x->tried.ms < y->tried.ms ? -1 : 1;
    return memcmp(x->asset.id.b, y->asset.id.b, MS_ID_BYTES);
}

static bool is_asked(const struct ms_review_record *row, struct ms_instant now) {
    return !row->human && row->retry_at.ms <= now.ms;
}

/* What was never asked about; the others are told to `later`. */
static enum ms_code run_new(struct machine *m, const struct ms_ctx *ctx, struct ms_instant now,
                            struct ms_review_case *cases, struct retries *later,
                            struct ms_error *reterr) {
    struct ms_asset_id after = {{{0}}};
    size_t n = CASES;
    while (n == CASES && m->in_vain < IN_VAIN_MAX) {
        MS_TRY(ms_review_list(m->svc, ctx, after, cases, CASES, &n, reterr));
        if (n > 0 && !m->words)
            MS_TRY(load_words(m, reterr));
        if (n > 0 && !m->hook.url)
            MS_TRY(load_hook(m, reterr));
        for (size_t i = 0; i < n && m->in_vain < IN_VAIN_MAX; i++) {
            after.id = cases[i].row.asset;
            if (!is_asked(&cases[i].row, now))
                continue;
            MS_TRY(cases[i].row.tries > 0 ? add_retry(later, &cases[i].row, reterr)
                                          : review_one(m, ctx, &cases[i], reterr));
        }
    }
    return MS_OK;
}

/* Whose last try is longest ago comes first: three that never get an answer end a run, and the next one
 * begins behind them. */
static enum ms_code run_again(struct machine *m, const struct ms_ctx *ctx, struct ms_instant now,
                              struct ms_review_case *c, struct retries *later,
                              struct ms_error *reterr) {
    if (later->n > 0)
        qsort(later->list, later->n, sizeof *later->list, by_last_try);
    for (size_t i = 0; i < later->n && m->in_vain < IN_VAIN_MAX; i++) {
        struct ms_error err = {0};
        enum ms_code code = ms_review_get(m->svc, ctx, later->list[i].asset, c, &err);
        if (code == MS_NOT_FOUND) /* decided meanwhile */
            continue;
        if (code != MS_OK)
            return ms_pass_up(code, &err, reterr);
        if (is_asked(&c->row, now))
            MS_TRY(review_one(m, ctx, c, reterr));
    }
    return MS_OK;
}

static enum ms_code run_all(struct machine *m, const struct ms_ctx *ctx,
                            struct ms_review_case *cases, struct ms_error *reterr) {
    struct ms_instant now = ms_clock_now(m->svc->clock);
    struct retries later = {.n = 0};
    enum ms_code code = run_new(m, ctx, now, cases, &later, reterr);
    if (code == MS_OK)
        code = run_again(m, ctx, now, cases, &later, reterr);
    free(later.list);
    return code;
}

enum ms_code ms_review_run(struct ms_svc *svc, struct ms_tenant_id tenant,
                           struct ms_reviewed *ret_reviewed, struct ms_error *reterr) {
    const struct ms_ctx ctx = {.tenant = tenant, .who = WHO, .admin = true};
    struct machine m = {.svc = svc};
    struct ms_review_case *cases = calloc(CASES, sizeof *cases);
    if (!cases)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a review");
    enum ms_code code = run_all(&m, &ctx, cases, reterr);
    free(cases);
    ms_words_free(m.words);
    ms_secret_fini(&m.hook.secret);
    if (code == MS_OK)
        *ret_reviewed = m.done;
    return code;
}

enum ms_code ms_review_run_all(struct ms_svc *svc, struct ms_reviewed *ret_reviewed,
                               struct ms_error *reterr) {
    struct ms_reviewed all = {.passed = 0};
    struct ms_tenant_record tenant;
    struct ms_tenant_id id = {{{0}}};
    struct ms_error err = {0}, first = {0};
    enum ms_code code;
    while ((code = ms_tenant_behind(svc, id, &tenant, &err)) == MS_OK || code == MS_CORRUPT) {
        struct ms_reviewed one = {.passed = 0};
        id.id = tenant.id;
        if (code == MS_OK)
            code = ms_review_run(svc, id, &one, &err);
        if (code != MS_OK && first.code == MS_OK)
            first = err;
        all.passed += one.passed;
        all.rejected += one.rejected;
        all.human += one.human;
        all.unanswered += one.unanswered;
    }
    *ret_reviewed = all;
    if (code != MS_NOT_FOUND)
        return ms_pass_up(code, &err, reterr);
    return ms_pass_up(first.code, &first, reterr);
}
