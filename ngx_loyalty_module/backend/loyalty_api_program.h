/*
 * Changing a site's program: read the document, edit it, check it whole by
 * core/, write it as the next version, all under one WATCH.
 */

#ifndef LOYALTY_API_PROGRAM_H
#define LOYALTY_API_PROGRAM_H

#include "loyalty_api_call.h"

typedef struct {
    json_t *document;           /* ours to edit; NULL: no site yet */
    int64_t version;            /* of the document read; 0: none */
    loyalty_program_t *program; /* compiled from it; after a check, anew */
} loyalty_api_edit_t;

/*
 * Reads and WATCHes the program.  A stored document that is not valid is
 * LOYALTY_STORE_MALFORMED.  Call loyalty_api_edit_end() in any case.
 */
loyalty_store_result_t loyalty_api_edit_begin(loyalty_api_call_t *call,
                                              loyalty_api_edit_t *edit);
void loyalty_api_edit_end(loyalty_api_edit_t *edit);

/* If-Match against the version; false: 412 is written. */
bool loyalty_api_edit_matches(loyalty_api_call_t *call,
                              const loyalty_api_edit_t *edit);

/* Compiles the edited document; false: 422 is written, its pointers without
 * their first `prefix`. */
bool loyalty_api_edit_check(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                            const char *prefix);

/* Writes it as the next version.  The response must be written. */
loyalty_store_result_t loyalty_api_edit_commit(loyalty_api_call_t *call,
                                               loyalty_api_edit_t *edit);

void loyalty_api_etag(loyalty_api_call_t *call, int64_t version);

#endif
