/* test_s3_dns.c — a name that nobody resolves holds up its own transfer only, and not for ever.
 *
 * libcurl calls the getaddrinfo() of this program, which hangs for one name until the test lets it go.
 */
#include "support/fake_s3.h"
#include "support/test.h"

#include "object/s3_http.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int hanging;
static bool released;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (name && strcmp(name, "hangs.test") == 0) {
        pthread_mutex_lock(&mutex);
        hanging++;
        pthread_cond_broadcast(&cond);
        while (!released)
            pthread_cond_wait(&cond, &mutex);
        hanging--;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, ret);
}

static void wait_hanging(int n) {
    pthread_mutex_lock(&mutex);
    while (hanging != n)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void answer(struct fake_s3 *fake, const struct fake_s3_request *r, struct fake_s3_answer *a) {
    (void)fake;
    (void)r;
    a->status = 204;
}

struct shot {
    struct ms_s3_transfer t;
    struct ms_obj_request request;
    struct ms_latch latch;
};

static void on_done(struct ms_s3_transfer *t) { ms_latch_open(&MS_CONTAINER_OF(t, struct shot, t)->latch); }

static void start(struct ms_s3_http *http, struct shot *shot, const char *url) {
    *shot = (struct shot){.t = {.method = "GET",
                                .url = url,
                                .on_done = on_done,
                                .deadline_mono_ns = ms_clock_mono_ns(ms_clock_system()) + INT64_C(600000000000)}};
    shot->t.request = &shot->request;
    ms_latch_init(&shot->latch);
    ms_s3_http_start(http, &shot->t);
}

static enum ms_code end(struct shot *shot) {
    enum ms_code code;

    ms_latch_wait(&shot->latch);
    code = shot->t.code;
    test_err = shot->t.error;
    ms_s3_transfer_fini(&shot->t);
    return code;
}

static void a_name_that_hangs_ends_at_the_connect_limit_and_stops_nobody(void **state) {
    struct fake_s3 fake = {.answer = answer};
    struct ms_s3_limits limits = ms_s3_limits_default();
    struct ms_s3_http *http = NULL;
    struct shot stuck, other;
    char url[64];

    (void)state;
    limits.connect_ms = 300;
    assert_true(fake_s3_start(&fake));
    snprintf(url, sizeof url, "http://127.0.0.1:%d/x", fake.port);
    assert_ok(ms_s3_http_new(&limits, NULL, &http, &test_err));
    start(http, &stuck, "http://hangs.test/x");
    wait_hanging(1);
    start(http, &other, url); /* while it resolves */
    assert_int_equal(end(&other), MS_OK);
    assert_int_equal(end(&stuck), MS_UNAVAILABLE); /* before anybody lets the resolver go */
    assert_true(stuck.t.is_unreached);
    assert_non_null(strstr(test_err.message, "timed out"));
    start(http, &other, url); /* and while the resolver still hangs in its thread */
    assert_int_equal(end(&other), MS_OK);
    ms_s3_http_free(http);
    pthread_mutex_lock(&mutex);
    released = true;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    wait_hanging(0);
    fake_s3_stop(&fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_hangs_ends_at_the_connect_limit_and_stops_nobody)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
