/*
 * The run loop of jobs.
 *
 * An idle turn is one pipeline, twice a second: which jobs of which site are
 * due, and which hold's time is up?  A site with due jobs is worked on by
 * whoever has its lease; of several jobs each gets a step in turn.  The lease
 * only saves work done for nothing: what is exactly once is so by the job's
 * cursor (loyalty_job.h).
 */

#include "loyalty_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_apply_site.h"
#include "loyalty_calendar.h"
#include "loyalty_lease.h"
#include "loyalty_hold_store.h"
#include "loyalty_link.h"
#include "loyalty_sites.h"

#define SITES_EVERY 1000  /* ms between looks at the list of sites */
#define NIGHT_EVERY 60000 /* ms between looks at a site's program */
#define REST 500
#define REST_AWAY 200 /* Redis is away, or says no */
#define DUE_MAX 16    /* jobs of one site that take turns */
#define OLD_MAX 100   /* jobs forgotten at a time */
#define DUE_REPLIES 2 /* jobs, and how many holds */
#define HOLDS_MAX 64  /* released in one turn */

typedef struct {
    char id[LOYALTY_SITE_ID_MAX + 1];
    loyalty_scope_t scope;
    loyalty_lease_t lease;
    int64_t night_at; /* look at the program again, monotonic ms */
    loyalty_instant_t next_day; /* the site's, as the program had it then */
    size_t turn;
    bool listed;
} site_t;

struct loyalty_jobs_s {
    const loyalty_store_conf_t *conf;
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_member_change_t change;
    loyalty_arena_t arena;
    site_t **sites;
    size_t nsites;
    int64_t sites_at;
    loyalty_store_result_t last; /* as the log has it */
};

loyalty_jobs_t *
loyalty_jobs_create(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                    void *data)
{
    loyalty_jobs_t *jobs = calloc(1, sizeof(*jobs));

    if (jobs == NULL) {
        return NULL;
    }

    jobs->conf = conf;
    jobs->tools.log = log;
    jobs->tools.log_data = data;
    jobs->tools.store = loyalty_store_open(conf);
    jobs->tools.programs = loyalty_programs_create();
    loyalty_commands_init(&jobs->tools.commands);
    loyalty_arena_init(&jobs->arena, 0);
    loyalty_member_change_init(&jobs->change, jobs->tools.store,
                               jobs->tools.programs);

    if (jobs->tools.store == NULL || jobs->tools.programs == NULL) {
        loyalty_jobs_free(jobs);
        return NULL;
    }

    return jobs;
}

static void
free_site(loyalty_jobs_t *jobs, site_t *site)
{
    loyalty_lease_release(&site->lease, jobs->tools.store, &site->scope);
    free(site);
}

void
loyalty_jobs_free(loyalty_jobs_t *jobs)
{
    size_t i;

    for (i = 0; i < jobs->nsites; i++) {
        free_site(jobs, jobs->sites[i]);
    }

    free(jobs->sites);
    loyalty_member_change_free(&jobs->change);
    loyalty_arena_free(&jobs->arena);
    loyalty_programs_free(jobs->tools.programs);
    loyalty_commands_free(&jobs->tools.commands);
    if (jobs->tools.store != NULL) {
        loyalty_store_close(jobs->tools.store);
    }
    free(jobs);
}

static bool
list_site(loyalty_jobs_t *jobs, loyalty_str_t id)
{
    site_t **sites, *site;
    size_t i;

    for (i = 0; i < jobs->nsites; i++) {
        if (loyalty_str_eq(jobs->sites[i]->scope.site, id)) {
            jobs->sites[i]->listed = true;
            return true;
        }
    }

    sites = realloc(jobs->sites, (jobs->nsites + 1) * sizeof(*sites));
    if (sites == NULL) {
        return false;
    }

    jobs->sites = sites;
    site = calloc(1, sizeof(*site));
    if (site == NULL) {
        return false;
    }

    memcpy(site->id, id.data, id.len);
    site->scope.prefix = jobs->conf->prefix;
    site->scope.site = (loyalty_str_t){site->id, id.len};
    site->lease.name = "jobs-lease";
    site->listed = true;
    sites[jobs->nsites++] = site;

    return true;
}

static loyalty_store_result_t
list_sites(loyalty_jobs_t *jobs)
{
    loyalty_store_result_t result;
    loyalty_str_t *ids;
    size_t i, n, kept = 0;

    if (loyalty_link_now() < jobs->sites_at) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_sites(jobs->tools.store, jobs->conf->prefix, &jobs->arena,
                           &ids, &n);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    for (i = 0; i < jobs->nsites; i++) {
        jobs->sites[i]->listed = false;
    }

    for (i = 0; i < n; i++) {
        if (!list_site(jobs, ids[i])) {
            return LOYALTY_STORE_MEMORY;
        }
    }

    for (i = 0; i < jobs->nsites; i++) {
        if (jobs->sites[i]->listed) {
            jobs->sites[kept++] = jobs->sites[i];
        } else {
            free_site(jobs, jobs->sites[i]);
        }
    }

    jobs->nsites = kept;
    jobs->sites_at = loyalty_link_now() + SITES_EVERY;

    return LOYALTY_STORE_OK;
}

/* Makes the run of the site's day, unless there is or was one. */
static loyalty_store_result_t
order_night(loyalty_jobs_t *jobs, site_t *site, const char *date,
            loyalty_instant_t now)
{
    loyalty_commands_t *commands = &jobs->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t last = loyalty_str_null;
    char id[LOYALTY_JOB_ID_SIZE];
    loyalty_job_order_t order = {
        .kind = "nightly",
        .by = loyalty_str("system"),
        .now = now,
        .due = now,
        .total = -1,
    };

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_command(commands, "WATCH", 2);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("nightly"));
    loyalty_command(commands, "GET", 2);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("nightly"));
    result = loyalty_store_call(jobs->tools.store, site->scope.site, commands,
                                &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_str(replies.list[1], &last)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK) {
        if (loyalty_str_cmp(last, loyalty_str_from(date)) >= 0
            || !loyalty_job_id(id)) {
            loyalty_store_unwatch(jobs->tools.store, site->scope.site);
        } else {
            order.id = loyalty_str_from(id);
            loyalty_commands_reset(commands);
            loyalty_command(commands, "MULTI", 1);
            loyalty_command(commands, "SET", 3);
            loyalty_arg_key(commands, &site->scope, "x",
                            loyalty_str("nightly"));
            loyalty_arg_text(commands, date);
            loyalty_job_create(&order, &site->scope, commands);
            loyalty_command(commands, "EXEC", 1);
            result = loyalty_store_exec(jobs->tools.store, site->scope.site,
                                        commands);
        }
    }

    loyalty_replies_free(&replies);

    return result == LOYALTY_STORE_CONFLICT ? LOYALTY_STORE_OK : result;
}

/* Old jobs, some each time. */
static loyalty_store_result_t
forget_old(loyalty_jobs_t *jobs, site_t *site, loyalty_instant_t now)
{
    loyalty_commands_t *commands = &jobs->tools.commands;
    loyalty_replies_t old, due, gone;
    loyalty_store_result_t result;
    const redisReply *list;
    loyalty_str_t id;
    size_t i;

    loyalty_replies_init(&old);
    loyalty_replies_init(&due);
    loyalty_replies_init(&gone);
    loyalty_commands_reset(commands);
    loyalty_command(commands, "ZRANGEBYSCORE", 7);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("joblist"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, now - LOYALTY_JOB_KEPT);
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, OLD_MAX);
    result = loyalty_store_call(jobs->tools.store, site->scope.site, commands,
                                &old);

    if (result == LOYALTY_STORE_OK && loyalty_reply_array(old.list[0], 0)) {
        loyalty_replies_free(&old);
        return result;
    }

    loyalty_commands_reset(commands);
    list = result == LOYALTY_STORE_OK ? old.list[0] : NULL;
    for (i = 0; list != NULL && i < list->elements; i++) {
        loyalty_reply_str(list->element[i], &id);
        loyalty_command(commands, "ZSCORE", 3);
        loyalty_arg_key(commands, &site->scope, "x", loyalty_str("jobs"));
        loyalty_arg(commands, id);
    }
    if (list != NULL) {
        result = loyalty_store_call(jobs->tools.store, site->scope.site,
                                    commands, &due);
    }

    loyalty_commands_reset(commands);
    for (i = 0; i < due.count; i++) {
        if (!loyalty_reply_is_nil(due.list[i])) {
            continue; /* not run yet */
        }
        loyalty_reply_str(list->element[i], &id);
        loyalty_command(commands, "DEL", 4);
        loyalty_arg_key(commands, &site->scope, "j", id);
        loyalty_arg_key(commands, &site->scope, "jm", id);
        loyalty_arg_key(commands, &site->scope, "jf", id);
        loyalty_command_zrem(commands, &site->scope, "x",
                             loyalty_str("joblist"), id);
        loyalty_command_zrem(commands, &site->scope, "x",
                             loyalty_str("broadcasts"), id);
    }
    if (commands->count != 0) {
        result = loyalty_store_call(jobs->tools.store, site->scope.site,
                                    commands, &gone);
    }

    loyalty_replies_free(&gone);
    loyalty_replies_free(&due);
    loyalty_replies_free(&old);

    return result;
}

static loyalty_store_result_t
look_at_night(loyalty_jobs_t *jobs, site_t *site)
{
    loyalty_instant_t now = loyalty_apply_clock();
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    char date[LOYALTY_DATE_SIZE];

    if (loyalty_link_now() < site->night_at && now < site->next_day) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_programs_get(jobs->tools.programs, jobs->tools.store,
                                  &site->scope, &program);
    if (result == LOYALTY_STORE_MALFORMED) {
        result = LOYALTY_STORE_OK; /* the orders' side speaks of it */
        program = NULL;
    }

    if (result == LOYALTY_STORE_OK && program != NULL
        && loyalty_calendar_day(program->settings.time_zone, now, date,
                                &site->next_day)) {
        result = order_night(jobs, site, date, now);
    }

    if (result == LOYALTY_STORE_OK) {
        result = forget_old(jobs, site, now);
    }

    if (result == LOYALTY_STORE_OK) {
        site->night_at = loyalty_link_now() + NIGHT_EVERY;
        site->next_day = site->next_day > now ? site->next_day : LOYALTY_NEVER;
    }

    return result;
}

static void
command_due(loyalty_commands_t *commands, const site_t *site,
            loyalty_instant_t now)
{
    loyalty_command(commands, "ZRANGEBYSCORE", 7);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("jobs"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, now);
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, DUE_MAX);

    loyalty_command(commands, "ZCOUNT", 4);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("holds"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, now);
}

/* The due jobs and holds of all sites, DUE_REPLIES each: in one pipeline, in a
 * cluster one for each site. */
static loyalty_store_result_t
read_due(loyalty_jobs_t *jobs, size_t first, size_t n,
         loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &jobs->tools.commands;
    loyalty_instant_t now = loyalty_apply_clock();
    size_t i;

    loyalty_commands_reset(commands);
    for (i = first; i < first + n; i++) {
        command_due(commands, jobs->sites[i], now);
    }

    return loyalty_store_call(jobs->tools.store,
                              jobs->sites[first]->scope.site, commands,
                              replies);
}

static loyalty_store_result_t
drop_due(loyalty_jobs_t *jobs, site_t *site, loyalty_str_t id)
{
    loyalty_commands_t *commands = &jobs->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_command(commands, "ZREM", 3);
    loyalty_arg_key(commands, &site->scope, "x", loyalty_str("jobs"));
    loyalty_arg(commands, id);
    result = loyalty_store_call(jobs->tools.store, site->scope.site, commands,
                                &replies);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
give_up(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;

    (void)change;
    job->next.error = "failed";
    json_object_set_new(loyalty_job_result(job), "error",
                        json_string(job->kind == NULL
                                        ? "this build knows no such kind"
                                        : "a stored value cannot be read"));
    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
step(loyalty_jobs_t *jobs, site_t *site, loyalty_str_t id)
{
    loyalty_job_t job = {
        .store = jobs->tools.store,
        .change = &jobs->change,
        .arena = &jobs->arena,
        .scope = site->scope,
        .now = loyalty_apply_clock(),
    };
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&jobs->tools.commands);
    loyalty_job_command(&site->scope, id, &jobs->tools.commands);
    result = loyalty_store_call(jobs->tools.store, site->scope.site,
                                &jobs->tools.commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!loyalty_job_read(&job, id, replies.list[0])) {
            result = drop_due(jobs, site, id);
        } else {
            result = job.kind != NULL ? job.kind->step(&job)
                                      : LOYALTY_STORE_MALFORMED;
            if (result == LOYALTY_STORE_MALFORMED) {
                result = loyalty_job_change(&job, NULL, 0, NULL, give_up);
                loyalty_apply_say(&jobs->tools, LOYALTY_LOG_ERROR,
                                  "loyalty: job %.*s of site \"%s\" has "
                                  "failed: %s", (int)id.len, id.data, site->id,
                                  loyalty_store_error(jobs->tools.store));
            }
            loyalty_job_release(&job);
        }
    }

    loyalty_replies_free(&replies);

    return result == LOYALTY_STORE_CONFLICT || result == LOYALTY_STORE_FENCED
               ? LOYALTY_STORE_OK : result;
}

/* One step of one of the site's due jobs, if the lease is ours. */
static loyalty_store_result_t
work(loyalty_jobs_t *jobs, site_t *site, const redisReply *due, bool *busy)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t id;

    if (due->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_REFUSED;
    }

    if (due->elements == 0) {
        loyalty_lease_release(&site->lease, jobs->tools.store, &site->scope);
        return LOYALTY_STORE_OK;
    }

    if (!site->lease.held) {
        result = loyalty_lease_take(&site->lease, jobs->tools.store,
                                    &site->scope);
    } else if (loyalty_link_now() >= site->lease.renew_at) {
        result = loyalty_lease_renew(&site->lease, jobs->tools.store,
                                     &site->scope);
    }

    if (result != LOYALTY_STORE_OK || !site->lease.held
        || !loyalty_reply_str(due->element[site->turn++ % due->elements],
                              &id)) {
        return result;
    }

    *busy = true;

    return step(jobs, site, id);
}

/* Holds that are over; no lease, each is released once by itself. */
static loyalty_store_result_t
release_holds(loyalty_jobs_t *jobs, site_t *site, const redisReply *due,
              bool *busy)
{
    loyalty_store_result_t result;
    size_t ended;
    int64_t n;

    if (!loyalty_reply_int(due, &n)) {
        return LOYALTY_STORE_REFUSED;
    }

    if (n == 0) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_holds_expire(&jobs->change, &site->scope,
                                  loyalty_apply_clock(), HOLDS_MAX, &ended);
    *busy |= result == LOYALTY_STORE_OK && ended != 0 && n > HOLDS_MAX;

    return result == LOYALTY_STORE_FENCED ? LOYALTY_STORE_OK : result;
}

static bool
is_stopping(const loyalty_jobs_t *jobs)
{
    return jobs->conf->stopping != NULL && jobs->conf->stopping();
}

int
loyalty_jobs_run(loyalty_jobs_t *jobs)
{
    loyalty_store_result_t result, worst = LOYALTY_STORE_OK;
    loyalty_replies_t replies;
    size_t i = 0, k, n;
    bool busy = false;

    loyalty_replies_init(&replies);
    result = list_sites(jobs);

    while (i < jobs->nsites && result == LOYALTY_STORE_OK) {
        n = jobs->conf->cluster ? 1 : jobs->nsites;
        loyalty_replies_free(&replies);
        result = read_due(jobs, i, n, &replies);

        for (k = 0; k < n && result == LOYALTY_STORE_OK; k++, i++) {
            if (is_stopping(jobs)) {
                break;
            }
            result = look_at_night(jobs, jobs->sites[i]);
            if (result == LOYALTY_STORE_OK) {
                result = work(jobs, jobs->sites[i],
                              replies.list[k * DUE_REPLIES], &busy);
            }
            if (result == LOYALTY_STORE_OK) {
                result = release_holds(jobs, jobs->sites[i],
                                       replies.list[k * DUE_REPLIES + 1],
                                       &busy);
            }
            /* One site's bad data is no reason to leave out the others. */
            if (result == LOYALTY_STORE_MALFORMED) {
                worst = result;
                result = LOYALTY_STORE_OK;
            }
            loyalty_arena_reset(&jobs->arena);
        }

        if (is_stopping(jobs)) {
            break;
        }
    }

    result = result == LOYALTY_STORE_OK ? worst : result;

    loyalty_replies_free(&replies);
    loyalty_arena_reset(&jobs->arena);
    loyalty_apply_note(&jobs->tools, &jobs->last, result,
                       "jobs go on", "jobs are not run");

    return result != LOYALTY_STORE_OK ? REST_AWAY : busy ? 0 : REST;
}
