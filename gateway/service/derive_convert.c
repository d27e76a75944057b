/* One converter at work in its folder. */
#include "service/derive_part.h"

#include "probe/confine.h"
#include "service/program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 48

void ms_made_files_fini(struct ms_made_files *made) {
    for (unsigned i = 0; i < made->n; i++)
        close(made->fd[i]);
    made->n = 0;
}

/* Of another deck than a PDF one is made first. */
static bool needs_office(enum ms_derived_kind kind, const struct ms_content *content) {
    return kind == MS_DERIVED_PAGES && strcmp(content->facts->container, "pdf") != 0;
}

static bool is_there(const char *path) { return path[0] && access(path, X_OK) == 0; }

const char *ms_derive_converter(const struct ms_derive_options *options, enum ms_derived_kind kind,
                                const struct ms_content *content) {
    const char *path = kind == MS_DERIVED_PAGES ? options->pdf : options->ffmpeg;
    return is_there(path) && (!needs_office(kind, content) || is_there(options->office)) ? path : NULL;
}

/* ---- what it is told ------------------------------------------------------------------------- */

struct words {
    const char *word[WORDS_MAX];
    size_t n;
};

static void add(struct words *w, const char *const *words, size_t n) {
    for (size_t i = 0; i < n && w->n < WORDS_MAX - 1; i++)
        w->word[w->n++] = words[i];
    w->word[w->n] = NULL;
}
#define ADD(w, ...)                                                                                \
    do {                                                                                           \
        static const char *const words_[] = {__VA_ARGS__};                                         \
        add((w), words_, MS_ARRAY_LEN(words_));                                                    \
    } while (0)

/* FFmpeg's word for reading a container that the prober found: it must not guess again, and take a list of other files
 * for a video. */
static const char *demuxer_of(const char *container) {
    static const char *const of[][2] = {
        {"mov", "mov"},       {"matroska", "matroska"},   {"webm", "matroska"},   {"flv", "flv"},
        {"asf", "asf"},       {"avi", "avi"},             {"png", "png_pipe"},    {"jpeg", "jpeg_pipe"},
        {"bmp", "bmp_pipe"}, {"gif", "gif"}};
    for (size_t i = 0; i < MS_ARRAY_LEN(of); i++)
        if (strcmp(of[i][0], container) == 0)
            return of[i][1];
    return NULL;
}

static bool tell(struct words *w, enum ms_derived_kind kind, const struct ms_content *content) {
    const char *demuxer = demuxer_of(content->facts->container);
    if (kind == MS_DERIVED_PAGES) {
        const char *in = needs_office(kind, content) ? "in.pdf" : "in";
        ADD(w, "-png", "-f", "1", "-l", "50", "-scale-to", "1280");
        add(w, &in, 1);
        ADD(w, "page");
        return true;
    }
    if (!demuxer)
        return false;
    ADD(w, "-nostdin", "-v", "error", "-threads", "2", "-f");
    add(w, &demuxer, 1);
    ADD(w, "-i", "in", "-map_metadata", "-1");
    if (kind == MS_DERIVED_COVER)
        ADD(w, "-map", "0:v:0", "-frames:v", "1", "-vf", "scale='min(1280,iw)':-2", "-pix_fmt", "yuvj420p",
            "-q:v", "4", "-f", "mjpeg", "out");
    else
        ADD(w, "-map", "0:v:0", "-map", "0:a:0?", "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p",
            "-auto-alt-ref", "0", "-crf", "30", "-b:v", "0", "-deadline", "good", "-cpu-used", "4",
            "-row-mt", "1", "-c:a", "libopus", "-f", "webm", "out");
    return true;
}

/* ---- what it made ---------------------------------------------------------------------------- */

/* pdftocairo gives numbers as many digits as the last page has. */
static int open_made(const char *folder, enum ms_derived_kind kind, unsigned page) {
    static const char *const of[] = {"page-%u.png", "page-%02u.png", "page-%03u.png"};
    char path[4096], name[32];
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < (kind == MS_DERIVED_PAGES ? MS_ARRAY_LEN(of) : 1); i++) {
        if (kind == MS_DERIVED_PAGES)
            (void)snprintf(name, sizeof name, of[i], page);
        else
            (void)snprintf(name, sizeof name, "out");
        if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
            fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    }
    return fd;
}

/* Its own plain files only. */
static enum ms_code take_made(const char *folder, enum ms_derived_kind kind, unsigned page,
                              struct ms_made_files *made, struct ms_error *reterr) {
    struct stat st;
    int fd = open_made(folder, kind, page);
    if (fd < 0)
        return ms_fail(reterr, MS_WRONG_KIND, "the converter made nothing%s", page > 1 ? " of some pages" : "");
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_size <= 0) {
        close(fd);
        return ms_fail(reterr, MS_WRONG_KIND, "the converter made an empty file, or no plain one");
    }
    made->fd[made->n] = fd;
    made->size[made->n++] = (uint64_t)st.st_size;
    return MS_OK;
}

static enum ms_code take_all(const char *folder, enum ms_derived_kind kind,
                             const struct ms_content *content, struct ms_made_files *made,
                             struct ms_error *reterr) {
    unsigned n = kind == MS_DERIVED_PAGES ? ms_derived_pages(content) : 1;
    for (unsigned page = 1; page <= n; page++)
        MS_TRY(take_made(folder, kind, page, made, reterr));
    return MS_OK;
}

/* ---- its room -------------------------------------------------------------------------------- */

struct ms_derive_most ms_derive_most(enum ms_derived_kind kind) {
    static const struct ms_derive_most of[] = {
        [MS_DERIVED_COVER] = {64 * MS_MB, 256 * MS_MB},
        [MS_DERIVED_WEBM] = {5 * MS_GB, 6 * MS_GB}, /* one file: what an upload may have */
        [MS_DERIVED_PAGES] = {512 * MS_MB, 2 * MS_GB}};
    return of[kind];
}

/* A limit of one file bounds neither how many there are nor what was unlinked and is still open: that the folder's
 * sum and the disk's rest show. */
struct room {
    const char *folder;
    uint64_t before_bytes, made_max, free_bytes;
    bool too_much, disk_full;
};

static bool has_room(void *priv) {
    struct room *room = priv;
    uint64_t bytes = ms_derive_folder_bytes(room->folder);
    room->too_much = bytes > room->before_bytes && bytes - room->before_bytes > room->made_max;
    room->disk_full = ms_derive_folder_free(room->folder) < room->free_bytes;
    return !room->too_much && !room->disk_full;
}

static enum ms_code judge_room(const struct room *room, struct ms_error *reterr) {
    if (room->too_much)
        return ms_fail(reterr, MS_TOO_LARGE, "the converter made more than %" PRIu64 " bytes, or too many files",
                       room->made_max);
    return ms_fail(reterr, MS_NO_SPACE,
                   "the disk of %.150s has less than %" PRIu64 " bytes left (derive_free): make room, or lower it",
                   room->folder, room->free_bytes);
}

/* ---- the run --------------------------------------------------------------------------------- */

static enum ms_code judge(enum ms_code code, const struct ms_program_answer *answer,
                          struct ms_error *err, struct ms_error *reterr) {
    char said[161];
    size_t n = strcspn(answer->said, "\n");
    (void)snprintf(said, sizeof said, "%.*s", (int)(n < 160 ? n : 160), answer->said);
    for (char *p = said; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    if (code == MS_TIMEOUT)
        return ms_fail(reterr, MS_WRONG_KIND, "the converter did not end in its time");
    if (code == MS_PROTOCOL)
        return ms_fail(reterr, MS_WRONG_KIND, "the converter crashed or passed its limits");
    if (code != MS_OK)
        return ms_fail(reterr, MS_UNAVAILABLE, "%s", err->message);
    if (answer->status == MS_CONFINE_FAILED)
        return ms_fail(reterr, MS_UNAVAILABLE, "%s", said);
    if (answer->status != 0)
        return ms_fail(reterr, MS_WRONG_KIND, "the converter failed with status %d: %s", answer->status, said);
    return MS_OK;
}

/* One program in the folder. */
struct job {
    const struct ms_derive_options *options;
    const char *folder;
    enum ms_derived_kind kind;
    const char *confine_word;
    struct words words; /* its arguments, from its own path on */
};

static enum ms_code run(const struct job *job, struct ms_program_answer *answer, struct ms_error *reterr) {
    const struct ms_derive_options *o = job->options;
    const struct ms_derive_most most = ms_derive_most(job->kind);
    char cpu[24], memory[24], file[24];
    const char *head[] = {o->confine, job->confine_word, job->folder, cpu, memory, file};
    struct room room = {.folder = job->folder,
                        .before_bytes = ms_derive_folder_bytes(job->folder),
                        .made_max = most.all_bytes,
                        .free_bytes = o->free_bytes};
    struct words w = {.n = 0};
    struct ms_error err = {0};
    (void)snprintf(cpu, sizeof cpu, "%" PRId64, o->timeout_ms * 2 / 1000 + 1);
    (void)snprintf(memory, sizeof memory, "%" PRIu64, MS_DERIVE_MEMORY_BYTES);
    (void)snprintf(file, sizeof file, "%" PRIu64, most.file_bytes);
    add(&w, head, MS_ARRAY_LEN(head));
    add(&w, job->words.word, job->words.n);
    const struct ms_program program = {.path = o->confine,
                                       .what = "converter",
                                       .words = w.word,
                                       .hears_errors = true,
                                       .ends_group = true,
                                       .timeout_ms = o->timeout_ms,
                                       .goes_on = has_room,
                                       .priv = &room};
    answer->status = 0;
    enum ms_code code = ms_program_ask(&program, answer, &err);
    if (code == MS_CANCELLED || !has_room(&room)) /* it may have been quicker than the question */
        return judge_room(&room, reterr);
    return judge(code, answer, &err, reterr);
}

/* ---- a PDF of another deck ------------------------------------------------------------------- */

#define OFFICE_AGAIN 81 /* it has made its profile, and wants to be started again */
#define OFFICE_TO "pdf:impress_pdf_Export:{\"ExportHiddenSlides\":{\"type\":\"boolean\",\"value\":\"true\"}}"

/* It makes absolute paths of all names, and those its user may not go along where the store is another's: its folder is
 * named as what it is to itself. The profile lies there, too, so that nothing of one deck is left for the next. */
#define OFFICE_FOLDER "/proc/self/cwd"

static enum ms_code make_pdf(const struct ms_derive_options *options, const char *folder, struct ms_error *reterr) {
    struct job job = {.options = options,
                      .folder = folder,
                      .kind = MS_DERIVED_PAGES,
                      .confine_word = MS_CONFINE_OFFICE_WORD};
    struct ms_program_answer answer;
    add(&job.words, &options->office, 1);
    ADD(&job.words, "-env:UserInstallation=file://" OFFICE_FOLDER "/profile", "-env:OSL_SOCKET_PATH=.", "--headless",
        "--norestore", "--convert-to", OFFICE_TO, "--outdir", OFFICE_FOLDER, OFFICE_FOLDER "/in");
    enum ms_code code = run(&job, &answer, reterr);
    if (code == MS_WRONG_KIND && answer.status == OFFICE_AGAIN)
        code = run(&job, &answer, reterr);
    return code;
}

enum ms_code ms_derive_convert(const struct ms_derive_options *options, const char *folder,
                               enum ms_derived_kind kind, const struct ms_content *content,
                               struct ms_made_files *ret_made, struct ms_error *reterr) {
    const char *converter = ms_derive_converter(options, kind, content);
    struct job job = {.options = options, .folder = folder, .kind = kind, .confine_word = MS_CONFINE_WORD};
    struct ms_program_answer answer;
    add(&job.words, &converter, 1);
    if (!tell(&job.words, kind, content))
        return ms_fail(reterr, MS_WRONG_KIND, "no converter reads %s", content->facts->container);
    if (needs_office(kind, content))
        MS_TRY(make_pdf(options, folder, reterr));
    MS_TRY(run(&job, &answer, reterr));
    enum ms_code code = take_all(folder, kind, content, ret_made, reterr);
    if (code != MS_OK)
        ms_made_files_fini(ret_made);
    return code;
}
