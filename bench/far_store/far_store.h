/* far_store.h — a connection of the far store: requests in, answers out, at the pace of a link.
 *
 * Every answer's first byte leaves latency_ns after the whole request is there. Bodies go at no more than
 * connection_rate on one connection and link_rate in all, each way for itself: what a client gains by having many
 * requests under way, and loses by waiting for one, shows as it does far from a store. */
#ifndef MS_BENCH_FAR_STORE_H
#define MS_BENCH_FAR_STORE_H

#include "far_data.h"

#define FAR_PIECE ((size_t)256 << 10)
#define FAR_HEAD_MAX 16384
#define FAR_TEXT_MAX 1100
#define FAR_DATE 96

/* Bytes through a bucket: each taker learns when its own are through. */
struct far_pace {
    _Atomic int64_t next_ns;
    uint64_t rate; /* bytes a second */
};
/* The instant (CLOCK_MONOTONIC) at which n more bytes are through. A taker that slept too long catches up. */
int64_t far_pace_take(struct far_pace *pace, size_t n);

struct far_store {
    struct far_data data;
    int64_t latency_ns;
    uint64_t connection_rate;
    struct far_pace in, out; /* the link, each way */
};

struct far_request {
    char method[8];
    char bucket[64], key[FAR_KEY_MAX + 1];
    char *query; /* "a=b&c", as it came; in the head */
    char range[FAR_TEXT_MAX], copy_source[FAR_TEXT_MAX], copy_range[FAR_TEXT_MAX];
    char if_none_match[FAR_TEXT_MAX], content_md5[64];
    char *headers; /* to keep with an object */
    size_t headers_n;
    uint64_t body_bytes;
    bool has_keys, copy_replaces, refuses_body, expects, closes;
};

struct far_conn {
    struct far_store *store;
    int fd;
    char head[FAR_HEAD_MAX];
    size_t head_n;  /* bytes that have come */
    size_t head_at; /* of them, used up */
    struct far_pace in, out;
    struct far_request request;
    struct ms_buf body; /* of a request that is no object, then of the answer */
    uint8_t *piece;     /* FAR_PIECE */
};

/* What is answered: a body of text, or a range of an object. */
struct far_answer {
    int status;
    struct far_object
        *object; /* one reference, let go of by far_conn_answer; NULL: text is the body */
    uint64_t at, bytes;
    bool partial, head_only;
    char extra[512]; /* further header lines */
};

/* Receives the request's body into new bytes of the memory; NULL: store full, connection lost, with *ret_lost. */
struct far_blob *far_conn_receive(struct far_conn *c, bool *ret_lost);
/* Answers the request. false: the connection is lost. */
bool far_conn_answer(struct far_conn *c, struct far_answer *a);
/* Serves a connection until it ends; argument: struct far_conn, which is freed. */
void *far_conn_main(void *conn);

/* The operation that the request asks for; c->body is empty and becomes the text of the answer. */
bool far_serve(struct far_conn *c);
/* Their parts. */
void far_error(struct far_conn *c, struct far_answer *a, int status, const char *code);
void far_list(struct far_conn *c, struct far_bucket *b, struct far_answer *a);
void far_list_uploads(struct far_conn *c, struct far_bucket *b);
bool far_upload_part(struct far_conn *c, struct far_answer *a);
void far_upload_begin(struct far_conn *c, struct far_answer *a);
void far_upload_complete(struct far_conn *c, struct far_answer *a);
void far_upload_abort(struct far_conn *c, struct far_answer *a);
void far_upload_list(struct far_conn *c, struct far_answer *a);
/* An object of the request's copy source, or NULL after far_error. */
struct far_object *far_copy_source(struct far_conn *c, struct far_answer *a);
void far_etag(struct far_conn *c, const struct far_blob *blob, char etag[FAR_ETAG_MAX]);

/* A query parameter, decoded; false: it is not there. */
bool far_query(const struct far_request *r, const char *name, char *to, size_t size);
uint64_t far_number(const char *text, uint64_t otherwise);
/* "bytes=a-b", "bytes=a-", "bytes=-n" of an object; false: there is no such range. */
bool far_range(const char *text, uint64_t size, uint64_t *ret_at, uint64_t *ret_bytes);
void far_url_decode(char *text);
void far_text(struct ms_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Escaped for XML, or percent-encoded. */
void far_text_escaped(struct ms_buf *buf, const char *text, bool url);
/* RFC 3339, or the form of HTTP's headers. */
void far_date(time_t t, bool http, char text[FAR_DATE]);

#endif
