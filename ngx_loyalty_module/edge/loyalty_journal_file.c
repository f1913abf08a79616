/*
 * Files of the order journal: see the header for layout and invariant.
 */

#include "loyalty_journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "LJRNL 1\n"
#define MARK UINT32_C(0x4c000000)
#define MARK_MASK UINT32_C(0xff000000)
#define READ_SIZE (64 * 1024)
#define ZERO_SIZE (64 * 1024)

_Static_assert(LOYALTY_JOURNAL_PAYLOAD_MAX <= ~MARK_MASK,
               "a length leaves room for its mark");

typedef struct {
    char magic[8];
    uint64_t set;
    uint64_t first;
    uint32_t crc;
    uint32_t reserved;
} file_header_t;

typedef struct {
    uint32_t crc;
    uint32_t length;
    uint64_t id;
} record_header_t;

_Static_assert(sizeof(file_header_t) == LOYALTY_JOURNAL_FILE_HEADER
                   && sizeof(record_header_t) == LOYALTY_JOURNAL_RECORD_HEADER,
               "headers have no holes");

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse42(uint32_t crc, const uint8_t *p, size_t len)
{
    uint64_t state = crc, word;

    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        state = __builtin_ia32_crc32di(state, word);
    }
    crc = (uint32_t)state;
    while (len-- != 0) {
        crc = __builtin_ia32_crc32qi(crc, *p++);
    }
    return crc;
}

#endif

/* Four bits at a time: 16 words of table, for machines without the
 * instruction. */
static uint32_t
crc32c_plain(uint32_t crc, const uint8_t *p, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };

    while (len-- != 0) {
        crc ^= *p++;
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc;
}

uint32_t
loyalty_crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc32c_sse42(~crc, data, len);
    }
#endif
    return ~crc32c_plain(~crc, data, len);
}

static uint32_t
record_crc(uint64_t set, const uint8_t *record, size_t len)
{
    uint32_t crc = loyalty_crc32c(0, &set, sizeof(set));

    return loyalty_crc32c(crc, record + sizeof(uint32_t),
                          LOYALTY_JOURNAL_RECORD_HEADER - sizeof(uint32_t)
                              + len);
}

size_t
loyalty_journal_record_size(size_t len)
{
    return (LOYALTY_JOURNAL_RECORD_HEADER + len + 7) & ~(size_t)7;
}

void
loyalty_journal_record_write(uint8_t *out, uint64_t set, uint64_t id,
                             const void *payload, size_t len)
{
    record_header_t header = {0, MARK | (uint32_t)len, id};
    size_t used = LOYALTY_JOURNAL_RECORD_HEADER + len;

    memcpy(out, &header, sizeof(header));
    if (payload != out + LOYALTY_JOURNAL_RECORD_HEADER) {
        memcpy(out + LOYALTY_JOURNAL_RECORD_HEADER, payload, len);
    }
    memset(out + used, 0, loyalty_journal_record_size(len) - used);
    header.crc = record_crc(set, out, len);
    memcpy(out, &header.crc, sizeof(header.crc));
}

loyalty_status_t
loyalty_journal_record_read(const uint8_t *bytes, size_t len, uint64_t set,
                            uint64_t last, loyalty_journal_record_t *record)
{
    record_header_t header;
    size_t payload;

    if (len < sizeof(header)) {
        return LOYALTY_ERROR_NOT_FOUND;
    }
    memcpy(&header, bytes, sizeof(header));
    payload = header.length & ~MARK_MASK;
    if ((header.length & MARK_MASK) != MARK || header.id <= last
        || payload > LOYALTY_JOURNAL_PAYLOAD_MAX) {
        return LOYALTY_ERROR_CORRUPT;
    }
    if (len < loyalty_journal_record_size(payload)) {
        return LOYALTY_ERROR_NOT_FOUND;
    }
    if (record_crc(set, bytes, payload) != header.crc) {
        return LOYALTY_ERROR_CORRUPT;
    }
    record->id = header.id;
    record->payload = bytes + LOYALTY_JOURNAL_RECORD_HEADER;
    record->len = payload;
    record->size = loyalty_journal_record_size(payload);
    return LOYALTY_OK;
}

void
loyalty_journal_file_name(uint64_t first, char *name)
{
    snprintf(name, LOYALTY_JOURNAL_NAME_SIZE, "%016llx.log",
             (unsigned long long)first);
}

bool
loyalty_journal_file_first(const char *name, uint64_t *first)
{
    char same[LOYALTY_JOURNAL_NAME_SIZE];
    char *end;

    *first = strtoull(name, &end, 16);
    loyalty_journal_file_name(*first, same);
    return strcmp(name, same) == 0;
}

static int
write_all(int fd, const uint8_t *bytes, size_t len, off_t offset)
{
    while (len != 0) {
        ssize_t n = pwrite(fd, bytes, len, offset);

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        if (n == 0) {
            return ENOSPC;
        }
        bytes += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

int
loyalty_journal_file_create(loyalty_journal_file_t *file, int dir,
                            uint64_t set, uint64_t first, off_t size,
                            bool sync)
{
    file_header_t header = {MAGIC, set, first, 0, 0};
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    int rc;

    header.crc = loyalty_crc32c(0, &header, offsetof(file_header_t, crc));
    loyalty_journal_file_name(first, name);

    file->fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        return errno;
    }
    file->first = first;
    file->size = size;
    file->end = LOYALTY_JOURNAL_FILE_HEADER;
    file->zeroed = LOYALTY_JOURNAL_FILE_HEADER;

    rc = posix_fallocate(file->fd, 0, size);
    if (rc == 0) {
        rc = write_all(file->fd, (uint8_t *)&header, sizeof(header), 0);
    }
    /* The name is as durable as what will stand in the file. */
    if (rc == 0 && sync && (fsync(file->fd) != 0 || fsync(dir) != 0)) {
        rc = errno;
    }
    if (rc != 0) {
        close(file->fd);
        unlinkat(dir, name, 0);
        file->fd = -1;
    }
    return rc;
}

int
loyalty_journal_file_append(loyalty_journal_file_t *file,
                            const uint8_t *records, size_t len)
{
    int rc = write_all(file->fd, records, len, file->end);

    if (rc == 0) {
        file->end += (off_t)len;
    }
    return rc;
}

void
loyalty_journal_file_zero(loyalty_journal_file_t *file)
{
    static const uint8_t zeros[ZERO_SIZE];
    off_t to = file->end + LOYALTY_JOURNAL_FILE_AHEAD;

    if (file->end <= file->zeroed) {
        return;
    }
    to = to < file->size ? to : file->size;
    file->zeroed = file->end;
    while (file->zeroed < to) {
        size_t len = to - file->zeroed < ZERO_SIZE
                         ? (size_t)(to - file->zeroed)
                         : ZERO_SIZE;

        /* A sync will do without. */
        if (write_all(file->fd, zeros, len, file->zeroed) != 0) {
            return;
        }
        file->zeroed += (off_t)len;
    }
}

int
loyalty_journal_file_sync(loyalty_journal_file_t *file)
{
    return fdatasync(file->fd) == 0 ? 0 : errno;
}

void
loyalty_journal_file_close(loyalty_journal_file_t *file, bool sync)
{
    if (file->fd < 0) {
        return;
    }
    if (ftruncate(file->fd, file->end) == 0 && sync) {
        (void)fdatasync(file->fd);
    }
    close(file->fd);
    file->fd = -1;
}

void
loyalty_journal_reader_init(loyalty_journal_reader_t *reader)
{
    memset(reader, 0, sizeof(*reader));
    reader->fd = -1;
}

void
loyalty_journal_reader_close(loyalty_journal_reader_t *reader)
{
    if (reader->fd >= 0) {
        close(reader->fd);
    }
    free(reader->buffer);
    loyalty_journal_reader_init(reader);
}

loyalty_status_t
loyalty_journal_reader_open(loyalty_journal_reader_t *reader, int dir,
                            uint64_t set, uint64_t first)
{
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    file_header_t header;

    loyalty_journal_reader_close(reader);
    loyalty_journal_file_name(first, name);

    reader->fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0) {
        return LOYALTY_ERROR_NOT_FOUND;
    }
    reader->buffer = malloc(READ_SIZE);
    if (reader->buffer == NULL) {
        loyalty_journal_reader_close(reader);
        return LOYALTY_ERROR_MEMORY;
    }
    reader->size = READ_SIZE;
    if (pread(reader->fd, &header, sizeof(header), 0) != sizeof(header)
        || memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0
        || header.crc
               != loyalty_crc32c(0, &header, offsetof(file_header_t, crc))
        || header.set != set || header.first != first) {
        loyalty_journal_reader_close(reader);
        return LOYALTY_ERROR_CORRUPT;
    }
    reader->set = set;
    reader->first = first;
    reader->last = first - 1;
    reader->offset = LOYALTY_JOURNAL_FILE_HEADER;
    return LOYALTY_OK;
}

off_t
loyalty_journal_reader_at(const loyalty_journal_reader_t *reader)
{
    return reader->offset + (off_t)reader->at;
}

void
loyalty_journal_reader_move(loyalty_journal_reader_t *reader, off_t at,
                            uint64_t last)
{
    reader->offset = at;
    reader->used = 0;
    reader->at = 0;
    reader->last = last;
}

/* More bytes behind those not yet used; false: there are none before `end`. */
static bool
fill(loyalty_journal_reader_t *reader, off_t end)
{
    size_t left = reader->used - reader->at, want;
    off_t from;
    ssize_t n;

    memmove(reader->buffer, reader->buffer + reader->at, left);
    reader->offset += (off_t)reader->at;
    reader->used = left;
    reader->at = 0;

    if (left == reader->size) {
        size_t size = reader->size * 2;
        uint8_t *buffer = realloc(reader->buffer, size);

        if (buffer == NULL) {
            return false;
        }
        reader->buffer = buffer;
        reader->size = size;
    }
    from = reader->offset + (off_t)left;
    want = reader->size - left;
    if (end >= 0 && (off_t)want > end - from) {
        want = end > from ? (size_t)(end - from) : 0;
    }
    if (want == 0) {
        return false;
    }
    do {
        n = pread(reader->fd, reader->buffer + left, want, from);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        return false;
    }
    reader->used += (size_t)n;
    return true;
}

/*
 * Past a place that holds no record, 8 bytes at a time.  Zeros are the unused
 * rest of a file, not damage.
 */
static void
pass_over(loyalty_journal_reader_t *reader)
{
    static const uint8_t zeros[8];
    size_t left = reader->used - reader->at;
    size_t n = left < sizeof(zeros) ? left : sizeof(zeros);

    if (memcmp(reader->buffer + reader->at, zeros, n) != 0) {
        reader->damaged += n;
    }
    reader->at += n;
}

loyalty_status_t
loyalty_journal_reader_next(loyalty_journal_reader_t *reader, off_t end,
                            loyalty_journal_record_t *record)
{
    for (;;) {
        loyalty_status_t status = LOYALTY_ERROR_NOT_FOUND;

        if (reader->at < reader->used) {
            status = loyalty_journal_record_read(
                reader->buffer + reader->at, reader->used - reader->at,
                reader->set, reader->last, record);
        }
        switch (status) {
        case LOYALTY_OK:
            reader->at += record->size;
            reader->last = record->id;
            return LOYALTY_OK;
        case LOYALTY_ERROR_NOT_FOUND:
            if (fill(reader, end)) {
                break;
            }
            /* A live file grows: its end is no tail. */
            if (end >= 0 || reader->at == reader->used) {
                return LOYALTY_ERROR_NOT_FOUND;
            }
            pass_over(reader);
            break;
        default:
            pass_over(reader);
            break;
        }
    }
}
