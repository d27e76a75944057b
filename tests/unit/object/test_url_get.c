/* A URL of somebody else's store: what is taken of its answers, and what is not. */
#include "support/test.h"

#include "base/buf.h"
#include "object/url_get.h"
#include "support/fake_s3.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 300000

struct fx {
    struct fake_s3 fake;
    struct ms_engine *engine;
    char bytes[SIZE + 1];
    char url[256];
    enum {
        WHOLE, BREAKS, BUSY_TWICE, ALWAYS_503, REFUSES, GONE, SHORTER, LONGER, ENDLESS, REDIRECTS, NO_RANGES, HANGS_UP
    } how;
    atomic_uint ranges;
    struct ms_buf got;
    uint64_t refuse_at; /* take says MS_CANCELLED behind so many bytes; 0: never */
};

static void answer(struct fake_s3 *fake, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    struct fx *f = fake->priv;
    char range[128];
    unsigned long from = 0;
    bool ranged = fake_s3_header(r, "Range", range, sizeof range);
    if (ranged) {
        atomic_fetch_add(&f->ranges, 1);
        from = strtoul(range + strlen("bytes="), NULL, 10);
    }
    a->status = ranged ? 206 : 200;
    a->body = f->bytes + from;
    a->body_n = SIZE - from;
    if ((f->how == BREAKS || f->how == NO_RANGES) && !ranged) { /* a third of it, then nothing */
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n";
        static char raw[sizeof head + SIZE / 3];
        memcpy(raw, head, sizeof head - 1);
        memcpy(raw + sizeof head - 1, f->bytes, SIZE / 3);
        a->raw = raw;
        a->raw_n = sizeof head - 1 + SIZE / 3;
    } else if ((f->how == BUSY_TWICE && r->number <= 2) || f->how == ALWAYS_503)
        *a = (struct fake_s3_answer){.status = 503, .body = "slow down"};
    else if (f->how == REFUSES)
        *a = (struct fake_s3_answer){.status = 403, .body = "expired"};
    else if (f->how == GONE)
        *a = (struct fake_s3_answer){.status = 404, .body = "no such key"};
    else if (f->how == SHORTER)
        a->body_n = SIZE - 1;
    else if (f->how == LONGER)
        a->body_n = SIZE + 1;
    else if (f->how == ENDLESS) { /* no length is told, and it goes on */
        static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        static char raw[sizeof head + 2 * SIZE];
        memcpy(raw, head, sizeof head - 1);
        a->raw = raw;
        a->raw_n = sizeof raw;
    } else if (f->how == REDIRECTS) {
        *a = (struct fake_s3_answer){.status = 302, .body = ""};
        (void)snprintf(a->head, sizeof a->head, "Location: http://127.0.0.1:%d/other\r\n", f->fake.port);
    } else if (f->how == NO_RANGES && ranged) {
        a->status = 200;
        a->body = f->bytes;
        a->body_n = SIZE;
    } else if (f->how == HANGS_UP)
        a->status = 0;
}

static enum ms_code take(void *priv, const void *p, size_t n, struct ms_error *reterr) {
    struct fx *f = priv;
    if (f->refuse_at && f->got.len >= f->refuse_at)
        return ms_fail(reterr, MS_CANCELLED, "enough");
    return ms_buf_add(&f->got, p, n, reterr);
}

static void be(struct fx *f, int how) {
    fake_s3_settle(&f->fake);
    f->how = how;
    fake_s3_settle(&f->fake);
}

static int setup(void **state) {
    struct fx *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    for (size_t i = 0; i < SIZE; i++)
        f->bytes[i] = (char)(i * 31 % 251);
    f->fake.answer = answer;
    f->fake.priv = f;
    f->got.max = 4 * SIZE;
    assert_true(fake_s3_start(&f->fake));
    (void)snprintf(f->url, sizeof f->url, "http://127.0.0.1:%d/bucket/key?X-Amz-Signature=s3cr3t", f->fake.port);
    assert_ok(ms_engine_new(2, &f->engine, &test_err));
    return 0;
}

static int teardown(void **state) {
    struct fx *f = *state;
    ms_engine_free(f->engine);
    fake_s3_stop(&f->fake);
    ms_buf_fini(&f->got);
    free(f);
    return 0;
}

static enum ms_code get(struct fx *f, unsigned tries) {
    const struct ms_url_get what = {
        .url = f->url, .size = SIZE, .engine = f->engine, .tries_max = tries, .take = take, .priv = f};
    ms_buf_clear(&f->got);
    return ms_url_get(&what, &test_err);
}

static void all_of_it(struct fx *f) {
    assert_int_equal(f->got.len, SIZE);
    assert_memory_equal(f->got.data, f->bytes, SIZE);
}

static void the_bytes_come_in_order(void **state) {
    struct fx *f = *state;
    assert_ok(get(f, 1));
    all_of_it(f);
}

static void what_breaks_off_goes_on_where_it_stopped(void **state) {
    struct fx *f = *state;
    be(f, BREAKS);
    assert_ok(get(f, 2));
    all_of_it(f);
    assert_int_equal(atomic_load(&f->ranges), 1);
}

static void a_store_that_is_busy_is_asked_again(void **state) {
    struct fx *f = *state;
    be(f, BUSY_TWICE);
    assert_ok(get(f, 3));
    all_of_it(f);
}

static void every_other_answer_is_an_error_of_its_kind(void **state) {
    struct fx *f = *state;
    static const struct {
        int how;
        enum ms_code want;
        unsigned tries, requests;
    } cases[] = {{ALWAYS_503, MS_UNAVAILABLE, 3, 3}, {HANGS_UP, MS_UNAVAILABLE, 2, 2},
                 {REFUSES, MS_DENIED, 3, 1},         {GONE, MS_NOT_FOUND, 3, 1},
                 {SHORTER, MS_MISMATCH, 3, 1},       {LONGER, MS_MISMATCH, 3, 1},
                 {ENDLESS, MS_MISMATCH, 3, 1},       {REDIRECTS, MS_PROTOCOL, 3, 1}};
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        unsigned before = fake_s3_requests(&f->fake);
        be(f, cases[i].how);
        assert_code(get(f, cases[i].tries), cases[i].want);
        assert_null(strstr(test_err.message, "s3cr3t"));
        assert_true(f->got.len <= SIZE);
        /* libcurl itself sends once more where a kept connection was closed */
        assert_true(fake_s3_requests(&f->fake) - before >= cases[i].requests);
        assert_true(cases[i].requests != 1 || cases[i].how == HANGS_UP ||
                    fake_s3_requests(&f->fake) - before == 1);
    }
}

static void a_store_without_ranges_cannot_mix_bytes(void **state) {
    struct fx *f = *state;
    be(f, NO_RANGES); /* asked for the rest it sends all from the start */
    assert_code(get(f, 3), MS_PROTOCOL);
    assert_true(f->got.len <= SIZE / 3);
    assert_memory_equal(f->got.data, f->bytes, f->got.len);
}

static void who_takes_no_more_ends_it(void **state) {
    struct fx *f = *state;
    f->refuse_at = 1;
    assert_code(get(f, 3), MS_CANCELLED);
    assert_int_equal(fake_s3_requests(&f->fake), 1);
}

static void other_schemes_are_no_urls(void **state) {
    struct fx *f = *state;
    static const char *const bad[] = {"file:///etc/passwd", "ftp://h/x", "gopher://h/x", "", "no url",
                                      "dict://h", "http://", "HTTPS"};
    for (size_t i = 0; i < MS_ARRAY_LEN(bad); i++) {
        (void)snprintf(f->url, sizeof f->url, "%s", bad[i]);
        assert_code(get(f, 1), MS_INVALID);
    }
    assert_int_equal(fake_s3_requests(&f->fake), 0);
}

#define FX(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        FX(the_bytes_come_in_order),
        FX(what_breaks_off_goes_on_where_it_stopped),
        FX(a_store_that_is_busy_is_asked_again),
        FX(every_other_answer_is_an_error_of_its_kind),
        FX(a_store_without_ranges_cannot_mix_bytes),
        FX(who_takes_no_more_ends_it),
        FX(other_schemes_are_no_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
