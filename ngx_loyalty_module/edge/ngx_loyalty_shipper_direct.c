/*
 * Around the journal, where the disk takes nothing: the answer waits for Redis
 * instead, and for no longer than an operation of Redis may take.
 */


#include "ngx_loyalty_shipper.h"


typedef struct {
    ngx_loyalty_redis_command_t   cmd;
    ngx_loyalty_redis_command_t   post;
    ngx_loyalty_journal_t        *journal;
    ngx_loyalty_journal_op_t     *op;
    unsigned                      replied:1;
    unsigned                      posting:1;
} ngx_loyalty_direct_t;


static void ngx_loyalty_shipper_lose(ngx_loyalty_journal_t *journal);
static void ngx_loyalty_direct_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_loyalty_direct_posted(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);


ngx_int_t
ngx_loyalty_shipper_direct(ngx_loyalty_journal_t *journal, uint64_t id,
    loyalty_journal_payload_t *payload, ngx_loyalty_journal_op_t *op)
{
    uint64_t               set;
    ngx_loyalty_direct_t  *direct;

    set = (journal->own != NULL) ? journal->own->files.id : 0;

    direct = ngx_calloc(sizeof(ngx_loyalty_direct_t), journal->log);

    if (direct == NULL) {
        ngx_loyalty_shipper_lose(journal);
        return NGX_ERROR;
    }

    direct->journal = journal;
    direct->op = op;
    direct->cmd.handler = ngx_loyalty_direct_replied;
    direct->cmd.data = direct;
    direct->post.handler = ngx_loyalty_direct_posted;
    direct->post.data = direct;

    if (payload->raw
        || ngx_loyalty_shipper_xadd(journal, &direct->cmd,
                                    LOYALTY_JOURNAL_ORDERS, set, id, payload)
           != NGX_OK)
    {
        ngx_free(direct);
        ngx_loyalty_shipper_lose(journal);
        return NGX_ERROR;
    }

    /* Without a record only the back end can try until it is taken. */

    direct->posting = payload->uri.len != 0
                      && ngx_loyalty_shipper_xadd(journal, &direct->post,
                                                  LOYALTY_JOURNAL_POSTS, set,
                                                  id, payload)
                         == NGX_OK;

    return NGX_OK;
}


static void
ngx_loyalty_shipper_lose(ngx_loyalty_journal_t *journal)
{
    ngx_loyalty_metric(ORDERS_LOST)++;

    if (journal->losing) {
        return;
    }

    journal->losing = 1;

    ngx_log_error(NGX_LOG_CRIT, journal->log, 0,
                  "loyalty orders are being lost: neither the journal nor "
                  "Redis takes them");
}


static void
ngx_loyalty_direct_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_int_t                  rc;
    ngx_loyalty_direct_t      *direct;
    ngx_loyalty_journal_op_t  *op;

    direct = cmd->data;
    op = direct->op;

    if (ngx_loyalty_shipper_taken(direct->journal, result, reply)) {
        ngx_loyalty_metric(ORDERS_DIRECT)++;
        direct->journal->losing = 0;
        rc = NGX_OK;

    } else {
        ngx_loyalty_shipper_lose(direct->journal);
        rc = NGX_ERROR;
    }

    direct->replied = 1;

    if (!direct->posting) {
        ngx_free(direct);
    }

    op->handler(op, rc);
}


static void
ngx_loyalty_direct_posted(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_loyalty_direct_t  *direct;

    direct = cmd->data;
    direct->posting = 0;

    if (ngx_loyalty_shipper_taken(direct->journal, result, reply)) {
        ngx_loyalty_metric(POSTS_HANDED_OVER)++;
    }

    if (direct->replied) {
        ngx_free(direct);
    }
}
