#include "object/s3_xml.h"

#include "base/assert.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_MAX_BYTES 256
#define TEXT_MAX ((size_t)16 << 10)

enum kind { TEXT, ITEM_TEXT, FLAG, URL_FLAG, SIZE, PART_NO, TIME };

struct field {
    const char *path; /* without the root */
    enum kind kind;
    size_t offset;
};

struct parse {
    struct ms_s3_reply reply;
    struct ms_error *reterr;
    enum ms_code code;
    xmlParserCtxtPtr ctxt;
    char path[PATH_MAX_BYTES];              /* below the root */
    size_t length[MS_S3_XML_DEPTH_MAX + 1]; /* of path at each depth */
    size_t depth;
    struct ms_buf text;
};

#define REPLY(member) offsetof(struct ms_s3_reply, member)
#define ITEM(member) offsetof(struct ms_s3_item, member)

static const struct field *field_of(const char *path) {
    static const struct field fields[] = {
        {"Code", TEXT, REPLY(code)},
        {"Message", TEXT, REPLY(message)},
        {"Region", TEXT, REPLY(region)},
        {"UploadId", TEXT, REPLY(upload_id)},
        {"ETag", TEXT, REPLY(etag)},
        {"NextContinuationToken", TEXT, REPLY(token)},
        {"NextKeyMarker", TEXT, REPLY(key_marker)},
        {"NextUploadIdMarker", TEXT, REPLY(upload_marker)},
        {"NextPartNumberMarker", TEXT, REPLY(part_marker)},
        {"IsTruncated", FLAG, REPLY(truncated)},
        {"EncodingType", URL_FLAG, REPLY(url_encoded)},
        {"Contents/Key", ITEM_TEXT, ITEM(key)},
        {"Contents/ETag", ITEM_TEXT, ITEM(etag)},
        {"Contents/Size", SIZE, 0},
        {"Contents/LastModified", TIME, 0},
        {"Upload/Key", ITEM_TEXT, ITEM(key)},
        {"Upload/UploadId", ITEM_TEXT, ITEM(upload_id)},
        {"Upload/Initiated", TIME, 0},
        {"Part/PartNumber", PART_NO, 0},
        {"Part/ETag", ITEM_TEXT, ITEM(etag)},
        {"Part/Size", SIZE, 0},
        {"Error/Key", ITEM_TEXT, ITEM(key)},
        {"Error/Code", ITEM_TEXT, ITEM(code)},
        {"Error/Message", ITEM_TEXT, ITEM(message)},
    };

    for (size_t i = 0; i < MS_ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].path, path) == 0)
            return &fields[i];
    return NULL;
}

static bool is_item(const char *path) {
    return strcmp(path, "Contents") == 0 || strcmp(path, "Upload") == 0 ||
           strcmp(path, "Part") == 0 || strcmp(path, "Error") == 0;
}

static void stop(struct parse *p, enum ms_code code) {
    if (p->code == MS_OK)
        p->code = code;
    xmlStopParser(p->ctxt);
}

#define REFUSE(p, ...) stop((p), ms_fail((p)->reterr, MS_PROTOCOL, __VA_ARGS__))

/* ---- values ---------------------------------------------------------------------------------- */

static void set_text(struct parse *p, void *base, size_t offset) {
    char **at = (char **)(void *)((char *)base + offset);

    free(*at);
    *at = strdup(p->text.data ? (const char *)p->text.data : "");
    if (!*at)
        stop(p, ms_fail(p->reterr, MS_NO_MEMORY, "no memory for a reply of the store"));
}

static bool read_number(const char *text, uint64_t max, uint64_t *ret_n) {
    uint64_t n = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > (max - (uint64_t)(*text - '0')) / 10)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *ret_n = n;
    return true;
}

static void set_number(struct parse *p, const char *text, enum kind kind) {
    struct ms_s3_item *item = &p->reply.items[p->reply.items_n - 1];
    uint64_t n;

    if (!read_number(text, kind == SIZE ? INT64_MAX : UINT32_MAX / 2, &n))
        REFUSE(p, "the store's reply has '%.40s' where a number belongs", text);
    else if (kind == SIZE)
        item->size = n;
    else
        item->part_no = (uint32_t)n;
}

static void set_field(struct parse *p, const struct field *f) {
    const char *text = p->text.data ? (const char *)p->text.data : "";
    struct ms_s3_item *item = p->reply.items_n ? &p->reply.items[p->reply.items_n - 1] : NULL;

    switch (f->kind) {
    case TEXT:
        set_text(p, &p->reply, f->offset);
        break;
    case FLAG:
        p->reply.truncated = strcmp(text, "true") == 0;
        break;
    case URL_FLAG:
        p->reply.url_encoded = strcmp(text, "url") == 0;
        break;
    case ITEM_TEXT:
        set_text(p, item, f->offset);
        break;
    case SIZE:
    case PART_NO:
        set_number(p, text, f->kind);
        break;
    case TIME:
        if (ms_instant_parse(text, &item->modified, NULL) != MS_OK)
            REFUSE(p, "the store's reply has '%.40s' where a time belongs", text);
        break;
    }
}

/* ---- libxml2 calls --------------------------------------------------------------------------- */

static void add_item(struct parse *p) {
    struct ms_s3_reply *r = &p->reply;
    struct ms_s3_item *items;
    size_t cap = r->items_n ? r->items_n * 2 : 16;

    if (r->items_n == MS_S3_XML_ITEMS_MAX) {
        REFUSE(p, "the store's reply lists more than %d things", MS_S3_XML_ITEMS_MAX);
        return;
    }
    if ((r->items_n & (r->items_n - 1)) == 0 && (r->items_n == 0 || r->items_n >= 16)) {
        items = realloc(r->items, cap * sizeof *items);
        if (!items) {
            stop(p, ms_fail(p->reterr, MS_NO_MEMORY, "no memory for a reply of the store"));
            return;
        }
        r->items = items;
    }
    r->items[r->items_n++] = (struct ms_s3_item){0};
}

static void on_start(void *priv, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespaces_n, const xmlChar **namespaces, int attributes_n,
                     int defaulted_n, const xmlChar **attributes) {
    struct parse *p = priv;
    size_t at = p->depth ? p->length[p->depth] : 0;
    int n = 0;

    (void)prefix, (void)uri, (void)namespaces_n, (void)namespaces;
    (void)attributes_n, (void)defaulted_n, (void)attributes;
    if (p->code != MS_OK)
        return;
    if (p->depth == MS_S3_XML_DEPTH_MAX) {
        REFUSE(p, "the store's reply has more than %d elements inside each other",
               MS_S3_XML_DEPTH_MAX);
        return;
    }
    if (p->depth == 0)
        (void)snprintf(p->reply.root, sizeof p->reply.root, "%s", (const char *)name);
    else
        n = snprintf(p->path + at, sizeof p->path - at, "%s%s", at ? "/" : "", (const char *)name);
    if (n < 0 || (size_t)n >= sizeof p->path - at) {
        REFUSE(p, "the store's reply has element names that are too long");
        return;
    }
    p->length[++p->depth] = at + (size_t)n;
    ms_buf_clear(&p->text);
    if (p->depth == 2 && is_item(p->path))
        add_item(p);
}

static void on_end(void *priv, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
    struct parse *p = priv;
    const struct field *f;

    (void)name, (void)prefix, (void)uri;
    if (p->code != MS_OK || p->depth == 0)
        return;
    f = p->depth > 1 ? field_of(p->path) : NULL;
    if (f)
        set_field(p, f);
    p->depth--;
    p->path[p->depth ? p->length[p->depth] : 0] = '\0';
    ms_buf_clear(&p->text);
}

static void on_text(void *priv, const xmlChar *text, int n) {
    struct parse *p = priv;

    if (p->code == MS_OK && ms_buf_add(&p->text, text, (size_t)n, NULL) != MS_OK)
        REFUSE(p, "the store's reply has a text of more than %zu bytes", TEXT_MAX);
}

static void on_dtd(void *priv, const xmlChar *name, const xmlChar *external,
                   const xmlChar *system) {
    struct parse *p = priv;

    (void)name, (void)external, (void)system;
    REFUSE(p, "the store's reply has a DTD, which no reply of S3 has");
}

/* Nothing of a reply goes to stderr. */
static void on_message(void *priv, const char *fmt, ...) { (void)priv, (void)fmt; }

static xmlSAXHandler handler(void) {
    return (xmlSAXHandler){.initialized = XML_SAX2_MAGIC,
                           .startElementNs = on_start,
                           .endElementNs = on_end,
                           .characters = on_text,
                           .cdataBlock = on_text,
                           .ignorableWhitespace = on_text,
                           .internalSubset = on_dtd,
                           .externalSubset = on_dtd,
                           .warning = on_message,
                           .error = on_message,
                           .fatalError = on_message};
}

static void run(struct parse *p, struct ms_view xml) {
    xmlSAXHandler sax = handler();

    p->ctxt = xmlCreatePushParserCtxt(&sax, p, NULL, 0, NULL);
    if (!p->ctxt) {
        p->code = ms_fail(p->reterr, MS_NO_MEMORY, "no memory to read a reply of the store");
        return;
    }
    xmlCtxtUseOptions(p->ctxt, XML_PARSE_NONET);
    xmlParseChunk(p->ctxt, xml.p, (int)xml.n, 1);
    if (p->code == MS_OK && (!p->ctxt->wellFormed || p->reply.root[0] == '\0'))
        p->code = ms_fail(p->reterr, MS_PROTOCOL,
                          "the store's reply of %zu bytes is no whole XML: "
                          "'%.*s'",
                          xml.n, (int)(xml.n < 60 ? xml.n : 60), xml.p ? (const char *)xml.p : "");
    if (p->ctxt->myDoc)
        xmlFreeDoc(p->ctxt->myDoc);
    xmlFreeParserCtxt(p->ctxt);
}

enum ms_code ms_s3_xml_parse(struct ms_view xml, struct ms_s3_reply *ret_reply,
                             struct ms_error *reterr) {
    struct parse p = {.reterr = reterr, .text = MS_BUF_MAX(TEXT_MAX)};

    if (xml.n > MS_S3_XML_BYTES_MAX)
        return ms_fail(reterr, MS_PROTOCOL, "the store's reply has %zu bytes; the most is %zu",
                       xml.n, MS_S3_XML_BYTES_MAX);
    /* RGW and AWS send blanks first, to keep the connection while they work. */
    while (xml.n > 0 && strchr(" \t\r\n", *(const char *)xml.p) && *(const char *)xml.p)
        xml = ms_view_of((const char *)xml.p + 1, xml.n - 1);
    run(&p, xml);
    ms_buf_fini(&p.text);
    if (p.code != MS_OK) {
        ms_s3_reply_fini(&p.reply);
        return p.code;
    }
    *ret_reply = p.reply;
    return MS_OK;
}

void ms_s3_reply_fini(struct ms_s3_reply *r) {
    for (size_t i = 0; i < r->items_n; i++) {
        free(r->items[i].key);
        free(r->items[i].upload_id);
        free(r->items[i].etag);
        free(r->items[i].code);
        free(r->items[i].message);
    }
    free(r->items);
    free(r->code);
    free(r->message);
    free(r->region);
    free(r->upload_id);
    free(r->etag);
    free(r->token);
    free(r->key_marker);
    free(r->upload_marker);
    free(r->part_marker);
    *r = (struct ms_s3_reply){0};
}

/* ---- errors ---------------------------------------------------------------------------------- */

static enum ms_code code_of_status(long status) {
    if (status == 404)
        return MS_NOT_FOUND;
    if (status == 401 || status == 403)
        return MS_DENIED;
    if (status == 408) /* the request, or its body, did not come in time */
        return MS_TIMEOUT;
    if (status == 412)
        return MS_EXISTS;
    if (status == 416)
        return MS_RANGE;
    if (status == 429)
        return MS_THROTTLED;
    if (status == 501 || status == 405)
        return MS_UNSUPPORTED;
    if (status == 507)
        return MS_NO_SPACE;
    if (status >= 300 && status < 400)
        return MS_CONFIG;
    if (status >= 500 || status == 425) /* Too Early: not on this connection yet */
        return MS_UNAVAILABLE;
    return status >= 400 ? MS_INVALID : MS_PROTOCOL;
}

enum ms_code ms_s3_code_of(long status, const char *code) {
    static const struct {
        const char *name;
        enum ms_code code;
    } rows[] = {
        {"AccessDenied", MS_DENIED},
        {"AuthorizationHeaderMalformed", MS_CONFIG}, /* another region */
        {"BadDigest", MS_IO},
        {"EntityTooLarge", MS_TOO_LARGE},
        {"EntityTooSmall", MS_INVALID},
        {"ExpiredToken", MS_DENIED},
        {"IncompleteBody", MS_IO},
        {"InternalError", MS_UNAVAILABLE},
        {"InvalidAccessKeyId", MS_DENIED},
        {"InvalidBucketName", MS_CONFIG},
        {"InvalidPart", MS_CONFLICT},
        {"InvalidPartOrder", MS_CONFLICT},
        {"InvalidRange", MS_RANGE},
        {"InvalidToken", MS_DENIED},
        {"MetadataTooLarge", MS_TOO_LARGE},
        {"NoSuchBucket", MS_CONFIG},
        {"NoSuchKey", MS_NOT_FOUND},
        {"NoSuchUpload", MS_NOT_FOUND},
        {"NotImplemented", MS_UNSUPPORTED},
        {"OperationAborted", MS_THROTTLED},
        {"PermanentRedirect", MS_CONFIG},
        {"PreconditionFailed", MS_EXISTS},
        {"QuotaExceeded", MS_NO_SPACE},
        {"RequestTimeTooSkewed", MS_DENIED},
        {"RequestTimeout", MS_TIMEOUT},
        {"ServiceUnavailable", MS_UNAVAILABLE},
        {"SignatureDoesNotMatch", MS_DENIED},
        {"SlowDown", MS_THROTTLED},
        {"TooManyRequests", MS_THROTTLED},
        {"XAmzContentSHA256Mismatch", MS_IO},
        {"XMinioStorageFull", MS_NO_SPACE},
    };

    for (size_t i = 0; code && i < MS_ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, code) == 0)
            return rows[i].code;
    /* An error inside an answer of 200: the store began well and then failed. */
    return status >= 200 && status < 300 ? MS_UNAVAILABLE : code_of_status(status);
}

/* ---- pages ----------------------------------------------------------------------------------- */

enum ms_code ms_s3_check_token(const char *before, const char *token, struct ms_error *reterr) {
    if (!token || !*token)
        return ms_fail(reterr, MS_PROTOCOL, "the store says that its list goes on, and not where");
    if (before && strcmp(before, token) == 0)
        return ms_fail(reterr, MS_PROTOCOL, "the store's list goes on where it was ('%.60s')",
                       token);
    return MS_OK;
}

/* ---- texts ----------------------------------------------------------------------------------- */

enum ms_code ms_s3_xml_escape(struct ms_buf *buf, const char *text, struct ms_error *reterr) {
    enum ms_code code = MS_OK;

    for (; *text && code == MS_OK; text++) {
        if (strchr("<>&\"'", *text) || (unsigned char)*text < 0x20)
            code = ms_buf_addf(buf, reterr, "&#%u;", (unsigned)(unsigned char)*text);
        else
            code = ms_buf_add(buf, text, 1, reterr);
    }
    return code;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void ms_s3_percent_decode(char *text) {
    char *to = text;

    for (; *text; text++, to++) {
        if (*text == '%' && hex_value(text[1]) >= 0 && hex_value(text[2]) >= 0 &&
            hex_value(text[1]) + hex_value(text[2]) > 0) {
            *to = (char)(hex_value(text[1]) * 16 + hex_value(text[2]));
            text += 2;
        } else {
            *to = *text;
        }
    }
    *to = '\0';
}

void ms_s3_url_decode(char *text) {
    for (char *p = text; *p; p++)
        if (*p == '+')
            *p = ' ';
    ms_s3_percent_decode(text);
}

void ms_s3_unquote(char *etag) {
    size_t n = strlen(etag);

    if (n >= 2 && etag[0] == '"' && etag[n - 1] == '"') {
        memmove(etag, etag + 1, n - 2);
        etag[n - 2] = '\0';
    }
}
