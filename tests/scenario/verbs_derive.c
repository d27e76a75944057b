/* Derived files: contents that ffmpeg makes, converters as the project's configuration names them, and some that
 * misbehave. What needs a tool that is not installed is a skipped test. */
#include "scenario.h"

#include "service/derive.h"
#include "service/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FFMPEG "/usr/bin/ffmpeg"
#define PDFTOCAIRO "/usr/bin/pdftocairo"
#define TIMEOUT_MS 60000

/* What the next runs convert with. */
static char ffmpeg[4096], pdftocairo[4096];

static void forget(void) {
    ffmpeg[0] = pdftocairo[0] = '\0';
}

static enum ms_code verb_converters(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char text[512];
    bool real = n == 1, none = n > 1 && strcmp(words[1], "none") == 0;
    (void)reterr;
    if (real && (access(FFMPEG, X_OK) != 0 || access(PDFTOCAIRO, X_OK) != 0)) {
        print_message("no ffmpeg, or no pdftocairo\n");
        skip();
    }
    if (s->tenants == 0)
        scene_probed(s);
    (void)snprintf(ffmpeg, sizeof ffmpeg, "%s", none ? "" : FFMPEG);
    (void)snprintf(pdftocairo, sizeof pdftocairo, "%s", none ? "" : PDFTOCAIRO);
    if (real || none)
        return MS_OK;
    if (chmod(s->w->tmp, 0755) != 0)
        scene_fail(s, "cannot let a converter in");
    (void)snprintf(text, sizeof text, "#!/bin/sh\n%s\n", words[1]);
    scene_program(s, "converter", text, ffmpeg, sizeof ffmpeg);
    (void)snprintf(pdftocairo, sizeof pdftocairo, "%s", ffmpeg);
    return MS_OK;
}

/* ---- contents ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const char *const words[24]; /* behind "ffmpeg -v error -nostdin -y" */
} films[] = {
    {"film.mp4", {"-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.4", "-c:v", "libx264", "-preset", "ultrafast",
                  "-pix_fmt", "yuv420p"}},
    {"alpha.mov", {"-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.2,format=rgba,colorchannelmixer=aa=0.5", "-c:v",
                   "qtrle"}},
    {"big.png", {"-f", "lavfi", "-i", "testsrc2=s=2000x1500", "-frames:v", "1"}},
};

static void make_film(const struct scene *s, size_t i, const char *path) {
    const char *words[48] = {FFMPEG, "-v", "error", "-nostdin", "-y"};
    struct ms_program program = {
        .path = FFMPEG, .what = "ffmpeg", .words = words, .hears_errors = true, .timeout_ms = TIMEOUT_MS};
    struct ms_program_answer said;
    size_t n = 5;
    for (size_t k = 0; films[i].words[k]; k++)
        words[n++] = films[i].words[k];
    words[n] = path;
    if (ms_program_ask(&program, &said, &test_err) != MS_OK || said.status != 0)
        scene_fail(s, "ffmpeg makes no %s: %s", path, said.said);
}

/* Three pages. */
static void make_deck(const char *path) {
    char text[2048];
    size_t at[7] = {0}, n = (size_t)snprintf(text, sizeof text, "%%PDF-1.4\n");
#define ADD(...) (n += (size_t)snprintf(text + n, sizeof text - n, __VA_ARGS__))
    for (unsigned i = 1; i <= 5; i++) {
        at[i] = n;
        ADD("%u 0 obj\n", i);
        if (i == 1)
            ADD("<< /Type /Catalog /Pages 2 0 R >>");
        else if (i == 2)
            ADD("<< /Type /Pages /Kids [3 0 R 4 0 R 5 0 R] /Count 3 >>");
        else
            ADD("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] >>");
        ADD("\nendobj\n");
    }
    size_t xref = n;
    ADD("xref\n0 6\n0000000000 65535 f \n");
    for (unsigned i = 1; i <= 5; i++)
        ADD("%010zu 00000 n \n", at[i]);
    ADD("trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n", xref);
#undef ADD
    ms_test_write_file(path, text, n);
}

/* A file beside the store, made once a run. */
static char *made(struct scene *s, const char *name) {
    char *path = ms_test_path(s->w->tmp, name);
    size_t i = 0;
    if (access(path, R_OK) == 0)
        return path;
    while (i < MS_ARRAY_LEN(films) && strcmp(films[i].name, name) != 0)
        i++;
    if (i < MS_ARRAY_LEN(films))
        make_film(s, i, path);
    else if (strcmp(name, "deck.pdf") == 0)
        make_deck(path);
    else
        scene_fail(s, "there is no content %s", name);
    return path;
}

static enum ms_code put(struct ms_handle *h, const char *from, struct ms_error *reterr) {
    size_t n, done;
    char *bytes = ms_test_read_file(from, &n);
    enum ms_code code = ms_file_write(h, 0, bytes, n, &done, reterr);
    free(bytes);
    if (code == MS_OK && done != n)
        code = ms_fail(reterr, MS_QUOTA, "%zu of %zu bytes were taken", done, n);
    enum ms_code flushed = flush_file(h, code == MS_OK ? reterr : NULL);
    enum ms_code released = release_file(h, NULL);
    return code != MS_OK ? code : flushed != MS_OK ? flushed : released;
}

static enum ms_code verb_film(struct scene *s, int n, char **words, struct ms_error *reterr) {
    char *from = made(s, words[2]);
    bool there = ms_asset_find(s->w->svc, scene_ctx(s), words[3], &s->info, NULL) == MS_OK;
    struct ms_handle *h = there ? open_file(s->w, words[3], 't') : make_file(s->w, words[3]);
    (void)n;
    enum ms_code code = put(h, from, reterr);
    free(from);
    if (code != MS_OK)
        return code;
    MS_TRY(ms_asset_find(s->w->svc, scene_ctx(s), words[3], &s->info, reterr));
    scene_name_asset(s, words[1], (struct ms_asset_id){s->info.asset.id});
    return MS_OK;
}

/* ---- runs ---------------------------------------------------------------------------------- */

static enum ms_code verb_derive(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *again = scene_value(n, words, "again");
    const struct ms_derive_options options = {.confine = s->probe,
                                              .ffmpeg = ffmpeg,
                                              .pdf = pdftocairo,
                                              .timeout_ms = TIMEOUT_MS,
                                              .again = again != NULL};
    struct ms_derive_result r;
    scene_only(s, n, words, "made failed removed waiting again");
    MS_TRY(ms_derive_run(s->w->svc, &options, &r, reterr));
    scene_number(s, n, words, "made", r.made);
    scene_number(s, n, words, "failed", r.failed);
    scene_number(s, n, words, "removed", r.removed);
    scene_number(s, n, words, "waiting", r.waiting);
    return MS_OK;
}

static enum ms_code verb_derived(struct scene *s, int n, char **words, struct ms_error *reterr) {
    const char *says = scene_value(n, words, "says");
    static struct ms_derived_all all;
    scene_only(s, n, words, "cover webm pages files says");
    MS_TRY(scene_look(s, scene_asset_of(s, words[1]), reterr));
    MS_TRY(ms_derive_look(s->w->svc, scene_ctx(s), &s->info, &all, reterr));
    unsigned files = 0;
    bool said = false;
    for (unsigned k = 0; k < MS_DERIVED_COUNT; k++) {
        const char *want = scene_value(n, words, ms_derived_kind_name((enum ms_derived_kind)k)),
                   *is = ms_derived_state_name(all.of[k].state);
        if (strcmp(want ? want : "", is) != 0)
            scene_fail(s, "%s: %s: %s", ms_derived_kind_name((enum ms_derived_kind)k), is, all.of[k].reason);
        files += all.of[k].files;
        said |= says && strstr(all.of[k].reason, says);
    }
    scene_number(s, n, words, "files", files);
    if (says && !said)
        scene_fail(s, "nothing says \"%s\"", says);
    return MS_OK;
}

static const struct scene_verb verbs[] = {
    {"converters", 0, 1, verb_converters,
     "[none|SHELL]: ffmpeg and pdftocairo, none, or a program that does that; first in a script, contents are probed"},
    {"film", 3, 3, verb_film, "LABEL film.mp4|alpha.mov|big.png|deck.pdf PATH: a real one, written to that path"},
    {"derive", 0, 5, verb_derive, "[made=N] [failed=N] [removed=N] [waiting=N] [again=1]: a run, with that result"},
    {"derived", 1, 6, verb_derived,
     "LABEL [cover=STATE] [webm=STATE] [pages=STATE] [files=N] [says=WORDS]: how far each is; not named: none"},
};
const struct scene_verbs scene_verbs_derive = {verbs, MS_ARRAY_LEN(verbs), forget};
