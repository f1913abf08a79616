/*
 * Which node answers for a site, and what its answers mean.
 *
 *   alone      links[0] = the address that answered last
 *   sentinel   links[0] = the master the sentinels name
 *   cluster    slots[slot] -> index into links, one link a node
 *
 * An answer that says the node is the wrong one (READONLY, LOADING, MOVED,
 * CLUSTERDOWN) makes the store look at the topology again.
 */

#include "loyalty_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOTS 16384
#define NODES_MAX 1000 /* what Redis recommends as the most */
#define MOVED_MAX 5    /* hops of one call */

struct loyalty_store_s {
    const loyalty_store_conf_t *conf;
    loyalty_link_t *links;
    size_t nlinks;
    size_t addr;      /* the configured address to try next */
    uint16_t *slots;  /* cluster */
    bool mapped;      /* slots, or the sentinel's answer, are there */

    /* The transaction: where it WATCHes, and by which connection. */
    loyalty_link_t *watching; /* NULL: nothing is watched */
    uint64_t connected;
    bool broken; /* it WATCHes by two, and so by none */

    char error[LOYALTY_STORE_ERROR_SIZE];
};

static const char *const result_names[] = {
    [LOYALTY_STORE_OK] = "ok",
    [LOYALTY_STORE_AWAY] = "away",
    [LOYALTY_STORE_CONFLICT] = "conflict",
    [LOYALTY_STORE_REFUSED] = "refused",
    [LOYALTY_STORE_MALFORMED] = "malformed",
    [LOYALTY_STORE_FENCED] = "fenced",
    [LOYALTY_STORE_STOPPED] = "stopped",
    [LOYALTY_STORE_MEMORY] = "memory",
};

const char *
loyalty_store_result_name(loyalty_store_result_t result)
{
    return result_names[result];
}

loyalty_store_t *
loyalty_store_open(const loyalty_store_conf_t *conf)
{
    loyalty_store_t *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        return NULL;
    }

    store->conf = conf;
    store->nlinks = 1;
    store->links = calloc(conf->cluster ? NODES_MAX : 1,
                          sizeof(*store->links));
    store->slots = calloc(conf->cluster ? SLOTS : 1, sizeof(*store->slots));

    if (store->links == NULL || store->slots == NULL || conf->naddrs == 0) {
        loyalty_store_close(store);
        return NULL;
    }

    return store;
}

void
loyalty_store_close(loyalty_store_t *store)
{
    size_t i;

    for (i = 0; store->links != NULL && i < store->nlinks; i++) {
        loyalty_link_close(&store->links[i]);
    }

    free(store->links);
    free(store->slots);
    free(store);
}

const char *
loyalty_store_error(const loyalty_store_t *store)
{
    return store->error;
}

static loyalty_store_result_t
failed(loyalty_store_t *store, loyalty_store_result_t result,
       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(store->error, sizeof(store->error), format, args);
    va_end(args);

    return result;
}

static loyalty_store_result_t
set_addr(loyalty_store_t *store, loyalty_link_t *link, loyalty_str_t addr)
{
    if (addr.len >= LOYALTY_ADDR_MAX) {
        return failed(store, LOYALTY_STORE_AWAY, "an address of %zu bytes",
                      addr.len);
    }

    if (addr.len != strlen(link->addr)
        || memcmp(link->addr, addr.data, addr.len) != 0) {
        loyalty_link_close(link);
        memcpy(link->addr, addr.data, addr.len);
        link->addr[addr.len] = '\0';
        link->retry_at = 0;
    }

    return LOYALTY_STORE_OK;
}

/* One command over a link, its reply. */
static loyalty_store_result_t
ask(loyalty_store_t *store, loyalty_link_t *link,
    const loyalty_commands_t *command, redisReply **reply)
{
    loyalty_store_result_t result;

    result = loyalty_link_send(link, command, store->error);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    return loyalty_link_receive(link, store->conf, reply, store->error);
}

/* The master's address from the first sentinel that knows it. */
static loyalty_store_result_t
ask_sentinels(loyalty_store_t *store)
{
    loyalty_store_result_t result = LOYALTY_STORE_AWAY;
    loyalty_link_t sentinel = {.context = NULL};
    loyalty_commands_t command;
    loyalty_str_t host, port;
    char addr[LOYALTY_ADDR_MAX];
    redisReply *reply;
    size_t i;
    int len;

    loyalty_commands_init(&command);
    loyalty_command(&command, "SENTINEL", 3);
    loyalty_arg_text(&command, "get-master-addr-by-name");
    loyalty_arg(&command, store->conf->sentinel);

    for (i = 0; i < store->conf->naddrs && result != LOYALTY_STORE_OK; i++) {
        sentinel.retry_at = 0;

        if (set_addr(store, &sentinel, store->conf->addrs[i])
                != LOYALTY_STORE_OK
            || loyalty_link_open(&sentinel, store->conf, false, store->error)
                != LOYALTY_STORE_OK
            || ask(store, &sentinel, &command, &reply) != LOYALTY_STORE_OK) {
            continue;
        }

        if (loyalty_reply_array(reply, 2)
            && loyalty_reply_str(reply->element[0], &host)
            && loyalty_reply_str(reply->element[1], &port)
            && host.data != NULL && port.data != NULL
            && host.len + port.len + 4 < sizeof(addr)) {
            len = snprintf(addr, sizeof(addr),
                           memchr(host.data, ':', host.len) != NULL
                               ? "[%.*s]:%.*s" : "%.*s:%.*s",
                           (int)host.len, host.data, (int)port.len, port.data);
            result = set_addr(store, &store->links[0],
                              (loyalty_str_t){addr, (size_t)len});
        } else {
            failed(store, LOYALTY_STORE_AWAY, "sentinel %s knows no master",
                   sentinel.addr);
        }

        freeReplyObject(reply);
        loyalty_link_close(&sentinel);
    }

    loyalty_link_close(&sentinel);
    loyalty_commands_free(&command);

    return result;
}

/* The link to a node of the cluster, added if new; -1: no room. */
static int
node(loyalty_store_t *store, loyalty_str_t host, int64_t port)
{
    char addr[LOYALTY_ADDR_MAX];
    size_t i;
    int len;

    if (host.len + 10 >= sizeof(addr)) {
        return -1;
    }

    len = snprintf(addr, sizeof(addr),
                   memchr(host.data, ':', host.len) != NULL ? "[%.*s]:%d"
                                                            : "%.*s:%d",
                   (int)host.len, host.data, (int)port);

    for (i = 0; i < store->nlinks; i++) {
        if (strcmp(store->links[i].addr, addr) == 0) {
            return (int)i;
        }
    }

    if (store->nlinks == NODES_MAX) {
        return -1;
    }

    memcpy(store->links[i].addr, addr, (size_t)len + 1);
    store->nlinks++;

    return (int)i;
}

/* CLUSTER SLOTS: [[first, last, [host, port, ...], replicas...], ...] */
static bool
read_slots(loyalty_store_t *store, const redisReply *reply,
           const char *asked_host)
{
    const redisReply *range, *master;
    int64_t first, last, port;
    loyalty_str_t host;
    size_t i;
    int index;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        return false;
    }

    for (i = 0; i < reply->elements; i++) {
        range = reply->element[i];

        if (range->type != REDIS_REPLY_ARRAY || range->elements < 3
            || !loyalty_reply_int(range->element[0], &first)
            || !loyalty_reply_int(range->element[1], &last)
            || first < 0 || last < first || last >= SLOTS) {
            return false;
        }

        master = range->element[2];

        if (master->type != REDIS_REPLY_ARRAY || master->elements < 2
            || !loyalty_reply_str(master->element[0], &host)
            || !loyalty_reply_int(master->element[1], &port)
            || port < 1 || port > 65535) {
            return false;
        }

        if (host.len == 0) {
            host = loyalty_str_from(asked_host); /* "the node you asked" */
        }

        index = node(store, host, port);
        if (index < 0) {
            return false;
        }

        for (; first <= last; first++) {
            store->slots[first] = (uint16_t)index;
        }
    }

    return true;
}

static bool
map_from(loyalty_store_t *store, loyalty_link_t *link,
         const loyalty_commands_t *command)
{
    char host[LOYALTY_ADDR_MAX], *colon;
    redisReply *reply;
    bool ok;

    if (loyalty_link_open(link, store->conf, true, store->error)
            != LOYALTY_STORE_OK
        || ask(store, link, command, &reply) != LOYALTY_STORE_OK) {
        return false;
    }

    memcpy(host, link->addr, sizeof(host));
    colon = strrchr(host, ':');
    if (colon != NULL) {
        *colon = '\0';
    }

    ok = read_slots(store, reply, host);
    if (!ok) {
        failed(store, LOYALTY_STORE_AWAY, "%s gives no cluster slots: %.100s",
               link->addr, reply->str != NULL ? reply->str : "");
    }

    freeReplyObject(reply);

    return ok;
}

/* Asks the known nodes, then the seeds, until one gives the map. */
static loyalty_store_result_t
ask_cluster(loyalty_store_t *store)
{
    loyalty_link_t seed = {.context = NULL};
    loyalty_commands_t command;
    bool ok = false;
    size_t i, n = store->nlinks;

    loyalty_commands_init(&command);
    loyalty_command_words(&command, "CLUSTER", "SLOTS", (char *)NULL);

    for (i = 1; i < n && !ok; i++) {
        ok = map_from(store, &store->links[i], &command);
    }

    for (i = 0; i < store->conf->naddrs && !ok; i++) {
        seed.retry_at = 0;
        ok = set_addr(store, &seed, store->conf->addrs[i]) == LOYALTY_STORE_OK
             && map_from(store, &seed, &command);
        loyalty_link_close(&seed);
    }

    loyalty_commands_free(&command);

    return ok ? LOYALTY_STORE_OK : LOYALTY_STORE_AWAY;
}

/* The open link for a site. */
static loyalty_store_result_t
find(loyalty_store_t *store, loyalty_str_t site, loyalty_link_t **link)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    const loyalty_store_conf_t *conf = store->conf;
    size_t index = 0;

    if (!store->mapped) {
        if (loyalty_link_now() < store->links[0].retry_at) {
            return LOYALTY_STORE_AWAY;
        }

        if (conf->cluster) {
            result = ask_cluster(store);
        } else if (conf->sentinel.len != 0) {
            result = ask_sentinels(store);
        } else {
            result = set_addr(store, &store->links[0],
                              conf->addrs[store->addr]);
        }

        if (result != LOYALTY_STORE_OK) {
            loyalty_link_lost(&store->links[0]);
            return result;
        }

        store->mapped = true;
    }

    if (conf->cluster) {
        index = store->slots[site.len != 0 ? loyalty_slot(site) : 0];
    }

    *link = &store->links[index];
    result = loyalty_link_open(*link, conf, true, store->error);

    if (result == LOYALTY_STORE_AWAY) {
        store->mapped = false;
        store->addr = (store->addr + 1) % conf->naddrs;
    }

    return result;
}

/* The node cannot serve us: look for another one next time. */
static bool
is_wrong_node(const redisReply *reply)
{
    return loyalty_reply_is_error(reply, "READONLY")
           || loyalty_reply_is_error(reply, "LOADING")
           || loyalty_reply_is_error(reply, "MASTERDOWN")
           || loyalty_reply_is_error(reply, "CLUSTERDOWN");
}

/* The slot is on its way to another node, or there. */
static bool
is_moving(const redisReply *reply)
{
    return loyalty_reply_is_error(reply, "MOVED")
           || loyalty_reply_is_error(reply, "ASK")
           || loyalty_reply_is_error(reply, "TRYAGAIN");
}

/*
 * A link connects anew without a word; what an earlier call WATCHed is then
 * forgotten, while later calls of the transaction WATCH by the new connection.
 */
static void
note_watch(loyalty_store_t *store, loyalty_link_t *link)
{
    if (store->watching == NULL) {
        store->watching = link;
        store->connected = link->connected;
    } else if (store->watching != link
               || store->connected != link->connected) {
        store->broken = true;
    }
}

static bool
still_watches(const loyalty_store_t *store, const loyalty_link_t *link)
{
    return store->watching == NULL
           || (store->watching == link && store->connected == link->connected
               && !store->broken);
}

static void
forget_watch(loyalty_store_t *store)
{
    store->watching = NULL;
    store->broken = false;
}

loyalty_store_result_t
loyalty_store_send(loyalty_store_t *store, loyalty_str_t site,
                   const loyalty_commands_t *commands)
{
    loyalty_store_result_t result;
    loyalty_link_t *link;

    result = find(store, site, &link);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (commands->watches) {
        note_watch(store, link);
    }

    result = loyalty_link_send(link, commands, store->error);
    if (result == LOYALTY_STORE_AWAY) {
        store->mapped = false;
    }

    return result;
}

/* The link on which replies of `site` are owed, without opening it. */
static loyalty_link_t *
current(loyalty_store_t *store, loyalty_str_t site)
{
    return store->conf->cluster
               ? &store->links[store->slots[site.len != 0 ? loyalty_slot(site)
                                                          : 0]]
               : &store->links[0];
}

static bool
make_room(loyalty_replies_t *replies, size_t n)
{
    size_t capacity = replies->count + n;
    redisReply **list;

    if (capacity > replies->capacity) {
        list = realloc(replies->list, capacity * sizeof(*list));
        if (list == NULL) {
            return false;
        }
        replies->list = list;
        replies->capacity = capacity;
    }

    return true;
}

loyalty_store_result_t
loyalty_store_receive(loyalty_store_t *store, loyalty_str_t site,
                      loyalty_replies_t *replies)
{
    loyalty_link_t *link = current(store, site);
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    redisReply *reply;

    if (link->context == NULL) {
        return failed(store, LOYALTY_STORE_AWAY, "lost %s", link->addr);
    }

    if (!make_room(replies, link->owed)) {
        loyalty_link_close(link);
        return failed(store, LOYALTY_STORE_MEMORY, "no memory for replies");
    }

    while (link->context != NULL && link->owed != 0) {
        result = loyalty_link_receive(link, store->conf, &reply, store->error);
        if (result != LOYALTY_STORE_OK) {
            store->mapped = store->mapped && result != LOYALTY_STORE_AWAY;
            return result;
        }

        replies->list[replies->count++] = reply;

        if (is_wrong_node(reply)) {
            failed(store, LOYALTY_STORE_AWAY, "%s says %.200s", link->addr,
                   reply->str);
            loyalty_link_lost(link);
            store->mapped = false;
            store->addr = (store->addr + 1) % store->conf->naddrs;
            return LOYALTY_STORE_AWAY;
        }
    }

    return result;
}

loyalty_store_result_t
loyalty_store_call(loyalty_store_t *store, loyalty_str_t site,
                   const loyalty_commands_t *commands,
                   loyalty_replies_t *replies)
{
    const bool begun = store->watching != NULL;
    loyalty_store_result_t result;
    bool moving;
    size_t i;
    int hops;

    for (hops = 0; hops < MOVED_MAX; hops++) {
        loyalty_replies_free(replies);

        result = loyalty_store_send(store, site, commands);
        if (result == LOYALTY_STORE_OK) {
            result = loyalty_store_receive(store, site, replies);
        }
        if (result != LOYALTY_STORE_OK) {
            forget_watch(store); /* the caller knows, and begins again */
            return result;
        }

        moving = false;
        for (i = 0; i < replies->count; i++) {
            moving = moving || is_moving(replies->list[i]);
        }

        if (!moving) {
            return LOYALTY_STORE_OK;
        }

        loyalty_store_unwatch(store, site);
        store->mapped = false;

        if (begun) {
            return failed(store, LOYALTY_STORE_CONFLICT,
                          "the slot moved within a transaction");
        }
    }

    return failed(store, LOYALTY_STORE_AWAY, "the slot of %.*s is moving",
                  (int)site.len, site.data);
}

/* What the replies to MULTI ... EXEC mean. */
static loyalty_store_result_t
outcome(loyalty_store_t *store, const loyalty_replies_t *replies,
        size_t commands)
{
    const redisReply *exec, *reply;
    size_t i;

    if (replies->count < commands || commands < 2) {
        return failed(store, LOYALTY_STORE_MALFORMED, "too few replies");
    }

    exec = replies->list[commands - 1];

    if (loyalty_reply_is_nil(exec)) {
        return failed(store, LOYALTY_STORE_CONFLICT, "a watched key changed");
    }

    for (i = 0; i < commands - 1; i++) {
        reply = replies->list[i];

        if (is_moving(reply)) {
            store->mapped = false;
            return failed(store, LOYALTY_STORE_CONFLICT, "the slot moved");
        }

        if (reply->type == REDIS_REPLY_ERROR) {
            return failed(store, LOYALTY_STORE_REFUSED, "%.300s", reply->str);
        }
    }

    if (exec->type == REDIS_REPLY_ERROR) {
        return failed(store, LOYALTY_STORE_REFUSED, "%.300s", exec->str);
    }

    if (!loyalty_reply_array(exec, commands - 2)) {
        return failed(store, LOYALTY_STORE_MALFORMED,
                      "EXEC of %zu commands answers otherwise", commands - 2);
    }

    for (i = 0; i < exec->elements; i++) {
        if (exec->element[i]->type == REDIS_REPLY_ERROR) {
            return failed(store, LOYALTY_STORE_MALFORMED,
                          "command %zu of a transaction failed: %.200s", i,
                          exec->element[i]->str);
        }
    }

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_store_exec_receive(loyalty_store_t *store, loyalty_str_t site,
                           size_t commands, loyalty_replies_t *replies)
{
    loyalty_store_result_t result;

    loyalty_replies_free(replies);
    result = loyalty_store_receive(store, site, replies);

    return result == LOYALTY_STORE_OK ? outcome(store, replies, commands)
                                      : result;
}

loyalty_store_result_t
loyalty_store_exec_send(loyalty_store_t *store, loyalty_str_t site,
                        const loyalty_commands_t *commands)
{
    loyalty_link_t *link = current(store, site);
    bool watches = still_watches(store, link);

    forget_watch(store);

    if (!watches || link->context == NULL || loyalty_link_is_stale(link)) {
        loyalty_link_close(link);
        return failed(store, LOYALTY_STORE_CONFLICT,
                      "the watching connection was lost");
    }

    return loyalty_link_send(link, commands, store->error);
}

loyalty_store_result_t
loyalty_store_exec(loyalty_store_t *store, loyalty_str_t site,
                   const loyalty_commands_t *commands)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    result = loyalty_store_exec_send(store, site, commands);

    if (result == LOYALTY_STORE_OK) {
        result = loyalty_store_exec_receive(store, site, commands->count,
                                            &replies);
    }

    loyalty_replies_free(&replies);

    return result;
}

void
loyalty_store_unwatch(loyalty_store_t *store, loyalty_str_t site)
{
    loyalty_link_t *link = store->watching != NULL ? store->watching
                                                   : current(store, site);
    loyalty_commands_t command;
    redisReply *reply;

    forget_watch(store);

    if (link->context == NULL) {
        return;
    }

    if (loyalty_link_is_stale(link)) {
        loyalty_link_close(link);
        return;
    }

    loyalty_commands_init(&command);
    loyalty_command(&command, "UNWATCH", 1);

    if (ask(store, link, &command, &reply) == LOYALTY_STORE_OK) {
        freeReplyObject(reply);
    }

    loyalty_commands_free(&command);
}
