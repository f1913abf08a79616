/*
 * Orders that came while their site was not known: Redis away and nothing in
 * the cache.  Their record has the shop's texts; now that Redis is there, the
 * site's program tells the currency, and the event can be made.
 */


#include "ngx_loyalty_shipper.h"
#include "loyalty_capture.h"


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
ngx_loyalty_shipper_event(ngx_loyalty_journal_t *journal,
    loyalty_journal_payload_t *payload, redisReply *program, char **text)
{
    json_t                   *settings, *document, *event;
    ngx_int_t                 rc;
    loyalty_str_t             currency;
    loyalty_arena_t           arena;
    loyalty_problems_t        problems;
    loyalty_capture_map_t     map;
    loyalty_capture_order_t   order;

    settings = NULL;
    document = NULL;
    event = NULL;
    *text = NULL;
    rc = NGX_DECLINED;

    loyalty_arena_init(&arena, LOYALTY_CAPTURE_MEMORY_MAX);
    loyalty_problems_init(&problems, &arena);

    loyalty_capture_map_init(&map);
    map.minor = payload->minor;
    map.status = payload->status;

    if (ngx_loyalty_shipper_currency(program, &settings, &currency) != NGX_OK)
    {
        loyalty_problem(&problems, "", "has a site without a programme");

    } else if (loyalty_capture_parse(payload->json, &problems, &document)
               == LOYALTY_OK
               && loyalty_capture_read(document, &map, &arena, &problems,
                                       &order)
                  == LOYALTY_OK
               && loyalty_capture_event(&order, &map, payload->member,
                                        currency, payload->at, &arena,
                                        &problems, &event)
                  == LOYALTY_OK)
    {
        *text = json_dumps(event, JSON_COMPACT);
        rc = (*text != NULL) ? NGX_OK : NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_loyalty_metric(ORDERS_INVALID)++;

        ngx_log_error(NGX_LOG_ERR, journal->log, 0,
                      "loyalty order of site \"%*s\" put aside: \"%*s\" %*s",
                      payload->site.len, payload->site.data,
                      problems.count ? problems.list[0].pointer.len : 0,
                      problems.list[0].pointer.data,
                      problems.count ? problems.list[0].message.len : 0,
                      problems.list[0].message.data);
    }

    json_decref(event);
    json_decref(document);
    json_decref(settings);
    loyalty_arena_free(&arena);

    return rc;
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
