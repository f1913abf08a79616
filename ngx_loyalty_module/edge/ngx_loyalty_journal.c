/*
 * The writer of the journal: the directive, groups and their commits.  See
 * the header for the way of an order; housekeeping is in _keep.c.
 *
 * A group that can't be written, or a disk that hangs, sends its orders
 * directly to Redis: the answer never fails and never waits for long.
 */


#include "ngx_loyalty_journal.h"
#include "ngx_loyalty_journal_keep.h"

#include <sys/random.h>


#define NGX_LOYALTY_JOURNAL_TRIES  16


static ngx_int_t ngx_loyalty_journal_open(ngx_loyalty_journal_t *journal);
static void ngx_loyalty_journal_start(ngx_event_t *ev);
static void ngx_loyalty_journal_start_commit(ngx_loyalty_journal_t *journal);
static void ngx_loyalty_journal_commit(void *data, ngx_log_t *log);
static void ngx_loyalty_journal_committed(ngx_event_t *ev);
static void ngx_loyalty_journal_written(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group);
static void ngx_loyalty_journal_refused(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group);
static void ngx_loyalty_journal_divert(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group);
static void ngx_loyalty_journal_hangs(ngx_event_t *ev);


char *
ngx_loyalty_journal_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_loyalty_journal_conf_t  *jcf;

    ngx_str_t    s, name, *value;
    ngx_uint_t   i;
    ngx_path_t  *path;

    jcf = (ngx_loyalty_journal_conf_t *) (p + cmd->offset);

    if (jcf->path != NULL) {
        return "is duplicate";
    }

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    jcf->sync = NGX_LOYALTY_JOURNAL_ALWAYS;
    jcf->retain = 3600;
    jcf->max_size = 1024 * 1024 * 1024;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "sync=", 5) == 0) {

            if (ngx_strcmp(&value[i].data[5], "always") == 0) {
                jcf->sync = NGX_LOYALTY_JOURNAL_ALWAYS;

            } else if (ngx_strcmp(&value[i].data[5], "everysec") == 0) {
                jcf->sync = NGX_LOYALTY_JOURNAL_EVERYSEC;

            } else if (ngx_strcmp(&value[i].data[5], "off") == 0) {
                jcf->sync = NGX_LOYALTY_JOURNAL_OFF;

            } else {
                goto invalid;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "retain=", 7) == 0) {
            s.len = value[i].len - 7;
            s.data = value[i].data + 7;

            jcf->retain = ngx_parse_time(&s, 1);
            if (jcf->retain == (time_t) NGX_ERROR) {
                goto invalid;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "max_size=", 9) == 0) {
            s.len = value[i].len - 9;
            s.data = value[i].data + 9;

            jcf->max_size = ngx_parse_offset(&s);
            if (jcf->max_size < 16 * LOYALTY_JOURNAL_FILE_SIZE_MIN) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "loyalty_journal \"%V\" must have a size "
                                   "of at least 1m", &value[i]);
                return NGX_CONF_ERROR;
            }

            continue;
        }

    invalid:

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of loyalty_journal, "
                           "known are sync=always|everysec|off, retain=TIME "
                           "and max_size=SIZE", &value[i]);
        return NGX_CONF_ERROR;
    }

    path->name = value[1];

    while (path->name.len > 1
           && path->name.data[path->name.len - 1] == '/')
    {
        path->name.len--;
    }

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    if (ngx_add_path(cf, &path) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    jcf->path = path;

    ngx_str_set(&name, "loyalty_journal");

    jcf->pool = ngx_loyalty_thread_pool(cf, &name, 2);
    if (jcf->pool == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_loyalty_journal_t *
ngx_loyalty_journal_create(ngx_cycle_t *cycle,
    ngx_loyalty_journal_conf_t *conf, ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_conf_t *redis_conf)
{
    ngx_uint_t              i;
    ngx_loyalty_journal_t  *journal;

    journal = ngx_pcalloc(cycle->pool, sizeof(ngx_loyalty_journal_t));
    if (journal == NULL) {
        return NULL;
    }

    journal->conf = conf;
    journal->redis = redis;
    journal->prefix.data = (char *) redis_conf->prefix.data;
    journal->prefix.len = redis_conf->prefix.len;
    journal->servers_max = redis_conf->cluster ? LOYALTY_JOURNAL_SERVERS_MAX
                                               : 1;
    journal->log = cycle->log;
    journal->pool = cycle->pool;
    journal->file.fd = -1;

    ngx_queue_init(&journal->sets);

    for (i = 0; i < 2; i++) {
        ngx_queue_init(&journal->groups[i].ops);
    }

    journal->gather = &journal->groups[0];
    journal->writing = &journal->groups[1];

    journal->start.handler = ngx_loyalty_journal_start;
    journal->start.data = journal;
    journal->start.log = cycle->log;

    journal->wait.handler = ngx_loyalty_journal_hangs;
    journal->wait.data = journal;
    journal->wait.log = cycle->log;
    journal->wait.cancelable = 1;

    journal->commit = ngx_thread_task_alloc(cycle->pool, 0);
    if (journal->commit == NULL) {
        return NULL;
    }

    journal->commit->ctx = journal;
    journal->commit->handler = ngx_loyalty_journal_commit;
    journal->commit->event.handler = ngx_loyalty_journal_committed;
    journal->commit->event.data = journal;

    if (ngx_loyalty_shipper_start(journal) != NGX_OK) {
        return NULL;
    }

    /* A folder that can't be used is no reason to close the shop. */

    if (ngx_loyalty_journal_open(journal) == NGX_OK
        && ngx_loyalty_journal_keep_start(journal) != NGX_OK)
    {
        return NULL;
    }

    return journal;
}


/* The first set without an owner is ours, else a new one. */

static ngx_int_t
ngx_loyalty_journal_open(ngx_loyalty_journal_t *journal)
{
    size_t                 i, n;
    uint64_t               ids[LOYALTY_JOURNAL_SETS_MAX], id;
    loyalty_status_t       status;
    loyalty_journal_set_t  files;

    journal->base = open((char *) journal->conf->path->name.data,
                         O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    if (journal->base == -1) {
        goto failed;
    }

    n = loyalty_journal_sets(journal->base, ids, LOYALTY_JOURNAL_SETS_MAX);

    status = LOYALTY_ERROR_NOT_FOUND;

    for (i = 0; i < n && status != LOYALTY_OK; i++) {
        status = loyalty_journal_set_open(&files, journal->base, ids[i], 0);
    }

    /*
     * Another worker may see a new set before we have locked it, take it,
     * and, as it is empty, remove it.
     */

    for (i = 0; i < NGX_LOYALTY_JOURNAL_TRIES && status != LOYALTY_OK; i++) {

        if (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
            goto failed;
        }

        status = loyalty_journal_set_open(&files, journal->base, id, 1);

        if (status != LOYALTY_OK
            && status != LOYALTY_ERROR_REFUSED
            && status != LOYALTY_ERROR_NOT_FOUND)
        {
            goto failed;
        }
    }

    if (status != LOYALTY_OK) {
        goto failed;
    }

    journal->own = ngx_loyalty_journal_adopt(journal, &files);
    if (journal->own == NULL) {
        loyalty_journal_set_close(&files);
        goto failed;
    }

    journal->own->own = 1;
    journal->next_id = loyalty_journal_set_session(&files);
    journal->durable_file = journal->next_id;

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_CRIT, journal->log, ngx_errno,
                  "loyalty journal \"%V\" can not be used, orders go directly "
                  "to Redis", &journal->conf->path->name);

    return NGX_ERROR;
}


ngx_int_t
ngx_loyalty_journal_append(ngx_loyalty_journal_t *journal,
    loyalty_journal_payload_t *payload, ngx_loyalty_journal_op_t *op)
{
    size_t                len, size, room;
    u_char               *p, *records;
    uint64_t              id;
    ngx_loyalty_group_t  *group;

    group = journal->gather;
    id = journal->next_id++;

    len = loyalty_journal_payload_size(payload);
    size = loyalty_journal_record_size(len);

    if (len > LOYALTY_JOURNAL_PAYLOAD_MAX
        || group->len + size > LOYALTY_JOURNAL_GROUP_MAX
        || journal->hung
        || journal->own == NULL)
    {
        return ngx_loyalty_shipper_direct(journal, id, payload, op);
    }

    if (group->len + size > group->size) {
        room = ngx_max(group->size * 2, ngx_max(group->len + size, 16384));

        records = ngx_alloc(room, journal->log);
        if (records == NULL) {
            return ngx_loyalty_shipper_direct(journal, id, payload, op);
        }

        if (group->records) {
            ngx_memcpy(records, group->records, group->len);
            ngx_free(group->records);
        }

        group->records = records;
        group->size = room;
    }

    p = group->records + group->len;

    loyalty_journal_payload_write(p + LOYALTY_JOURNAL_RECORD_HEADER, payload);
    loyalty_journal_record_write(p, journal->own->files.id, id,
                                 p + LOYALTY_JOURNAL_RECORD_HEADER, len);

    if (group->len == 0) {
        group->first = id;
    }

    group->last = id;
    op->offset = group->len;
    group->len += size;
    group->count++;
    group->posts += (payload->uri.len != 0);
    ngx_queue_insert_tail(&group->ops, &op->queue);

    if (!journal->committing && !journal->start.posted
        && !journal->start.timer_set)
    {
        ngx_post_event(&journal->start, &ngx_posted_events);
    }

    return NGX_OK;
}


/*
 * Answers that came with the same round of the event loop share a group, and
 * groups start a millisecond apart: one order alone does not wait, and many
 * don't pay for a sync each.
 */

static void
ngx_loyalty_journal_start(ngx_event_t *ev)
{
    ngx_loyalty_journal_t  *journal;

    journal = ev->data;

    if (journal->committing || journal->gather->len == 0) {
        return;
    }

    if (journal->started == ngx_current_msec) {
        ngx_add_timer(&journal->start, 1);
        return;
    }

    ngx_loyalty_journal_start_commit(journal);
}


static void
ngx_loyalty_journal_start_commit(ngx_loyalty_journal_t *journal)
{
    ngx_loyalty_group_t  *group;

    group = journal->gather;
    journal->gather = journal->writing;
    journal->writing = group;

    group->room = journal->conf->max_size - journal->total;
    group->sync = (journal->conf->sync == NGX_LOYALTY_JOURNAL_ALWAYS
                   || group->len == 0);

    if (ngx_thread_task_post(journal->conf->pool, journal->commit) != NGX_OK) {
        group->err = NGX_EAGAIN;
        ngx_loyalty_journal_refused(journal, group);
        return;
    }

    journal->committing = 1;
    journal->started = ngx_current_msec;
    ngx_add_timer(&journal->wait, LOYALTY_JOURNAL_WAIT_MAX);
}


/* In a thread.  A group without records is a sync that has come due. */

static void
ngx_loyalty_journal_commit(void *data, ngx_log_t *log)
{
    ngx_loyalty_journal_t *journal = data;

    off_t                    size;
    uint64_t                 start;
    ngx_loyalty_group_t     *group;
    loyalty_journal_file_t  *file;

    group = journal->writing;
    file = &journal->file;

    group->err = 0;
    group->full = 0;
    group->grown = 0;

    if (file->fd != -1 && file->end + (off_t) group->len > file->size) {
        loyalty_journal_file_close(file,
                         journal->conf->sync != NGX_LOYALTY_JOURNAL_OFF);
    }

    if (group->len == 0) {

        if (file->fd == -1) {
            return;
        }

    } else if (file->fd == -1) {

        size = ngx_min(journal->conf->max_size / 16,
                       LOYALTY_JOURNAL_FILE_SIZE);
        size = ngx_max(size, (off_t) group->len + LOYALTY_JOURNAL_FILE_HEADER);

        if (size > group->room) {
            group->err = NGX_ENOSPC;
            group->full = 1;
            return;
        }

        group->err = loyalty_journal_file_create(file,
                              journal->own->files.dir,
                              journal->own->files.id, group->first, size,
                              journal->conf->sync != NGX_LOYALTY_JOURNAL_OFF);
        if (group->err) {
            return;
        }

        group->grown = size;
    }

    if (group->len) {
        group->err = loyalty_journal_file_append(file, group->records,
                                                 group->len);
    }

    if (group->err == 0 && group->sync) {
        start = ngx_loyalty_usec();
        loyalty_journal_file_zero(file);
        group->err = loyalty_journal_file_sync(file);
        group->usec = ngx_loyalty_usec() - start;
    }

    if (group->err) {

        /*
         * After a failed sync nobody knows what is on disk: nothing more goes
         * behind it.
         */

        loyalty_journal_file_close(file, 0);
    }
}


static void
ngx_loyalty_journal_committed(ngx_event_t *ev)
{
    ngx_loyalty_group_t    *group;
    ngx_loyalty_journal_t  *journal;

    journal = ev->data;
    group = journal->writing;

    journal->committing = 0;

    if (journal->wait.timer_set) {
        ngx_del_timer(&journal->wait);
    }

    if (journal->hung) {
        journal->hung = 0;

        ngx_log_error(NGX_LOG_NOTICE, journal->log, 0,
                      "loyalty journal \"%V\": the disk answers again",
                      &journal->conf->path->name);
    }

    journal->total += group->grown;

    if (group->err == 0) {
        ngx_loyalty_journal_written(journal, group);

    } else {
        ngx_loyalty_journal_refused(journal, group);
    }

    ngx_loyalty_journal_start(&journal->start);
}


static void
ngx_loyalty_journal_written(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group)
{
    ngx_queue_t               *q;
    ngx_loyalty_journal_op_t  *op;

    if (group->sync) {
        ngx_loyalty_metric(JOURNAL_SYNCS)++;
        ngx_loyalty_observe(JOURNAL_SYNC, group->usec);
        journal->unsynced = 0;

    } else {
        journal->unsynced = (journal->conf->sync
                             == NGX_LOYALTY_JOURNAL_EVERYSEC);
    }

    if (group->len == 0) {
        return;
    }

    if (journal->failed) {
        journal->failed = 0;

        ngx_log_error(NGX_LOG_NOTICE, journal->log, 0,
                      "loyalty journal \"%V\" can be written again",
                      &journal->conf->path->name);
    }

    journal->losing = 0;
    journal->durable_file = journal->file.first;
    journal->durable_end = journal->file.end;
    journal->durable_id = group->last;

    while (!ngx_queue_empty(&group->ops)) {
        q = ngx_queue_head(&group->ops);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_loyalty_journal_op_t, queue);
        op->handler(op, NGX_OK);
    }

    ngx_loyalty_shipper_written(journal, group);
    ngx_loyalty_journal_group_reset(group);
}


static void
ngx_loyalty_journal_refused(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group)
{
    ngx_loyalty_metric(JOURNAL_FAILURES)++;

    if (!journal->failed) {
        journal->failed = 1;

        if (group->full) {
            ngx_log_error(NGX_LOG_CRIT, journal->log, 0,
                          "loyalty journal \"%V\" has reached its max_size, "
                          "orders go directly to Redis",
                          &journal->conf->path->name);

        } else {
            ngx_log_error(NGX_LOG_CRIT, journal->log, group->err,
                          "loyalty journal \"%V\" can not be written, "
                          "orders go directly to Redis",
                          &journal->conf->path->name);
        }
    }

    journal->squeeze = 1;

    ngx_loyalty_journal_divert(journal, group);
    ngx_loyalty_journal_group_reset(group);
}


/* Orders of a group that answers no longer wait for: directly to Redis. */

static void
ngx_loyalty_journal_divert(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group)
{
    ngx_queue_t                *q;
    loyalty_journal_record_t    record;
    ngx_loyalty_journal_op_t   *op;
    loyalty_journal_payload_t   payload;

    while (!ngx_queue_empty(&group->ops)) {
        q = ngx_queue_head(&group->ops);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_loyalty_journal_op_t, queue);

        if (loyalty_journal_record_read(group->records + op->offset,
                                        group->len - op->offset,
                                        journal->own->files.id, 0, &record)
            != LOYALTY_OK
            || loyalty_journal_payload_read(record.payload, record.len,
                                            &payload)
               != LOYALTY_OK
            || ngx_loyalty_shipper_direct(journal, record.id, &payload, op)
               != NGX_OK)
        {
            op->handler(op, NGX_ERROR);
        }
    }
}


static void
ngx_loyalty_journal_hangs(ngx_event_t *ev)
{
    ngx_loyalty_journal_t  *journal;

    journal = ev->data;
    journal->hung = 1;

    ngx_loyalty_metric(JOURNAL_FAILURES)++;

    ngx_log_error(NGX_LOG_CRIT, journal->log, 0,
                  "loyalty journal \"%V\": the disk has not answered for "
                  "%d ms, orders go directly to Redis",
                  &journal->conf->path->name, LOYALTY_JOURNAL_WAIT_MAX);

    ngx_loyalty_journal_divert(journal, journal->writing);
    ngx_loyalty_journal_divert(journal, journal->gather);
}


void
ngx_loyalty_journal_sync(ngx_loyalty_journal_t *journal)
{
    if (journal->unsynced && !journal->committing
        && journal->gather->len == 0)
    {
        ngx_loyalty_journal_start_commit(journal);
    }
}


void
ngx_loyalty_journal_group_reset(ngx_loyalty_group_t *group)
{
    group->len = 0;
    group->count = 0;
    group->posts = 0;

    if (group->size > 1024 * 1024) {
        ngx_free(group->records);
        group->records = NULL;
        group->size = 0;
    }
}


void
ngx_loyalty_journal_close(ngx_loyalty_journal_t *journal)
{
    ngx_queue_t                *q;
    ngx_loyalty_journal_set_t  *set;

    /* The threads have ended: a group under way has been written. */

    if (journal->gather->len) {
        journal->writing = journal->gather;
        journal->writing->sync = 1;
        journal->writing->room = journal->conf->max_size;
        ngx_loyalty_journal_commit(journal, journal->log);
    }

    loyalty_journal_file_close(&journal->file,
                               journal->conf->sync != NGX_LOYALTY_JOURNAL_OFF);

    ngx_free(journal->tail.records);

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = ngx_queue_next(q))
    {
        set = ngx_queue_data(q, ngx_loyalty_journal_set_t, queue);

        ngx_loyalty_shipper_close(set);

        if (set->dirty) {
            (void) loyalty_journal_cursor_write(&set->files, &set->cursor, 0);
        }

        loyalty_journal_set_close(&set->files);
    }

    if (journal->base != -1) {
        close(journal->base);
    }
}
