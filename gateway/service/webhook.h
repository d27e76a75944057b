/* webhook.h — ask a reviewer at a URL: one signed POST, one verdict (product.md section 3.4).
 *
 * The body is the JSON object that a program gets (review.h). Two headers prove where it comes from and when:
 *
 *   X-Msasset-Timestamp: 1785542400              seconds since 1970, of sending
 *   X-Msasset-Signature: v1=<64 hex digits>      HMAC-SHA256(secret, timestamp "." body)
 *
 * Who receives it compares the signature in constant time and refuses a timestamp that is minutes away, so that what
 * was recorded cannot be sent again. The answer is status 200 and a JSON object: "verdict" is "pass", "reject" or
 * "human"; "reason" may stand beside it. Everything else is no verdict: the case waits and is asked again.
 *
 * Threads: any. Needs: no transaction open.
 */
#ifndef MS_SERVICE_WEBHOOK_H
#define MS_SERVICE_WEBHOOK_H

#include "base/time.h"
#include "base/log.h"
#include "service/review.h"

#define MS_WEBHOOK_SECRET_MIN 16 /* bytes; struct ms_secret bounds it above */

struct ms_webhook {
    const char *url;
    struct ms_secret secret;
    int64_t timeout_ms;
};
struct ms_webhook_answer {
    enum ms_verdict verdict;
    char reason[MS_REASON_MAX + 1]; /* one line */
};

/* The first line of a file. Errors: MS_NO_INPUT; MS_CONFIG too short, too long, or everybody may read it. */
MS_NODISCARD enum ms_code ms_webhook_secret(const char *path, struct ms_secret *ret_secret, struct ms_error *reterr);
/* "v1=<hex>". */
#define MS_WEBHOOK_SIGNATURE_LEN (3 + 64)
void ms_webhook_sign(const struct ms_secret *secret, int64_t timestamp_s, struct ms_view body,
                     char ret_text[MS_WEBHOOK_SIGNATURE_LEN + 1]);
/* What an answer says. Errors: MS_PROTOCOL it is no verdict, and what it is instead. */
MS_NODISCARD enum ms_code ms_webhook_read(long status, struct ms_view body, struct ms_webhook_answer *ret_answer,
                                          struct ms_error *reterr);
/* Errors: there was no verdict: of ms_webhook_read() and ms_http_post(). */
MS_NODISCARD enum ms_code ms_webhook_ask(const struct ms_webhook *hook, struct ms_instant now, struct ms_view body,
                                         struct ms_webhook_answer *ret_answer, struct ms_error *reterr);

#endif
