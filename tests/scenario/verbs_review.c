/* Verdicts: by a list of words, by a program, by a person. */
#include "scenario.h"

#include "service/review.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum ms_code verb_review(struct scene *s, int n, char **words, struct ms_error *reterr) {
    (void)n;
    if (strcmp(words[1], "on") != 0 && strcmp(words[1], "off") != 0)
        scene_fail(s, "review is on or off, not %s", words[1]);
    return ms_review_set(s->w->svc, scene_ctx(s), words[1][1] == 'n', reterr);
}

/* The list of words that rejects. */
static enum ms_code verb_words(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char *file = ms_test_path(s->w->tmp, "words"), text[1024] = "";
    (void)reterr;
    for (int i = 1; i < n; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s\n", words[i]);
    }
    ms_test_write_file(file, text, strlen(text));
    (void)snprintf(s->w->svc->review_words, sizeof s->w->svc->review_words, "%s", file);
    free(file);
    return MS_OK;
}

/* A reviewer that says this with that exit status; "none": there is none, "hangs": it never answers. */
static enum ms_code verb_reviewer(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char text[512];
    bool hangs = strcmp(words[1], "hangs") == 0;
    (void)reterr;
    (void)snprintf(text, sizeof text, "#!/bin/sh\ncat >/dev/null\n%s\necho '%s'\nexit %s\n",
                   hangs ? "sleep 60" : "", n > 2 ? words[2] : "", hangs ? "0" : words[1]);
    s->w->svc->review_command[0] = '\0';
    s->w->svc->review_timeout_ms = hangs ? 50 : 20000;
    if (strcmp(words[1], "none") != 0)
        scene_program(s, "reviewer", text, s->w->svc->review_command, sizeof s->w->svc->review_command);
    return MS_OK;
}

/* What is not named is 0. */
static enum ms_code verb_review_run(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_reviewed r;
    scene_only(s, n, words, "passed rejected human unanswered");
    MS_TRY(ms_review_run(s->w->svc, s->w->ctx.tenant, &r, reterr));
    scene_number(s, n, words, "passed", r.passed);
    scene_number(s, n, words, "rejected", r.rejected);
    scene_number(s, n, words, "human", r.human);
    scene_number(s, n, words, "unanswered", r.unanswered);
    return MS_OK;
}

static enum ms_code verb_verdict(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *why = scene_value(n, words, "why");
    struct ms_review_decide d = {.asset = scene_asset_of(s, words[1])->id, .reason = why ? why : ""};
    scene_only(s, n, words, "why");
    if (strcmp(words[2], "pass") != 0 && strcmp(words[2], "reject") != 0)
        scene_fail(s, "a person passes or rejects");
    d.verdict = words[2][0] == 'p' ? MS_VERDICT_PASS : MS_VERDICT_REJECT;
    return ms_review_decide(s->w->svc, scene_ctx(s), &d, reterr);
}

static enum ms_code verb_edit(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_asset_edit edit = {.id = scene_asset_of(s, words[1])->id,
                                 .name = scene_value(n, words, "name"),
                                 .description = scene_value(n, words, "description")};
    const char *want = scene_value(n, words, "held");
    bool held;
    scene_only(s, n, words, "name description held");
    MS_TRY(ms_asset_edit(s->w->svc, scene_ctx(s), &edit, &held, reterr));
    if (want && held != (strcmp(want, "yes") == 0))
        scene_fail(s, "it is %sheld", held ? "" : "not ");
    return MS_OK;
}

/* The case that waits about an asset. */
static enum ms_code verb_case(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *edit = scene_value(n, words, "edit"), *human = scene_value(n, words, "human"),
               *name = scene_value(n, words, "name"), *note = scene_value(n, words, "says");
    struct ms_review_case *c = calloc(1, sizeof *c), is;
    scene_only(s, n, words, "edit human name says");
    if (!c)
        scene_fail(s, "no memory");
    enum ms_code code =
        ms_review_get(s->w->svc, scene_ctx(s), scene_asset_of(s, words[1])->id, c, reterr);
    is = *c;
    free(c);
    if (code != MS_OK)
        return code;
    if ((edit && (strcmp(edit, "yes") == 0) != is.edit) ||
        (human && (strcmp(human, "yes") == 0) != is.row.human))
        scene_fail(s, "it is %s, and %s must look", is.edit ? "an edit" : "a new asset",
                   is.row.human ? "a person" : "the machine");
    if (name && strcmp(name, is.row.name) != 0)
        scene_fail(s, "the held name is \"%s\"", is.row.name);
    if (note && !strstr(is.row.note, note))
        scene_fail(s, "its note is \"%s\"", is.row.note);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"review", 1, 1, verb_review, "on|off: whether the tenant's uploads are reviewed"},
    {"words", 1, 20, verb_words, "WORD...: the list that rejects"},
    {"reviewer", 1, 2, verb_reviewer, "STATUS|hangs|none [TEXT]: the program that is asked"},
    {"review-run", 0, 4, verb_review_run,
     "[passed=N] [rejected=N] [human=N] [unanswered=N]: the machine is asked, with that result"},
    {"verdict", 2, 3, verb_verdict, "LABEL pass|reject [why=TEXT]: a person's"},
    {"edit", 2, 4, verb_edit, "LABEL [name=TEXT] [description=TEXT] [held=yes|no]"},
    {"case", 1, 5, verb_case, "LABEL [edit=yes|no] [human=yes|no] [name=TEXT] [says=WORDS]: it waits"},
};
const struct scene_verbs scene_verbs_review = {verbs, MS_ARRAY_LEN(verbs)};
