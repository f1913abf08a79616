/*
 * Jobs: recurring work in the pool loyalty_jobs.
 *
 *   posted -> runs in a thread -> done -> (rests on a timer) -> posted ...
 *
 * A run lasts well under a second and stops when the worker does.  The timer
 * is cancelable, so that a worker that drains does not wait for it; the pool
 * has joined its threads by the time the jobs are freed.
 *
 * Someone waits for an answer of the API, nobody for a job: where there is not
 * enough processor time for both, the API's threads and the event loop go
 * first.
 */


#include "ngx_http_loyalty_backend.h"
#include "loyalty_hooks.h"
#include "loyalty_job.h"
#include "loyalty_redis_check.h"
#include "loyalty_sender.h"
#include "loyalty_tracks.h"


#define NGX_LOYALTY_JOB_RUN   500
#define NGX_LOYALTY_JOB_NICE  5


typedef struct ngx_loyalty_job_s  ngx_loyalty_job_t;


/* Runs in a thread; returns how long to rest, in ms, -1: never again. */
typedef ngx_int_t (*ngx_loyalty_job_pt)(ngx_loyalty_job_t *job);


struct ngx_loyalty_job_s {
    ngx_loyalty_job_pt       run;
    void                    *data;
    ngx_int_t                rest;
    ngx_thread_pool_t       *pool;
    ngx_thread_task_t       *task;
    ngx_event_t              timer;
    loyalty_store_conf_t    *conf;
};


static ngx_loyalty_job_t *ngx_loyalty_job(ngx_cycle_t *cycle,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_loyalty_job_pt run,
    void *data);
static ngx_int_t ngx_loyalty_job_apply(ngx_loyalty_job_t *job);
static ngx_int_t ngx_loyalty_job_work(ngx_loyalty_job_t *job);
static ngx_int_t ngx_loyalty_job_send(ngx_loyalty_job_t *job);
static ngx_int_t ngx_loyalty_job_track(ngx_loyalty_job_t *job);
static ngx_int_t ngx_loyalty_job_tell(ngx_loyalty_job_t *job);
static ngx_int_t ngx_loyalty_job_check(ngx_loyalty_job_t *job);
static void ngx_loyalty_job_thread(void *data, ngx_log_t *log);
static void ngx_loyalty_job_step_back(void);
static void ngx_loyalty_job_done(ngx_event_t *ev);
static void ngx_loyalty_job_timer(ngx_event_t *ev);
static void ngx_loyalty_job_log(void *data, loyalty_log_level_t level,
    const char *text);


static loyalty_apply_t  *ngx_loyalty_jobs_apply;
static loyalty_jobs_t   *ngx_loyalty_jobs_work;
static loyalty_sender_t *ngx_loyalty_jobs_sender;
static loyalty_tracks_t *ngx_loyalty_jobs_tracks;
static loyalty_hooks_t  *ngx_loyalty_jobs_hooks;


ngx_int_t
ngx_loyalty_jobs_start(ngx_cycle_t *cycle,
    ngx_http_loyalty_backend_main_conf_t *bmcf)
{
    ngx_core_conf_t  *ccf;

    ngx_loyalty_jobs_apply = loyalty_apply_create(&bmcf->jobs,
                                                  ngx_loyalty_job_log, NULL);
    if (ngx_loyalty_jobs_apply == NULL) {
        return NGX_ERROR;
    }

    if (ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_apply,
                        ngx_loyalty_jobs_apply)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_loyalty_jobs_work = loyalty_jobs_create(&bmcf->jobs,
                                                ngx_loyalty_job_log, NULL);
    if (ngx_loyalty_jobs_work == NULL) {
        return NGX_ERROR;
    }

    if (ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_work,
                        ngx_loyalty_jobs_work)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_loyalty_jobs_hooks = loyalty_hooks_create(&bmcf->jobs, &bmcf->hooks,
                                                  ngx_loyalty_job_log, NULL);
    if (ngx_loyalty_jobs_hooks == NULL
        || ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_tell,
                           ngx_loyalty_jobs_hooks)
           == NULL)
    {
        return NGX_ERROR;
    }

    if (bmcf->delivery) {
        ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                               ngx_core_module);
        loyalty_delivery_conf_share(bmcf->delivery,
                                    (int) ccf->worker_processes);

        ngx_loyalty_jobs_sender = loyalty_sender_create(&bmcf->jobs,
                                      bmcf->delivery,
                                      (loyalty_str_t)
                                      { (const char *) bmcf->track_secret.data,
                                        bmcf->track_secret.len },
                                      ngx_loyalty_job_log, NULL);
        if (ngx_loyalty_jobs_sender == NULL
            || ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_send,
                               ngx_loyalty_jobs_sender)
               == NULL)
        {
            return NGX_ERROR;
        }
    }

    if (bmcf->track_secret.len) {
        ngx_loyalty_jobs_tracks = loyalty_tracks_create(&bmcf->jobs,
                                                        ngx_loyalty_job_log,
                                                        NULL);
        if (ngx_loyalty_jobs_tracks == NULL
            || ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_track,
                               ngx_loyalty_jobs_tracks)
               == NULL)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_worker == 0
        && ngx_loyalty_job(cycle, bmcf, ngx_loyalty_job_check, NULL) == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_loyalty_jobs_stop(void)
{
    if (ngx_loyalty_jobs_apply) {
        loyalty_apply_free(ngx_loyalty_jobs_apply);
        ngx_loyalty_jobs_apply = NULL;
    }

    if (ngx_loyalty_jobs_work) {
        loyalty_jobs_free(ngx_loyalty_jobs_work);
        ngx_loyalty_jobs_work = NULL;
    }

    if (ngx_loyalty_jobs_sender) {
        loyalty_sender_free(ngx_loyalty_jobs_sender);
        ngx_loyalty_jobs_sender = NULL;
    }

    if (ngx_loyalty_jobs_tracks) {
        loyalty_tracks_free(ngx_loyalty_jobs_tracks);
        ngx_loyalty_jobs_tracks = NULL;
    }

    if (ngx_loyalty_jobs_hooks) {
        loyalty_hooks_free(ngx_loyalty_jobs_hooks);
        ngx_loyalty_jobs_hooks = NULL;
    }
}


static ngx_loyalty_job_t *
ngx_loyalty_job(ngx_cycle_t *cycle, ngx_http_loyalty_backend_main_conf_t *bmcf,
    ngx_loyalty_job_pt run, void *data)
{
    ngx_loyalty_job_t  *job;

    job = ngx_pcalloc(cycle->pool, sizeof(ngx_loyalty_job_t));
    if (job == NULL) {
        return NULL;
    }

    job->task = ngx_thread_task_alloc(cycle->pool, 0);
    if (job->task == NULL) {
        return NULL;
    }

    job->run = run;
    job->data = data;
    job->pool = bmcf->jobs_pool;
    job->conf = &bmcf->jobs;

    job->task->ctx = job;
    job->task->handler = ngx_loyalty_job_thread;
    job->task->event.data = job;
    job->task->event.handler = ngx_loyalty_job_done;

    job->timer.data = job;
    job->timer.handler = ngx_loyalty_job_timer;
    job->timer.log = cycle->log;
    job->timer.cancelable = 1;

    ngx_add_timer(&job->timer, 1);

    return job;
}


static ngx_int_t
ngx_loyalty_job_apply(ngx_loyalty_job_t *job)
{
    return loyalty_apply_run(job->data);
}


static ngx_int_t
ngx_loyalty_job_work(ngx_loyalty_job_t *job)
{
    return loyalty_jobs_run(job->data);
}


static ngx_int_t
ngx_loyalty_job_send(ngx_loyalty_job_t *job)
{
    return loyalty_sender_run(job->data);
}


static ngx_int_t
ngx_loyalty_job_track(ngx_loyalty_job_t *job)
{
    return loyalty_tracks_run(job->data);
}


static ngx_int_t
ngx_loyalty_job_tell(ngx_loyalty_job_t *job)
{
    return loyalty_hooks_run(job->data);
}


static ngx_int_t
ngx_loyalty_job_check(ngx_loyalty_job_t *job)
{
    return loyalty_redis_check(job->conf, ngx_loyalty_job_log, NULL);
}


static void
ngx_loyalty_job_thread(void *data, ngx_log_t *log)
{
    ngx_loyalty_job_t  *job = data;

    struct timespec  begin, now;

    ngx_loyalty_job_step_back();

    clock_gettime(CLOCK_MONOTONIC, &begin);

    do {
        job->rest = job->conf->stopping() ? -1 : job->run(job);
        clock_gettime(CLOCK_MONOTONIC, &now);

    } while (job->rest == 0
             && (now.tv_sec - begin.tv_sec) * 1000
                + (now.tv_nsec - begin.tv_nsec) / 1000000
                < NGX_LOYALTY_JOB_RUN);
}


/* In Linux each thread has a priority of its own, which those it makes
 * inherit; elsewhere it would be the worker's. */

static void
ngx_loyalty_job_step_back(void)
{
#if (NGX_LINUX)

    static __thread ngx_uint_t  done;

    if (!done) {
        done = 1;
        (void) nice(NGX_LOYALTY_JOB_NICE);
    }

#endif
}


static void
ngx_loyalty_job_done(ngx_event_t *ev)
{
    ngx_loyalty_job_t  *job = ev->data;

    if (job->rest < 0 || job->conf->stopping()) {
        return;
    }

    if (job->rest == 0) {
        ngx_loyalty_job_timer(&job->timer);
        return;
    }

    ngx_add_timer(&job->timer, (ngx_msec_t) job->rest);
}


static void
ngx_loyalty_job_timer(ngx_event_t *ev)
{
    ngx_loyalty_job_t  *job = ev->data;

    if (job->conf->stopping()) {
        return;
    }

    if (ngx_thread_task_post(job->pool, job->task) != NGX_OK) {
        ngx_add_timer(&job->timer, 1000);
    }
}


static void
ngx_loyalty_job_log(void *data, loyalty_log_level_t level, const char *text)
{
    static ngx_uint_t  levels[] = {
        NGX_LOG_ERR, NGX_LOG_WARN, NGX_LOG_NOTICE, NGX_LOG_INFO
    };

    ngx_log_error(levels[level], ngx_cycle->log, 0, "%s", text);
}
