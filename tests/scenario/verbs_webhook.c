/* A reviewer at a URL: a server on loopback that gives verdicts, talks nonsense, never answers, hangs up, or is down;
 * and that refuses what is not signed as webhook.h says. */
#include "scenario.h"
#include "support/fake_s3.h"

#include "service/webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "a secret that a script need not know"
#define SECOND_MS INT64_C(1000)

/* Between two settled looks the server's threads read this, and nobody else does. */
static struct hook {
    struct fake_s3 server;
    struct ms_clock *clock; /* of the gateway that asks */
    bool runs;
    char body[512];
    int status; /* 0: it hangs up */
    bool waits; /* atomic: it does not answer until this is false */
    unsigned asked, well_signed;
} hook;

static bool is_signed(const struct hook *h, const struct fake_s3_request *r) {
    struct ms_secret secret = {.text = SECRET};
    char timestamp[64], signature[128], want[MS_WEBHOOK_SIGNATURE_LEN + 1];
    int64_t now_s = ms_clock_now(h->clock).ms / SECOND_MS;
    if (!fake_s3_header(r, "x-msasset-timestamp", timestamp, sizeof timestamp) ||
        !fake_s3_header(r, "x-msasset-signature", signature, sizeof signature) ||
        strtoll(timestamp, NULL, 10) != now_s)
        return false;
    ms_webhook_sign(&secret, now_s, ms_view_str(r->body), want);
    return strcmp(r->method, "POST") == 0 && strcmp(signature, want) == 0;
}

static void answer(struct fake_s3 *fake, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct hook *h = fake->priv;
    bool good = is_signed(h, r);
    __atomic_add_fetch(&h->asked, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&h->well_signed, good, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&h->waits, __ATOMIC_SEQ_CST))
        usleep(1000);
    a->status = good ? h->status : 403;
    a->body = h->body;
}

static void stop(void) {
    __atomic_store_n(&hook.waits, false, __ATOMIC_SEQ_CST);
    if (hook.runs)
        fake_s3_stop(&hook.server);
    hook = (struct hook){.runs = false};
}

static void start(struct scene *s) {
    if (hook.runs)
        return;
    hook.server.answer = answer;
    hook.server.priv = &hook;
    if (!fake_s3_start(&hook.server))
        scene_fail(s, "the server does not start");
    hook.runs = true;
}

/* The URL stays when the server goes: nothing listens there any more. */
static void configure(struct scene *s, const char *manner) {
    struct ms_svc *svc = s->w->svc;
    bool none = strcmp(manner, "none") == 0;
    svc->review_timeout_ms = strcmp(manner, "hangs") == 0 ? 50 : 20000;
    (void)snprintf(svc->review_webhook_secret, sizeof svc->review_webhook_secret, "%s/secret", s->w->tmp);
    ms_test_write_file(svc->review_webhook_secret, SECRET "\n", sizeof SECRET);
    if (chmod(svc->review_webhook_secret, 0600) != 0)
        scene_fail(s, "cannot keep the secret");
    (void)snprintf(svc->review_webhook, sizeof svc->review_webhook, none ? "" : "http://127.0.0.1:%d/review",
                   hook.server.port);
}

static const struct {
    const char *name, *body; /* NULL: the verdict of that name */
    int status;
} manners[] = {
    {"pass", NULL, 200},       {"reject", NULL, 200}, {"human", NULL, 200}, {"garbage", "PASS, I think", 200},
    {"error", "{\"verdict\": \"pass\"}", 500},        {"dies", "", 0},      {"hangs", "", 200},
    {"down", "", 0},           {"none", "", 0},
};

static enum ms_code verb_webhook(struct scene *s, int n, char **words, struct ms_error *reterr) {
    size_t i = 0;
    (void)reterr;
    while (i < MS_ARRAY_LEN(manners) && strcmp(manners[i].name, words[1]) != 0)
        i++;
    if (i == MS_ARRAY_LEN(manners))
        scene_fail(s, "a webhook does not behave like \"%s\"", words[1]);
    start(s);
    __atomic_store_n(&hook.waits, false, __ATOMIC_SEQ_CST);
    fake_s3_settle(&hook.server);
    hook.clock = &s->w->clock.clock;
    hook.status = manners[i].status;
    if (manners[i].body)
        (void)snprintf(hook.body, sizeof hook.body, "%s", manners[i].body);
    else
        (void)snprintf(hook.body, sizeof hook.body, "{\"verdict\": \"%s\", \"reason\": \"%s\"}", words[1],
                       n > 2 ? words[2] : "");
    hook.asked = hook.well_signed = 0;
    fake_s3_settle(&hook.server);
    configure(s, words[1]);
    if (strcmp(words[1], "down") == 0)
        stop();
    __atomic_store_n(&hook.waits, strcmp(words[1], "hangs") == 0, __ATOMIC_SEQ_CST);
    return MS_OK;
}

/* Since the last line that said how it behaves; each with a good signature of that very second. */
static enum ms_code verb_webhook_asked(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n, (void)reterr;
    unsigned asked = __atomic_load_n(&hook.asked, __ATOMIC_SEQ_CST),
             good = __atomic_load_n(&hook.well_signed, __ATOMIC_SEQ_CST);
    if (asked != scene_bytes(s, words[1]))
        scene_fail(s, "it was asked %u times", asked);
    if (good != asked)
        scene_fail(s, "%u of %u requests have no good signature", asked - good, asked);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"webhook", 1, 2, verb_webhook,
     "pass|reject|human|garbage|error|dies|hangs|down|none [REASON]: the URL that is asked, and how it behaves"},
    {"webhook-asked", 1, 1, verb_webhook_asked, "N: so often since, and every time with a good signature"},
};
const struct scene_verbs scene_verbs_webhook = {verbs, MS_ARRAY_LEN(verbs), stop};
