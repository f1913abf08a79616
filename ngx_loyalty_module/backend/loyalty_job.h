/*
 * Jobs: work on many members, in steps, each member exactly once.
 *
 *            create               commit ...            commit
 *   (none) ---------> queued ----------------> running --------> done
 *                        |                        |  \
 *                        +------> cancelled <-----+   +--------> failed
 *
 * A step reads a page, changes it, and writes it in one transaction with the
 * job's new cursor, under a WATCH on the job's hash; so a step that lost its
 * lease, was cancelled, or is done twice by two workers writes nothing, and a
 * kill -9 of anything repeats nothing and loses nothing.
 *
 *   j:{site}:JOB   kind, params, state, cursor, total, done, failed, by,
 *                  created, due, started, finished, result
 *   jm:{site}:JOB  the members it is about, where it was given a list
 *   jf:{site}:JOB  its file, in blocks
 */

#ifndef LOYALTY_JOB_H
#define LOYALTY_JOB_H

#include <jansson.h>

#include "loyalty_apply.h"
#include "loyalty_member_change.h"

#define LOYALTY_JOB_ID_SIZE 33

/* Errors that a job's result lists; the rest are counted. */
#define LOYALTY_JOB_ERRORS_MAX 1000

/* Jobs are forgotten so long after they were made, if they are over. */
#define LOYALTY_JOB_KEPT (90 * LOYALTY_DAY)

/* How long an export can be fetched. */
#define LOYALTY_JOB_FILE_SECONDS 86400

typedef struct loyalty_job_s loyalty_job_t;

typedef struct {
    const char *name;

    /* Commits one step by loyalty_job_change() or loyalty_job_scan(): under
     * 200 ms, LOYALTY_MEMBER_CHANGE_MAX members. */
    loyalty_store_result_t (*step)(loyalty_job_t *job);
} loyalty_job_kind_t;

/* Every kind there is; NULL: no such kind. */
const loyalty_job_kind_t *loyalty_job_kind(loyalty_str_t name);

/* What a step makes of the job; begins as what was read. */
typedef struct {
    loyalty_str_t cursor;
    int64_t total;
    int64_t done;
    int64_t failed;
    bool finished;
    const char *error; /* gives up: the job has failed */
    json_t *result;    /* or NULL; the job's own */
} loyalty_job_next_t;

/* Changes one member, and says so; anything but OK or MEMORY counts as failed
 * and is listed by its name.  May add to `writes`. */
typedef loyalty_status_t (*loyalty_job_member_pt)(
    loyalty_job_t *job, loyalty_member_slot_t *slot,
    loyalty_member_change_t *change);

struct loyalty_job_s {
    loyalty_store_t *store;
    loyalty_member_change_t *change;
    loyalty_arena_t *arena; /* of the step */
    loyalty_scope_t scope;
    const loyalty_program_t *program;
    loyalty_instant_t now;

    loyalty_str_t id;
    const loyalty_job_kind_t *kind;
    json_t *params;
    loyalty_str_t by;
    loyalty_instant_t created_at;
    bool queued; /* this is its first step */
    loyalty_job_next_t was;
    loyalty_job_next_t next;

    void *data; /* the kind's own, within a step */

    /* Set by a step, or NULL: what the last one writes besides. */
    void (*finish)(loyalty_job_t *job, loyalty_commands_t *writes);

    /* Of loyalty_job_scan(). */
    loyalty_job_member_pt scan_member;
    int64_t scan_total;
    bool scan_last;
};

/* A fresh id. */
bool loyalty_job_id(char id[LOYALTY_JOB_ID_SIZE]);

typedef struct {
    const char *kind;
    loyalty_str_t id;
    const json_t *params; /* borrowed; NULL: {} */
    loyalty_str_t by;     /* who asked for it */
    loyalty_instant_t now;
    loyalty_instant_t due; /* not before */
    int64_t total;         /* -1: not known yet */
} loyalty_job_order_t;

/* Appends a new job to a MULTI; jm and jf are the caller's to fill. */
void loyalty_job_create(const loyalty_job_order_t *order,
                        const loyalty_scope_t *scope,
                        loyalty_commands_t *commands);

/*
 * One step's transaction: `decide` changes the members `ids`, sets job->next
 * and may add to `writes`; see loyalty_member_change().  The data it is given
 * is the job.
 */
loyalty_store_result_t loyalty_job_change(loyalty_job_t *job,
                                          const loyalty_str_t *ids, size_t n,
                                          const loyalty_commands_t *reads,
                                          loyalty_member_change_pt decide);

/*
 * One step over a sorted set of member ids of equal scores, in their order:
 * the cursor is the last id.  `kind` and `rest` name the key.
 */
loyalty_store_result_t loyalty_job_scan(loyalty_job_t *job, const char *kind,
                                        loyalty_str_t rest,
                                        loyalty_job_member_pt member);

/* The same in two halves, for what has more to read between them: the ids
 * behind the cursor, `limit` at most, good as long as the replies; then a page
 * of them, the last one or not. */
loyalty_store_result_t loyalty_job_ids(loyalty_job_t *job, const char *kind,
                                       loyalty_str_t rest, size_t limit,
                                       loyalty_replies_t *replies,
                                       loyalty_str_t **ids, size_t *n);
loyalty_store_result_t loyalty_job_page(loyalty_job_t *job,
                                        const loyalty_str_t *ids, size_t n,
                                        bool last,
                                        const loyalty_commands_t *reads,
                                        loyalty_job_member_pt member);

/* The caller's reply `index` of `reads`, inside decide. */
const redisReply *loyalty_job_reply(const loyalty_job_t *job, size_t index);

/* Adds {"at","code","message"} to the result's errors, up to
 * LOYALTY_JOB_ERRORS_MAX; counts it as failed. */
void loyalty_job_failure(loyalty_job_t *job, loyalty_str_t at,
                         const char *code, const char *message);

/* The job's result, to be changed by decide; and one more of something. */
json_t *loyalty_job_result(loyalty_job_t *job);
void loyalty_job_count(loyalty_job_t *job, const char *name);

/* HMGET of what loyalty_job_read() takes. */
void loyalty_job_command(const loyalty_scope_t *scope, loyalty_str_t id,
                         loyalty_commands_t *commands);

/* As the API shows it; NULL: there is no such job. */
json_t *loyalty_job_to_json(loyalty_str_t id, const redisReply *reply);

/* Fills id, kind (NULL: unknown), params, by, was, next.  False: there is none
 * to be run.  Release with loyalty_job_release(). */
bool loyalty_job_read(loyalty_job_t *job, loyalty_str_t id,
                      const redisReply *reply);
void loyalty_job_release(loyalty_job_t *job);

/*
 * Runs the jobs of all sites.  Each site's jobs are worked on by whoever holds
 * the lease x:{site}:jobs-lease, in turns.
 */
typedef struct loyalty_jobs_s loyalty_jobs_t;

loyalty_jobs_t *loyalty_jobs_create(const loyalty_store_conf_t *conf,
                                    loyalty_log_pt log, void *data);

/* Works for a while; returns how long it may rest, in ms. */
int loyalty_jobs_run(loyalty_jobs_t *jobs);

void loyalty_jobs_free(loyalty_jobs_t *jobs);

#endif
