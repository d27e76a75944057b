/* Unfreeze requests. */
#include "scenario.h"

#include "service/request.h"

#include <stdlib.h>
#include <string.h>

static enum ms_code verb_ask(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *text = scene_value(n, words, "text");
    bool whole = strcmp(words[2], "tenant") == 0;
    struct ms_asset_id none = {{{0}}};
    struct ms_request_record request;
    scene_only(s, n, words, "text");
    MS_TRY(ms_request_add(s->w->svc, scene_ctx(s), whole ? none : scene_asset_of(s, words[2])->id,
                          text ? text : "please", &request, reterr));
    scene_name_id(s, words[1], request.id);
    return MS_OK;
}

static enum ms_code decide(struct scene *s, int n, char **words, bool grant,
                           struct ms_error *reterr) {
    const char *why = scene_value(n, words, "why");
    struct ms_request_id id = {*scene_id_of(s, words[1])};
    struct ms_request_record request;
    scene_only(s, n, words, "why");
    return ms_request_decide(s->w->svc, scene_ctx(s), id, grant, why ? why : "", &request, reterr);
}

static enum ms_code verb_grant(struct scene *s, int n, char **words, struct ms_error *reterr) {
    return decide(s, n, words, true, reterr);
}

static enum ms_code verb_refuse(struct scene *s, int n, char **words, struct ms_error *reterr) {
    return decide(s, n, words, false, reterr);
}

static bool is_so(const struct ms_request_record *r, const char *word) {
    if (strncmp(word, "state=", 6) == 0)
        return strcmp(ms_request_state_name(r->state), word + 6) == 0;
    if (strncmp(word, "text=", 5) == 0)
        return strcmp(r->text, word + 5) == 0;
    if (strncmp(word, "who=", 4) == 0)
        return strcmp(r->who, word + 4) == 0;
    if (strncmp(word, "by=", 3) == 0)
        return strcmp(r->decided_by, word + 3) == 0;
    return strncmp(word, "answer=", 7) == 0 && strcmp(r->answer, word + 7) == 0;
}

static enum ms_code verb_asked(struct scene *s, int n, char **words, struct ms_error *reterr) {
    struct ms_request_record *list = NULL;
    struct ms_id id = *scene_id_of(s, words[1]);
    size_t count = 0, i = 0;
    MS_TRY(ms_request_list(s->w->svc, scene_ctx(s), &list, &count, reterr));
    while (i < count && memcmp(list[i].id.b, id.b, MS_ID_BYTES) != 0)
        i++;
    if (i == count)
        scene_fail(s, "there is no such request");
    for (int w = 2; w < n; w++)
        if (!is_so(&list[i], words[w]))
            scene_fail(s, "it is not %s", words[w]);
    free(list);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"ask", 2, 3, verb_ask, "REQUEST LABEL|tenant [text=TEXT]: an unfreeze is asked for"},
    {"grant", 1, 2, verb_grant, "REQUEST [why=TEXT]"},
    {"refuse", 1, 2, verb_refuse, "REQUEST [why=TEXT]"},
    {"asked", 2, 8, verb_asked, "REQUEST state=|text=|who=|by=|answer=...: so it is kept"},
};
const struct scene_verbs scene_verbs_request = {verbs, MS_ARRAY_LEN(verbs)};
