#include "object/url_get.h"

#include "base/assert.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS 10000L
#define STALL_BYTES 1024L
#define STALL_S 30L
#define FIRST_PAUSE_NS INT64_C(100000000)
#define TRIES 5

/* One GET at work, over several transfers. */
struct getting {
    const struct ms_url_get *get;
    CURL *easy;
    uint64_t got;         /* taken so far */
    bool judged;          /* the answer's status was looked at: its body is ours */
    enum ms_code code;    /* what ended the transfer from inside */
    struct ms_error error;
    char host[MS_URL_HOST_MAX], message[CURL_ERROR_SIZE];
};

/* ---- what a URL may be ----------------------------------------------------------------------- */

enum ms_code ms_url_host(const char *url, char ret_host[MS_URL_HOST_MAX], struct ms_error *reterr) {
    enum ms_code code = MS_INVALID;
    char *scheme = NULL, *host = NULL;
    CURLU *u = strnlen(url, MS_URL_MAX + 1) > MS_URL_MAX ? NULL : curl_url();
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)) {
        (void)snprintf(ret_host, MS_URL_HOST_MAX, "%s", host);
        code = MS_OK;
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return code == MS_OK ? MS_OK
                         : ms_fail(reterr, MS_INVALID, "this is no URL of http or https that can be "
                                                       "fetched");
}

/* ---- the answer ------------------------------------------------------------------------------ */

static enum ms_code judge_status(struct getting *g, long status) {
    struct ms_error *e = &g->error;
    if (status == (g->got > 0 ? 206 : 200))
        return MS_OK;
    if (status == 403 || status == 401)
        return ms_fail(e, MS_DENIED,
                       "%s refuses the URL (HTTP %ld): it expired, or was withdrawn: ask for a new "
                       "blob",
                       g->host, status);
    if (status == 404)
        return ms_fail(e, MS_NOT_FOUND, "%s has no such object (HTTP 404)", g->host);
    if (status >= 500 || status == 429 || status == 408)
        return ms_fail(e, MS_UNAVAILABLE, "%s answers with HTTP %ld", g->host, status);
    return ms_fail(e, MS_PROTOCOL, "%s answers with HTTP %ld", g->host, status);
}

static enum ms_code judge(struct getting *g) {
    long status = 0;
    curl_off_t length = -1;
    uint64_t left = g->get->size - g->got;
    curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
    enum ms_code code = judge_status(g, status);
    if (code != MS_OK)
        return code;
    curl_easy_getinfo(g->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0 && (uint64_t)length != left)
        return ms_fail(&g->error, MS_MISMATCH,
                       "%s sends %" CURL_FORMAT_CURL_OFF_T " bytes where %" PRIu64 " were promised",
                       g->host, length, left);
    return MS_OK;
}

static size_t on_write(char *p, size_t size, size_t n, void *priv) {
    struct getting *g = priv;
    size_t bytes = size * n;
    if (!g->judged) {
        g->code = judge(g);
        g->judged = true;
    }
    if (g->code == MS_OK && bytes > g->get->size - g->got)
        g->code = ms_fail(&g->error, MS_MISMATCH, "%s sends more than the %" PRIu64
                          " bytes that were promised", g->host, g->get->size);
    if (g->code == MS_OK)
        g->code = g->get->take(g->get->priv, p, bytes, &g->error);
    if (g->code != MS_OK)
        return CURL_WRITEFUNC_ERROR;
    g->got += bytes;
    return bytes;
}

/* ---- one transfer ---------------------------------------------------------------------------- */

static void prepare(struct getting *g) {
    CURL *e = g->easy;
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, g);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, g->message);
    curl_easy_setopt(e, CURLOPT_URL, g->get->url);
}

static enum ms_code from_curl(struct getting *g, CURLcode c) {
    const char *why = g->message[0] ? g->message : curl_easy_strerror(c);
    if (c == CURLE_OPERATION_TIMEDOUT)
        return ms_fail(&g->error, MS_TIMEOUT, "%s: %.150s", g->host, why);
    if (c == CURLE_PEER_FAILED_VERIFICATION)
        return ms_fail(&g->error, MS_DENIED, "%s: its certificate is not trusted: %.150s", g->host,
                       why);
    return ms_fail(&g->error, MS_UNAVAILABLE, "%s: %.150s", g->host, why);
}

static enum ms_code transfer(struct getting *g) {
    char range[32];
    g->code = MS_OK;
    g->judged = false;
    g->message[0] = '\0';
    (void)snprintf(range, sizeof range, "%" PRIu64 "-", g->got);
    curl_easy_setopt(g->easy, CURLOPT_RANGE, g->got > 0 ? range : NULL);
    CURLcode c = curl_easy_perform(g->easy);
    if (g->code != MS_OK)
        return g->code;
    if (c != CURLE_OK)
        return from_curl(g, c);
    if (!g->judged && (g->code = judge(g)) != MS_OK) /* an answer without a body */
        return g->code;
    if (g->got == g->get->size)
        return MS_OK;
    return ms_fail(&g->error, MS_UNAVAILABLE, "%s broke off after %" PRIu64 " of %" PRIu64 " bytes",
                   g->host, g->got, g->get->size);
}

/* ---- tries ----------------------------------------------------------------------------------- */

struct pause {
    struct ms_timer timer;
    struct ms_latch latch;
};

static void pause_over(struct ms_timer *timer) {
    ms_latch_open(&MS_CONTAINER_OF(timer, struct pause, timer)->latch);
}

static void pause_for(struct ms_engine *engine, int64_t ns) {
    struct pause p = {.timer = {.fire = pause_over}};
    ms_latch_init(&p.latch);
    ms_engine_after(engine, &p.timer, ns);
    ms_latch_wait(&p.latch);
}

static enum ms_code get_all(struct getting *g) {
    unsigned tries = g->get->tries_max ? g->get->tries_max : TRIES;
    int64_t pause = FIRST_PAUSE_NS;
    for (unsigned failed = 0;;) {
        uint64_t before = g->got;
        enum ms_code code = transfer(g);
        bool again = code == MS_UNAVAILABLE || code == MS_TIMEOUT;
        if (g->got > before) {
            failed = 0;
            pause = FIRST_PAUSE_NS;
        }
        if (!again || ++failed >= tries)
            return code;
        pause_for(g->get->engine, pause);
        pause *= 2;
    }
}

enum ms_code ms_url_get(const struct ms_url_get *get, struct ms_error *reterr) {
    struct getting g = {.get = get};
    MS_ASSERT(get->size > 0);
    MS_ASSERT(get->take);
    MS_TRY(ms_url_host(get->url, g.host, reterr));
    g.easy = curl_easy_init();
    if (!g.easy)
        return ms_fail(reterr, MS_NO_MEMORY, "no memory for a transfer");
    prepare(&g);
    enum ms_code code = get_all(&g);
    curl_easy_cleanup(g.easy);
    if (code != MS_OK && reterr)
        *reterr = g.error;
    return code;
}
