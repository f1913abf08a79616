/*
 * Changing a site's program: read the document, edit it, check it whole by
 * core/, write it as the next version, all under one WATCH.
 *
 *   live    loyalty:p:{site}    every change is a version, kept in history
 *   draft   loyalty:dr:{site}   another document, whose "version" is that of
 *                               the program it was made from
 *
 * ?draft=true makes every route of the program read and write the draft.
 */

#ifndef LOYALTY_API_PROGRAM_H
#define LOYALTY_API_PROGRAM_H

#include "loyalty_api_call.h"

typedef struct {
    json_t *document;           /* ours to edit; NULL: no site yet */
    int64_t version;            /* of the live program; 0: none */
    int64_t base;               /* of the live program the document is from */
    loyalty_program_t *program; /* compiled from it; after a check, anew */
    loyalty_str_t live;         /* the live document as stored, or empty */
    char currency[8];           /* of the live program */
    bool active;                /* the live program is */
    bool draft;                 /* it is the draft that changes */
    bool drafted;               /* there is a draft */
    bool kept;                  /* the live version is in the history */
    char etag[48];
    loyalty_replies_t replies;
} loyalty_api_edit_t;

/*
 * Reads and WATCHes the program, or with ?draft=true the draft, which without
 * one is the program.  A stored document that is not valid is
 * LOYALTY_STORE_MALFORMED.  Call loyalty_api_edit_end() in any case.
 */
loyalty_store_result_t loyalty_api_edit_begin(loyalty_api_call_t *call,
                                              loyalty_api_edit_t *edit);
loyalty_store_result_t loyalty_api_edit_open(loyalty_api_call_t *call,
                                             loyalty_api_edit_t *edit,
                                             bool draft);
void loyalty_api_edit_end(loyalty_api_edit_t *edit);

/* If-Match and If-None-Match against what was read; false: 412 is written. */
bool loyalty_api_edit_matches(loyalty_api_call_t *call,
                              const loyalty_api_edit_t *edit);

/*
 * Compiles the edited document and sees that what may not change did not.
 * *ok false: the error is written, its pointers without their first `prefix`.
 */
loyalty_store_result_t loyalty_api_edit_check(loyalty_api_call_t *call,
                                              loyalty_api_edit_t *edit,
                                              const char *prefix, bool *ok);

/* MULTI and the document as the next version, for more to be added. */
loyalty_store_result_t loyalty_api_edit_write(loyalty_api_call_t *call,
                                              loyalty_api_edit_t *edit);

/* The same and the commit.  The response must be written. */
loyalty_store_result_t loyalty_api_edit_commit(loyalty_api_call_t *call,
                                               loyalty_api_edit_t *edit);

/* Adds the job that gives every member their status to what
 * loyalty_api_edit_write() has begun.  `id` has LOYALTY_JOB_ID_SIZE bytes. */
loyalty_store_result_t loyalty_api_add_activation(loyalty_api_call_t *call,
                                                  bool backfill, char *id);

void loyalty_api_etag(loyalty_api_call_t *call, int64_t version);

/*
 * The program for a route that reads: the compiled one that the session
 * keeps, or with ?draft=true the draft, which `edit` then owns.  NULL: 404 is
 * written.  The ETag is set.  Call loyalty_api_edit_end() in any case.
 */
loyalty_store_result_t loyalty_api_shown(loyalty_api_call_t *call,
                                         loyalty_api_edit_t *edit,
                                         const loyalty_program_t **program);

#endif
