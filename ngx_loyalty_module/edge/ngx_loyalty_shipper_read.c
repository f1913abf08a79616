/*
 * What the shipper sends next: from memory what has just been written, from
 * its file what is older.
 *
 *   file   [ ...... sent ...... | taken | on disk, not yet taken ]
 *   tail             [ ........ |.......|........................]
 *                               ^ reader
 *
 * The reader is a place in the set, wherever the bytes come from.  Where it is
 * outside the tail a thread reads on, until it has come there again.
 */


#include "ngx_loyalty_shipper.h"


static void ngx_loyalty_tail_trim(ngx_loyalty_journal_t *journal, size_t room);
static void ngx_loyalty_tail_keep(ngx_loyalty_journal_t *journal, size_t len);
static ngx_int_t ngx_loyalty_goal_open(ngx_loyalty_goal_t *goal);
static void ngx_loyalty_goal_copy(ngx_loyalty_goal_t *goal,
    loyalty_journal_record_t *record);
static void ngx_loyalty_goal_add(ngx_loyalty_goal_t *goal,
    loyalty_journal_record_t *record, u_char *payload);


void
ngx_loyalty_tail_add(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group)
{
    off_t                start;
    ngx_loyalty_tail_t  *tail;

    tail = &journal->tail;
    start = journal->durable_end - group->len;

    if (tail->file != journal->durable_file
        || tail->start + (off_t) tail->len != start)
    {
        ngx_loyalty_tail_keep(journal, 0);
        tail->file = journal->durable_file;
        tail->start = start;
    }

    if (tail->len + group->len > LOYALTY_SHIP_TAIL_MAX) {
        ngx_loyalty_tail_trim(journal, group->len);
    }

    if (tail->records == NULL) {
        tail->records = ngx_alloc(LOYALTY_SHIP_TAIL_MAX, journal->log);
    }

    if (tail->records == NULL
        || tail->len + group->len > LOYALTY_SHIP_TAIL_MAX)
    {
        return;
    }

    ngx_memcpy(tail->records + tail->len, group->records, group->len);
    tail->len += group->len;
}


/* What was taken goes; with no room even so, all: it is read from the file. */

static void
ngx_loyalty_tail_trim(ngx_loyalty_journal_t *journal, size_t room)
{
    off_t                at, end;
    ngx_loyalty_goal_t  *goal;
    ngx_loyalty_tail_t  *tail;

    tail = &journal->tail;
    goal = &journal->own->goals[LOYALTY_JOURNAL_ORDERS];
    end = tail->start + tail->len;

    if (!goal->reading && goal->reader.fd != -1
        && goal->reader.first == tail->file)
    {
        at = loyalty_journal_reader_at(&goal->reader);

        if (at > tail->start && at <= end
            && end - at + room <= LOYALTY_SHIP_TAIL_MAX)
        {
            ngx_loyalty_tail_keep(journal, end - at);
            return;
        }
    }

    ngx_loyalty_tail_keep(journal, 0);
}


/* Parcels under way go on to point into the old memory. */

static void
ngx_loyalty_tail_keep(ngx_loyalty_journal_t *journal, size_t len)
{
    u_char              *rest;
    ngx_loyalty_goal_t  *goal;
    ngx_loyalty_tail_t  *tail;

    tail = &journal->tail;
    goal = &journal->own->goals[LOYALTY_JOURNAL_ORDERS];

    rest = tail->records + tail->len - len;

    tail->start += tail->len - len;
    tail->len = len;

    if (!goal->taken) {
        if (len) {
            ngx_memmove(tail->records, rest, len);
        }

        return;
    }

    goal->taken = 0;
    goal->held = tail->records;

    tail->records = ngx_alloc(LOYALTY_SHIP_TAIL_MAX, journal->log);

    if (tail->records == NULL) {
        tail->start += len;
        tail->len = 0;

    } else {
        ngx_memcpy(tail->records, rest, len);
    }
}


/* The next batch, where the reader has come to what is still in memory. */

ngx_int_t
ngx_loyalty_goal_take(ngx_loyalty_goal_t *goal)
{
    off_t                      at, end;
    u_char                    *p;
    ngx_loyalty_tail_t        *tail;
    loyalty_journal_record_t   record;
    loyalty_journal_reader_t  *reader;

    tail = &goal->set->journal->tail;
    reader = &goal->reader;

    if (!goal->set->own || goal->kind != LOYALTY_JOURNAL_ORDERS
        || reader->fd == -1 || reader->first != tail->file)
    {
        return NGX_DECLINED;
    }

    at = loyalty_journal_reader_at(reader);
    end = tail->start + tail->len;

    if (at < tail->start) {
        return NGX_DECLINED;
    }

    while (at < end
           && goal->n < LOYALTY_SHIP_BATCH_MAX
           && goal->bytes < LOYALTY_SHIP_BYTES_MAX)
    {
        p = tail->records + (at - tail->start);

        if (loyalty_journal_record_read(p, end - at, reader->set, reader->last,
                                        &record)
            != LOYALTY_OK)
        {
            break;
        }

        if (record.id > goal->acked) {
            ngx_loyalty_goal_add(goal, &record, (u_char *) record.payload);
        }

        at += record.size;
        loyalty_journal_reader_move(reader, at, record.id);
    }

    if (goal->n == 0) {
        return NGX_DECLINED;
    }

    goal->taken = 1;
    goal->drained = (reader->first == goal->limit && at == goal->limit_end);

    return NGX_OK;
}


/* In a thread: the next batch of records not yet delivered. */

void
ngx_loyalty_goal_read(void *data, ngx_log_t *log)
{
    ngx_loyalty_goal_t *goal = data;

    off_t                      end;
    loyalty_status_t           status;
    loyalty_journal_record_t   record;
    loyalty_journal_reader_t  *reader;

    reader = &goal->reader;

    while (goal->n < LOYALTY_SHIP_BATCH_MAX
           && goal->bytes < LOYALTY_SHIP_BYTES_MAX)
    {
        if (reader->fd == -1 && ngx_loyalty_goal_open(goal) != NGX_OK) {
            goal->drained = 1;
            return;
        }

        end = (reader->first == goal->limit) ? goal->limit_end : -1;

        status = loyalty_journal_reader_next(reader, end, &record);

        if (status == LOYALTY_OK) {

            if (record.id > goal->acked) {
                ngx_loyalty_goal_copy(goal, &record);
            }

            continue;
        }

        if (end >= 0) {
            goal->drained = 1;
            return;
        }

        goal->damaged += reader->damaged;
        goal->file = reader->first + 1;
        loyalty_journal_reader_close(reader);
    }
}


static ngx_int_t
ngx_loyalty_goal_open(ngx_loyalty_goal_t *goal)
{
    uint64_t          first;
    loyalty_status_t  status;

    while (loyalty_journal_set_file(&goal->set->files, goal->file, &first)
           && first <= goal->limit)
    {
        status = loyalty_journal_reader_open(&goal->reader,
                                             goal->set->files.dir,
                                             goal->set->files.id, first);
        if (status == LOYALTY_OK) {
            goal->file = first;
            return NGX_OK;
        }

        if (status == LOYALTY_ERROR_MEMORY) {
            return NGX_ERROR;
        }

        goal->damaged++;
        goal->file = first + 1;
    }

    return NGX_DECLINED;
}


static void
ngx_loyalty_goal_copy(ngx_loyalty_goal_t *goal,
    loyalty_journal_record_t *record)
{
    u_char  *bytes;

    bytes = malloc(record->len);
    if (bytes == NULL) {
        goal->nomem = 1;
        goal->bytes = LOYALTY_SHIP_BYTES_MAX;
        return;
    }

    ngx_memcpy(bytes, record->payload, record->len);

    ngx_loyalty_goal_add(goal, record, bytes);

    goal->parcels[goal->n - 1].bytes = bytes;
}


static void
ngx_loyalty_goal_add(ngx_loyalty_goal_t *goal,
    loyalty_journal_record_t *record, u_char *payload)
{
    ngx_loyalty_parcel_t  *parcel;

    parcel = &goal->parcels[goal->n++];
    ngx_memzero(parcel, sizeof(ngx_loyalty_parcel_t));

    parcel->goal = goal;
    parcel->id = record->id;

    goal->bytes += record->len;

    if (loyalty_journal_payload_read(payload, record->len, &parcel->payload)
        != LOYALTY_OK)
    {
        parcel->done = 1;
        goal->damaged += record->len;
    }
}
