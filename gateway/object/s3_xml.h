/* s3_xml.h — the replies of S3, read by libxml2 within limits: no DTD, no entities of its own, 16 elements deep,
 * 4 MiB. One record holds what any reply may tell; the root's name says which reply it was.
 *
 * A store may be hostile: what is not well formed, too deep or too large is refused, unknown elements are passed
 * over, numbers must be numbers, and page tokens must advance. Pure. Threads: any.
 */
#ifndef MS_OBJECT_S3_XML_H
#define MS_OBJECT_S3_XML_H

#include "base/buf.h"
#include "base/time.h"

#define MS_S3_XML_BYTES_MAX ((size_t)4 << 20)
#define MS_S3_XML_DEPTH_MAX 16
#define MS_S3_XML_ITEMS_MAX 10000

/* Contents, Upload, Part, or Error of DeleteResult. Texts are owned; NULL: not told. */
struct ms_s3_item {
    char *key, *upload_id, *etag, *code, *message;
    uint64_t size;
    uint32_t part_no;
    struct ms_instant modified;
};

struct ms_s3_reply {
    char root[64]; /* "ListBucketResult", "Error", ... */
    char *code, *message, *region;
    char *upload_id, *etag;
    char *token, *key_marker, *upload_marker, *part_marker; /* of the next page */
    bool truncated, url_encoded;
    struct ms_s3_item *items;
    size_t items_n;
};

/* On failure *ret_reply is untouched. Errors: MS_PROTOCOL with what is wrong; MS_NO_MEMORY. */
MS_NODISCARD enum ms_code ms_s3_xml_parse(struct ms_view xml, struct ms_s3_reply *ret_reply,
                                          struct ms_error *reterr);
void ms_s3_reply_fini(struct ms_s3_reply *reply);

/* What a status of HTTP and the <Code> of an error (NULL: it had none) mean here; not MS_OK. Retried by
 * wrap_retry.c: MS_UNAVAILABLE, MS_TIMEOUT, MS_THROTTLED, MS_IO. */
enum ms_code ms_s3_code_of(long status, const char *code);

/* A next page must lie behind the one before: token and before may be NULL. Errors: MS_PROTOCOL. */
MS_NODISCARD enum ms_code ms_s3_check_token(const char *before, const char *token,
                                            struct ms_error *reterr);

/* Text for XML: <>&"' escaped, control characters as numbers. */
MS_NODISCARD enum ms_code ms_s3_xml_escape(struct ms_buf *buf, const char *text,
                                           struct ms_error *reterr);
/* In place: %41. */
void ms_s3_percent_decode(char *text);
/* The same and, as AWS encodes blanks in lists, '+'. */
void ms_s3_url_decode(char *text);
/* "abc" without the quotes that S3 puts around an ETag, in any spelling (&quot; is read by the parser). */
void ms_s3_unquote(char *etag);

#endif
