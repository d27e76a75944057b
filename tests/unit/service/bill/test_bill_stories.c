/* Random lives of three tenants: after every operation model, counters, ledger and df agree; in the end
 * what simulate makes of their history is what the nights have closed.
 *
 *   unit_service_bill_stories [HISTORIES [DAYS]]     default 12 of 400 days; MS_TEST_SEED is the first one's
 */
#include "story.h"

#include "service/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned histories = 12, days = 400;

static struct {
    uint64_t steps, days;
    unsigned done[STORY_DONE];
} told;

static void live(struct story *s) {
    int64_t until = ms_clock_now(&s->f->clock.clock).ms + (int64_t)days * MS_DAY_MS;
    while (ms_clock_now(&s->f->clock.clock).ms < until) {
        story_step(s);
        story_check(s);
        told.steps++;
    }
    fx_advance(s->f, MS_DAY_MS);
    assert_int_equal(bill_run(s->f, s->rates, (struct ms_instant){0}).parked, 0);
    assert_int_equal(bill_run(s->f, s->rates, (struct ms_instant){0}).days, 0);
}

/* Every second one is swept after each operation, every fourth one closes all its nights at the end. */
static void one_history(unsigned i, uint64_t seed, const struct ms_rates *rates) {
    static struct story s;
    void *state;
    print_message("history %u: MS_TEST_SEED=%" PRIu64 "\n", i, seed);
    assert_int_equal(story_setup(&state), 0);
    story_begin(&s, state, rates, seed);
    s.sweeps = seed % 2 == 0;
    s.runs = seed / 2 % 4 != 0;
    live(&s);
    told.days += bills_agree(s.f, rates);
    story_end(&s);
    for (unsigned k = 0; k < STORY_DONE; k++)
        told.done[k] += s.done[k];
    assert_int_equal(story_teardown(&state), 0);
}

static void random_histories_cost_what_they_say_and_add_up_at_every_moment(void **state) {
    struct ms_rates rates = bill_rates(bill_cards);
    uint64_t seed = ms_test_seed();
    (void)state;
    for (unsigned i = 0; i < histories; i++)
        one_history(i, seed + i, &rates);
    print_message("%u histories, %" PRIu64 " operations, %" PRIu64 " days of tenants\n", histories,
                  told.steps, told.days);
    print_message("done:");
    for (unsigned k = 0; k < STORY_DONE; k++) {
        print_message(" %s %u", story_done_names[k], told.done[k]);
        if (histories >= 12)
            assert_true(told.done[k] > 0); /* else nothing of the kind was compared */
    }
    print_message("\n");
    ms_rates_fini(&rates);
}

static void hand_over(struct fx *f, const struct ms_tenant_record *from,
                      const struct ms_tenant_record *to, struct ms_asset_id asset) {
    struct ms_transfer_create create = {
        .assets = &asset, .n = 1, .dest = {to->id}, .auto_accept = true, .activate = true};
    struct ms_transfer_record job;
    f->ctx.tenant = (struct ms_tenant_id){from->id};
    struct ms_ctx ctx = bill_admin(f);
    assert_ok(ms_transfer_create(&f->svc, &ctx, &create, &job, &test_err));
}

/* Ledgers of different tenants have no order among each other: what arrives has left before. */
static void what_changes_hands_several_times_at_one_instant_is_told_in_that_order(void **state) {
    static struct story s;
    struct ms_rates rates = bill_rates(bill_cards);
    assert_int_equal(story_setup(state), 0);
    struct fx *f = *state;
    story_begin(&s, f, &rates, 1);
    const struct story_tenant *t = s.tenants;
    f->ctx.tenant = (struct ms_tenant_id){t[2].tenant.id};
    uint64_t ino = fx_file(f, t[2].tenant.root_ino, "a.mp4", MS_GB, "video/mp4");
    struct ms_asset_id id = {fx_asset(f, ino).id};
    hand_over(f, &t[2].tenant, &t[1].tenant, id);
    hand_over(f, &t[1].tenant, &t[0].tenant, id);
    hand_over(f, &t[0].tenant, &t[1].tenant, id);
    hand_over(f, &t[1].tenant, &t[2].tenant, id);
    fx_advance(f, 2 * MS_DAY_MS);
    assert_int_equal(bill_run(f, &rates, (struct ms_instant){0}).parked, 0);
    assert_true(bills_agree(f, &rates) >= 6);
    story_end(&s);
    ms_rates_fini(&rates);
    assert_int_equal(story_teardown(state), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_hands_several_times_at_one_instant_is_told_in_that_order),
        cmocka_unit_test(random_histories_cost_what_they_say_and_add_up_at_every_moment)};
    if (argc > 1)
        histories = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        days = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
