/*
 * Sets of journal files: ownership, cursor, what may go.  See the header.
 */

#include "loyalty_journal_set.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SESSION_SHIFT 40
#define SLOTS 2
#define SLOT_SIZE 512
#define SET_NAME_SIZE 17

typedef struct {
    uint64_t sequence;
    uint64_t set;
    loyalty_journal_cursor_t cursor;
    uint64_t crc;
} slot_t;

_Static_assert(sizeof(slot_t) <= SLOT_SIZE, "a slot holds the cursor");

static void
set_name(uint64_t id, char *name)
{
    snprintf(name, SET_NAME_SIZE, "%016llx", (unsigned long long)id);
}

static loyalty_status_t
open_failed(loyalty_journal_set_t *set)
{
    int reason = errno;

    loyalty_journal_set_close(set);
    errno = reason;
    return reason == ENOENT        ? LOYALTY_ERROR_NOT_FOUND
           : reason == EWOULDBLOCK ? LOYALTY_ERROR_REFUSED
                                   : LOYALTY_ERROR_INVALID;
}

loyalty_status_t
loyalty_journal_set_open(loyalty_journal_set_t *set, int base, uint64_t id,
                         bool create)
{
    char name[SET_NAME_SIZE];
    struct stat st;

    *set = (loyalty_journal_set_t){.id = id, .dir = -1, .lock = -1};
    set_name(id, name);

    if (create && mkdirat(base, name, 0700) != 0 && errno != EEXIST) {
        return open_failed(set);
    }
    set->dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (set->dir < 0) {
        return open_failed(set);
    }
    set->lock = openat(set->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (set->lock < 0 || flock(set->lock, LOCK_EX | LOCK_NB) != 0
        || fstat(set->lock, &st) != 0) {
        return open_failed(set);
    }
    if (st.st_nlink == 0) {
        /* Its owner removed it while we were at the door. */
        errno = ENOENT;
        return open_failed(set);
    }
    return LOYALTY_OK;
}

void
loyalty_journal_set_close(loyalty_journal_set_t *set)
{
    if (set->lock >= 0) {
        close(set->lock);
    }
    if (set->dir >= 0) {
        close(set->dir);
    }
    set->lock = -1;
    set->dir = -1;
}

void
loyalty_journal_set_remove(loyalty_journal_set_t *set, int base)
{
    char name[SET_NAME_SIZE];

    set_name(set->id, name);
    unlinkat(set->dir, "cursor", 0);
    unlinkat(set->dir, "lock", 0);
    unlinkat(base, name, AT_REMOVEDIR);
    loyalty_journal_set_close(set);
}

static DIR *
list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL && fd >= 0) {
        close(fd);
    }
    return stream;
}

size_t
loyalty_journal_sets(int base, uint64_t *ids, size_t max)
{
    DIR *stream = list(base);
    struct dirent *entry;
    char name[SET_NAME_SIZE];
    size_t n = 0;

    if (stream == NULL) {
        return 0;
    }
    while (n < max && (entry = readdir(stream)) != NULL) {
        ids[n] = strtoull(entry->d_name, NULL, 16);
        set_name(ids[n], name);
        if (strcmp(name, entry->d_name) == 0) {
            n++;
        }
    }
    closedir(stream);
    return n;
}

bool
loyalty_journal_set_file(const loyalty_journal_set_t *set, uint64_t first,
                         uint64_t *found)
{
    DIR *stream = list(set->dir);
    struct dirent *entry;
    uint64_t id;
    bool any = false;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (loyalty_journal_file_first(entry->d_name, &id) && id >= first
            && (!any || id < *found)) {
            *found = id;
            any = true;
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return any;
}

uint64_t
loyalty_journal_set_session(const loyalty_journal_set_t *set)
{
    loyalty_journal_cursor_t cursor;
    loyalty_journal_set_t copy = *set;
    DIR *stream = list(set->dir);
    struct dirent *entry;
    uint64_t first, top = 0;

    loyalty_journal_cursor_read(&copy, &cursor);
    top = cursor.acked[LOYALTY_JOURNAL_ORDERS];
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (loyalty_journal_file_first(entry->d_name, &first) && first > top) {
            top = first;
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return ((top >> SESSION_SHIFT) + 1) << SESSION_SHIFT;
}

static uint64_t
slot_crc(const slot_t *slot)
{
    return loyalty_crc32c(0, slot, offsetof(slot_t, crc));
}

void
loyalty_journal_cursor_read(loyalty_journal_set_t *set,
                            loyalty_journal_cursor_t *cursor)
{
    int fd = openat(set->dir, "cursor", O_RDONLY | O_CLOEXEC);
    uint64_t newest = 0;
    slot_t slot;

    memset(cursor, 0, sizeof(*cursor));
    for (int i = 0; fd >= 0 && i < SLOTS; i++) {
        if (pread(fd, &slot, sizeof(slot), i * SLOT_SIZE) == sizeof(slot)
            && slot.set == set->id && slot.crc == slot_crc(&slot)
            && slot.cursor.nservers <= LOYALTY_JOURNAL_SERVERS_MAX
            && slot.sequence > newest) {
            newest = slot.sequence;
            set->slot = i;
            *cursor = slot.cursor;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

int
loyalty_journal_cursor_write(loyalty_journal_set_t *set,
                             const loyalty_journal_cursor_t *cursor, bool sync)
{
    int fd = openat(set->dir, "cursor", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = 0, next = (set->slot + 1) % SLOTS;
    slot_t last, slot;

    if (fd < 0) {
        return errno;
    }
    memset(&slot, 0, sizeof(slot));
    slot.sequence = 1;
    if (pread(fd, &last, sizeof(last), set->slot * SLOT_SIZE) == sizeof(last)
        && last.crc == slot_crc(&last)) {
        slot.sequence = last.sequence + 1;
    }
    slot.set = set->id;
    slot.cursor = *cursor;
    slot.crc = slot_crc(&slot);

    if (pwrite(fd, &slot, sizeof(slot), next * SLOT_SIZE) != sizeof(slot)
        || (sync && fdatasync(fd) != 0)) {
        rc = errno != 0 ? errno : EIO;
    } else {
        set->slot = next;
    }
    close(fd);
    return rc;
}

void
loyalty_journal_cursor_reset(loyalty_journal_cursor_t *cursor)
{
    cursor->acked[LOYALTY_JOURNAL_ORDERS] = 0;
    cursor->file[LOYALTY_JOURNAL_ORDERS] = 0;
    if (cursor->handed != 0) {
        cursor->acked[LOYALTY_JOURNAL_POSTS] = cursor->handed - 1;
        cursor->file[LOYALTY_JOURNAL_POSTS] = 0;
        cursor->handed = 0;
    }
}

bool
loyalty_journal_cursor_renew(loyalty_journal_cursor_t *cursor,
                             const uint64_t *servers, size_t n)
{
    bool fresh = false;

    if (n == 0) {
        return false;
    }
    for (size_t i = 0; i < n && !fresh; i++) {
        size_t known = 0;

        while (known < cursor->nservers
               && cursor->servers[known] != servers[i]) {
            known++;
        }
        fresh = known == cursor->nservers;
    }
    /* Without any server nothing has been delivered yet. */
    if (fresh && cursor->nservers != 0) {
        loyalty_journal_cursor_reset(cursor);
    } else {
        fresh = false;
    }
    memcpy(cursor->servers, servers, n * sizeof(*servers));
    cursor->nservers = n;
    return fresh;
}

off_t
loyalty_journal_set_size(int base, uint64_t id)
{
    char name[SET_NAME_SIZE];
    loyalty_journal_set_t set = {.id = id, .dir = -1, .lock = -1};
    DIR *stream = NULL;
    struct dirent *entry;
    struct stat st;
    off_t size = 0;

    set_name(id, name);
    set.dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (set.dir >= 0) {
        stream = list(set.dir);
    }
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        if (fstatat(set.dir, entry->d_name, &st, 0) == 0
            && S_ISREG(st.st_mode)) {
            size += (off_t)st.st_blocks * 512;
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    loyalty_journal_set_close(&set);
    return size;
}

static uint64_t
done_before(const loyalty_journal_cursor_t *cursor)
{
    uint64_t file = UINT64_MAX;

    for (int i = 0; i < LOYALTY_JOURNAL_GOALS; i++) {
        file = cursor->file[i] < file ? cursor->file[i] : file;
    }
    return file;
}

bool
loyalty_journal_set_pending(const loyalty_journal_set_t *set,
                            const loyalty_journal_cursor_t *cursor)
{
    uint64_t found;

    return loyalty_journal_set_file(set, done_before(cursor), &found);
}

off_t
loyalty_journal_set_expire(const loyalty_journal_set_t *set,
                           loyalty_journal_cursor_t *cursor, time_t before)
{
    uint64_t done = done_before(cursor), first = 0;
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    struct stat st;
    off_t left = 0;

    for (; loyalty_journal_set_file(set, first, &first); first++) {
        loyalty_journal_file_name(first, name);
        if (fstatat(set->dir, name, &st, 0) != 0) {
            continue;
        }
        if (first < done) {
            if (first >= cursor->stamped) {
                utimensat(set->dir, name, NULL, 0);
            } else if (st.st_mtime < before) {
                unlinkat(set->dir, name, 0);
                continue;
            }
        }
        left += (off_t)st.st_blocks * 512;
    }
    cursor->stamped = done > cursor->stamped ? done : cursor->stamped;
    return left;
}
