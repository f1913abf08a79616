/*
 * A hash table of variable-length records in one block of shared memory, made
 * for many readers: they take no lock and write nothing but a visited bit.
 *
 *   +--------+----------------------------------+------+----------------+
 *   | header | log of records                   | free | buckets        |
 *   +--------+----------------------------------+------+----------------+
 *            first  -> tail                            <- grows downwards
 *
 * The log is a ring.  A record is appended at the tail; the head, which runs
 * ahead of the tail once the memory is full, drops what it meets, or appends
 * it again if it was visited since (CLOCK).  Records stand one after another
 * without classes or padding, so a record costs its header and its slot.
 *
 * The index is a linear hash: it grows by one bucket at a time, out of the
 * free memory, and so gets exactly as large as the number of records that fit
 * asks for, whatever their size.  A key has two buckets.
 *
 *   bucket, 64 bytes:  sequence | place[10] | tag[10]
 *   record, 20 bytes:  96 bits of the hash | expires | epoch, length | data
 *
 * A key is known by 112 bits of a keyed 128-bit hash: 96 in the record and 16
 * in the tag.
 *
 * A bucket's sequence is odd while a writer changes it or a record it points
 * to.  A reader copies the record between two equal even sequences, else it
 * has a miss.  The memory of a record is only used again after its slot has
 * been cleared.
 *
 * Writers are serialised by the caller's lock.  The invariant: whatever
 * instruction a writer dies at, the next one finds a table that it can use.
 * A bucket left odd is emptied by the next writer that comes by.
 *
 * Nothing here knows of nginx: instants are parameters, the lock is the
 * caller's, and it compiles alone.
 */

#ifndef _NGX_LOYALTY_TABLE_H_INCLUDED_
#define _NGX_LOYALTY_TABLE_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


/* A record's data, in bytes. */
#define NGX_LOYALTY_TABLE_DATA_MAX    4096

#define NGX_LOYALTY_TABLE_EPOCH_MASK  0x7ffff

#define NGX_LOYALTY_TABLE_SIZE_MIN    (64 * 1024)
#define NGX_LOYALTY_TABLE_SIZE_MAX    ((uint64_t) 8 << 30)


typedef struct ngx_loyalty_table_s  ngx_loyalty_table_t;


/* Uniform and not to be foreseen by those who choose the keys. */

typedef struct {
    uint32_t   word[4];
} ngx_loyalty_hash_t;


/* Where a record was when it was read. */

typedef struct {
    const uint32_t  *sequence;       /* NULL: it was not */
    const uint32_t  *slot;
    uint32_t         at;
    uint32_t         place;
} ngx_loyalty_table_seen_t;


typedef struct {
    uint32_t                   expires;  /* in seconds, as the caller counts */
    uint32_t                   epoch;    /* 19 bits */
    uint32_t                   len;
    ngx_loyalty_table_seen_t   seen;     /* set by a read */
} ngx_loyalty_record_info_t;


typedef struct {
    uint64_t   size;                 /* all of it, header and index included */
    uint64_t   index;                /* bytes of buckets */
    uint64_t   records;
    uint64_t   evicted;
    uint64_t   repaired;             /* buckets a dead writer had left */
} ngx_loyalty_table_stat_t;


/* The table in `memory`, 64-byte aligned; NULL: too small or too large. */
ngx_loyalty_table_t *ngx_loyalty_table_create(void *memory, size_t size);

/*
 * Without the lock.  1: the record is in `buffer`, which has room for
 * NGX_LOYALTY_TABLE_DATA_MAX bytes; 0: not there, or being written.
 */
int ngx_loyalty_table_read(ngx_loyalty_table_t *table,
    const ngx_loyalty_hash_t *hash, void *buffer,
    ngx_loyalty_record_info_t *info);

/* Without the lock.  1: the record that was read is there as it was; 0: not
 * certain, read it. */
int ngx_loyalty_table_unchanged(const ngx_loyalty_record_info_t *info);

/* Without the lock.  1: certainly not there; 0: there, or not certain. */
int ngx_loyalty_table_absent(ngx_loyalty_table_t *table,
    const ngx_loyalty_hash_t *hash);

/*
 * The rest is called under the lock.
 *
 * Writes or replaces a record.  `keep`: records that expire before it are not
 * worth a second round.  `info->len` is at most NGX_LOYALTY_TABLE_DATA_MAX.
 * There is always room: others are evicted.
 */
void ngx_loyalty_table_write(ngx_loyalty_table_t *table,
    const ngx_loyalty_hash_t *hash, const void *data,
    const ngx_loyalty_record_info_t *info, uint32_t keep);

/* 1: it was there. */
int ngx_loyalty_table_drop(ngx_loyalty_table_t *table,
    const ngx_loyalty_hash_t *hash);

void ngx_loyalty_table_clear(ngx_loyalty_table_t *table);

void ngx_loyalty_table_stat(ngx_loyalty_table_t *table,
    ngx_loyalty_table_stat_t *stat);


#endif /* _NGX_LOYALTY_TABLE_H_INCLUDED_ */
