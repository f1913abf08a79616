/*
 * Journal files, sets and payloads.  Whatever a kill or a bad disk does to a
 * file, every record outside the damage is read, and nothing else.
 */

// link: ngx_loyalty_module/edge/loyalty_journal_file.c ngx_loyalty_module/edge/loyalty_journal_set.c ngx_loyalty_module/edge/loyalty_journal_payload.c

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loyalty_journal_payload.h"
#include "loyalty_journal_set.h"

#define SET UINT64_C(0x1122334455667788)
#define FIRST (UINT64_C(1) << 40)

typedef struct {
    char path[64];
    int dir;
} folder_t;

static int
setup(void **state)
{
    folder_t *folder = calloc(1, sizeof(*folder));

    strcpy(folder->path, "/tmp/loyalty-journal-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        return -1;
    }
    folder->dir = open(folder->path, O_RDONLY | O_DIRECTORY);
    *state = folder;
    return 0;
}

static int
teardown(void **state)
{
    folder_t *folder = *state;
    char command[96];

    close(folder->dir);
    snprintf(command, sizeof(command), "rm -rf %s", folder->path);
    free(folder);
    return system(command);
}

/* A record's text says its number, so that a reader can tell what it has. */
static size_t
text_of(unsigned n, char *text)
{
    return (size_t)sprintf(text, "order %u %.*s", n, (int)(n * 7 % 40),
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

/* A file of `n` records; ends[i] is where record i ends. */
static void
write_file(int dir, uint64_t first, unsigned n, off_t *ends)
{
    loyalty_journal_file_t file;
    uint8_t record[256];
    char text[128];

    assert_int_equal(
        loyalty_journal_file_create(&file, dir, SET, first, 65536, true), 0);
    for (unsigned i = 0; i < n; i++) {
        size_t len = text_of(i, text);

        loyalty_journal_record_write(record, SET, first + i, text, len);
        assert_int_equal(loyalty_journal_file_append(
                             &file, record, loyalty_journal_record_size(len)),
                         0);
        if (ends != NULL) {
            ends[i] = file.end;
        }
    }
    assert_int_equal(loyalty_journal_file_sync(&file), 0);
    loyalty_journal_file_close(&file, true);
}

/* Bit i is set when record i was read whole; ids must rise. */
static uint64_t
read_file(int dir, uint64_t first, uint64_t *damaged)
{
    loyalty_journal_reader_t reader;
    loyalty_journal_record_t record;
    uint64_t seen = 0, last = 0;
    char text[128];

    loyalty_journal_reader_init(&reader);
    if (loyalty_journal_reader_open(&reader, dir, SET, first) != LOYALTY_OK) {
        return 0;
    }
    while (loyalty_journal_reader_next(&reader, -1, &record) == LOYALTY_OK) {
        unsigned n = (unsigned)(record.id - first);

        assert_true(record.id > last);
        last = record.id;
        assert_int_equal(record.len, text_of(n, text));
        assert_memory_equal(record.payload, text, record.len);
        seen |= UINT64_C(1) << n;
    }
    if (damaged != NULL) {
        *damaged = reader.damaged;
    }
    loyalty_journal_reader_close(&reader);
    return seen;
}

static void
crc32c_is_the_one_of_rfc_3720(void **state)
{
    /* RFC 3720, appendix B.4. */
    uint8_t bytes[32];

    (void)state;

    assert_int_equal(loyalty_crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(loyalty_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(loyalty_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(loyalty_crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(loyalty_crc32c(loyalty_crc32c(0, bytes, 5), bytes + 5, 27),
                     0x46dd794e);
}

static void
records_come_back(void **state)
{
    folder_t *folder = *state;
    uint64_t damaged;

    write_file(folder->dir, FIRST, 20, NULL);
    assert_int_equal(read_file(folder->dir, FIRST, &damaged), (1 << 20) - 1);
    assert_int_equal(damaged, 0);
}

static void
the_unused_rest_of_a_file_is_no_damage(void **state)
{
    folder_t *folder = *state;
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    uint64_t damaged;
    int fd;

    write_file(folder->dir, FIRST, 5, NULL);
    loyalty_journal_file_name(FIRST, name);
    fd = openat(folder->dir, name, O_RDWR);
    assert_int_equal(ftruncate(fd, 65536), 0);
    close(fd);
    assert_int_equal(read_file(folder->dir, FIRST, &damaged), (1 << 5) - 1);
    assert_int_equal(damaged, 0);
}

static void
a_file_torn_at_any_byte_keeps_what_was_whole(void **state)
{
    folder_t *folder = *state;
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    off_t ends[8];
    int fd;

    write_file(folder->dir, FIRST, 8, ends);
    loyalty_journal_file_name(FIRST, name);
    fd = openat(folder->dir, name, O_RDWR);

    for (off_t at = ends[7]; at >= 0; at--) {
        uint64_t whole = 0;

        for (int i = 0; i < 8 && ends[i] <= at; i++) {
            whole |= UINT64_C(1) << i;
        }
        assert_int_equal(ftruncate(fd, at), 0);
        assert_int_equal(read_file(folder->dir, FIRST, NULL), whole);
        /* The same, torn inside what was set aside: zeros follow. */
        assert_int_equal(ftruncate(fd, 65536), 0);
        /* Padding is zeros anyway: a record torn there is whole. */
        assert_int_equal(read_file(folder->dir, FIRST, NULL) & whole, whole);
        assert_int_equal(ftruncate(fd, at), 0);
    }
    close(fd);
}

static void
a_flipped_bit_costs_its_own_record_only(void **state)
{
    folder_t *folder = *state;
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    off_t ends[8];
    int fd;

    write_file(folder->dir, FIRST, 8, ends);
    loyalty_journal_file_name(FIRST, name);
    fd = openat(folder->dir, name, O_RDWR);

    for (off_t at = LOYALTY_JOURNAL_FILE_HEADER; at < ends[7]; at++) {
        uint8_t byte, flipped;
        uint64_t seen, lost = 0;

        while (ends[lost] <= at) {
            lost++;
        }
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        flipped = (uint8_t)(byte ^ (1 << (at % 8)));
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        seen = read_file(folder->dir, FIRST, NULL);
        /* A flip in the padding harms nobody. */
        assert_int_equal(seen | (UINT64_C(1) << lost), 0xff);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(read_file(folder->dir, FIRST, NULL), 0xff);
    close(fd);
}

static void
a_length_that_lies_does_not_hide_what_follows(void **state)
{
    folder_t *folder = *state;
    char name[LOYALTY_JOURNAL_NAME_SIZE];
    static const uint32_t lengths[] = {0x4c0fffff, 0x4c100000, 0x4c000000,
                                       0x4cffffff, 0xffffffff};
    off_t ends[4];
    int fd;

    write_file(folder->dir, FIRST, 4, ends);
    loyalty_journal_file_name(FIRST, name);
    fd = openat(folder->dir, name, O_RDWR);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_int_equal(pwrite(fd, &lengths[i], 4, ends[0] + 4), 4);
        assert_int_equal(read_file(folder->dir, FIRST, NULL), 0xd);
    }
    close(fd);
}

static void
records_of_another_set_are_none(void **state)
{
    folder_t *folder = *state;
    char name[LOYALTY_JOURNAL_NAME_SIZE], text[128];
    uint8_t record[256];
    size_t len = text_of(1, text);
    off_t ends[2];
    int fd;

    write_file(folder->dir, FIRST, 2, ends);
    loyalty_journal_record_write(record, SET + 1, FIRST + 1, text, len);
    loyalty_journal_file_name(FIRST, name);
    fd = openat(folder->dir, name, O_RDWR);
    assert_true(pwrite(fd, record, loyalty_journal_record_size(len), ends[0])
                > 0);
    close(fd);
    assert_int_equal(read_file(folder->dir, FIRST, NULL), 1);
}

static void
the_largest_record_fits_and_a_larger_is_refused(void **state)
{
    size_t max = LOYALTY_JOURNAL_PAYLOAD_MAX;
    uint8_t *payload = calloc(1, max + 1);
    uint8_t *bytes = malloc(loyalty_journal_record_size(max + 1));
    loyalty_journal_record_t record;

    (void)state;

    memset(payload, 'x', max + 1);
    loyalty_journal_record_write(bytes, SET, 1, payload, max);
    assert_int_equal(
        loyalty_journal_record_read(bytes, loyalty_journal_record_size(max),
                                    SET, 0, &record),
        LOYALTY_OK);
    assert_int_equal(record.len, max);
    loyalty_journal_record_write(bytes, SET, 1, payload, max + 1);
    assert_int_equal(
        loyalty_journal_record_read(bytes, loyalty_journal_record_size(max + 1),
                                    SET, 0, &record),
        LOYALTY_ERROR_CORRUPT);
    free(payload);
    free(bytes);
}

static void
a_live_file_is_read_up_to_its_end_and_on(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_reader_t reader;
    loyalty_journal_record_t record;
    off_t ends[3];

    write_file(folder->dir, FIRST, 3, ends);
    loyalty_journal_reader_init(&reader);
    assert_int_equal(
        loyalty_journal_reader_open(&reader, folder->dir, SET, FIRST),
        LOYALTY_OK);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[0], &record),
                     LOYALTY_OK);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[0], &record),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[0] + 9, &record),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[2], &record),
                     LOYALTY_OK);
    assert_int_equal(record.id, FIRST + 1);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[2], &record),
                     LOYALTY_OK);
    assert_int_equal(loyalty_journal_reader_next(&reader, ends[2], &record),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(reader.damaged, 0);
    loyalty_journal_reader_close(&reader);
}

static void
a_set_has_one_owner(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_set_t one, two;
    uint64_t ids[4];

    assert_int_equal(loyalty_journal_set_open(&one, folder->dir, SET, false),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(loyalty_journal_set_open(&one, folder->dir, SET, true),
                     LOYALTY_OK);
    assert_int_equal(loyalty_journal_set_open(&two, folder->dir, SET, true),
                     LOYALTY_ERROR_REFUSED);
    assert_int_equal(loyalty_journal_sets(folder->dir, ids, 4), 1);
    assert_int_equal(ids[0], SET);
    loyalty_journal_set_close(&one);
    assert_int_equal(loyalty_journal_set_open(&two, folder->dir, SET, false),
                     LOYALTY_OK);
    loyalty_journal_set_remove(&two, folder->dir);
    assert_int_equal(loyalty_journal_sets(folder->dir, ids, 4), 0);
}

static void
a_new_writer_never_reuses_an_id(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_set_t set;
    loyalty_journal_cursor_t cursor = {.acked = {7 * FIRST + 5, 0}};

    loyalty_journal_set_open(&set, folder->dir, SET, true);
    assert_int_equal(loyalty_journal_set_session(&set), FIRST);
    write_file(set.dir, FIRST, 3, NULL);
    assert_int_equal(loyalty_journal_set_session(&set), 2 * FIRST);
    write_file(set.dir, 3 * FIRST + 100, 3, NULL);
    assert_int_equal(loyalty_journal_set_session(&set), 4 * FIRST);
    /* Also when the files are long gone. */
    assert_int_equal(loyalty_journal_cursor_write(&set, &cursor, true), 0);
    assert_int_equal(loyalty_journal_set_session(&set), 8 * FIRST);
    loyalty_journal_set_close(&set);
}

static void
a_cursor_survives_a_torn_write(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_set_t set;
    loyalty_journal_cursor_t cursor = {.acked = {1, 2}, .file = {3, 4}}, read;
    int fd;

    loyalty_journal_set_open(&set, folder->dir, SET, true);
    loyalty_journal_cursor_read(&set, &read);
    assert_int_equal(read.acked[0], 0);
    for (uint64_t i = 1; i <= 5; i++) {
        cursor.acked[0] = i;
        assert_int_equal(loyalty_journal_cursor_write(&set, &cursor, false), 0);
    }
    loyalty_journal_cursor_read(&set, &read);
    assert_int_equal(read.acked[0], 5);
    assert_int_equal(read.file[1], 4);

    /* The slot that was written last is torn: the one before it counts. */
    fd = openat(set.dir, "cursor", O_RDWR);
    assert_int_equal(pwrite(fd, "torn", 4, set.slot * 512 + 20), 4);
    close(fd);
    loyalty_journal_cursor_read(&set, &read);
    assert_int_equal(read.acked[0], 4);
    cursor.acked[0] = 6;
    assert_int_equal(loyalty_journal_cursor_write(&set, &cursor, false), 0);
    loyalty_journal_cursor_read(&set, &read);
    assert_int_equal(read.acked[0], 6);
    loyalty_journal_set_close(&set);
}

static void
another_server_means_to_begin_again(void **state)
{
    loyalty_journal_cursor_t cursor = {.acked = {9, 8}, .file = {7, 6}};
    const uint64_t one[] = {1}, two[] = {2}, both[] = {1, 2};

    (void)state;

    assert_false(loyalty_journal_cursor_renew(&cursor, one, 0));
    assert_false(loyalty_journal_cursor_renew(&cursor, one, 1));
    assert_false(loyalty_journal_cursor_renew(&cursor, one, 1));
    assert_int_equal(cursor.acked[LOYALTY_JOURNAL_ORDERS], 9);
    assert_true(loyalty_journal_cursor_renew(&cursor, both, 2));
    assert_int_equal(cursor.acked[LOYALTY_JOURNAL_ORDERS], 0);
    assert_int_equal(cursor.file[LOYALTY_JOURNAL_ORDERS], 0);
    /* What the merchant's location has taken stays taken. */
    assert_int_equal(cursor.acked[LOYALTY_JOURNAL_POSTS], 8);
    assert_false(loyalty_journal_cursor_renew(&cursor, two, 1));
    cursor.handed = 3;
    assert_true(loyalty_journal_cursor_renew(&cursor, one, 1));
    assert_int_equal(cursor.acked[LOYALTY_JOURNAL_POSTS], 2);
}

static bool
has_file(const loyalty_journal_set_t *set, uint64_t first)
{
    uint64_t found;

    return loyalty_journal_set_file(set, first, &found) && found == first;
}

static void
files_go_when_all_have_them_and_retain_has_passed(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_set_t set;
    loyalty_journal_cursor_t cursor = {.file = {FIRST + 20, FIRST + 10}};
    time_t now = time(NULL);

    loyalty_journal_set_open(&set, folder->dir, SET, true);
    write_file(set.dir, FIRST, 3, NULL);
    write_file(set.dir, FIRST + 10, 3, NULL);
    write_file(set.dir, FIRST + 20, 3, NULL);

    /* Only the first file is behind both goals; it is stamped, not removed. */
    assert_true(loyalty_journal_set_pending(&set, &cursor));
    loyalty_journal_set_expire(&set, &cursor, now + 10);
    assert_true(has_file(&set, FIRST));
    assert_int_equal(cursor.stamped, FIRST + 10);
    loyalty_journal_set_expire(&set, &cursor, now - 10);
    assert_true(has_file(&set, FIRST));
    loyalty_journal_set_expire(&set, &cursor, now + 10);
    assert_false(has_file(&set, FIRST));
    assert_true(has_file(&set, FIRST + 10));

    cursor.file[0] = cursor.file[1] = FIRST + 21;
    assert_false(loyalty_journal_set_pending(&set, &cursor));
    assert_true(loyalty_journal_set_expire(&set, &cursor, now + 10) > 0);
    assert_int_equal(loyalty_journal_set_expire(&set, &cursor, now + 10), 0);
    assert_false(has_file(&set, FIRST + 20));
    loyalty_journal_set_remove(&set, folder->dir);
}

static void
a_payload_comes_back_and_a_cut_one_is_refused(void **state)
{
    loyalty_journal_payload_t in = {
        .site = loyalty_str("demo"),
        .member = loyalty_str("m-1"),
        .uri = loyalty_str("/crm"),
        .server = loyalty_str("shop.example"),
        .json = loyalty_str("{}"),
        .at = 1291191960000,
        .raw = true,
    };
    loyalty_journal_payload_t out;
    uint8_t bytes[128];
    size_t len = loyalty_journal_payload_size(&in);

    (void)state;

    loyalty_journal_payload_write(bytes, &in);
    assert_int_equal(loyalty_journal_payload_read(bytes, len, &out),
                     LOYALTY_OK);
    assert_true(loyalty_str_eq(out.site, in.site));
    assert_true(loyalty_str_eq(out.member, in.member));
    assert_true(loyalty_str_eq(out.uri, in.uri));
    assert_true(loyalty_str_eq(out.server, in.server));
    assert_true(loyalty_str_eq(out.json, in.json));
    assert_int_equal(out.at, in.at);
    assert_true(out.raw);
    assert_false(out.minor);

    /* Cut inside the texts; a cut JSON is the CRC's to notice. */
    for (size_t cut = 0; cut < len - in.json.len; cut++) {
        assert_int_equal(loyalty_journal_payload_read(bytes, cut, &out),
                         LOYALTY_ERROR_CORRUPT);
    }
    bytes[0] = 2;
    assert_int_equal(loyalty_journal_payload_read(bytes, len, &out),
                     LOYALTY_ERROR_VERSION);
}

static void
a_full_disk_leaves_no_half_file(void **state)
{
    folder_t *folder = *state;
    loyalty_journal_file_t file;
    char name[LOYALTY_JOURNAL_NAME_SIZE];

    assert_int_not_equal(loyalty_journal_file_create(&file, folder->dir, SET,
                                                     FIRST,
                                                     (off_t)1 << 60, false),
                         0);
    assert_int_equal(file.fd, -1);
    loyalty_journal_file_name(FIRST, name);
    assert_int_equal(faccessat(folder->dir, name, F_OK, 0), -1);
}

/* The blocks ahead of the records are written as zeros, which are no damage;
 * more is written when the records have come to their end. */
static void
zeros_go_ahead_of_the_records(void **state)
{
    const folder_t *folder = *state;
    const off_t size = 3 * LOYALTY_JOURNAL_FILE_AHEAD;
    static uint8_t record[LOYALTY_JOURNAL_FILE_AHEAD];
    static char text[sizeof(record)];
    size_t len = sizeof(record) - LOYALTY_JOURNAL_RECORD_HEADER;
    loyalty_journal_reader_t reader;
    loyalty_journal_record_t read;
    loyalty_journal_file_t file;
    off_t zeroed;

    memset(text, 'x', sizeof(text));
    assert_int_equal(loyalty_journal_file_create(&file, folder->dir, SET,
                                                 FIRST, size, true), 0);
    assert_int_equal(file.zeroed, LOYALTY_JOURNAL_FILE_HEADER);

    loyalty_journal_record_write(record, SET, FIRST, text, 40);
    assert_int_equal(loyalty_journal_file_append(&file, record, 56), 0);
    loyalty_journal_file_zero(&file);
    zeroed = file.end + LOYALTY_JOURNAL_FILE_AHEAD;
    assert_int_equal(file.zeroed, zeroed);

    /* Within them nothing more is written. */
    loyalty_journal_record_write(record, SET, FIRST + 1, text, 40);
    assert_int_equal(loyalty_journal_file_append(&file, record, 56), 0);
    loyalty_journal_file_zero(&file);
    assert_int_equal(file.zeroed, zeroed);

    /* A record past them, then never past what was set aside. */
    loyalty_journal_record_write(record, SET, FIRST + 2, text, len);
    assert_int_equal(loyalty_journal_file_append(&file, record,
                                                 sizeof(record)), 0);
    loyalty_journal_file_zero(&file);
    assert_int_equal(file.zeroed, file.end + LOYALTY_JOURNAL_FILE_AHEAD);
    loyalty_journal_record_write(record, SET, FIRST + 3, text, len);
    assert_int_equal(loyalty_journal_file_append(&file, record,
                                                 sizeof(record)), 0);
    loyalty_journal_file_zero(&file);
    assert_true(file.zeroed <= size);
    assert_int_equal(loyalty_journal_file_sync(&file), 0);

    /* As after a kill: nobody has cut the file to its length. */
    close(file.fd);
    loyalty_journal_reader_init(&reader);
    assert_int_equal(loyalty_journal_reader_open(&reader, folder->dir, SET,
                                                 FIRST), LOYALTY_OK);
    for (uint64_t id = FIRST; id < FIRST + 4; id++) {
        assert_int_equal(loyalty_journal_reader_next(&reader, -1, &read),
                         LOYALTY_OK);
        assert_int_equal(read.id, id);
        assert_int_equal(read.len, id < FIRST + 2 ? 40 : len);
    }
    assert_int_equal(loyalty_journal_reader_next(&reader, -1, &read),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(reader.damaged, 0);
    loyalty_journal_reader_close(&reader);
}

static void
a_reader_moves_to_where_another_has_read(void **state)
{
    const folder_t *folder = *state;
    loyalty_journal_reader_t reader;
    loyalty_journal_record_t record;
    off_t ends[20];

    write_file(folder->dir, FIRST, 20, ends);
    loyalty_journal_reader_init(&reader);
    assert_int_equal(loyalty_journal_reader_open(&reader, folder->dir, SET,
                                                 FIRST), LOYALTY_OK);
    assert_int_equal(loyalty_journal_reader_at(&reader),
                     LOYALTY_JOURNAL_FILE_HEADER);
    assert_int_equal(loyalty_journal_reader_next(&reader, -1, &record),
                     LOYALTY_OK);
    assert_int_equal(loyalty_journal_reader_at(&reader), ends[0]);

    loyalty_journal_reader_move(&reader, ends[9], FIRST + 9);
    assert_int_equal(loyalty_journal_reader_at(&reader), ends[9]);
    for (uint64_t id = FIRST + 10; id < FIRST + 20; id++) {
        assert_int_equal(loyalty_journal_reader_next(&reader, -1, &record),
                         LOYALTY_OK);
        assert_int_equal(record.id, id);
    }
    assert_int_equal(loyalty_journal_reader_next(&reader, -1, &record),
                     LOYALTY_ERROR_NOT_FOUND);
    assert_int_equal(reader.damaged, 0);
    loyalty_journal_reader_close(&reader);
}

int
main(void)
{
#define with_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_is_the_one_of_rfc_3720),
        with_folder(records_come_back),
        with_folder(the_unused_rest_of_a_file_is_no_damage),
        with_folder(a_file_torn_at_any_byte_keeps_what_was_whole),
        with_folder(a_flipped_bit_costs_its_own_record_only),
        with_folder(a_length_that_lies_does_not_hide_what_follows),
        with_folder(records_of_another_set_are_none),
        cmocka_unit_test(the_largest_record_fits_and_a_larger_is_refused),
        with_folder(a_live_file_is_read_up_to_its_end_and_on),
        with_folder(a_set_has_one_owner),
        with_folder(a_new_writer_never_reuses_an_id),
        with_folder(a_cursor_survives_a_torn_write),
        with_folder(zeros_go_ahead_of_the_records),
        with_folder(a_reader_moves_to_where_another_has_read),
        cmocka_unit_test(another_server_means_to_begin_again),
        with_folder(files_go_when_all_have_them_and_retain_has_passed),
        cmocka_unit_test(a_payload_comes_back_and_a_cut_one_is_refused),
        with_folder(a_full_disk_leaves_no_half_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
