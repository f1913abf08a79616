/*
 * A preview of the draft: the page as it would be, for whoever has a link that
 * says so.
 *
 *     GET dr:{site}, with the member ── in a thread: compiled ── shown
 *
 * Nothing of it is kept, in this worker or in the zone: only such a link may
 * show it.  What was read outlives the request, whose cleanup detaches it.
 */


#include "ngx_http_loyalty_page.h"
#include "ngx_http_loyalty_resolve.h"
#include "loyalty_keys.h"


/* Drafts a worker reads and compiles at once; more are asked to try again. */
#define NGX_HTTP_LOYALTY_DRAFTS         4

#define NGX_HTTP_LOYALTY_DRAFT_TIMEOUT  10000

/* RFC 9110, 15.5.21, for which nginx has no name */
#define NGX_HTTP_LOYALTY_UNPROCESSABLE  422


typedef struct {
    ngx_http_request_t           *request;     /* NULL: it has gone */
    ngx_http_cleanup_t           *cleanup;     /* of the request */
    ngx_http_loyalty_ctx_t       *ctx;         /* the request's */
    ngx_pool_t                   *pool;
    ngx_loyalty_redis_command_t   command;
    ngx_thread_task_t            *task;
    ngx_event_t                   timer;
    ngx_str_t                     document;
    ngx_str_t                     member;      /* as in Redis; or empty */
    loyalty_arena_t               arena;
    loyalty_problems_t            problems;
    loyalty_status_t              status;
    loyalty_program_t            *program;
    unsigned                      compiling:1;
} ngx_http_loyalty_draft_t;


static ngx_http_loyalty_draft_t *ngx_http_loyalty_draft_create(
    ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_draft_read(ngx_http_loyalty_draft_t *draft);
static void ngx_http_loyalty_draft_reply(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static ngx_int_t ngx_http_loyalty_draft_keep(ngx_http_loyalty_draft_t *draft,
    redisReply *reply, size_t max, ngx_str_t *to);
static ngx_int_t ngx_http_loyalty_draft_compile(
    ngx_http_loyalty_draft_t *draft);
static void ngx_http_loyalty_draft_thread(void *data, ngx_log_t *log);
static void ngx_http_loyalty_draft_done(ngx_event_t *ev);
static void ngx_http_loyalty_draft_timeout(ngx_event_t *ev);
static ngx_int_t ngx_http_loyalty_draft_show(ngx_http_loyalty_draft_t *draft);
static ngx_int_t ngx_http_loyalty_draft_invalid(
    ngx_http_loyalty_draft_t *draft);
static void ngx_http_loyalty_draft_answer(ngx_http_loyalty_draft_t *draft,
    ngx_int_t rc);
static void ngx_http_loyalty_draft_detach(void *data);
static void ngx_http_loyalty_draft_free(ngx_http_loyalty_draft_t *draft);


static const ngx_http_loyalty_notice_t  ngx_http_loyalty_draft_away = {
    { "Please try again", "Veuillez réessayer" },
    { "The draft cannot be shown just now. Please try again in a minute.",
      "Le brouillon ne peut pas être affiché pour le moment. Veuillez "
      "réessayer dans une minute." },
    { NULL, NULL }
};


static const ngx_http_loyalty_notice_t  ngx_http_loyalty_draft_none = {
    { "There is no draft", "Il n’y a pas de brouillon" },
    { "It has been published, or thrown away.",
      "Il a été publié ou abandonné." },
    { NULL, NULL }
};


static const ngx_http_loyalty_notice_t  ngx_http_loyalty_draft_wrong = {
    { "The draft is not valid", "Le brouillon n’est pas valide" },
    { "It cannot be shown before this is put right:",
      "Il ne peut pas être affiché avant que ceci soit corrigé :" },
    { NULL, NULL }
};


static ngx_uint_t  ngx_http_loyalty_drafts;


ngx_int_t
ngx_http_loyalty_draft(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    ngx_http_cleanup_t        *cln;
    ngx_http_loyalty_draft_t  *draft;

    if (ngx_http_loyalty_drafts >= NGX_HTTP_LOYALTY_DRAFTS) {
        return ngx_http_loyalty_answer_notice(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                              &ngx_http_loyalty_draft_away,
                                              NULL);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    draft = ngx_http_loyalty_draft_create(r, ctx);
    if (draft == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_loyalty_draft_read(draft) != NGX_OK) {
        ngx_http_loyalty_draft_free(draft);

        return ngx_http_loyalty_answer_notice(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                              &ngx_http_loyalty_draft_away,
                                              NULL);
    }

    cln->handler = ngx_http_loyalty_draft_detach;
    cln->data = draft;
    draft->cleanup = cln;

    if (r == r->main && !r->discard_body) {
        r->read_event_handler = ngx_http_test_reading;
    }

    r->main->count++;

    return NGX_DONE;
}


static ngx_http_loyalty_draft_t *
ngx_http_loyalty_draft_create(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx)
{
    ngx_pool_t                *pool;
    ngx_thread_task_t         *task;
    ngx_http_loyalty_draft_t  *draft;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    draft = ngx_pcalloc(pool, sizeof(ngx_http_loyalty_draft_t));
    task = ngx_thread_task_alloc(pool, 0);

    if (draft == NULL || task == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    task->ctx = draft;
    task->handler = ngx_http_loyalty_draft_thread;
    task->event.data = draft;
    task->event.handler = ngx_http_loyalty_draft_done;

    draft->request = r;
    draft->ctx = ctx;
    draft->pool = pool;
    draft->task = task;

    draft->command.handler = ngx_http_loyalty_draft_reply;
    draft->command.data = draft;

    draft->timer.data = draft;
    draft->timer.handler = ngx_http_loyalty_draft_timeout;
    draft->timer.log = ngx_cycle->log;

    loyalty_arena_init(&draft->arena, NGX_HTTP_LOYALTY_PROBLEMS_SIZE);
    loyalty_problems_init(&draft->problems, &draft->arena);

    ngx_http_loyalty_drafts++;

    return draft;
}


static ngx_int_t
ngx_http_loyalty_draft_read(ngx_http_loyalty_draft_t *draft)
{
    char                           draft_key[LOYALTY_KEY_MAX];
    char                           member_key[LOYALTY_KEY_MAX];
    ngx_str_t                      argv[3];
    ngx_uint_t                     argc;
    loyalty_str_t                  prefix, site, member;
    ngx_loyalty_redis_t           *redis;
    ngx_http_loyalty_ctx_t        *ctx;
    ngx_http_loyalty_main_conf_t  *lmcf;

    ctx = draft->ctx;
    redis = ngx_http_loyalty_redis();
    lmcf = ngx_http_get_module_main_conf(draft->request,
                                         ngx_http_loyalty_module);

    if (redis == NULL) {
        return NGX_DECLINED;
    }

    prefix.data = (char *) lmcf->redis.prefix.data;
    prefix.len = lmcf->redis.prefix.len;
    site.data = (char *) ctx->site.data;
    site.len = ctx->site.len;
    member.data = (char *) ctx->member.data;
    member.len = ctx->member.len;

    ngx_str_set(&argv[0], "MGET");
    argv[1].len = loyalty_key(draft_key, prefix, "dr", site, loyalty_str_null);
    argv[1].data = (u_char *) draft_key;
    argc = 2;

    if (member.len) {
        argv[2].len = loyalty_key(member_key, prefix, "m", site, member);
        argv[2].data = (u_char *) member_key;
        argc = 3;
    }

    if (argv[1].len == 0 || argv[argc - 1].len == 0) {
        return NGX_DECLINED;
    }

    return ngx_loyalty_redis_send(redis, &draft->command, argc, argv, 1);
}


static void
ngx_http_loyalty_draft_reply(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_http_loyalty_draft_t *draft = cmd->data;

    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = draft->request;

    if (result == NGX_LOYALTY_REDIS_OK
        && reply->type == REDIS_REPLY_ARRAY
        && reply->elements == (draft->ctx->member.len ? 2 : 1))
    {
        if (reply->element[0]->type == REDIS_REPLY_NIL) {
            rc = ngx_http_loyalty_answer_notice(r, NGX_HTTP_NOT_FOUND,
                                                &ngx_http_loyalty_draft_none,
                                                NULL);
            ngx_http_loyalty_draft_answer(draft, rc);
            return;
        }

        if (ngx_http_loyalty_draft_keep(draft, reply->element[0],
                                        LOYALTY_PROGRAM_SIZE_MAX,
                                        &draft->document)
            == NGX_OK)
        {
            if (reply->elements == 2) {
                (void) ngx_http_loyalty_draft_keep(draft, reply->element[1],
                                                   LOYALTY_MEMBER_SIZE_MAX,
                                                   &draft->member);
            }

            if (ngx_http_loyalty_draft_compile(draft) == NGX_OK) {
                return;
            }
        }
    }

    rc = ngx_http_loyalty_answer_notice(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        &ngx_http_loyalty_draft_away, NULL);

    ngx_http_loyalty_draft_answer(draft, rc);
}


static ngx_int_t
ngx_http_loyalty_draft_keep(ngx_http_loyalty_draft_t *draft,
    redisReply *reply, size_t max, ngx_str_t *to)
{
    u_char  *p;

    if (reply->type != REDIS_REPLY_STRING || reply->len > max) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(draft->pool, reply->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, reply->str, reply->len);

    to->data = p;
    to->len = reply->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_draft_compile(ngx_http_loyalty_draft_t *draft)
{
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(draft->request,
                                         ngx_http_loyalty_module);

    if (ngx_thread_task_post(lmcf->compiler, draft->task) != NGX_OK) {
        return NGX_ERROR;
    }

    draft->compiling = 1;

    /* it also keeps a worker that drains from leaving before the answer */

    ngx_add_timer(&draft->timer, NGX_HTTP_LOYALTY_DRAFT_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_loyalty_draft_thread(void *data, ngx_log_t *log)
{
    ngx_http_loyalty_draft_t *draft = data;

    draft->status = loyalty_program_parse((char *) draft->document.data,
                                          draft->document.len,
                                          &draft->problems, &draft->program);
}


static void
ngx_http_loyalty_draft_done(ngx_event_t *ev)
{
    ngx_http_loyalty_draft_t *draft = ev->data;

    ngx_int_t  rc;

    draft->compiling = 0;

    if (draft->request == NULL) {
        ngx_http_loyalty_draft_free(draft);
        return;
    }

    rc = draft->status == LOYALTY_OK ? ngx_http_loyalty_draft_show(draft)
                                     : ngx_http_loyalty_draft_invalid(draft);

    ngx_http_loyalty_draft_answer(draft, rc);
}


static void
ngx_http_loyalty_draft_timeout(ngx_event_t *ev)
{
    ngx_http_loyalty_draft_t *draft = ev->data;

    ngx_int_t  rc;

    rc = ngx_http_loyalty_answer_notice(draft->request,
                                        NGX_HTTP_SERVICE_UNAVAILABLE,
                                        &ngx_http_loyalty_draft_away, NULL);

    ngx_http_loyalty_draft_answer(draft, rc);
}


/* The member's view was made by the programme; this one is the draft's. */

static ngx_int_t
ngx_http_loyalty_draft_show(ngx_http_loyalty_draft_t *draft)
{
    size_t                       len;
    loyalty_view_t              *view;
    ngx_http_request_t          *r;
    ngx_http_loyalty_ctx_t       shown;
    ngx_http_loyalty_program_t   program;

    static uint64_t  data[LOYALTY_VIEW_SIZE_MAX / sizeof(uint64_t)];

    r = draft->request;

    ngx_memzero(&program, sizeof(ngx_http_loyalty_program_t));
    program.program = draft->program;

    shown = *draft->ctx;
    shown.program = &program;
    shown.view = NULL;

    if (draft->member.len) {

        if (ngx_http_loyalty_view_decode(&draft->member, draft->program, data,
                                         &len)
            == LOYALTY_OK)
        {
            view = (loyalty_view_t *) data;
            shown.view = view->flags & LOYALTY_VIEW_DELETED ? NULL : view;
        }

    } else if (shown.member.len) {
        ngx_http_loyalty_newcomer(r, &shown);
    }

    return ngx_http_loyalty_page_show(r, &shown,
                                      NGX_HTTP_LOYALTY_PREVIEW_DRAFT);
}


static ngx_int_t
ngx_http_loyalty_draft_invalid(ngx_http_loyalty_draft_t *draft)
{
    u_char              *p;
    size_t               size;
    ngx_str_t            detail;
    const char          *name;
    loyalty_problem_t   *problem;
    ngx_http_request_t  *r;

    r = draft->request;

    ngx_loyalty_metric(BAD_PROGRAMS)++;

    name = loyalty_status_name(draft->status);
    detail.data = (u_char *) name;
    detail.len = ngx_strlen(name);

    if (draft->problems.count) {
        problem = draft->problems.list;
        size = problem->pointer.len + problem->message.len + 2;

        p = ngx_pnalloc(r->pool, size);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        detail.data = p;
        p = ngx_cpymem(p, problem->pointer.data, problem->pointer.len);
        p = ngx_cpymem(p, ": ", 2);
        p = ngx_cpymem(p, problem->message.data, problem->message.len);
        detail.len = p - detail.data;
    }

    return ngx_http_loyalty_answer_notice(r, NGX_HTTP_LOYALTY_UNPROCESSABLE,
                                          &ngx_http_loyalty_draft_wrong,
                                          &detail);
}


static void
ngx_http_loyalty_draft_answer(ngx_http_loyalty_draft_t *draft, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = draft->request;
    c = r->connection;

    /* what is left to send to a slow client is the request's */

    draft->cleanup->handler = NULL;
    ngx_http_loyalty_draft_detach(draft);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* The request is answered, or has ended in another way. */

static void
ngx_http_loyalty_draft_detach(void *data)
{
    ngx_http_loyalty_draft_t *draft = data;

    draft->request = NULL;

    if (draft->timer.timer_set) {
        ngx_del_timer(&draft->timer);
    }

    if (!draft->compiling) {
        ngx_http_loyalty_draft_free(draft);
    }
}


static void
ngx_http_loyalty_draft_free(ngx_http_loyalty_draft_t *draft)
{
    ngx_http_loyalty_drafts--;

    ngx_loyalty_redis_cancel(&draft->command);
    loyalty_program_free(draft->program);
    loyalty_arena_free(&draft->arena);
    ngx_destroy_pool(draft->pool);
}
