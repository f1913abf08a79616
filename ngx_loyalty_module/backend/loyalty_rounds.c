/*
 * A site has WORK ms; the one after it as much again, so that none goes without
 * because those before it were busy.
 */

#include "loyalty_rounds.h"

#include "loyalty_link.h"
#include "loyalty_sites.h"

#define LIST_EVERY 1000 /* ms between looks at the list of sites */
#define REST 500
#define REST_AWAY 200
#define WORK 200 /* ms of a site */

void
loyalty_rounds_init(loyalty_rounds_t *rounds)
{
    loyalty_arena_init(&rounds->listed, 0);
}

void
loyalty_rounds_free(loyalty_rounds_t *rounds)
{
    loyalty_arena_free(&rounds->listed);
}

bool
loyalty_rounds_stopping(const loyalty_rounds_t *rounds)
{
    return rounds->conf->stopping != NULL && rounds->conf->stopping();
}

static loyalty_store_result_t
list_sites(loyalty_rounds_t *rounds)
{
    loyalty_store_result_t result;

    if (loyalty_link_now() < rounds->list_at) {
        return LOYALTY_STORE_OK;
    }

    loyalty_arena_reset(&rounds->listed);
    rounds->nsites = 0;
    rounds->list_at = 0;
    result = loyalty_sites(rounds->tools->store, rounds->conf->prefix,
                           &rounds->listed, &rounds->sites, &rounds->nsites);
    if (result == LOYALTY_STORE_OK) {
        rounds->list_at = loyalty_link_now() + LIST_EVERY;
    }

    return result;
}

int
loyalty_rounds_run(loyalty_rounds_t *rounds)
{
    loyalty_store_result_t result = list_sites(rounds), one;
    int64_t until = loyalty_link_now() + WORK;
    loyalty_scope_t scope;
    int rest = REST;
    size_t i;

    for (i = 0; i < rounds->nsites && result != LOYALTY_STORE_AWAY
                && !loyalty_rounds_stopping(rounds); i++) {
        scope = (loyalty_scope_t){rounds->conf->prefix, rounds->sites[i]};
        one = rounds->serve(rounds->data, &scope, until + (int64_t)i * WORK,
                            &rest);
        result = one != LOYALTY_STORE_OK ? one : result;
    }

    loyalty_apply_note(rounds->tools, &rounds->last, result, rounds->good,
                       rounds->bad);

    return result != LOYALTY_STORE_OK ? REST_AWAY : rest;
}
