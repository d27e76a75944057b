/* Derived files: which a content gets, their names, and how far they are. Pure. */
#include "support/test.h"

#include "model/derived.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ms_facts_record facts_of(const char *container, bool video, bool alpha, uint32_t slides) {
    struct ms_facts_record f = {.outcome = MS_FACTS_READ, .video_tracks = video, .alpha = alpha, .slides = slides};
    (void)snprintf(f.container, sizeof f.container, "%s", container);
    return f;
}

#define COVER (1u << MS_DERIVED_COVER)
#define WEBM (1u << MS_DERIVED_WEBM)
#define PAGES (1u << MS_DERIVED_PAGES)

static void what_a_content_gets_follows_from_type_name_and_facts(void **state) {
    static const struct {
        enum ms_asset_type type;
        const char *name, *container;
        bool video, alpha;
        uint32_t slides;
        unsigned want;
    } cases[] = {
        {MS_TYPE_VIDEO, "f.mp4", "mov", true, false, 0, COVER},
        {MS_TYPE_VIDEO, "f.mov", "mov", true, false, 0, COVER},
        {MS_TYPE_VIDEO, "f.mov", "mov", true, true, 0, COVER | WEBM},
        {MS_TYPE_VIDEO, "f.MOV", "mov", true, true, 0, COVER | WEBM},
        {MS_TYPE_VIDEO, "f.webm", "webm", true, true, 0, COVER},
        {MS_TYPE_VIDEO, "f.mp4", "mov", false, false, 0, 0},
        {MS_TYPE_IMAGE, "f.png", "png", true, true, 0, COVER},
        {MS_TYPE_PPT, "f.pdf", "pdf", false, false, 3, PAGES},
        {MS_TYPE_PPT, "f.pdf", "pdf", false, false, 0, 0},
        {MS_TYPE_PPT, "f.pptx", "pptx", false, false, 3, PAGES},
        {MS_TYPE_PPT, "f.ppt", "ppt", false, false, 3, PAGES},
        {MS_TYPE_PPT, "f.ppt", "ppt", false, false, 0, 0},
        {MS_TYPE_AUDIO, "f.mp3", "mp3", false, false, 0, 0},
        {MS_TYPE_COMMON_FILE, "f.mov", "mov", true, true, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
        struct ms_facts_record f = facts_of(cases[i].container, cases[i].video, cases[i].alpha, cases[i].slides);
        struct ms_content c = {&f, cases[i].name, cases[i].type, 100, NULL};
        assert_int_equal(ms_derived_wanted(&c), cases[i].want);
        f.outcome = MS_FACTS_UNREADABLE;
        assert_int_equal(ms_derived_wanted(&c), 0);
        c.facts = NULL;
        assert_int_equal(ms_derived_wanted(&c), 0);
    }
}

static void pages_end_at_fifty(void **state) {
    static const uint32_t slides[] = {1, 49, 50, 51, 100};
    (void)state;
    for (size_t i = 0; i < MS_ARRAY_LEN(slides); i++) {
        struct ms_facts_record f = facts_of("pdf", false, false, slides[i]);
        const struct ms_content c = {&f, "f.pdf", MS_TYPE_PPT, 100, NULL};
        assert_int_equal(ms_derived_pages(&c), slides[i] < 50 ? slides[i] : 50);
    }
}

static void a_name_says_of_what_it_was_made_and_nothing_else_does(void **state) {
    static const char *const none[] = {"", "derived-", "cover.jpg",
                                       "derived-00000000000000000000000000000001-cover.jpg ",
                                       "derived-00000000000000000000000000000001-cover.png",
                                       "derived-0000000000000000000000000000001-cover.jpg",
                                       "Derived-00000000000000000000000000000001-cover.jpg",
                                       "derived-0000000000000000000000000000000A-cover.jpg",
                                       "derived-00000000000000000000000000000001-page-00.png",
                                       "derived-00000000000000000000000000000001-page-51.png",
                                       "derived-00000000000000000000000000000001-page-1.png",
                                       "derived-00000000000000000000000000000001-page-001.png"};
    struct ms_derived_name name, again;
    char text[MS_DERIVED_NAME_MAX + 1];
    (void)state;
    for (unsigned kind = 0; kind < MS_DERIVED_COUNT; kind++)
        for (unsigned page = kind == MS_DERIVED_PAGES; page <= (kind == MS_DERIVED_PAGES ? 50u : 0u); page++) {
            name = (struct ms_derived_name){(enum ms_derived_kind)kind, {{{0xab, 1, 2}}}, page};
            ms_derived_format(&name, text);
            assert_true(ms_derived_parse(text, &again));
            assert_int_equal(again.kind, kind);
            assert_int_equal(again.page, page);
            assert_memory_equal(again.version.id.b, name.version.id.b, MS_ID_BYTES);
        }
    for (size_t i = 0; i < MS_ARRAY_LEN(none); i++)
        if (ms_derived_parse(none[i], &again))
            fail_msg("%s is taken for a derived file", none[i]);
}

struct files {
    struct ms_file_record *f;
    size_t n;
};

static void put(struct files *files, enum ms_derived_kind kind, unsigned page, enum ms_file_state state) {
    const struct ms_derived_name name = {kind, {{{7}}}, page};
    struct ms_file_record *f = &files->f[files->n++];
    *f = (struct ms_file_record){.category = (uint8_t)ms_derived_category(kind), .state = (uint8_t)state};
    ms_derived_format(&name, f->name);
    (void)snprintf(f->reason, sizeof f->reason, "why");
}

static struct ms_derived look(const struct files *files, uint32_t slides, enum ms_derived_kind kind) {
    struct ms_facts_record f =
        kind == MS_DERIVED_PAGES ? facts_of("pdf", false, false, slides) : facts_of("mov", true, true, 0);
    const struct ms_content c = {&f, kind == MS_DERIVED_PAGES ? "f.pdf" : "f.mov",
                                 kind == MS_DERIVED_PAGES ? MS_TYPE_PPT : MS_TYPE_VIDEO, 100, NULL};
    struct ms_derived d;
    ms_derived_look(&c, (struct ms_version_id){{{7}}}, files->f, files->n, kind, &d);
    return d;
}

static void how_far_it_is_follows_from_the_files(void **state) {
    struct files files = {calloc(MS_FILES_MAX, sizeof *files.f), 0};
    (void)state;
    assert_non_null(files.f);
    for (unsigned kind = 0; kind < MS_DERIVED_PAGES; kind++) {
        enum ms_derived_kind k = (enum ms_derived_kind)kind;
        static const struct {
            enum ms_file_state file;
            enum ms_derived_state want;
        } cases[] = {{MS_FILE_CREATING, MS_DERIVED_WAITING},
                     {MS_FILE_CANCELLED, MS_DERIVED_WAITING},
                     {MS_FILE_FAILED, MS_DERIVED_FAILED},
                     {MS_FILE_CREATED, MS_DERIVED_SUCCEEDED}};
        files.n = 0;
        assert_int_equal(look(&files, 0, k).state, MS_DERIVED_WAITING);
        for (size_t i = 0; i < MS_ARRAY_LEN(cases); i++) {
            files.n = 0;
            put(&files, k, 0, cases[i].file);
            assert_int_equal(look(&files, 0, k).state, cases[i].want);
            files.f[0].name[8] = '1'; /* of another version */
            assert_int_equal(look(&files, 0, k).state, MS_DERIVED_WAITING);
        }
    }
    /* a cover of the tenant's own is one; a failed one of theirs is none */
    files.n = 1;
    files.f[0] = (struct ms_file_record){.category = MS_CATEGORY_COVER, .state = MS_FILE_CREATED, .name = "mine.jpg"};
    assert_int_equal(look(&files, 0, MS_DERIVED_COVER).state, MS_DERIVED_SUCCEEDED);
    assert_int_equal(look(&files, 0, MS_DERIVED_WEBM).state, MS_DERIVED_WAITING);
    files.f[0].state = MS_FILE_FAILED;
    assert_int_equal(look(&files, 0, MS_DERIVED_COVER).state, MS_DERIVED_WAITING);
    /* pages: all of them */
    files.n = 0;
    for (unsigned page = 1; page <= 3; page++) {
        struct ms_derived d = look(&files, 3, MS_DERIVED_PAGES);
        assert_int_equal(d.state, MS_DERIVED_WAITING);
        assert_int_equal(d.files, page - 1);
        put(&files, MS_DERIVED_PAGES, page, MS_FILE_CREATED);
    }
    assert_int_equal(look(&files, 3, MS_DERIVED_PAGES).state, MS_DERIVED_SUCCEEDED);
    files.f[1].state = MS_FILE_FAILED;
    assert_string_equal(look(&files, 3, MS_DERIVED_PAGES).reason, "why");
    free(files.f);
}

static void what_came_out_is_what_was_to_come_out(void **state) {
    struct ms_facts_record f = facts_of("webm", true, true, 0);
    (void)state;
    (void)snprintf(f.video_codec, sizeof f.video_codec, "vp9");
    assert_ok(ms_derived_accept(MS_DERIVED_WEBM, &f, &test_err));
    assert_code(ms_derived_accept(MS_DERIVED_COVER, &f, &test_err), MS_WRONG_KIND);
    f.alpha = 0;
    assert_code(ms_derived_accept(MS_DERIVED_WEBM, &f, &test_err), MS_WRONG_KIND);
    f = facts_of("jpeg", true, false, 0);
    assert_ok(ms_derived_accept(MS_DERIVED_COVER, &f, &test_err));
    assert_code(ms_derived_accept(MS_DERIVED_PAGES, &f, &test_err), MS_WRONG_KIND);
    f.video_tracks = 0;
    assert_code(ms_derived_accept(MS_DERIVED_COVER, &f, &test_err), MS_WRONG_KIND);
    f = facts_of("png", true, false, 0);
    assert_ok(ms_derived_accept(MS_DERIVED_PAGES, &f, &test_err));
    f.outcome = MS_FACTS_GIVEN_UP;
    assert_code(ms_derived_accept(MS_DERIVED_PAGES, &f, &test_err), MS_WRONG_KIND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_content_gets_follows_from_type_name_and_facts),
        cmocka_unit_test(pages_end_at_fifty),
        cmocka_unit_test(a_name_says_of_what_it_was_made_and_nothing_else_does),
        cmocka_unit_test(how_far_it_is_follows_from_the_files),
        cmocka_unit_test(what_came_out_is_what_was_to_come_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
