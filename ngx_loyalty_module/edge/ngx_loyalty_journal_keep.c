/*
 * Housekeeping of the journal, once a second in a thread: cursors go to disk,
 * files past `retain` go away, sets that dead workers left are taken over, and
 * those that are delivered are let go again for the next worker.
 */


#include "ngx_loyalty_journal_keep.h"


typedef struct {
    ngx_loyalty_journal_set_t    *set;
    loyalty_journal_cursor_t      cursor;
    unsigned                      dirty:1;
    unsigned                      release:1;
} ngx_loyalty_keep_set_t;


typedef struct {
    ngx_loyalty_journal_t        *journal;
    ngx_loyalty_keep_set_t        sets[LOYALTY_JOURNAL_SETS_MAX];
    ngx_uint_t                    n;
    loyalty_journal_set_t         adopted[LOYALTY_JOURNAL_SETS_MAX];
    ngx_uint_t                    nadopted;
    uint64_t                      servers[LOYALTY_JOURNAL_SERVERS_MAX];
    ngx_uint_t                    nservers;
    time_t                        before;
    off_t                         total;
    ngx_err_t                     err;
    unsigned                      lost:1;
} ngx_loyalty_keep_t;


static void ngx_loyalty_journal_tick(ngx_event_t *ev);
static void ngx_loyalty_journal_keep(void *data, ngx_log_t *log);
static void ngx_loyalty_journal_keep_orphans(ngx_loyalty_keep_t *keep);
static void ngx_loyalty_journal_kept(ngx_event_t *ev);


ngx_int_t
ngx_loyalty_journal_keep_start(ngx_loyalty_journal_t *journal)
{
    ngx_loyalty_keep_t  *keep;

    journal->keep = ngx_thread_task_alloc(journal->pool,
                                          sizeof(ngx_loyalty_keep_t));
    if (journal->keep == NULL) {
        return NGX_ERROR;
    }

    keep = journal->keep->ctx;
    keep->journal = journal;

    journal->keep->handler = ngx_loyalty_journal_keep;
    journal->keep->event.handler = ngx_loyalty_journal_kept;
    journal->keep->event.data = journal;

    journal->tick.handler = ngx_loyalty_journal_tick;
    journal->tick.data = journal;
    journal->tick.log = journal->log;
    journal->tick.cancelable = 1;

    ngx_add_timer(&journal->tick, 1);

    return NGX_OK;
}


ngx_loyalty_journal_set_t *
ngx_loyalty_journal_adopt(ngx_loyalty_journal_t *journal,
    loyalty_journal_set_t *files)
{
    ngx_loyalty_journal_set_t  *set;

    set = ngx_calloc(sizeof(ngx_loyalty_journal_set_t), journal->log);
    if (set == NULL) {
        return NULL;
    }

    set->journal = journal;
    set->files = *files;

    loyalty_journal_cursor_read(&set->files, &set->cursor);

    if (ngx_loyalty_shipper_init(set) != NGX_OK) {
        ngx_free(set);
        return NULL;
    }

    if (loyalty_journal_cursor_renew(&set->cursor, journal->servers,
                                     journal->nservers))
    {
        set->goals[LOYALTY_JOURNAL_ORDERS].resending = 1;
    }

    ngx_queue_insert_tail(&journal->sets, &set->queue);
    journal->nsets++;

    return set;
}


static void
ngx_loyalty_journal_tick(ngx_event_t *ev)
{
    int64_t                     at, oldest;
    ngx_queue_t                *q, *next;
    ngx_loyalty_keep_t         *keep;
    ngx_loyalty_keep_set_t     *ks;
    ngx_loyalty_journal_t      *journal;
    ngx_loyalty_journal_set_t  *set;

    journal = ev->data;

    ngx_add_timer(&journal->tick, 1000);

    ngx_loyalty_journal_sync(journal);

    oldest = 0;

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = ngx_queue_next(q))
    {
        set = ngx_queue_data(q, ngx_loyalty_journal_set_t, queue);

        ngx_loyalty_shipper_tick(set);

        at = ngx_loyalty_shipper_oldest(set);
        if (at != 0 && (oldest == 0 || at < oldest)) {
            oldest = at;
        }
    }

    ngx_loyalty_gauge(JOURNAL_OLDEST) = oldest;

    if (journal->keeping) {
        return;
    }

    keep = journal->keep->ctx;

    keep->n = 0;
    keep->nadopted = 0;
    keep->before = ngx_time() - journal->conf->retain;
    keep->lost = journal->lost;
    keep->nservers = journal->nservers;
    ngx_memcpy(keep->servers, journal->servers, sizeof(keep->servers));

    if (journal->squeeze) {
        keep->before = ngx_time() + 1;
        journal->squeeze = 0;
    }

    journal->lost = 0;

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = next)
    {
        next = ngx_queue_next(q);
        set = ngx_queue_data(q, ngx_loyalty_journal_set_t, queue);

        ks = &keep->sets[keep->n++];

        ks->set = set;
        ks->cursor = set->cursor;
        ks->dirty = set->dirty;
        ks->release = 0;

        set->dirty = 0;

        if (!set->own && ngx_loyalty_shipper_done(set)) {
            ngx_loyalty_shipper_close(set);
            ngx_queue_remove(q);
            journal->nsets--;
            ks->release = 1;
        }
    }

    if (ngx_thread_task_post(journal->conf->pool, journal->keep) != NGX_OK) {

        for ( /* void */ ; keep->n; keep->n--) {
            ks = &keep->sets[keep->n - 1];
            ks->set->dirty |= ks->dirty;

            if (ks->release) {
                loyalty_journal_set_close(&ks->set->files);
                ngx_free(ks->set);
            }
        }

        return;
    }

    journal->keeping = 1;
}


/* In a thread, as the next one. */

static void
ngx_loyalty_journal_keep(void *data, ngx_log_t *log)
{
    ngx_loyalty_keep_t *keep = data;

    uint64_t                 first;
    ngx_err_t                err;
    ngx_uint_t               i;
    loyalty_journal_set_t   *files;
    ngx_loyalty_keep_set_t  *ks;

    keep->err = 0;
    keep->total = 0;

    for (i = 0; i < keep->n; i++) {
        ks = &keep->sets[i];
        files = &ks->set->files;

        if (ks->dirty || ks->release) {
            err = loyalty_journal_cursor_write(files, &ks->cursor, 0);
            if (err) {
                keep->err = err;
            }
        }

        keep->total += loyalty_journal_set_expire(files, &ks->cursor,
                                                  keep->before);

        if (!ks->release) {
            continue;
        }

        if (!loyalty_journal_set_file(files, 0, &first)) {
            loyalty_journal_set_remove(files, keep->journal->base);

        } else {
            (void) loyalty_journal_cursor_write(files, &ks->cursor, 0);
            loyalty_journal_set_close(files);
        }
    }

    ngx_loyalty_journal_keep_orphans(keep);
}


static void
ngx_loyalty_journal_keep_orphans(ngx_loyalty_keep_t *keep)
{
    size_t                    i, n;
    uint64_t                  ids[LOYALTY_JOURNAL_FOLDERS_MAX];
    uint64_t                  first, stamped;
    ngx_uint_t                k, changed;
    loyalty_journal_set_t     files;
    loyalty_journal_cursor_t  cursor;

    n = loyalty_journal_sets(keep->journal->base, ids,
                             LOYALTY_JOURNAL_FOLDERS_MAX);

    for (i = 0; i < n; i++) {

        for (k = 0; k < keep->n; k++) {
            if (!keep->sets[k].release
                && keep->sets[k].set->files.id == ids[i])
            {
                break;
            }
        }

        if (k < keep->n) {
            continue;
        }

        if (loyalty_journal_set_open(&files, keep->journal->base, ids[i], 0)
            != LOYALTY_OK)
        {
            keep->total += loyalty_journal_set_size(keep->journal->base,
                                                    ids[i]);
            continue;
        }

        loyalty_journal_cursor_read(&files, &cursor);
        stamped = cursor.stamped;

        changed = loyalty_journal_cursor_renew(&cursor, keep->servers,
                                               keep->nservers);
        if (keep->lost) {
            loyalty_journal_cursor_reset(&cursor);
            changed = 1;
        }

        if (loyalty_journal_set_pending(&files, &cursor)
            && keep->n + keep->nadopted < LOYALTY_JOURNAL_SETS_MAX)
        {
            if (changed) {
                (void) loyalty_journal_cursor_write(&files, &cursor, 0);
            }

            keep->total += loyalty_journal_set_size(keep->journal->base,
                                                    ids[i]);
            keep->adopted[keep->nadopted++] = files;
            continue;
        }

        keep->total += loyalty_journal_set_expire(&files, &cursor,
                                                  keep->before);

        if (!loyalty_journal_set_file(&files, 0, &first)) {
            loyalty_journal_set_remove(&files, keep->journal->base);
            continue;
        }

        if (changed || cursor.stamped != stamped) {
            (void) loyalty_journal_cursor_write(&files, &cursor, 0);
        }

        loyalty_journal_set_close(&files);
    }
}


static void
ngx_loyalty_journal_kept(ngx_event_t *ev)
{
    ngx_uint_t                  i;
    ngx_loyalty_keep_t         *keep;
    ngx_loyalty_keep_set_t     *ks;
    ngx_loyalty_journal_t      *journal;
    ngx_loyalty_journal_set_t  *set;

    journal = ev->data;
    keep = journal->keep->ctx;

    journal->keeping = 0;
    journal->total = keep->total;

    ngx_loyalty_gauge(JOURNAL_BYTES) = keep->total;

    for (i = 0; i < keep->n; i++) {
        ks = &keep->sets[i];

        if (ks->release) {
            ngx_free(ks->set);
            continue;
        }

        if (ks->cursor.stamped > ks->set->cursor.stamped) {
            ks->set->cursor.stamped = ks->cursor.stamped;
            ks->set->dirty = 1;
        }
    }

    for (i = 0; i < keep->nadopted; i++) {

        set = ngx_loyalty_journal_adopt(journal, &keep->adopted[i]);
        if (set == NULL) {
            loyalty_journal_set_close(&keep->adopted[i]);
            continue;
        }

        ngx_log_error(NGX_LOG_NOTICE, journal->log, 0,
                      "loyalty journal \"%V\": taking over what another "
                      "worker left", &journal->conf->path->name);

        ngx_loyalty_shipper_wake(set);
    }
}
