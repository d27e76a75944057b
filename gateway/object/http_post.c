/* One POST with libcurl's easy interface. */
#include "object/http_post.h"

#include "object/url_get.h"

#include <curl/curl.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

void ms_http_answer_fini(struct ms_http_answer *answer) { ms_buf_fini(&answer->body); }

enum ms_code ms_http_url_check(const char *url, struct ms_error *reterr) {
    const char *rest = strncasecmp(url, "https://", 8) == 0  ? url + 8
                       : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                             : NULL;
    if (!rest)
        return ms_fail(reterr, MS_INVALID, "\"%.200s\" is no URL of http or https", url);
    if (rest[strcspn(rest, "/?#")] == '#' || rest[0] == '\0' || strchr("/?#", rest[0]))
        return ms_fail(reterr, MS_INVALID, "the URL \"%.200s\" names no host", url);
    for (const unsigned char *p = (const unsigned char *)url; *p; p++)
        if (*p <= ' ' || *p == 0x7f)
            return ms_fail(reterr, MS_INVALID, "the URL \"%.200s\" holds a blank or control character", url);
    return MS_OK;
}

/* Less than n ends the transfer: an answer that never ends is none. */
static size_t take(char *p, size_t size, size_t n, void *priv) {
    struct ms_http_answer *answer = priv;
    return ms_buf_add(&answer->body, p, size * n, NULL) == MS_OK ? size * n : 0;
}

static enum ms_code code_of(CURLcode code) {
    switch ((unsigned)code) {
    case CURLE_OPERATION_TIMEDOUT:
        return MS_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return MS_DENIED;
    case CURLE_WRITE_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_HTTP2:
    case CURLE_BAD_CONTENT_ENCODING:
        return MS_PROTOCOL;
    case CURLE_OUT_OF_MEMORY:
        return MS_NO_MEMORY;
    default:
        return MS_UNAVAILABLE;
    }
}

static CURLcode set_up(CURL *easy, const struct ms_http_post *post, struct curl_slist *headers,
                       struct ms_http_answer *answer, char *message) {
    CURLcode code = CURLE_OK;
#define SET(option, value)                                                                                             \
    if (code == CURLE_OK)                                                                                              \
    code = curl_easy_setopt(easy, option, value)
    SET(CURLOPT_URL, post->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDS, post->body.n ? post->body.p : "");
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->body.n);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "msasset");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_TIMEOUT_MS, (long)post->timeout_ms);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_WRITEFUNCTION, take);
    SET(CURLOPT_WRITEDATA, answer);
    SET(CURLOPT_ERRORBUFFER, message);
#undef SET
    return code;
}

static enum ms_code perform(CURL *easy, const struct ms_http_post *post, struct curl_slist *headers,
                            struct ms_http_answer *answer, struct ms_error *reterr) {
    char message[CURL_ERROR_SIZE] = "";
    CURLcode code = set_up(easy, post, headers, answer, message);
    if (code == CURLE_OK)
        code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
    if (code == CURLE_OK && answer->status != 0)
        return MS_OK;
    char host[MS_URL_HOST_MAX]; /* user, path and query may be secrets */
    if (ms_url_host(post->url, host, NULL) != MS_OK)
        (void)snprintf(host, sizeof host, "the URL");
    return ms_fail(reterr, code == CURLE_OK ? MS_PROTOCOL : code_of(code), "%.120s: %.100s", host,
                   message[0] ? message : curl_easy_strerror(code));
}

static struct curl_slist *list_of(const struct ms_http_post *post) {
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no wait for a 100 */
    for (size_t i = 0; list && i < post->headers_n; i++) {
        struct curl_slist *more = curl_slist_append(list, post->headers[i]);
        if (!more)
            curl_slist_free_all(list);
        list = more;
    }
    return list;
}

enum ms_code ms_http_post(const struct ms_http_post *post, struct ms_http_answer *ret_answer, struct ms_error *reterr) {
    struct ms_http_answer answer = {.body = MS_BUF_MAX(MS_HTTP_SAID_MAX)};
    MS_TRY(ms_http_url_check(post->url, reterr));
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ms_fail(reterr, MS_NO_MEMORY, "libcurl cannot be started");
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = list_of(post);
    enum ms_code code = easy && headers ? perform(easy, post, headers, &answer, reterr)
                                        : ms_fail(reterr, MS_NO_MEMORY, "no memory for a request");
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
    if (code == MS_OK)
        *ret_answer = answer;
    else
        ms_http_answer_fini(&answer);
    return code;
}
