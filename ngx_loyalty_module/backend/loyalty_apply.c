/*
 * All sites, in turns.
 *
 * The list of sites is read again every second.  One site alone is waited for
 * in Redis (BLOCK); several are asked in turns, with a short rest when none
 * had anything.
 */

#include "loyalty_apply_site.h"

#include <stdlib.h>

#include "loyalty_link.h"
#include "loyalty_sites.h"

#define SITES_EVERY 1000 /* ms between looks at the list of sites */
#define BLOCK 200        /* ms; a reload waits for it */
#define REST 20          /* ms */
#define REST_IDLE 200    /* ms, while others hold all leases */
#define REST_AWAY 200    /* ms, while Redis is away */

struct loyalty_apply_s {
    const loyalty_store_conf_t *conf;
    loyalty_apply_tools_t tools;
    loyalty_apply_site_t **sites;
    size_t nsites;
    int64_t sites_at;
    loyalty_store_result_t last; /* as the log has it */
};

loyalty_apply_t *
loyalty_apply_create(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                     void *data)
{
    loyalty_apply_t *apply = calloc(1, sizeof(*apply));

    if (apply == NULL) {
        return NULL;
    }

    apply->conf = conf;
    apply->tools.log = log;
    apply->tools.log_data = data;
    apply->tools.conf = conf;
    apply->tools.store = loyalty_store_open(conf);
    apply->tools.programs = loyalty_programs_create();
    apply->tools.current = loyalty_batch_create();
    apply->tools.next = loyalty_batch_create();
    loyalty_commands_init(&apply->tools.commands);

    if (apply->tools.store == NULL || apply->tools.programs == NULL
        || apply->tools.current == NULL || apply->tools.next == NULL) {
        loyalty_apply_free(apply);
        return NULL;
    }

    return apply;
}

void
loyalty_apply_free(loyalty_apply_t *apply)
{
    size_t i;

    for (i = 0; i < apply->nsites; i++) {
        loyalty_lease_release(&apply->sites[i]->lease, apply->tools.store,
                              &apply->sites[i]->scope);
        free(apply->sites[i]);
    }

    free(apply->sites);
    loyalty_batch_free(apply->tools.current);
    loyalty_batch_free(apply->tools.next);
    loyalty_programs_free(apply->tools.programs);
    loyalty_commands_free(&apply->tools.commands);
    if (apply->tools.store != NULL) {
        loyalty_store_close(apply->tools.store);
    }
    free(apply);
}

static loyalty_apply_site_t *
find_site(loyalty_apply_t *apply, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < apply->nsites; i++) {
        if (loyalty_str_eq(apply->sites[i]->scope.site, id)) {
            return apply->sites[i];
        }
    }

    return NULL;
}

static bool
add_site(loyalty_apply_t *apply, loyalty_str_t id)
{
    loyalty_apply_site_t **sites, *site;

    sites = realloc(apply->sites, (apply->nsites + 1) * sizeof(*sites));
    if (sites == NULL) {
        return false;
    }

    apply->sites = sites;
    site = calloc(1, sizeof(*site));
    if (site == NULL) {
        return false;
    }

    memcpy(site->id, id.data, id.len);
    site->scope.prefix = apply->conf->prefix;
    site->scope.site = (loyalty_str_t){site->id, id.len};
    site->lease.name = "lease";
    site->count = LOYALTY_BATCH_EVENTS_MAX;
    site->listed = true;
    sites[apply->nsites++] = site;

    return true;
}

static void
drop_unlisted(loyalty_apply_t *apply)
{
    loyalty_apply_site_t *site;
    size_t i, kept = 0;

    for (i = 0; i < apply->nsites; i++) {
        site = apply->sites[i];
        if (site->listed) {
            apply->sites[kept++] = site;
            continue;
        }
        loyalty_lease_release(&site->lease, apply->tools.store, &site->scope);
        free(site);
    }

    apply->nsites = kept;
}

static loyalty_store_result_t
list_sites(loyalty_apply_t *apply)
{
    loyalty_apply_site_t *site;
    loyalty_store_result_t result;
    loyalty_arena_t arena;
    loyalty_str_t *ids;
    size_t i, n;

    loyalty_arena_init(&arena, 0);
    result = loyalty_sites(apply->tools.store, apply->conf->prefix, &arena,
                           &ids, &n);

    for (i = 0; result == LOYALTY_STORE_OK && i < apply->nsites; i++) {
        apply->sites[i]->listed = false;
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < n; i++) {
        site = find_site(apply, ids[i]);
        if (site != NULL) {
            site->listed = true;
        } else if (!add_site(apply, ids[i])) {
            result = LOYALTY_STORE_MEMORY;
        }
    }

    if (result == LOYALTY_STORE_OK) {
        drop_unlisted(apply);
    }

    loyalty_arena_free(&arena);

    return result;
}

static bool
is_stopping(const loyalty_apply_t *apply)
{
    return apply->conf->stopping != NULL && apply->conf->stopping();
}

int
loyalty_apply_run(loyalty_apply_t *apply)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK, one;
    bool busy = false, waited = false, held = false;
    loyalty_apply_site_t *site;
    size_t i;
    int block;

    if (loyalty_link_now() >= apply->sites_at) {
        result = list_sites(apply);
        if (result == LOYALTY_STORE_OK) {
            apply->sites_at = loyalty_link_now() + SITES_EVERY;
        }
    }

    for (i = 0; i < apply->nsites && result != LOYALTY_STORE_AWAY; i++) {
        if (is_stopping(apply)) {
            return 0;
        }

        site = apply->sites[i];
        block = apply->nsites == 1 ? BLOCK : 0;
        one = loyalty_apply_site(&apply->tools, site, block, &busy);
        held |= site->state != LOYALTY_APPLY_WAITING;
        waited = block != 0 && site->state != LOYALTY_APPLY_WAITING;
        result = one != LOYALTY_STORE_OK ? one : result;
    }

    loyalty_apply_note(&apply->tools, &apply->last, result,
                       "applying orders goes on", "orders are not applied");

    if (result != LOYALTY_STORE_OK) {
        return REST_AWAY;
    }

    return busy || waited ? 0 : held ? REST : REST_IDLE;
}
