/*
 * Files of the order journal: records, one after another, that survive a
 * kill at any byte.  Plain C11 and system calls; no nginx, no threads.
 *
 *   file    [ "LJRNL 1\n" | set u64 | first id u64 | crc u32 | 0 u32 ]
 *           [ record ] [ record ] ... zeros up to the preallocated size
 *   record  [ crc u32 | length u32 | id u64 | payload, padded to 8 ]
 *
 * The top byte of a length is a mark.  A CRC32C covers length, id and payload
 * and starts from the set's id, so bytes of another set are no record of this
 * one.  Ids only grow.  Little endian, as the machine; a journal does not move
 * between machines.
 *
 * A damaged record is passed over: reading goes on at the next 8 bytes that
 * hold a whole one.  A torn tail is where none follows.
 */

#ifndef LOYALTY_JOURNAL_FILE_H
#define LOYALTY_JOURNAL_FILE_H

#include <sys/types.h>

#include "loyalty.h"

#define LOYALTY_JOURNAL_FILE_HEADER 32
#define LOYALTY_JOURNAL_RECORD_HEADER 16

uint32_t loyalty_crc32c(uint32_t crc, const void *data, size_t len);

/* What a record takes in the file. */
size_t loyalty_journal_record_size(size_t len);

/* Writes a record of that size; `len` <= LOYALTY_JOURNAL_PAYLOAD_MAX.  The
 * payload may already stand in its place. */
void loyalty_journal_record_write(uint8_t *out, uint64_t set, uint64_t id,
                                  const void *payload, size_t len);

typedef struct {
    uint64_t id;
    const uint8_t *payload;
    size_t len;
    size_t size; /* with header and padding */
} loyalty_journal_record_t;

/*
 * The record at `bytes`.  LOYALTY_ERROR_NOT_FOUND: it goes on behind `len`;
 * LOYALTY_ERROR_CORRUPT: there is none, or its id is not above `last`.
 */
loyalty_status_t loyalty_journal_record_read(const uint8_t *bytes, size_t len,
                                             uint64_t set, uint64_t last,
                                             loyalty_journal_record_t *record);

/* Appending.  Functions return 0 or an errno. */
typedef struct {
    int fd; /* -1: none */
    uint64_t first;
    off_t end;    /* behind the last record */
    off_t zeroed; /* so far all blocks have been written once */
    off_t size;
} loyalty_journal_file_t;

/* Creates "<first id, 16 hex digits>.log" with `size` bytes set aside. */
int loyalty_journal_file_create(loyalty_journal_file_t *file, int dir,
                                uint64_t set, uint64_t first, off_t size,
                                bool sync);
/* Whole records; after an error the end is where it was. */
int loyalty_journal_file_append(loyalty_journal_file_t *file,
                                const uint8_t *records, size_t len);
/* To be called before a sync: blocks that were set aside but never written
 * are more work for the file system, which has to sync its own journal too. */
void loyalty_journal_file_zero(loyalty_journal_file_t *file);
int loyalty_journal_file_sync(loyalty_journal_file_t *file);
/* Gives back what was set aside and not used. */
void loyalty_journal_file_close(loyalty_journal_file_t *file, bool sync);

#define LOYALTY_JOURNAL_NAME_SIZE 24

void loyalty_journal_file_name(uint64_t first, char *name);
bool loyalty_journal_file_first(const char *name, uint64_t *first);

/* Reading, from the start of a file or on from where it stopped. */
typedef struct {
    int fd; /* -1: none */
    uint64_t set;
    uint64_t first;
    uint64_t last; /* id of the record read last */
    off_t offset;  /* of `buffer` in the file */
    uint8_t *buffer;
    size_t size, used, at;
    uint64_t damaged; /* bytes passed over */
} loyalty_journal_reader_t;

void loyalty_journal_reader_init(loyalty_journal_reader_t *reader);
/* LOYALTY_ERROR_NOT_FOUND no such file, _CORRUPT not a file of this set. */
loyalty_status_t loyalty_journal_reader_open(loyalty_journal_reader_t *reader,
                                             int dir, uint64_t set,
                                             uint64_t first);
void loyalty_journal_reader_close(loyalty_journal_reader_t *reader);

/* Where it is, between two records. */
off_t loyalty_journal_reader_at(const loyalty_journal_reader_t *reader);
/* On to another place between two records of the file; `last` is the id of the
 * record before it. */
void loyalty_journal_reader_move(loyalty_journal_reader_t *reader, off_t at,
                                 uint64_t last);

/*
 * The next record before `end` (-1: the end of the file); its payload is good
 * until the next call.  LOYALTY_ERROR_NOT_FOUND: no more.
 */
loyalty_status_t loyalty_journal_reader_next(loyalty_journal_reader_t *reader,
                                             off_t end,
                                             loyalty_journal_record_t *record);

#endif
