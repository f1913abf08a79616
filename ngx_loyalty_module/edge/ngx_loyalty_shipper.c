/*
 * The shipper: from the journal to the stream.
 *
 * A set has two goals, the stream of orders and the merchant's own location;
 * each reads the set by itself and has a place of its own in the cursor.
 *
 *           wake                 records            all answered
 *   idle ----------> reading ----------> sending ----------------> reading
 *    ^                  | none left        | some failed
 *    +------------------+                  +--> waits, sends those again
 *
 * What is sent twice is applied once; so whenever in doubt it is sent again.
 */


#include "ngx_loyalty_shipper.h"
#include "ngx_http_loyalty_order_post.h"


#define NGX_LOYALTY_SHIPPER_BACKOFF      100
#define NGX_LOYALTY_SHIPPER_BACKOFF_MAX  5000


static ngx_int_t ngx_loyalty_goal_pass(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_wake(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_restart(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_has_read(ngx_event_t *ev);
static void ngx_loyalty_goal_send(ngx_loyalty_goal_t *goal);
static ngx_int_t ngx_loyalty_goal_deliver(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel);
static ngx_int_t ngx_loyalty_goal_resolve(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel);
static void ngx_loyalty_goal_resolved(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static ngx_int_t ngx_loyalty_goal_xadd(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel);
static ngx_int_t ngx_loyalty_goal_post(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel);
static void ngx_loyalty_goal_posted(void *data, ngx_int_t rc);
static void ngx_loyalty_goal_answered(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_loyalty_goal_end(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_discard(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_retry(ngx_event_t *ev);


ngx_int_t
ngx_loyalty_shipper_init(ngx_loyalty_journal_set_t *set)
{
    ngx_uint_t           i;
    ngx_loyalty_goal_t  *goal;

    for (i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        goal = &set->goals[i];

        goal->set = set;
        goal->kind = i;

        loyalty_journal_reader_init(&goal->reader);

        goal->parcels = ngx_calloc(LOYALTY_SHIP_BATCH_MAX
                                   * sizeof(ngx_loyalty_parcel_t),
                                   set->journal->log);
        goal->task = ngx_calloc(sizeof(ngx_thread_task_t), set->journal->log);

        if (goal->parcels == NULL || goal->task == NULL) {
            ngx_loyalty_shipper_close(set);
            return NGX_ERROR;
        }

        goal->task->ctx = goal;
        goal->task->handler = ngx_loyalty_goal_read;
        goal->task->event.handler = ngx_loyalty_goal_has_read;
        goal->task->event.data = goal;

        goal->retry.handler = ngx_loyalty_goal_retry;
        goal->retry.data = goal;
        goal->retry.log = set->journal->log;
        goal->retry.cancelable = 1;
    }

    return NGX_OK;
}


/* Nothing is under way, or no thread and no event runs any more. */

void
ngx_loyalty_shipper_close(ngx_loyalty_journal_set_t *set)
{
    ngx_uint_t           i;
    ngx_loyalty_goal_t  *goal;

    for (i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        goal = &set->goals[i];

        if (goal->retry.timer_set) {
            ngx_del_timer(&goal->retry);
        }

        if (goal->parcels) {
            ngx_loyalty_goal_discard(goal);
            ngx_free(goal->parcels);
            goal->parcels = NULL;
        }

        loyalty_journal_reader_close(&goal->reader);

        if (goal->task) {
            ngx_free(goal->task);
            goal->task = NULL;
        }
    }
}


ngx_uint_t
ngx_loyalty_shipper_done(ngx_loyalty_journal_set_t *set)
{
    ngx_uint_t           i;
    ngx_loyalty_goal_t  *goal;

    for (i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        goal = &set->goals[i];

        if (!goal->drained || goal->reading || goal->n || goal->more
            || goal->reset)
        {
            return 0;
        }
    }

    return 1;
}


int64_t
ngx_loyalty_shipper_oldest(ngx_loyalty_journal_set_t *set)
{
    ngx_loyalty_goal_t  *goal;

    goal = &set->goals[LOYALTY_JOURNAL_ORDERS];

    if (goal->reading || goal->n == 0) {
        return 0;
    }

    return goal->parcels[0].payload.at;
}


void
ngx_loyalty_shipper_wake(ngx_loyalty_journal_set_t *set)
{
    ngx_uint_t  i;

    for (i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        ngx_loyalty_goal_wake(&set->goals[i]);
    }
}


/*
 * Orders go at once.  Where none is to be posted, the other goal has but its
 * cursor to move, and that can wait for the tick.
 */

void
ngx_loyalty_shipper_written(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group)
{
    ngx_loyalty_journal_set_t  *set;

    set = journal->own;

    ngx_loyalty_tail_add(journal, group);

    ngx_loyalty_goal_wake(&set->goals[LOYALTY_JOURNAL_ORDERS]);

    if (group->posts == 0) {
        set->lags = 1;
        return;
    }

    ngx_loyalty_goal_wake(&set->goals[LOYALTY_JOURNAL_POSTS]);
}


void
ngx_loyalty_shipper_tick(ngx_loyalty_journal_set_t *set)
{
    ngx_loyalty_goal_t  *goal;

    if (set->lags) {
        set->lags = 0;

        goal = &set->goals[LOYALTY_JOURNAL_POSTS];

        if (ngx_loyalty_goal_pass(goal) != NGX_OK) {
            ngx_loyalty_goal_wake(goal);
        }
    }
}


/*
 * A goal that has read all until the last record to be posted passes over the
 * rest unread.
 */

static ngx_int_t
ngx_loyalty_goal_pass(ngx_loyalty_goal_t *goal)
{
    ngx_loyalty_journal_t  *journal;

    if (!goal->set->own || !goal->drained || goal->reading || goal->n
        || goal->more || goal->reset)
    {
        return NGX_DECLINED;
    }

    journal = goal->set->journal;

    if (goal->reader.fd != -1 && goal->reader.first == journal->durable_file) {
        loyalty_journal_reader_move(&goal->reader, journal->durable_end,
                                    journal->durable_id);

    } else {
        loyalty_journal_reader_close(&goal->reader);
        goal->file = journal->durable_file;
    }

    goal->set->cursor.acked[goal->kind] = journal->durable_id;
    goal->set->cursor.file[goal->kind] = goal->file;
    goal->set->dirty = 1;

    return NGX_OK;
}


/* With the next wake the set is read again from where its cursor now is. */

void
ngx_loyalty_shipper_rewind(ngx_loyalty_journal_set_t *set)
{
    ngx_uint_t  i;

    set->dirty = 1;

    for (i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        set->goals[i].reset = 1;
    }

    set->goals[LOYALTY_JOURNAL_ORDERS].resending = 1;
}


static void
ngx_loyalty_goal_wake(ngx_loyalty_goal_t *goal)
{
    ngx_loyalty_journal_t  *journal;

    journal = goal->set->journal;

    if (goal->reading || goal->outstanding) {
        goal->more = 1;
        return;
    }

    if (goal->reset) {
        ngx_loyalty_goal_restart(goal);
    }

    if (goal->n) {
        if (goal->retry.timer_set && ngx_loyalty_redis_up(journal->redis)) {
            ngx_del_timer(&goal->retry);
            ngx_loyalty_goal_send(goal);
        }

        return;
    }

    goal->more = 0;
    goal->acked = goal->set->cursor.acked[goal->kind];
    goal->limit = UINT64_MAX;
    goal->limit_end = -1;

    if (goal->set->own) {
        goal->limit = journal->durable_file;
        goal->limit_end = journal->durable_end;
    }

    goal->drained = 0;
    goal->nomem = 0;

    if (ngx_loyalty_goal_take(goal) == NGX_OK) {
        ngx_loyalty_goal_send(goal);
        return;
    }

    if (ngx_thread_task_post(journal->conf->pool, goal->task) != NGX_OK) {
        ngx_add_timer(&goal->retry, NGX_LOYALTY_SHIPPER_BACKOFF_MAX);
        return;
    }

    goal->reading = 1;
}


static void
ngx_loyalty_goal_restart(ngx_loyalty_goal_t *goal)
{
    goal->reset = 0;

    if (goal->retry.timer_set) {
        ngx_del_timer(&goal->retry);
    }

    ngx_loyalty_goal_discard(goal);
    loyalty_journal_reader_close(&goal->reader);

    goal->file = goal->set->cursor.file[goal->kind];
}


static void
ngx_loyalty_goal_has_read(ngx_event_t *ev)
{
    ngx_loyalty_goal_t  *goal;

    goal = ev->data;
    goal->reading = 0;

    if (goal->damaged) {
        ngx_log_error(NGX_LOG_ERR, goal->set->journal->log, 0,
                      "loyalty journal \"%V\": %uL damaged bytes passed over",
                      &goal->set->journal->conf->path->name,
                      goal->damaged);
        goal->damaged = 0;
    }

    if (goal->nomem) {
        goal->reset = 1;
        ngx_add_timer(&goal->retry, NGX_LOYALTY_SHIPPER_BACKOFF_MAX);
        return;
    }

    ngx_loyalty_goal_send(goal);
}


static void
ngx_loyalty_goal_send(ngx_loyalty_goal_t *goal)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_loyalty_parcel_t   *parcel;

    /* One more than there are, so that no answer ends the batch too early. */

    goal->outstanding = 1;
    goal->failed = 0;

    for (i = 0; i < goal->n && !goal->failed; i++) {
        parcel = &goal->parcels[i];

        if (parcel->done) {
            continue;
        }

        if (goal->kind == LOYALTY_JOURNAL_POSTS) {

            if (parcel->payload.uri.len == 0) {
                parcel->done = 1;
                continue;
            }

            if (goal->outstanding > LOYALTY_ORDER_POSTS_MAX) {
                break;
            }
        }

        rc = parcel->payload.raw ? ngx_loyalty_goal_resolve(goal, parcel)
                                 : ngx_loyalty_goal_deliver(goal, parcel);

        if (rc != NGX_OK) {
            goal->failed = 1;
        }
    }

    ngx_loyalty_goal_answered(goal);
}


static ngx_int_t
ngx_loyalty_goal_deliver(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel)
{
    if (goal->kind == LOYALTY_JOURNAL_POSTS) {
        return ngx_loyalty_goal_post(goal, parcel);
    }

    return ngx_loyalty_goal_xadd(goal, parcel);
}


static ngx_int_t
ngx_loyalty_goal_resolve(ngx_loyalty_goal_t *goal,
    ngx_loyalty_parcel_t *parcel)
{
    ngx_int_t  rc;

    parcel->cmd.handler = ngx_loyalty_goal_resolved;
    parcel->cmd.data = parcel;

    rc = ngx_loyalty_shipper_program(goal->set->journal, &parcel->cmd,
                                     &parcel->payload.site);
    if (rc == NGX_OK) {
        parcel->sent = 1;
        goal->outstanding++;
    }

    return rc;
}


static void
ngx_loyalty_goal_resolved(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_int_t              rc;
    ngx_loyalty_goal_t    *goal;
    ngx_loyalty_parcel_t  *parcel;

    parcel = cmd->data;
    goal = parcel->goal;

    parcel->sent = 0;

    rc = NGX_ERROR;

    if (result == NGX_LOYALTY_REDIS_OK && reply->type != REDIS_REPLY_ERROR) {
        rc = ngx_loyalty_shipper_event(parcel, reply);
    }

    switch (rc) {

    case NGX_OK:
        rc = ngx_loyalty_goal_deliver(goal, parcel);
        break;

    case NGX_DONE:
        parcel->cmd.handler = ngx_loyalty_goal_replied;
        parcel->sent = 1;
        goal->outstanding++;
        rc = NGX_OK;
        break;

    case NGX_DECLINED:
        parcel->done = 1;
        rc = NGX_OK;
    }

    if (rc != NGX_OK) {
        goal->failed = 1;
    }

    ngx_loyalty_goal_answered(goal);
}


static ngx_int_t
ngx_loyalty_goal_xadd(ngx_loyalty_goal_t *goal, ngx_loyalty_parcel_t *parcel)
{
    ngx_int_t               rc;
    ngx_loyalty_journal_t  *journal;

    journal = goal->set->journal;

    /* Not before it is known who takes it. */

    if (journal->nservers == 0) {
        return NGX_DECLINED;
    }

    parcel->cmd.handler = ngx_loyalty_goal_replied;
    parcel->cmd.data = parcel;

    rc = ngx_loyalty_shipper_xadd(journal, &parcel->cmd, goal->kind,
                                  goal->set->files.id, parcel->id,
                                  &parcel->payload);
    if (rc == NGX_OK) {
        parcel->sent = 1;
        goal->outstanding++;
    }

    return rc;
}


static ngx_int_t
ngx_loyalty_goal_post(ngx_loyalty_goal_t *goal, ngx_loyalty_parcel_t *parcel)
{
    u_char                  buf[NGX_LOYALTY_RECORD_NAME_LEN];
    ngx_str_t               id;
    ngx_loyalty_journal_t  *journal;

    journal = goal->set->journal;

    if (journal->post_again
        && (ngx_msec_int_t) (ngx_current_msec - journal->post_again) < 0)
    {
        return ngx_loyalty_goal_xadd(goal, parcel);
    }

    id.data = buf;
    id.len = ngx_loyalty_record_name(buf, goal->set->files.id, parcel->id)
             - buf;

    /* Its answer may come at once. */

    goal->outstanding++;
    parcel->started = ngx_current_msec;

    if (ngx_http_loyalty_order_post(&parcel->payload, &id,
                                    ngx_loyalty_goal_posted, parcel)
        == NGX_OK)
    {
        return NGX_OK;
    }

    goal->outstanding--;

    return ngx_loyalty_goal_xadd(goal, parcel);
}


static void
ngx_loyalty_goal_posted(void *data, ngx_int_t rc)
{
    ngx_loyalty_parcel_t *parcel = data;

    ngx_loyalty_goal_t  *goal;

    goal = parcel->goal;

    if (rc == NGX_OK) {
        ngx_loyalty_metric(POSTS_DONE)++;
        parcel->done = 1;

    } else {

        if (ngx_current_msec - parcel->started >= LOYALTY_ORDER_POST_TIMEOUT) {
            goal->set->journal->post_again = ngx_current_msec
                                             + LOYALTY_ORDER_POST_TIMEOUT;
        }

        if (ngx_loyalty_goal_xadd(goal, parcel) != NGX_OK) {
            goal->failed = 1;
        }
    }

    ngx_loyalty_goal_answered(goal);
}


static void
ngx_loyalty_goal_answered(ngx_loyalty_goal_t *goal)
{
    goal->outstanding--;

    if (goal->outstanding == 0) {
        ngx_loyalty_goal_end(goal);
    }
}


/* XADD stream * e JSON i ID, and u URI for a post left to the back end. */

ngx_int_t
ngx_loyalty_shipper_xadd(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_command_t *cmd, loyalty_journal_goal_t kind,
    uint64_t set, uint64_t id, loyalty_journal_payload_t *payload)
{
    char           key[LOYALTY_KEY_MAX];
    u_char         name[NGX_LOYALTY_RECORD_NAME_LEN];
    ngx_str_t      argv[9];
    ngx_uint_t     n;

    ngx_str_set(&argv[0], "XADD");

    argv[1].data = (u_char *) key;
    argv[1].len = loyalty_key(key, journal->prefix, "s", payload->site,
                              kind == LOYALTY_JOURNAL_ORDERS
                                  ? loyalty_str("orders")
                                  : loyalty_str("posts"));
    if (argv[1].len == 0) {
        return NGX_ERROR;
    }

    ngx_str_set(&argv[2], "*");
    ngx_str_set(&argv[3], "e");
    argv[4].data = (u_char *) payload->json.data;
    argv[4].len = payload->json.len;

    ngx_str_set(&argv[5], "i");
    argv[6].data = name;
    argv[6].len = ngx_loyalty_record_name(name, set, id) - name;
    n = 7;

    if (kind == LOYALTY_JOURNAL_POSTS) {
        ngx_str_set(&argv[7], "u");
        argv[8].data = (u_char *) payload->uri.data;
        argv[8].len = payload->uri.len;
        n = 9;
    }

    return ngx_loyalty_redis_send(journal->redis, cmd, n, argv, 1);
}


static void
ngx_loyalty_goal_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_loyalty_goal_t    *goal;
    ngx_loyalty_parcel_t  *parcel;

    parcel = cmd->data;
    goal = parcel->goal;

    parcel->sent = 0;

    if (ngx_loyalty_shipper_taken(goal->set->journal, result, reply)) {
        parcel->done = 1;

        if (goal->kind == LOYALTY_JOURNAL_ORDERS && !parcel->payload.raw) {
            ngx_loyalty_shipper_saw(goal->set->journal, &parcel->payload.site,
                                    reply->str, reply->len);
        }

        if (goal->kind == LOYALTY_JOURNAL_POSTS) {
            ngx_loyalty_metric(POSTS_HANDED_OVER)++;

            if (goal->set->cursor.handed == 0) {
                goal->set->cursor.handed = parcel->id;
            }

        } else if (goal->resending) {
            ngx_loyalty_metric(ORDERS_RESENT)++;

        } else {
            ngx_loyalty_metric(ORDERS_SHIPPED)++;
        }

    } else {
        goal->failed = 1;
    }

    ngx_loyalty_goal_answered(goal);
}


/* The batch is through, as far as it came. */

static void
ngx_loyalty_goal_end(ngx_loyalty_goal_t *goal)
{
    ngx_uint_t                  i;
    ngx_loyalty_journal_set_t  *set;

    set = goal->set;

    if (goal->reset) {
        ngx_loyalty_goal_wake(goal);
        return;
    }

    for (i = 0; i < goal->n && goal->parcels[i].done; i++) {
        set->cursor.acked[goal->kind] = goal->parcels[i].id;
        set->dirty = 1;
    }

    if (i < goal->n && !goal->failed) {
        ngx_loyalty_goal_send(goal);
        return;
    }

    if (i < goal->n) {

        goal->backoff = goal->backoff
                        ? ngx_min(goal->backoff * 2,
                                  NGX_LOYALTY_SHIPPER_BACKOFF_MAX)
                        : NGX_LOYALTY_SHIPPER_BACKOFF;

        ngx_add_timer(&goal->retry,
                      goal->backoff / 2
                      + (ngx_msec_t) ngx_random() % goal->backoff);
        return;
    }

    goal->backoff = 0;

    if (set->cursor.file[goal->kind] != goal->file) {
        set->cursor.file[goal->kind] = goal->file;
        set->dirty = 1;
    }

    ngx_loyalty_goal_discard(goal);

    if (goal->drained) {
        goal->resending = 0;
    }

    if (!goal->drained || goal->more) {
        ngx_loyalty_goal_wake(goal);
    }
}


static void
ngx_loyalty_goal_discard(ngx_loyalty_goal_t *goal)
{
    ngx_uint_t             i;
    ngx_loyalty_parcel_t  *parcel;

    for (i = 0; i < goal->n; i++) {
        parcel = &goal->parcels[i];

        if (parcel->sent) {
            ngx_loyalty_redis_cancel(&parcel->cmd);
        }

        ngx_free(parcel->bytes);
        ngx_free(parcel->event);
    }

    ngx_free(goal->held);
    goal->held = NULL;
    goal->taken = 0;

    goal->n = 0;
    goal->bytes = 0;
    goal->outstanding = 0;
}


static void
ngx_loyalty_goal_retry(ngx_event_t *ev)
{
    ngx_loyalty_goal_t  *goal;

    goal = ev->data;

    if (goal->reset || goal->reading || goal->outstanding || goal->n == 0) {
        ngx_loyalty_goal_wake(goal);
        return;
    }

    ngx_loyalty_goal_send(goal);
}
