/*
 * Orders that came while their site was not known: Redis away and nothing in
 * the cache.  Their record has the shop's texts; now that Redis is there, the
 * site's program tells the currency, and the event can be made.
 */


#include "ngx_loyalty_shipper.h"
#include "ngx_loyalty_rare.h"
#include "loyalty_capture.h"


#define NGX_LOYALTY_SHIPPER_PATIENCE  60000


static int64_t ngx_loyalty_shipper_now(void);
static ngx_int_t ngx_loyalty_shipper_dead(ngx_loyalty_parcel_t *parcel,
    loyalty_problems_t *problems);
static ngx_int_t ngx_loyalty_shipper_currency(redisReply *reply,
    json_t **program, loyalty_str_t *currency);


ngx_int_t
ngx_loyalty_shipper_program(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_command_t *cmd, loyalty_str_t *site)
{
    char       key[LOYALTY_KEY_MAX];
    ngx_str_t  argv[2];

    ngx_str_set(&argv[0], "GET");

    argv[1].data = (u_char *) key;
    argv[1].len = loyalty_key(key, journal->prefix, "p", *site,
                              loyalty_str_null);
    if (argv[1].len == 0) {
        return NGX_ERROR;
    }

    return ngx_loyalty_redis_send(journal->redis, cmd, 2, argv, 1);
}


ngx_int_t
ngx_loyalty_shipper_event(ngx_loyalty_parcel_t *parcel, redisReply *reply)
{
    json_t                     *program;
    ngx_int_t                   rc;
    loyalty_str_t               currency, event;
    loyalty_arena_t             arena;
    loyalty_document_t          document;
    loyalty_problems_t          problems;
    loyalty_capture_map_t       map;
    loyalty_capture_order_t     order;
    loyalty_journal_payload_t  *payload;

    payload = &parcel->payload;
    program = NULL;
    rc = NGX_DECLINED;

    loyalty_document_init(&document);

    loyalty_arena_init(&arena, LOYALTY_CAPTURE_MEMORY_MAX);
    loyalty_problems_init(&problems, &arena);

    loyalty_capture_map_init(&map);
    map.minor = payload->minor;
    map.status = payload->status;

    if (ngx_loyalty_shipper_currency(reply, &program, &currency) != NGX_OK) {
        loyalty_problem(&problems, "", "belongs to a site without a program");

        /* A Redis that has just come back may still be filled. */

        if (ngx_loyalty_shipper_now() - payload->at
            < NGX_LOYALTY_SHIPPER_PATIENCE)
        {
            rc = NGX_ERROR;
        }

    } else if (loyalty_capture_parse(payload->json, &problems, &document)
               == LOYALTY_OK
               && loyalty_capture_read(&document, &map, &arena, &problems,
                                       &order)
                  == LOYALTY_OK
               && loyalty_capture_event(&order, &map, payload->member,
                                        currency, payload->at, &arena,
                                        &problems, &event)
                  == LOYALTY_OK)
    {
        parcel->event = ngx_alloc(event.len, ngx_cycle->log);

        if (parcel->event != NULL) {
            ngx_memcpy(parcel->event, event.data, event.len);
            payload->json.data = (char *) parcel->event;
            payload->json.len = event.len;
            payload->raw = 0;
            rc = NGX_OK;

        } else {
            rc = NGX_ERROR;
        }
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_loyalty_shipper_dead(parcel, &problems);
    }

    loyalty_document_free(&document);
    json_decref(program);
    loyalty_arena_free(&arena);

    return rc;
}


static int64_t
ngx_loyalty_shipper_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


/* The shape of the back end's own dead letters. */

static ngx_int_t
ngx_loyalty_shipper_dead(ngx_loyalty_parcel_t *parcel,
    loyalty_problems_t *problems)
{
    char                    key[LOYALTY_KEY_MAX];
    u_char                  id[NGX_LOYALTY_RECORD_NAME_LEN];
    u_char                  now[NGX_INT64_LEN];
    ngx_str_t               argv[17];
    ngx_loyalty_goal_t     *goal;
    loyalty_problem_t      *problem;
    ngx_loyalty_journal_t  *journal;

    static ngx_loyalty_rare_t  rare;

    goal = parcel->goal;
    journal = goal->set->journal;

    if (goal->kind != LOYALTY_JOURNAL_ORDERS) {
        return NGX_DECLINED;
    }

    problem = &problems->list[0];

    ngx_str_set(&argv[0], "XADD");
    argv[1].data = (u_char *) key;
    argv[1].len = loyalty_key(key, journal->prefix, "s",
                              parcel->payload.site, loyalty_str("dead"));
    if (argv[1].len == 0) {
        return NGX_DECLINED;
    }

    ngx_str_set(&argv[2], "*");

    ngx_str_set(&argv[3], "e");
    argv[4].data = (u_char *) parcel->payload.json.data;
    argv[4].len = parcel->payload.json.len;

    ngx_str_set(&argv[5], "i");
    argv[6].data = id;
    argv[6].len = ngx_loyalty_record_name(id, goal->set->files.id, parcel->id)
                  - id;

    ngx_str_set(&argv[7], "s");
    ngx_str_set(&argv[8], "");
    ngx_str_set(&argv[9], "r");
    ngx_str_set(&argv[10], "invalid");

    ngx_str_set(&argv[11], "m");
    argv[12].data = (u_char *) problem->message.data;
    argv[12].len = problem->message.len;

    ngx_str_set(&argv[13], "p");
    argv[14].data = (u_char *) problem->pointer.data;
    argv[14].len = problem->pointer.len;

    ngx_str_set(&argv[15], "t");
    argv[16].data = now;
    argv[16].len = ngx_sprintf(now, "%L", ngx_loyalty_shipper_now()) - now;

    if (ngx_loyalty_redis_send(journal->redis, &parcel->cmd, 17, argv, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_loyalty_metric(ORDERS_INVALID)++;

    if (ngx_loyalty_rare(&rare, 1)) {
        ngx_log_error(NGX_LOG_ERR, journal->log, 0,
                      "loyalty order of site \"%*s\" put aside: "
                      "\"%*s\" %*s (%ui orders before unsaid)",
                      parcel->payload.site.len, parcel->payload.site.data,
                      problem->pointer.len, problem->pointer.data,
                      problem->message.len, problem->message.data,
                      rare.unsaid);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_loyalty_shipper_currency(redisReply *reply, json_t **program,
    loyalty_str_t *currency)
{
    json_t  *value;

    if (reply->type != REDIS_REPLY_STRING) {
        return NGX_DECLINED;
    }

    *program = json_loadb(reply->str, reply->len, 0, NULL);

    value = json_object_get(json_object_get(*program, "settings"), "currency");

    if (!json_is_string(value)) {
        return NGX_DECLINED;
    }

    currency->data = json_string_value(value);
    currency->len = json_string_length(value);

    return NGX_OK;
}
