/* pdf: pages by poppler, from memory. */
#include "probe/examine.h"

#include <poppler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PDF_BYTES_MAX ((uint64_t)256 << 20)

/* Readers take a head within the first 1024 bytes. */
static bool is_pdf(struct ms_probe_source *s) {
    char head[1024];
    int64_t n = ms_probe_source_read(s, 0, head, sizeof head);

    return n > 5 && memmem(head, (size_t)n, "%PDF-", 5) != NULL;
}

static void pages(PopplerDocument *document, GError *error, struct ms_facts_record *f) {
    if (document)
        f->slides = (uint32_t)poppler_document_get_n_pages(document);
    else if (error && error->domain == POPPLER_ERROR && error->code == POPPLER_ERROR_ENCRYPTED)
        f->encrypted = 1;
    else
        (void)ms_examine_unreadable(f, error ? error->message : "it is damaged");
    if (document && f->slides == 0)
        (void)ms_examine_unreadable(f, "it has no pages: it is damaged or cut short");
}

bool ms_examine_pdf(struct ms_probe_source *s, struct ms_facts_record *f) {
    uint8_t *all;
    GBytes *bytes;
    PopplerDocument *document;
    GError *error = NULL;

    if (!is_pdf(s))
        return false;
    (void)snprintf(f->container, sizeof f->container, "pdf");
    if (s->size > PDF_BYTES_MAX)
        return ms_examine_unreadable(f, "it is larger than 256 MB");
    all = malloc((size_t)s->size);
    if (!all || ms_probe_source_read(s, 0, all, (size_t)s->size) != (int64_t)s->size) {
        free(all);
        return ms_examine_unreadable(f, "its bytes cannot be had");
    }
    bytes = g_bytes_new_static(all, (gsize)s->size);
    document = poppler_document_new_from_bytes(bytes, NULL, &error);
    pages(document, error, f);
    if (document)
        g_object_unref(document);
    if (error)
        g_error_free(error);
    g_bytes_unref(bytes);
    free(all);
    return true;
}
