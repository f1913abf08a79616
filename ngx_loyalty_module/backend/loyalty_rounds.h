/*
 * Rounds through all sites, each for a moment, by a thread that asks Redis what
 * is due.  The list of sites is read again every second.
 */

#ifndef LOYALTY_ROUNDS_H
#define LOYALTY_ROUNDS_H

#include "loyalty_apply_site.h"

/*
 * One site's turn, until the monotonic instant `until`.  *rest, in ms, is made
 * shorter where there is more to do.  A result other than OK is noted in the
 * log, and the others have their turns all the same, unless it is AWAY.
 */
typedef loyalty_store_result_t (*loyalty_serve_pt)(
    void *data, const loyalty_scope_t *scope, int64_t until, int *rest);

typedef struct {
    const loyalty_store_conf_t *conf;
    const loyalty_apply_tools_t *tools;
    const char *good, *bad; /* of loyalty_apply_note() */
    loyalty_serve_pt serve;
    void *data;

    loyalty_arena_t listed;
    loyalty_str_t *sites; /* of `listed` */
    size_t nsites;
    int64_t list_at;      /* again, monotonic ms */
    loyalty_store_result_t last; /* as the log has it */
} loyalty_rounds_t;

/* The fields above the arena are the caller's, who sets them. */
void loyalty_rounds_init(loyalty_rounds_t *rounds);
void loyalty_rounds_free(loyalty_rounds_t *rounds);

/* One round; returns how long it may rest, in ms. */
int loyalty_rounds_run(loyalty_rounds_t *rounds);

bool loyalty_rounds_stopping(const loyalty_rounds_t *rounds);

#endif
