/* The policy of reading ahead: tables, and a store of our own making with a clock of our own. */
#include "support/test.h"

#include "content/window.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define SIZE (1024 * MIB)
#define MS INT64_C(1000000)

struct reading {
    struct ms_cursors cursors;
    struct ms_pace pace;
    uint64_t share;
    uint64_t asked; /* bytes of plans: what is fetched for nobody yet */
};

static struct ms_ahead note(struct reading *r, uint64_t offset, uint64_t length) {
    struct ms_look look = {.offset = offset,
                           .length = length,
                           .size = SIZE,
                           .block_log2 = 18,
                           .share_bytes = r->share ? r->share : 192 * MIB,
                           .piece_bytes_max = 4 * MIB,
                           .pace = &r->pace};
    struct ms_ahead ahead = ms_cursors_note(&r->cursors, &look);

    assert_true(ahead.from <= ahead.to && ahead.to <= SIZE);
    if (ahead.to > ahead.from) {
        r->asked += ahead.to - ahead.from;
        ahead.cursor->ahead = ahead.to;
    }
    return ahead;
}

/* ---- who is a stream ------------------------------------------------------------------------- */

static void a_jump_fetches_nothing_ahead(void **state) {
    struct reading r = {{{{0}}}};

    (void)state;
    for (uint64_t i = 0; i < 200; i++)
        assert_false(note(&r, (i * 37 % 101) * 9 * MIB, 128 * KIB).is_stream);
    assert_int_equal(r.asked, 0);
}

static void backwards_nothing_is_fetched_ahead(void **state) {
    struct reading r = {{{{0}}}};

    (void)state;
    for (uint64_t at = 900 * MIB; at > 100 * MIB; at -= MIB)
        (void)note(&r, at - MIB, MIB);
    assert_int_equal(r.asked, 0);
}

static void strides_fetch_nothing_ahead(void **state) {
    static const uint64_t stride[] = {768 * KIB, MIB, 2 * MIB, 5 * MIB};

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(stride); i++) {
        struct reading r = {{{{0}}}};

        for (uint64_t at = 0; at + stride[i] < SIZE; at += stride[i])
            (void)note(&r, at, 4 * KIB);
        assert_int_equal(r.asked, 0);
    }
}

static void small_reads_in_a_row_are_a_stream_by_the_block(void **state) {
    struct reading r = {{{{0}}}};
    uint64_t at = 0;

    (void)state;
    for (; at < 256 * KIB; at += 4 * KIB)
        assert_false(note(&r, at, 4 * KIB).is_stream);
    assert_true(note(&r, at, 4 * KIB).is_stream);
    assert_true(r.asked > 0);
}

static void what_is_fetched_for_nothing_is_bounded_by_what_was_read(void **state) {
    (void)state;
    for (uint64_t reads = 1; reads < 40; reads++) {
        struct reading r = {{{{0}}}};

        for (uint64_t i = 0; i < reads; i++)
            (void)note(&r, 3 * MIB + i * 512 * KIB, 512 * KIB);
        assert_true(r.asked <= 5 * reads * 512 * KIB);
    }
}

static void reads_that_come_out_of_order_are_one_stream(void **state) {
    static const uint64_t order[] = {0, 2, 1, 3, 5, 4, 7, 6, 8, 11, 9, 10, 12};
    struct reading r = {{{{0}}}};
    unsigned streams = 0;

    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(order); i++)
        streams += note(&r, order[i] * MIB, MIB).is_stream;
    assert_int_equal(r.cursors.cursor[1].used, 0); /* one cursor */
    assert_int_equal(streams, 7);                  /* each that went further, but the first */
    assert_true(r.cursors.cursor[0].ahead >= 20 * MIB);
}

static void eight_streams_of_a_handle_do_not_disturb_each_other(void **state) {
    struct reading r = {{{{0}}}};
    unsigned streams = 0;

    (void)state;
    for (uint64_t i = 0; i < 60; i++)
        for (uint64_t s = 0; s < 8; s++)
            streams += note(&r, s * 100 * MIB + i * MIB, MIB).is_stream;
    assert_int_equal(streams, 8 * 59);
    (void)note(&r, 950 * MIB, MIB); /* a ninth takes the place of the one that is longest gone */
    streams = 0;
    for (uint64_t s = 1; s < 8; s++)
        streams += note(&r, s * 100 * MIB + 60 * MIB, MIB).is_stream;
    assert_int_equal(streams, 7);
    assert_false(note(&r, 60 * MIB, MIB).is_stream);
}

static void a_stream_ends_at_the_end(void **state) {
    struct reading r = {{{{0}}}};
    uint64_t at;

    (void)state;
    for (at = SIZE - 20 * MIB; at < SIZE; at += MIB)
        assert_true(note(&r, at, MIB).to <= SIZE);
    assert_true(r.asked <= 20 * MIB);
    assert_false(note(&r, SIZE - 1, 1).is_stream);
}

static void what_had_to_make_room_is_fetched_again(void **state) {
    struct reading r = {{{{0}}}};
    struct ms_look look = {.offset = 30 * MIB, .length = MIB, .size = SIZE, .block_log2 = 18};
    struct ms_ahead ahead;

    (void)state;
    for (uint64_t i = 0; i < 30; i++)
        (void)note(&r, i * MIB, MIB);
    look.share_bytes = 64 * MIB;
    look.piece_bytes_max = 4 * MIB;
    look.pace = &r.pace;
    look.missed = true;
    ahead = ms_cursors_note(&r.cursors, &look);
    assert_int_equal(ahead.from, 31 * MIB);
    assert_true(ahead.to > 35 * MIB);
}

/* ---- pace ------------------------------------------------------------------------------------ */

static void the_window_is_bandwidth_times_delay(void **state) {
    struct ms_pace pace = {0};
    struct ms_pace_mark mark[4];

    (void)state;
    assert_int_equal(ms_pace_window(&pace, MIB), 0);
    for (size_t i = 0; i < 4; i++)
        mark[i] = ms_pace_sent(&pace, (int64_t)i * 10 * MS);
    for (size_t i = 0; i < 100; i++) { /* 1 MiB each 10 ms, 40 ms each */
        int64_t now = (int64_t)(4 + i) * 10 * MS;

        ms_pace_came(&pace, &mark[i % 4], MIB, now);
        mark[i % 4] = ms_pace_sent(&pace, now);
    }
    /* 100 MiB/s x 40 ms x gain */
    assert_in_range(ms_pace_window(&pace, MIB), 4 * MIB * MS_PACE_GAIN * 95 / 100,
                    4 * MIB * MS_PACE_GAIN);
    /* a size that never came: as if all of it were transfer; a smaller one: no longer than that */
    assert_in_range(ms_pace_window(&pace, 4 * MIB), 16 * MIB * MS_PACE_GAIN * 95 / 100,
                    16 * MIB * MS_PACE_GAIN);
    assert_int_equal(ms_pace_window(&pace, 256 * KIB), ms_pace_window(&pace, MIB));
}

static void one(struct ms_pace *pace, uint64_t bytes, int64_t from, int64_t to) {
    struct ms_pace_mark mark = ms_pace_sent(pace, from);

    ms_pace_came(pace, &mark, bytes, to);
}

static void old_news_are_forgotten_but_not_while_nothing_comes(void **state) {
    struct ms_pace pace = {0};

    (void)state;
    one(&pace, MIB, 0, 10 * MS);
    assert_in_range(ms_pace_window(&pace, MIB), MIB * MS_PACE_GAIN * 9 / 10, MIB * MS_PACE_GAIN);
    for (int64_t s = 60; s <= 72; s++) { /* it got ten times slower, and we know it when alone */
        uint64_t rate_seen = ms_pace_window(&pace, MIB) / MS_PACE_GAIN;

        if (s < 63)
            assert_true(rate_seen >= MIB * 9 / 10);
        one(&pace, MIB, s * 1000 * MS, s * 1000 * MS + 100 * MS);
    }
    assert_in_range(ms_pace_window(&pace, MIB), MIB * MS_PACE_GAIN * 9 / 10, MIB * MS_PACE_GAIN);
}

static void a_queue_of_ours_is_no_delay_of_the_store(void **state) {
    struct ms_pace pace = {0};
    struct ms_pace_mark mark[8];

    (void)state;
    one(&pace, MIB, 0, 10 * MS);
    for (size_t i = 0; i < 8; i++)
        mark[i] = ms_pace_sent(&pace, 20 * MS);
    for (size_t i = 0; i < 8; i++)
        ms_pace_came(&pace, &mark[i], MIB, 100 * MS); /* 100 MiB/s still */
    assert_in_range(ms_pace_window(&pace, MIB), MIB * MS_PACE_GAIN * 9 / 10, MIB * MS_PACE_GAIN);
    mark[0] = ms_pace_sent(&pace, 200 * MS);
    ms_pace_came(&pace, &mark[0], 0, 201 * MS); /* a failure tells nothing */
    assert_in_range(ms_pace_window(&pace, MIB), MIB * MS_PACE_GAIN * 9 / 10, MIB * MS_PACE_GAIN);
}

/* ---- a store with latency -------------------------------------------------------------------- */

/* first_byte, then connection_max bytes/s for each request, link_max for all. One reader that takes
 * read_bytes at a time as soon as they are there. Time goes in steps of 0.1 ms. */
struct sim {
    struct reading r;
    int64_t first_byte_ns, now_ns;
    uint64_t connection_max, link_max; /* bytes/s */
    struct request {
        uint64_t from, to, left;
        int64_t sent_ns;
        struct ms_pace_mark mark;
    } request[1024];
    size_t requests, requests_max;
    bool there[SIZE / (256 * KIB)], asked[SIZE / (256 * KIB)];
    uint64_t fetched;
};
#define STEP_NS (MS / 10)

static void sim_ask(struct sim *s, uint64_t from, uint64_t to) {
    struct request *q = &s->request[s->requests++];

    assert_true(s->requests < MS_ARRAY_LEN(s->request));
    *q = (struct request){.from = from,
                          .to = to,
                          .left = to - from,
                          .sent_ns = s->now_ns,
                          .mark = ms_pace_sent(&s->r.pace, s->now_ns)};
    for (uint64_t b = from / (256 * KIB); b < to / (256 * KIB); b++) {
        assert_false(s->asked[b]); /* nothing twice */
        s->asked[b] = true;
    }
    s->fetched += to - from;
}

static void sim_fetch(struct sim *s, uint64_t from, uint64_t to, uint64_t piece) {
    for (uint64_t at = from; at < to;) {
        uint64_t end = (at / piece + 1) * piece;

        while (at < to && s->asked[at / (256 * KIB)])
            at += 256 * KIB;
        end = end < to ? end : to;
        if (at < end)
            sim_ask(s, at, end);
        at = at < end ? end : at;
    }
}

static void sim_step(struct sim *s) {
    size_t flowing = 0;
    uint64_t each;

    s->now_ns += STEP_NS;
    s->requests_max = s->requests > s->requests_max ? s->requests : s->requests_max;
    for (size_t i = 0; i < s->requests; i++)
        flowing += s->now_ns - s->request[i].sent_ns >= s->first_byte_ns;
    each = flowing && s->link_max / flowing < s->connection_max ? s->link_max / flowing
                                                                : s->connection_max;
    each = each / 10000 + 1;
    for (size_t i = 0; i < s->requests;) {
        struct request *q = &s->request[i];

        if (s->now_ns - q->sent_ns >= s->first_byte_ns)
            q->left = q->left > each ? q->left - each : 0;
        if (q->left > 0) {
            i++;
            continue;
        }
        ms_pace_came(&s->r.pace, &q->mark, q->to - q->from, s->now_ns);
        memset(s->there + q->from / (256 * KIB), 1, (size_t)((q->to - q->from) / (256 * KIB)));
        *q = s->request[--s->requests];
    }
}

static void sim_read(struct sim *s, uint64_t offset, uint64_t length) {
    struct ms_ahead ahead;

    sim_fetch(s, offset, offset + length, 4 * MIB);
    ahead = note(&s->r, offset, length);
    if (ahead.is_stream)
        sim_fetch(s, ahead.from, ahead.to, ahead.piece_bytes);
    for (uint64_t b = offset / (256 * KIB); b * 256 * KIB < offset + length; b++)
        while (!s->there[b])
            sim_step(s);
}

/* Share of the link, in percent, of a cold read of so many bytes from a process that knows nothing. */
static uint64_t sim_share(struct sim *s, uint64_t bytes, uint64_t rate) {
    uint64_t at = 0;

    for (uint64_t n = 256 * KIB; at < bytes; at += n) {
        n = at == 0 ? 256 * KIB : at < MIB ? 256 * KIB : MIB;
        sim_read(s, at, n);
    }
    return bytes * 100 / ((uint64_t)(s->now_ns / 1000) * (rate / 1000000));
}

static void a_store_with_latency_is_filled(void **state) {
    static struct sim s;
    uint64_t share;

    (void)state;
    s = (struct sim){.first_byte_ns = 20 * MS, .connection_max = 90000000, .link_max = 1000000000};
    share = sim_share(&s, SIZE, 1000000000);
    print_message("1 GiB at %" PRIu64 " %% of the link, %zu requests at most\n", share,
                  s.requests_max);
    assert_true(share >= 85);
}

static void a_near_store_is_filled_with_few_requests(void **state) {
    static struct sim s;
    uint64_t share;

    (void)state;
    s = (struct sim){.first_byte_ns = 2 * MS, .connection_max = 1000000000, .link_max = 1000000000};
    share = sim_share(&s, SIZE, 1000000000);
    print_message("near: %" PRIu64 " %% of the link, %zu requests at most\n", share,
                  s.requests_max);
    assert_true(share >= 95);
    assert_true(s.requests_max <= 24);
}

static void a_slow_link_is_not_drowned(void **state) {
    static struct sim s;
    uint64_t share;

    (void)state;
    s = (struct sim){.first_byte_ns = 30 * MS, .connection_max = 12500000, .link_max = 12500000};
    share = sim_share(&s, 128 * MIB, 12500000);
    print_message("slow: %" PRIu64 " %% of the link, %" PRIu64 " MiB ahead at the end\n", share,
                  (s.fetched - 128 * MIB) / MIB);
    assert_true(share >= 95);
    /* what is under way would hold up somebody else for no longer than 3 s */
    assert_true(s.fetched - 128 * MIB <= 32 * MIB);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jump_fetches_nothing_ahead),
        cmocka_unit_test(backwards_nothing_is_fetched_ahead),
        cmocka_unit_test(strides_fetch_nothing_ahead),
        cmocka_unit_test(small_reads_in_a_row_are_a_stream_by_the_block),
        cmocka_unit_test(what_is_fetched_for_nothing_is_bounded_by_what_was_read),
        cmocka_unit_test(reads_that_come_out_of_order_are_one_stream),
        cmocka_unit_test(eight_streams_of_a_handle_do_not_disturb_each_other),
        cmocka_unit_test(a_stream_ends_at_the_end),
        cmocka_unit_test(what_had_to_make_room_is_fetched_again),
        cmocka_unit_test(the_window_is_bandwidth_times_delay),
        cmocka_unit_test(old_news_are_forgotten_but_not_while_nothing_comes),
        cmocka_unit_test(a_queue_of_ours_is_no_delay_of_the_store),
        cmocka_unit_test(a_store_with_latency_is_filled),
        cmocka_unit_test(a_near_store_is_filled_with_few_requests),
        cmocka_unit_test(a_slow_link_is_not_drowned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
