/* http_post.h — send one body to a URL and take the answer: for services of the operator's that are no object store.
 *
 * It blocks, and ends by its time limit whatever the peer does: a name that does not resolve, a peer that takes the
 * body and never answers, one that sends byte by byte. Redirects are answers, not followed: who signed meant one URL.
 * Only http and https. Certificates are checked. Needs: no transaction open. Threads: any.
 */
#ifndef MS_OBJECT_HTTP_POST_H
#define MS_OBJECT_HTTP_POST_H

#include "base/buf.h"
#include "base/error.h"

#define MS_HTTP_SAID_MAX ((size_t)64 << 10)

struct ms_http_post {
    const char *url;
    const char *const *headers; /* "name: value" each; borrowed */
    size_t headers_n;
    struct ms_view body;
    int64_t timeout_ms; /* 1..: for all of it */
};
struct ms_http_answer {
    long status;
    struct ms_buf body; /* the caller's: ms_http_answer_fini */
};
void ms_http_answer_fini(struct ms_http_answer *answer);
/* Whether the text is a URL that can be posted to. Errors: MS_INVALID, naming what is wrong. */
MS_NODISCARD enum ms_code ms_http_url_check(const char *url, struct ms_error *reterr);
/* MS_OK: there was a whole answer, of any status. Errors: MS_INVALID the URL; MS_UNAVAILABLE not reached, or broken
 * off; MS_TIMEOUT; MS_PROTOCOL no HTTP, or more than MS_HTTP_SAID_MAX; MS_DENIED the certificate. */
MS_NODISCARD enum ms_code ms_http_post(const struct ms_http_post *post, struct ms_http_answer *ret_answer,
                                       struct ms_error *reterr);

#endif
