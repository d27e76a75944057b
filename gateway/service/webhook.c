/* Signature, request and answer of a reviewer at a URL. */
#include "service/webhook.h"

#include "object/http_post.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the secret ------------------------------------------------------------------------------ */

static enum ms_code check_secret(const char *path, size_t n, const struct stat *st, struct ms_error *reterr) {
    if (st->st_mode & 0007)
        return ms_fail(reterr, MS_CONFIG, "%s holds a secret, and everybody may read or change it: chmod o= it", path);
    if (n < MS_WEBHOOK_SECRET_MIN || n >= sizeof((struct ms_secret *)0)->text)
        return ms_fail(reterr, MS_CONFIG, "the secret in %s has %zu bytes; %d to %zu are allowed", path, n,
                       MS_WEBHOOK_SECRET_MIN, sizeof((struct ms_secret *)0)->text - 1);
    return MS_OK;
}

static enum ms_code read_secret(const char *path, int fd, struct ms_secret *secret, struct ms_error *reterr) {
    char text[sizeof secret->text + 2];
    struct stat st;
    ssize_t n = fstat(fd, &st) == 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n < 0)
        return ms_fail(reterr, MS_NO_INPUT, "the secret %s cannot be read: %s", path, strerror(errno));
    text[n] = '\0';
    size_t len = strcspn(text, "\r\n");
    enum ms_code code = check_secret(path, len, &st, reterr);
    if (code == MS_OK) {
        memset(secret, 0, sizeof *secret);
        memcpy(secret->text, text, len);
    }
    OPENSSL_cleanse(text, sizeof text);
    return code;
}

enum ms_code ms_webhook_secret(const char *path, struct ms_secret *ret_secret, struct ms_error *reterr) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ms_fail(reterr, MS_NO_INPUT, "the secret %s cannot be read: %s", path, strerror(errno));
    enum ms_code code = read_secret(path, fd, ret_secret, reterr);
    close(fd);
    return code;
}

/* ---- the signature --------------------------------------------------------------------------- */

static void hmac(const struct ms_secret *secret, const char *timestamp, struct ms_view body, uint8_t ret[32]) {
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end()};
    size_t n = 0;
    bool ok = ctx && EVP_MAC_init(ctx, (const uint8_t *)secret->text, strlen(secret->text), params) == 1 &&
              EVP_MAC_update(ctx, (const uint8_t *)timestamp, strlen(timestamp)) == 1 &&
              EVP_MAC_update(ctx, body.p, body.n) == 1 && EVP_MAC_final(ctx, ret, &n, 32) == 1;
    MS_ASSERT(ok && n == 32); /* it takes any input; a machine without SHA-256 runs no msasset */
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

void ms_webhook_sign(const struct ms_secret *secret, int64_t timestamp_s, struct ms_view body,
                     char ret_text[MS_WEBHOOK_SIGNATURE_LEN + 1]) {
    char timestamp[24];
    uint8_t sum[32];
    (void)snprintf(timestamp, sizeof timestamp, "%" PRId64 ".", timestamp_s);
    hmac(secret, timestamp, body, sum);
    memcpy(ret_text, "v1=", 4);
    for (size_t i = 0; i < sizeof sum; i++)
        (void)snprintf(ret_text + 3 + 2 * i, 3, "%02x", sum[i]);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static enum ms_code no_verdict(const char *what, struct ms_error *reterr) {
    return ms_fail(reterr, MS_PROTOCOL, "the reviewer's answer is no verdict: %.150s", what);
}

/* Text of a foreign program: one line without control characters. */
static void take_reason(const char *said, char ret_reason[MS_REASON_MAX + 1]) {
    (void)snprintf(ret_reason, MS_REASON_MAX + 1, "%.*s", (int)strcspn(said, "\r\n"), said);
    for (unsigned char *p = (unsigned char *)ret_reason; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    size_t n = strlen(ret_reason); /* cut at a character */
    for (size_t i = n; n == MS_REASON_MAX && i > n - 4; i--)
        if (((unsigned char)ret_reason[i - 1] & 0xc0) != 0x80) {
            ret_reason[i - 1] = '\0';
            break;
        }
}

static enum ms_code take_verdict(const json_t *object, struct ms_webhook_answer *answer, struct ms_error *reterr) {
    const char *verdict = json_string_value(json_object_get(object, "verdict"));
    const json_t *reason = json_object_get(object, "reason");
    if (!verdict)
        return no_verdict("no text \"verdict\"", reterr);
    if (reason && !json_is_string(reason) && !json_is_null(reason))
        return no_verdict("\"reason\" is no text", reterr);
    for (enum ms_verdict v = MS_VERDICT_PASS; v <= MS_VERDICT_HUMAN; v++)
        if (strcmp(verdict, ms_verdict_name(v)) == 0) {
            answer->verdict = v;
            take_reason(json_is_string(reason) ? json_string_value(reason) : "", answer->reason);
            return MS_OK;
        }
    size_t n = strnlen(verdict, 60);
    while (n > 0 && ((unsigned char)verdict[n] & 0xc0) == 0x80) /* cut at a character */
        n--;
    return ms_fail(reterr, MS_PROTOCOL,
                   "the reviewer's verdict is \"%.*s\"; it must be \"pass\", \"reject\" or \"human\"", (int)n, verdict);
}

enum ms_code ms_webhook_read(long status, struct ms_view body, struct ms_webhook_answer *ret_answer,
                             struct ms_error *reterr) {
    struct ms_webhook_answer answer = {.reason = ""};
    json_error_t why;
    if (status != 200)
        return ms_fail(reterr, MS_PROTOCOL, "the reviewer answered with status %ld; a verdict has 200", status);
    json_t *object = json_loadb(body.n ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &why);
    enum ms_code code = !object                   ? no_verdict(why.text, reterr)
                        : !json_is_object(object) ? no_verdict("no JSON object", reterr)
                                                  : take_verdict(object, &answer, reterr);
    json_decref(object);
    if (code == MS_OK)
        *ret_answer = answer;
    return code;
}

enum ms_code ms_webhook_ask(const struct ms_webhook *hook, struct ms_instant now, struct ms_view body,
                            struct ms_webhook_answer *ret_answer, struct ms_error *reterr) {
    char signature[64 + MS_WEBHOOK_SIGNATURE_LEN], timestamp[64], text[MS_WEBHOOK_SIGNATURE_LEN + 1];
    const char *const headers[] = {"Content-Type: application/json; charset=utf-8", timestamp, signature};
    const int64_t now_s = now.ms / 1000;
    struct ms_http_answer said;
    ms_webhook_sign(&hook->secret, now_s, body, text);
    (void)snprintf(timestamp, sizeof timestamp, "X-Msasset-Timestamp: %" PRId64, now_s);
    (void)snprintf(signature, sizeof signature, "X-Msasset-Signature: %s", text);
    const struct ms_http_post post = {.url = hook->url,
                                      .headers = headers,
                                      .headers_n = MS_ARRAY_LEN(headers),
                                      .body = body,
                                      .timeout_ms = hook->timeout_ms};
    MS_TRY(ms_http_post(&post, &said, reterr));
    enum ms_code code =
        ms_webhook_read(said.status, ms_view_of(said.body.data, said.body.len), ret_answer, reterr);
    ms_http_answer_fini(&said);
    return code;
}
