/*
 * The settings of Redis that the books depend on: a table of what each must
 * be and what happens otherwise.
 */

#include "loyalty_redis_check.h"

#include <stdio.h>
#include <stdlib.h>

#define AGAIN 1000
#define VERSION_MIN 602 /* 6.2: XAUTOCLAIM, XTRIM MINID */

static const struct {
    const char *name;
    const char *wanted;
    const char *why;
} settings[] = {
    {"appendonly", "yes", "orders are lost when Redis restarts"},
    {"appendfsync", "always",
     "orders acknowledged in the last second are lost when Redis is killed"},
    {"maxmemory-policy", "noeviction",
     "members and orders are thrown away when memory runs out"},
};

#define NSETTINGS (sizeof(settings) / sizeof(settings[0]))

/* CONFIG GET: [name, value]. */
static bool
check_setting(size_t index, const redisReply *reply, loyalty_log_pt log,
              void *data)
{
    loyalty_str_t value;
    char text[256];

    if (!loyalty_reply_array(reply, 2)
        || !loyalty_reply_str(reply->element[1], &value)) {
        return false;
    }

    if (!loyalty_str_eq(value, loyalty_str_from(settings[index].wanted))) {
        snprintf(text, sizeof(text),
                 "loyalty: Redis has %s %.*s: %s; set \"%s %s\"",
                 settings[index].name, (int)value.len, value.data,
                 settings[index].why, settings[index].name,
                 settings[index].wanted);
        log(data, LOYALTY_LOG_ERROR, text);
    }

    return true;
}

/* INFO server: "redis_version:7.0.15". */
static void
check_version(const redisReply *reply, loyalty_log_pt log, void *data)
{
    static const char label[] = "redis_version:";
    loyalty_str_t info;
    const char *at;
    char text[256], *end;
    long major, minor = 0;

    if (!loyalty_reply_str(reply, &info) || info.data == NULL
        || (at = strstr(info.data, label)) == NULL) {
        return;
    }

    at += sizeof(label) - 1;
    major = strtol(at, &end, 10);
    if (*end == '.') {
        minor = strtol(end + 1, NULL, 10);
    }

    if (major * 100 + minor < VERSION_MIN) {
        snprintf(text, sizeof(text),
                 "loyalty: Redis %ld.%ld is too old: at least 6.2 is needed",
                 major, minor);
        log(data, LOYALTY_LOG_ERROR, text);
    }
}

int
loyalty_redis_check(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                    void *data)
{
    loyalty_store_t *store = loyalty_store_open(conf);
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    bool known = true;
    size_t i;

    if (store == NULL) {
        return AGAIN;
    }

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);

    for (i = 0; i < NSETTINGS; i++) {
        loyalty_command_words(&commands, "CONFIG", "GET", settings[i].name,
                              NULL);
    }
    loyalty_command_words(&commands, "INFO", "server", NULL);

    result = loyalty_store_call(store, loyalty_str_null, &commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        for (i = 0; i < NSETTINGS; i++) {
            known = check_setting(i, replies.list[i], log, data) && known;
        }
        check_version(replies.list[NSETTINGS], log, data);

        if (!known) {
            log(data, LOYALTY_LOG_WARN,
                "loyalty: Redis does not let us see its settings; it must "
                "have appendonly yes, appendfsync always and "
                "maxmemory-policy noeviction");
        }
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);
    loyalty_store_close(store);

    return result == LOYALTY_STORE_OK ? -1 : AGAIN;
}
