/* presign.c — URLs for those who have no keys, used by plain libcurl as a browser would; design.md section 4. */
#include "contract.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#define PART_N ((size_t)100 << 10)

struct sent {
    const unsigned char *bytes;
    size_t n, at;
};

static size_t give(char *to, size_t size, size_t n, void *priv) {
    struct sent *s = priv;
    size_t most = size * n, left = s->n - s->at;

    most = most < left ? most : left;
    memcpy(to, s->bytes + s->at, most);
    s->at += most;
    return most;
}

struct got {
    unsigned char bytes[PART_N + 4096];
    size_t n;
};

static size_t take(char *from, size_t size, size_t n, void *priv) {
    struct got *g = priv;

    n *= size;
    if (n > sizeof g->bytes - g->n)
        return 0;
    memcpy(g->bytes + g->n, from, n);
    g->n += n;
    return n;
}

/* As an ETag is kept: without its quotes. */
static size_t take_etag(char *line, size_t size, size_t n, void *priv) {
    char *etag = priv, text[MS_ETAG_MAX + 16] = "";

    n *= size;
    memcpy(text, line, n < sizeof text - 1 ? n : sizeof text - 1);
    if (strncasecmp(text, "etag:", 5) == 0)
        snprintf(etag, MS_ETAG_MAX + 1, "%.*s", (int)strcspn(text + 7, "\""), text + 7);
    return n;
}

struct url {
    struct ms_buf url, headers;
};

static void url_fini(struct url *u) {
    ms_buf_fini(&u->url);
    ms_buf_fini(&u->headers);
}

static long fetch(CURL *e, struct curl_slist *headers, struct got *got) {
    long status = 0;

    memset(got, 0, sizeof *got);
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_TIMEOUT, 120L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, got);
    if (curl_easy_perform(e) == CURLE_OK)
        curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(e);
    return status;
}

static long http_get(const struct url *u, struct got *got) {
    CURL *e = curl_easy_init();

    curl_easy_setopt(e, CURLOPT_URL, (const char *)u->url.data);
    return fetch(e, NULL, got);
}

/* Exactly the headers that were told, but for the length, which is that of the bytes. */
static long http_put(const struct url *u, const unsigned char *bytes, size_t n, char *ret_etag) {
    CURL *e = curl_easy_init();
    struct sent sent = {bytes, n, 0};
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    char *text = strdup((const char *)u->headers.data), *line, *rest = text;
    static struct got got;
    char etag[MS_ETAG_MAX + 1] = "";
    long status;

    while ((line = strsep(&rest, "\n")) && *line)
        if (strncmp(line, "content-length:", 15) != 0)
            headers = curl_slist_append(headers, line);
    curl_easy_setopt(e, CURLOPT_URL, (const char *)u->url.data);
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)n);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(e, CURLOPT_READDATA, &sent);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_etag);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, etag);
    status = fetch(e, headers, &got);
    free(text);
    if (ret_etag)
        snprintf(ret_etag, MS_ETAG_MAX + 1, "%s", etag);
    return status;
}

static void md5_of(const unsigned char *bytes, size_t n, char ret_text[25]) {
    unsigned char digest[EVP_MAX_MD_SIZE];

    EVP_Digest(bytes, n, digest, NULL, EVP_md5(), NULL);
    EVP_EncodeBlock((unsigned char *)ret_text, digest, 16);
}

static struct ms_obj_presign part_of(struct subject *s, const char *id, char md5[25]) {
    md5_of(s->bytes, PART_N, md5);
    return (struct ms_obj_presign){.op = MS_OBJ_MP_PUT, .key = "a b/c+d", .upload_id = id, .part_no = 1,
                                   .expires_s = 600, .content_length = PART_N, .content_md5 = md5,
                                   .content_type = "video/mp4"};
}

static void sign(struct subject *s, const struct ms_obj_presign *p, struct url *ret) {
    assert_ok(ms_obj_presign(s->obj, p, &ret->url, &ret->headers, &test_err));
}

/* ---- cases ---- */

static void an_object_is_read_by_its_url(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    struct ms_obj_presign p = {.op = MS_OBJ_GET, .key = "k/\xc3\xa4 +%41", .expires_s = 600};
    struct got *got = malloc(sizeof *got);

    assert_ok(do_put(s, p.key, s->bytes, PART_N));
    sign(s, &p, &u);
    assert_int_equal(http_get(&u, got), 200);
    assert_int_equal(got->n, PART_N);
    assert_memory_equal(got->bytes, s->bytes, PART_N);
    assert_int_equal(u.headers.len, 0);
    /* The URL names one object: another key is another signature. */
    p.key = "nothing";
    sign(s, &p, &u);
    assert_int_equal(http_get(&u, got), 404);
    free(got);
}

static void a_url_that_was_changed_is_refused(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    struct ms_obj_presign p = {.op = MS_OBJ_GET, .key = "one", .expires_s = 600};
    struct got *got = malloc(sizeof *got);
    char *at;

    assert_ok(do_put(s, "one", s->bytes, 10));
    assert_ok(do_put(s, "two", s->bytes, 10));
    sign(s, &p, &u);
    at = strstr((char *)u.url.data, "/one?");
    assert_non_null(at);
    memcpy(at, "/two?", 5);
    assert_int_equal(http_get(&u, got), 403);
    sign(s, &p, &u);
    at = strstr((char *)u.url.data, "X-Amz-Expires=600");
    assert_non_null(at);
    at[strlen("X-Amz-Expires=")] = '9';
    assert_int_equal(http_get(&u, got), 403);
    free(got);
}

static void a_url_ends(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url get = {0};
    MS_AUTO(url_fini) struct url put = {0};
    struct ms_obj_presign p = {.op = MS_OBJ_GET, .key = "k", .expires_s = 1};
    char id[MS_UPLOAD_ID_MAX + 1], md5[25];
    struct ms_obj_presign part;
    struct got *got = malloc(sizeof *got);

    assert_ok(do_put(s, "k", s->bytes, 10));
    assert_ok(mp_create(s, "a b/c+d", id));
    part = part_of(s, id, md5);
    part.expires_s = 1;
    sign(s, &p, &get);
    sign(s, &part, &put);
    ms_clock_sleep_ns(INT64_C(3500) * 1000 * 1000);
    assert_int_equal(http_get(&get, got), 403);
    assert_int_equal(http_put(&put, s->bytes, PART_N, NULL), 403);
    free(got);
}

static void a_part_is_sent_by_its_url_and_completed_by_its_etag(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    char id[MS_UPLOAD_ID_MAX + 1], md5[25];
    struct ms_obj_presign p;
    struct ms_obj_part part = {.part_no = 1, .size = PART_N};

    assert_ok(mp_create(s, "a b/c+d", id));
    p = part_of(s, id, md5);
    sign(s, &p, &u);
    assert_non_null(strstr((char *)u.headers.data, "content-type: video/mp4\n"));
    assert_non_null(strstr((char *)u.headers.data, "content-length: 102400\n"));
    assert_non_null(strstr((char *)u.headers.data, md5));
    assert_int_equal(http_put(&u, s->bytes, PART_N, part.etag), 200);
    assert_int_equal(strlen(part.etag), 32); /* the MD5 */
    assert_ok(mp_complete(s, p.key, id, &part, 1, NULL));
    assert_object(s, p.key, s->bytes, PART_N);
    /* From now on the URL is worth nothing, though it has not expired. */
    assert_int_equal(http_put(&u, s->bytes, PART_N, NULL), 404);
    assert_object(s, p.key, s->bytes, PART_N);
    assert_ok(do_delete(s, p.key));
    assert_int_equal(http_put(&u, s->bytes, PART_N, NULL), 404);
    assert_no_object(s, p.key);
}

static void other_bytes_lengths_and_types_are_refused(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    MS_AUTO(url_fini) struct url other = {0};
    char id[MS_UPLOAD_ID_MAX + 1], md5[25];
    struct ms_obj_request list = {.op = MS_OBJ_MP_PARTS, .key = "a b/c+d", .upload_id = id};
    struct ms_obj_presign p;

    assert_ok(mp_create(s, "a b/c+d", id));
    p = part_of(s, id, md5);
    sign(s, &p, &u);
    assert_int_equal(http_put(&u, s->bytes + 1, PART_N, NULL), 400);  /* under the signed MD5 */
    assert_int_equal(http_put(&u, s->bytes, PART_N - 1, NULL), 403);  /* another length */
    p.content_type = "text/html";
    sign(s, &p, &other);
    ms_buf_fini(&u.headers);
    u.headers = other.headers; /* another type under the first signature */
    other.headers = (struct ms_buf){0};
    assert_int_equal(http_put(&u, s->bytes, PART_N, NULL), 403);
    assert_ok(do_op(s, &list));
    assert_int_equal(list.ret_n, 0);
    ms_obj_drop_results(&list);
}

static void a_part_of_an_aborted_upload_is_refused(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    char id[MS_UPLOAD_ID_MAX + 1], md5[25];
    struct ms_obj_presign p;

    assert_ok(mp_create(s, "a b/c+d", id));
    p = part_of(s, id, md5);
    sign(s, &p, &u);
    assert_ok(mp_abort(s, p.key, id));
    assert_int_equal(http_put(&u, s->bytes, PART_N, NULL), 404);
    assert_no_object(s, p.key);
}

/* On every driver: what is not declared is refused cleanly. */
static void what_cannot_be_signed_says_so(void **state) {
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};
    struct ms_obj_presign get = {.op = MS_OBJ_GET, .key = "k", .expires_s = 60};
    struct ms_obj_presign part = {.op = MS_OBJ_MP_PUT, .key = "k", .upload_id = "id", .part_no = 1, .expires_s = 60,
                                  .content_length = 1};

    assert_code(ms_obj_presign(s->obj, &get, &u.url, &u.headers, &test_err),
                s->obj->caps.presign_get ? MS_OK : MS_UNSUPPORTED);
    assert_code(ms_obj_presign(s->obj, &part, &u.url, &u.headers, &test_err),
                s->obj->caps.presign_put ? MS_OK : MS_UNSUPPORTED);
    get.op = MS_OBJ_PUT; /* good for a day, over what review has passed */
    assert_code(ms_obj_presign(s->obj, &get, &u.url, &u.headers, &test_err), MS_UNSUPPORTED);
    get.op = MS_OBJ_DELETE;
    assert_code(ms_obj_presign(s->obj, &get, &u.url, &u.headers, &test_err), MS_UNSUPPORTED);
}

static void what_is_wrong_is_invalid(void **state) {
    static const struct ms_obj_presign rows[] = {
        {.op = MS_OBJ_GET, .key = "k"},
        {.op = MS_OBJ_GET, .key = "k", .expires_s = -1},
        {.op = MS_OBJ_GET, .key = "k", .expires_s = MS_OBJ_PRESIGN_S_MAX + 1},
        {.op = MS_OBJ_GET, .key = "", .expires_s = 1},
        {.op = MS_OBJ_GET, .key = "../k", .expires_s = 1},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .part_no = 1, .upload_id = ""},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .part_no = 1},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i"},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i", .part_no = MS_PARTS_MAX + 1},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i", .part_no = 1, .content_md5 = "short"},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i", .part_no = 1,
         .content_md5 = "AAAAAAAAAAAAAAAAAAAAAA\n="},
        {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i", .part_no = 1,
         .content_type = "text/plain\r\nX: y"},
    };
    static const struct ms_obj_presign much = {.op = MS_OBJ_MP_PUT, .key = "k", .expires_s = 1, .upload_id = "i",
                                               .part_no = 1, .content_length = INT64_MAX};
    struct subject *s = *state;
    MS_AUTO(url_fini) struct url u = {0};

    for (size_t i = 0; i < MS_ARRAY_LEN(rows); i++)
        assert_code(ms_obj_presign(s->obj, &rows[i], &u.url, &u.headers, &test_err), MS_INVALID);
    assert_code(ms_obj_presign(s->obj, &much, &u.url, &u.headers, &test_err), MS_TOO_LARGE);
}

const struct contract_case presign_cases[] = {
    CASE(CORE, what_cannot_be_signed_says_so),
    CASE(PRESIGN, what_is_wrong_is_invalid),
    CASE(PRESIGN, an_object_is_read_by_its_url),
    CASE(PRESIGN, a_url_that_was_changed_is_refused),
    CASE(PRESIGN, a_url_ends),
    CASE(PRESIGN, a_part_is_sent_by_its_url_and_completed_by_its_etag),
    CASE(PRESIGN, other_bytes_lengths_and_types_are_refused),
    CASE(PRESIGN, a_part_of_an_aborted_upload_is_refused),
};
const size_t presign_cases_n = MS_ARRAY_LEN(presign_cases);
