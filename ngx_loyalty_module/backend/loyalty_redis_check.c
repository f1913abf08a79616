/*
 * The settings of Redis that the books depend on: a table of what each must
 * be and what happens otherwise; then what INFO says of the server.
 */

#include "loyalty_redis_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define AGAIN 1000
#define VERSION_MIN 602 /* 6.2: XAUTOCLAIM, XTRIM MINID */
#define MEMORY_HIGH 80  /* percent */

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

/* Behind the settings. */
enum {
    READ_MIN_REPLICAS = NSETTINGS,
    READ_INFO
};

typedef struct {
    const loyalty_store_conf_t *conf;
    loyalty_log_pt log;
    void *data;
    const char *info;
    int64_t min_replicas; /* -1: not to be seen */
} look_t;

static void __attribute__((format(printf, 3, 4)))
say(const look_t *look, loyalty_log_level_t level, const char *format, ...)
{
    char text[320];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    look->log(look->data, level, text);
}

/* CONFIG GET: [name, value]. */
static bool
setting_of(const redisReply *reply, loyalty_str_t *value)
{
    return loyalty_reply_array(reply, 2)
           && loyalty_reply_str(reply->element[1], value);
}

static bool
check_setting(const look_t *look, size_t index, const redisReply *reply)
{
    loyalty_str_t value;

    if (!setting_of(reply, &value)) {
        return false;
    }

    if (!loyalty_str_eq(value, loyalty_str_from(settings[index].wanted))) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: Redis has %s %.*s: %s; set \"%s %s\"",
            settings[index].name, (int)value.len, value.data,
            settings[index].why, settings[index].name,
            settings[index].wanted);
    }

    return true;
}

/* "name:VALUE" at the beginning of a line of INFO; NULL: not there. */
static const char *
info_text(const look_t *look, const char *name)
{
    size_t len = strlen(name);
    const char *at = look->info;

    while ((at = strstr(at, name)) != NULL) {
        if ((at == look->info || at[-1] == '\n') && at[len] == ':') {
            return at + len + 1;
        }
        at += len;
    }

    return NULL;
}

static int64_t
info_int(const look_t *look, const char *name)
{
    const char *text = info_text(look, name);

    return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static void
check_version(const look_t *look)
{
    const char *at = info_text(look, "redis_version");
    long major, minor = 0;
    char *end;

    if (at == NULL) {
        return;
    }

    major = strtol(at, &end, 10);
    if (*end == '.') {
        minor = strtol(end + 1, NULL, 10);
    }

    if (major * 100 + minor < VERSION_MIN) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: Redis %ld.%ld is too old: at least 6.2 is needed",
            major, minor);
    }
}

static void
check_role(const look_t *look)
{
    const char *role = info_text(look, "role");

    if (role != NULL && strncmp(role, "slave", 5) == 0
        && !look->conf->cluster) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: Redis is a replica and takes no writes: name its "
            "master in \"loyalty_redis\", or Sentinels with sentinel=NAME");
    }

    if (info_int(look, "connected_slaves") > 0 && look->min_replicas == 0) {
        say(look, LOYALTY_LOG_WARN,
            "loyalty: Redis has replicas and min-replicas-to-write 0: a "
            "master cut off from them goes on taking orders that a failover "
            "throws away; set \"min-replicas-to-write 1\"");
    }
}

static void
check_cluster(const look_t *look)
{
    bool enabled = info_int(look, "cluster_enabled") != 0;

    if (enabled && !look->conf->cluster) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: Redis is a cluster: add \"cluster=on\" to "
            "\"loyalty_redis\"");
    } else if (!enabled && look->conf->cluster) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: \"loyalty_redis\" has cluster=on, and Redis is none: "
            "take it away, or start Redis with \"cluster-enabled yes\"");
    }
}

static void
check_memory(const look_t *look)
{
    int64_t used = info_int(look, "used_memory");
    int64_t max = info_int(look, "maxmemory");

    if (max > 0 && used / MEMORY_HIGH >= max / 100) {
        say(look, LOYALTY_LOG_WARN,
            "loyalty: Redis uses %" PRId64 " MB of its maxmemory of %" PRId64
            " MB: past it orders and changes are refused; raise maxmemory",
            used >> 20, max >> 20);
    }
}

static void
check_writes(const look_t *look)
{
    const char *status = info_text(look, "aof_last_write_status");

    if (status != NULL && strncmp(status, "ok", 2) != 0) {
        say(look, LOYALTY_LOG_ERROR,
            "loyalty: Redis could not write its append-only file: free its "
            "disk, or it takes no writes");
    }
}

loyalty_store_result_t
loyalty_redis_look(loyalty_store_t *store, const loyalty_store_conf_t *conf,
                   loyalty_log_pt log, void *data)
{
    look_t look = {.conf = conf, .log = log, .data = data};
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    loyalty_str_t info, value;
    bool known = true;
    size_t i;

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);

    for (i = 0; i < NSETTINGS; i++) {
        loyalty_command_words(&commands, "CONFIG", "GET", settings[i].name,
                              NULL);
    }
    loyalty_command_words(&commands, "CONFIG", "GET", "min-replicas-to-write",
                          NULL);
    loyalty_command_words(&commands, "INFO", NULL);

    result = loyalty_store_call(store, loyalty_str_null, &commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        for (i = 0; i < NSETTINGS; i++) {
            known = check_setting(&look, i, replies.list[i]) && known;
        }

        if (!setting_of(replies.list[READ_MIN_REPLICAS], &value)
            || !loyalty_str_int(value, &look.min_replicas)) {
            look.min_replicas = -1;
        }

        if (loyalty_reply_str(replies.list[READ_INFO], &info)
            && info.data != NULL) {
            look.info = info.data;
            check_version(&look);
            check_role(&look);
            check_cluster(&look);
            check_memory(&look);
            check_writes(&look);
        }

        if (!known) {
            say(&look, LOYALTY_LOG_WARN,
                "loyalty: Redis does not let us see its settings; it must "
                "have appendonly yes, appendfsync always and "
                "maxmemory-policy noeviction");
        }
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

int
loyalty_redis_check(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                    void *data)
{
    loyalty_store_t *store = loyalty_store_open(conf);
    loyalty_store_result_t result;

    if (store == NULL) {
        return AGAIN;
    }

    result = loyalty_redis_look(store, conf, log, data);
    loyalty_store_close(store);

    return result == LOYALTY_STORE_OK ? -1 : AGAIN;
}
