/* story.h — one asset's life told in steps: time passes, something happens, something shows. */
#ifndef MS_TESTS_LIFECYCLE_STORY_H
#define MS_TESTS_LIFECYCLE_STORY_H

#include "support/test.h"

#include "lives.h"
#include "model/limits.h"

struct story {
    struct ms_life life;
    struct ms_lc_facts f; /* f.now moves; the rest is what the tenant has set and who acts */
    uint32_t effects;     /* of the last step */
    struct ms_instant dated;
};

/* An API upload, just created at NOW by a tenant whose bin keeps 7 days and whose assets become
 * ACTIVED. */
static inline struct story story_upload(void) {
    return (struct story){
        .life = ms_lc_create(AT(NOW), true),
        .f = {.now = AT(NOW), .activate = 1, .retention_ms = MS_BIN_RETENTION_MS}};
}

static inline void story_collect(void *priv, const struct ms_life *before,
                                 const struct ms_lc_verdict *step, enum ms_due_kind kind) {
    struct story *s = priv;
    (void)before;
    (void)kind;
    s->effects |= step->effects;
    s->dated = step->at;
}

/* What is overdue takes effect, as any read or write does first; effects and the last instant are
 * kept. */
static inline void story_look(struct story *s) {
    s->effects = 0;
    s->life = ms_lc_effective(&s->life, &s->f, story_collect, s);
}

static inline void story_pass(struct story *s, int64_t ms) {
    s->f.now.ms += ms;
    story_look(s);
}

static inline enum ms_lc_rule story_try(struct story *s, enum ms_event event) {
    story_look(s);
    struct ms_lc_verdict v = ms_lc_step(&s->life, event, &s->f);
    s->effects = v.effects;
    s->dated = v.at;
    s->life = v.next;
    return v.rule;
}

static inline enum ms_lc_rule story_admin_try(struct story *s, enum ms_event event) {
    s->f.actor_admin = 1;
    enum ms_lc_rule rule = story_try(s, event);
    s->f.actor_admin = 0;
    return rule;
}

static inline enum ms_state story_shows(const struct story *s) {
    return ms_lc_shown(&s->life, s->f.mask);
}

#define does(s, event)                                                                             \
    assert_string_equal(ms_lc_rule_name(story_try(s, MS_EVENT_##event)), "ALLOWED")
#define admin_does(s, event)                                                                       \
    assert_string_equal(ms_lc_rule_name(story_admin_try(s, MS_EVENT_##event)), "ALLOWED")
#define refused(s, event, rule)                                                                    \
    assert_string_equal(ms_lc_rule_name(story_try(s, MS_EVENT_##event)), #rule)
#define admin_refused(s, event, rule)                                                              \
    assert_string_equal(ms_lc_rule_name(story_admin_try(s, MS_EVENT_##event)), #rule)
#define shows(s, state) assert_string_equal(ms_state_name(story_shows(s)), #state)
#define fails_as(s, fail_type)                                                                     \
    do {                                                                                           \
        shows(s, FAILED);                                                                          \
        assert_string_equal(ms_fail_name((enum ms_fail_type)(s)->life.fail), #fail_type);          \
    } while (0)

static inline void story_freeze_tenant(struct story *s, uint8_t hold) {
    s->f.mask = ms_lc_mask_freeze(s->f.mask, hold, s->f.now);
}
static inline void story_lift_tenant(struct story *s, uint8_t hold) {
    s->f.mask = ms_lc_mask_lift(s->f.mask, hold, s->f.now);
}
static inline void story_schedule(struct story *s, int64_t after_ms, enum ms_scheduled_op op) {
    s->f.at = ms_instant_add_ms(s->f.now, after_ms);
    s->f.scheduled_op = (uint8_t)op;
    does(s, SCHEDULE);
}
static inline void story_announce(struct story *s, int64_t after_ms) {
    s->f.at = ms_instant_add_ms(s->f.now, after_ms);
    admin_does(s, ANNOUNCE);
}
static inline struct story story_actived(void) {
    struct story s = story_upload();
    does(&s, CONFIRM);
    return s;
}

#endif
