/*
 * A set: the journal files of one writer, in a folder of their own.
 *
 *   DIR/<set id>/lock      held (flock) by the process that owns the set
 *   DIR/<set id>/cursor    how far it was delivered, two slots
 *   DIR/<set id>/<first record id>.log ...
 *
 * A set has one owner at a time; one without is an orphan and is taken over.
 * Set ids are random, so a record's id is unique with its set's, everywhere.
 * The upper 24 bits of a record id count the set's writers: a new one never
 * writes behind a torn tail and never reuses an id.
 *
 * A file may go when all its records are delivered and `retain` has passed
 * since: its time of change is set when that is noticed first.
 */

#ifndef LOYALTY_JOURNAL_SET_H
#define LOYALTY_JOURNAL_SET_H

#include <time.h>

#include "loyalty_journal_file.h"

typedef struct {
    uint64_t id;
    int dir;  /* -1: not open */
    int lock;
    int slot; /* of the cursor written last */
} loyalty_journal_set_t;

/* Where a record may go. */
typedef enum {
    LOYALTY_JOURNAL_ORDERS = 0, /* the stream of orders */
    LOYALTY_JOURNAL_POSTS,      /* the merchant's own location */
    LOYALTY_JOURNAL_GOALS
} loyalty_journal_goal_t;

/* Servers that are known at once: nodes of a cluster. */
#define LOYALTY_JOURNAL_SERVERS_MAX 32

typedef struct {
    uint64_t acked[LOYALTY_JOURNAL_GOALS]; /* up to this record id */
    uint64_t file[LOYALTY_JOURNAL_GOALS];  /* all files before it are done */
    uint64_t stamped; /* files before it show when they were delivered */
    uint64_t handed;  /* oldest post left to the back end; 0: none */
    uint64_t nservers;
    uint64_t servers[LOYALTY_JOURNAL_SERVERS_MAX]; /* for whom that holds */
} loyalty_journal_cursor_t;

/*
 * Opens and locks a set; makes it where `create`.  LOYALTY_ERROR_REFUSED: it
 * has an owner; _NOT_FOUND: no such set (any more); _INVALID: errno says why.
 */
loyalty_status_t loyalty_journal_set_open(loyalty_journal_set_t *set, int base,
                                          uint64_t id, bool create);
/* Unlocks; the files stay. */
void loyalty_journal_set_close(loyalty_journal_set_t *set);
/* Removes an owned set that has no files left, and closes it. */
void loyalty_journal_set_remove(loyalty_journal_set_t *set, int base);

/* Ids of all sets under `base`, at most `max`; returns how many. */
size_t loyalty_journal_sets(int base, uint64_t *ids, size_t max);

/* The oldest file at or above `first`; false: none. */
bool loyalty_journal_set_file(const loyalty_journal_set_t *set, uint64_t first,
                              uint64_t *found);

/* The first id for a new writer of this set. */
uint64_t loyalty_journal_set_session(const loyalty_journal_set_t *set);

/* Zeroed where there is none, or none that is whole. */
void loyalty_journal_cursor_read(loyalty_journal_set_t *set,
                                 loyalty_journal_cursor_t *cursor);
/* Returns 0 or an errno. */
int loyalty_journal_cursor_write(loyalty_journal_set_t *set,
                                 const loyalty_journal_cursor_t *cursor,
                                 bool sync);

/* Bytes on disk of a set that may be another's. */
off_t loyalty_journal_set_size(int base, uint64_t id);

/*
 * These servers hold the streams now; the cursor keeps the last `max` of them.
 * One it does not know may have lost what was delivered: the orders, and the
 * posts that were left to the back end, begin again.  Returns whether they do.
 */
bool loyalty_journal_cursor_renew(loyalty_journal_cursor_t *cursor,
                                  const uint64_t *servers, size_t n);
void loyalty_journal_cursor_reset(loyalty_journal_cursor_t *cursor);

/* Are there files that some goal has not done with? */
bool loyalty_journal_set_pending(const loyalty_journal_set_t *set,
                                 const loyalty_journal_cursor_t *cursor);

/*
 * Stamps files that all goals have done with, and unlinks those stamped before
 * `before`.  Returns the bytes that are left on disk.
 */
off_t loyalty_journal_set_expire(const loyalty_journal_set_t *set,
                                 loyalty_journal_cursor_t *cursor,
                                 time_t before);

#endif
