// link: ngx_loyalty_module/edge/ngx_loyalty_hash.c
/*
 * edge/ngx_loyalty_table.c: the table of the shared memory zone, against a
 * plain array as its model.  The writer is made to die at each of its steps.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static jmp_buf death;
static long steps_to_live; /* 0: for ever */

static void
step(void)
{
    if (steps_to_live != 0 && --steps_to_live == 0) {
        longjmp(death, 1);
    }
}

#define ngx_loyalty_table_step() step()

#include "ngx_loyalty_table.c"
#include "ngx_loyalty_table_index.c"

#include "ngx_loyalty_hash.h"

#define KEYS 4096
#define DATA NGX_LOYALTY_TABLE_DATA_MAX

/* What a key holds: every byte follows from the key and its version. */
typedef struct {
    uint32_t version; /* 0: nothing */
    uint32_t len;
} value_t;

static uint64_t seed;

static uint32_t
dice(uint32_t sides)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(seed >> 33) % sides;
}

static ngx_loyalty_hash_t
name(uint32_t key)
{
    static const uint64_t secret[2] = {1, 2};
    ngx_loyalty_hash_t hash;

    ngx_loyalty_hash(secret, &key, sizeof(key), &hash);
    return hash;
}

static void
fill(uint8_t *data, uint32_t key, value_t value)
{
    for (uint32_t i = 0; i < value.len; i++) {
        data[i] = (uint8_t)(key + value.version * 31 + i);
    }
}

static ngx_loyalty_table_t *
table_of(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ngx_loyalty_table_t *table;

    assert_true(memory != MAP_FAILED);
    memset(memory, 0xa5, size);
    table = ngx_loyalty_table_create(memory, size);
    assert_non_null(table);
    return table;
}

static void
put(ngx_loyalty_table_t *table, uint32_t key, value_t value)
{
    ngx_loyalty_hash_t hash = name(key);
    ngx_loyalty_record_info_t info = {.expires = value.version,
                                      .epoch = value.version & 0x7ffff,
                                      .len = value.len};
    uint8_t data[DATA];

    fill(data, key, value);
    ngx_loyalty_table_write(table, &hash, data, &info, 0);
}

/* Reads the key; what is found must be whole. */
static bool
get(ngx_loyalty_table_t *table, uint32_t key, value_t *value)
{
    ngx_loyalty_hash_t hash = name(key);
    ngx_loyalty_record_info_t info;
    uint8_t data[DATA], expected[DATA];

    if (!ngx_loyalty_table_read(table, &hash, data, &info)) {
        return false;
    }

    *value = (value_t){info.expires, info.len};
    fill(expected, key, *value);
    assert_memory_equal(data, expected, info.len);
    assert_int_equal(info.epoch, value->version & 0x7ffff);
    return true;
}

/*
 * The invariant: the log can be walked from head to tail, every slot points
 * to a record of it that belongs there, and no two to the same.
 */
static void
check(ngx_loyalty_table_t *t)
{
    static uint8_t seen[1 << 22];
    uint32_t place = t->head;
    uint32_t pointed = 0;

    assert_true(t->units <= sizeof(seen));
    memset(seen, 0, t->units);

    while (place != t->tail) {
        if (t->head > t->tail && place == t->wrap) {
            place = t->first;
            continue;
        }
        assert_in_range(place, t->first, ngx_loyalty_table_end(t) - 1);
        seen[place] = 1;
        place += ngx_loyalty_record_units(ngx_loyalty_table_record(t, place));
    }

    for (uint32_t n = 0; n < t->nbuckets; n++) {
        ngx_loyalty_bucket_t *b = ngx_loyalty_table_bucket(t, n);

        if (b->sequence & 1) {
            continue; /* the next writer empties it */
        }

        for (unsigned k = 0; k < NGX_LOYALTY_TABLE_SLOTS; k++) {
            ngx_loyalty_record_t *rec;

            place = b->place[k] & NGX_LOYALTY_TABLE_PLACE;
            if (place == 0) {
                continue;
            }
            pointed++;
            assert_int_equal(seen[place], 1);
            seen[place] = 2;
            rec = ngx_loyalty_table_record(t, place);
            assert_true(ngx_loyalty_table_map(rec->id[0], t->nbuckets) == n
                        || ngx_loyalty_table_map(rec->id[1], t->nbuckets) == n);
        }
    }

    assert_true(t->records >= pointed);
}

static void
what_is_written_is_read(void **state)
{
    ngx_loyalty_table_t *table = table_of(8 << 20);
    value_t value;

    (void)state;

    for (uint32_t len = 0; len <= DATA; len += 7) {
        assert_false(get(table, len, &value));
        put(table, len, (value_t){len + 1, len});
        assert_true(get(table, len, &value));
        assert_int_equal(value.version, len + 1);
        assert_int_equal(value.len, len);
    }

    put(table, 1 << 20, (value_t){9, DATA});
    assert_true(get(table, 1 << 20, &value));
    assert_int_equal(value.len, DATA);

    check(table);
}

static void
a_newer_value_takes_the_place_of_an_older(void **state)
{
    static const uint32_t lens[] = {100, 100, 90, 300, 0, 40, 4096, 4};
    ngx_loyalty_table_t *table = table_of(1 << 20);
    ngx_loyalty_hash_t hash = name(7);
    value_t value;

    (void)state;

    for (uint32_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        put(table, 7, (value_t){i + 1, lens[i]});
        assert_true(get(table, 7, &value));
        assert_int_equal(value.version, i + 1);
        assert_int_equal(value.len, lens[i]);
        assert_false(ngx_loyalty_table_absent(table, &hash));
    }

    assert_true(ngx_loyalty_table_drop(table, &hash));
    assert_false(get(table, 7, &value));
    assert_true(ngx_loyalty_table_absent(table, &hash));
    assert_false(ngx_loyalty_table_drop(table, &hash));

    put(table, 7, (value_t){99, 4});
    assert_true(get(table, 7, &value));
    assert_int_equal(value.version, 99);

    ngx_loyalty_table_clear(table);
    assert_false(get(table, 7, &value));
    check(table);
}

/* Random work; what the table still has must be the model's. */
static void
work(ngx_loyalty_table_t *table, value_t *model, uint32_t keys, long n)
{
    value_t value;
    ngx_loyalty_hash_t hash;

    while (n-- > 0) {
        uint32_t key = dice(keys);

        switch (dice(8)) {
        case 0:
            model[key] = (value_t){model[key].version + 1, dice(DATA + 1)};
            put(table, key, model[key]);
            break;
        case 1:
            model[key] = (value_t){model[key].version + 1, 8 * dice(40)};
            put(table, key, model[key]);
            break;
        case 2:
            model[key].version++;
            put(table, key, model[key]);
            break;
        case 3:
            hash = name(key);
            (void)ngx_loyalty_table_drop(table, &hash);
            assert_false(get(table, key, &value));
            break;
        default:
            if (get(table, key, &value)) {
                assert_int_equal(value.version, model[key].version);
                assert_int_equal(value.len, model[key].len);
            }
        }
    }
}

static void
a_full_table_evicts_and_never_lies(void **state)
{
    static value_t model[KEYS];

    (void)state;

    for (seed = 1; seed <= 6; seed++) {
        uint64_t began = seed;
        ngx_loyalty_table_t *table = table_of((64 << 10) << seed);

        memset(model, 0, sizeof(model));
        for (int i = 0; i < 20; i++) {
            work(table, model, KEYS, 2000);
            check(table);
        }

        if (table->evicted == 0 && began < 4) {
            fail_msg("seed %lu evicted nothing", (unsigned long)began);
        }
        munmap(table, (64 << 10) << began);
        seed = began;
    }
}

static void
visited_records_stay(void **state)
{
    ngx_loyalty_table_t *table = table_of(1 << 20);
    value_t value;
    uint32_t lost = 0;

    (void)state;

    for (uint32_t key = 0; key < 500; key++) {
        put(table, key, (value_t){1, 120});
    }

    /* a crawler passes by: 30 times what fits */
    for (uint32_t key = 1000; key < 201000; key++) {
        put(table, key, (value_t){1, 120});
        (void)get(table, key % 500, &value);
    }

    for (uint32_t key = 0; key < 500; key++) {
        lost += !get(table, key, &value);
    }

    /* 27 laps; each may drop one or two where the ring begins anew */
    assert_in_range(lost, 0, 54);
    check(table);
}

static void
an_entry_costs_at_most_16_bytes(void **state)
{
    static const struct {
        uint32_t len;
        size_t size;
    } cases[] = {{104, 1 << 20}, {104, 32 << 20}, {152, 32 << 20},
                 {264, 32 << 20}, {520, 32 << 20}, {1032, 32 << 20}};

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ngx_loyalty_table_t *table = table_of(cases[i].size);
        uint32_t n = (uint32_t)(cases[i].size / cases[i].len * 2);
        uint64_t records = 0;
        double each;
        value_t value;

        for (uint32_t key = 0; key < n; key++) {
            put(table, key, (value_t){1, cases[i].len});
        }
        for (uint32_t key = 0; key < n; key++) {
            records += get(table, key, &value);
        }

        /* all the memory, headers and the gap too; a name of 12 bytes stands
         * where another cache has the key */
        each = (double)cases[i].size / (double)records - cases[i].len;
        print_message("# %u-byte views in %zu KB: %lu entries, "
                      "%.1f bytes each beyond view and name, %.1f with name\n",
                      cases[i].len, cases[i].size >> 10,
                      (unsigned long)records, each - 12, each);
        assert_true(each - 12 <= 16);
        munmap(table, cases[i].size);
    }
}

/*
 * The same history many times, its writer dying one step later each time.
 * The value being written may be found old, new or not at all; all others as
 * they were or not at all; and work goes on.
 */
static void
a_writer_may_die_at_any_step(void **state)
{
    static value_t model[KEYS], before[KEYS];
    static uint8_t image[64 << 10];
    ngx_loyalty_table_t *table = table_of(sizeof(image));
    volatile long step_of_death;
    volatile int scenario;

    (void)state;

    for (scenario = 0; scenario < 40; scenario++) {
        volatile uint32_t key;
        volatile bool done = false;
        uint64_t began;

        seed = 1000 + (uint64_t)scenario;
        memset(model, 0, sizeof(model));
        ngx_loyalty_table_create(table, sizeof(image));
        work(table, model, 64 + dice(900), 200 + dice(2000));
        began = seed;
        memcpy(image, table, sizeof(image));
        memcpy(before, model, sizeof(model));

        for (step_of_death = 1; !done; step_of_death++) {
            value_t value, next;
            uint32_t other;

            memcpy(table, image, sizeof(image));
            memcpy(model, before, sizeof(model));
            seed = began;
            key = dice(900);
            next = (value_t){model[key].version + 1,
                             scenario & 1 ? model[key].len : dice(DATA)};

            steps_to_live = step_of_death;
            if (setjmp(death) == 0) {
                if (scenario % 8 == 7) {
                    ngx_loyalty_hash_t hash = name(key);
                    (void)ngx_loyalty_table_drop(table, &hash);
                } else {
                    put(table, key, next);
                }
                done = true;
            }
            steps_to_live = 0;

            check(table);
            for (other = 0; other < 1000; other++) {
                if (!get(table, other, &value)) {
                    continue;
                }
                if (other == key && value.version == next.version) {
                    assert_int_equal(value.len, next.len);
                } else {
                    assert_int_equal(value.version, model[other].version);
                    assert_int_equal(value.len, model[other].len);
                }
            }

            model[key].version = next.version;
            put(table, key, model[key]);
            assert_true(get(table, key, &value));
            assert_int_equal(value.version, next.version);
            work(table, model, 1000, 300);
            check(table);
        }
    }
}

/* Readers and writers in processes of their own, writers killed at random. */
static void
readers_see_whole_records_while_writers_are_killed(void **state)
{
    struct shared {
        volatile bool stop;
        volatile uint64_t reads, found;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ngx_loyalty_table_t *table = table_of(128 << 10);
    pid_t reader, writer;
    value_t value;
    int status;

    (void)state;

    reader = fork();
    if (reader == 0) {
        for (seed = 3; !shared->stop; shared->reads++) {
            uint32_t key = dice(600);
            ngx_loyalty_hash_t hash = name(key);
            ngx_loyalty_record_info_t info;
            uint8_t data[DATA], expected[DATA];

            if (!ngx_loyalty_table_read(table, &hash, data, &info)) {
                continue;
            }
            fill(expected, key, (value_t){info.expires, info.len});
            if (memcmp(data, expected, info.len) != 0) {
                _exit(1);
            }
            shared->found++;
        }
        _exit(0);
    }

    seed = 17;
    for (int round = 0; round < 150; round++) {
        uint64_t from = seed + (uint64_t)round;
        struct timespec wait = {0, 1000000 + 10000 * (long)dice(200)};

        writer = fork();
        if (writer == 0) {
            for (seed = from;;) {
                put(table, dice(600),
                    (value_t){1 + dice(1000), dice(2) ? 104 : dice(500)});
            }
        }
        nanosleep(&wait, NULL);
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        check(table);
    }

    shared->stop = true;
    waitpid(reader, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    print_message("# %lu reads, %lu found, %lu buckets repaired\n",
                  (unsigned long)shared->reads, (unsigned long)shared->found,
                  (unsigned long)table->repaired);
    assert_true(shared->found > 0);

    for (uint32_t key = 0; key < 600; key++) {
        put(table, key, (value_t){1, 4});
        assert_true(get(table, key, &value));
    }
}

static void
sizes_out_of_bounds_are_refused(void **state)
{
    static uint8_t memory[64];

    (void)state;
    assert_null(ngx_loyalty_table_create(memory,
                                         NGX_LOYALTY_TABLE_SIZE_MIN - 1));
    assert_null(ngx_loyalty_table_create(memory,
                                         NGX_LOYALTY_TABLE_SIZE_MAX + 64));
}

/* Members as shops have them, at every stage of the index's growth. */
static void
none_gives_way_before_the_memory_is_full(void **state)
{
    ngx_loyalty_table_t *table = table_of(8 << 20);
    uint32_t key = 0;

    (void)state;

    while (table->head == table->first) {
        assert_int_equal(table->evicted, 0);
        put(table, key++, (value_t){1, 104});
    }

    /* 104 of data, and what a member costs beyond it and an id of 13 */
    assert_in_range((8 << 20) / table->records, 104, 104 + 13 + 16);
}

/* Whatever happens to the table, a record said to be as it was is. */
static void
what_is_unchanged_reads_the_same(void **state)
{
    ngx_loyalty_table_t *table = table_of(256 << 10);
    ngx_loyalty_record_info_t info = {.len = 0}, now;
    ngx_loyalty_hash_t hash = name(0), other;
    uint8_t data[DATA];
    uint32_t version = 1, unchanged = 0, changed = 0;

    (void)state;
    seed = 11;

    assert_false(ngx_loyalty_table_unchanged(&info));

    for (uint32_t i = 0; i < 300000; i++) {
        if (ngx_loyalty_table_unchanged(&info)) {
            unchanged++;
            assert_true(ngx_loyalty_table_read(table, &hash, data, &now));
            assert_int_equal(now.expires, version);
            assert_int_equal(info.expires, version);
        } else {
            changed++;
            if (!ngx_loyalty_table_read(table, &hash, data, &info)) {
                put(table, 0, (value_t){++version, 104});
            }
        }

        switch (dice(200)) {
        case 0:
            put(table, 0, (value_t){++version, dice(2) ? 104 : dice(300)});
            assert_false(ngx_loyalty_table_unchanged(&info));
            break;
        case 1:
            (void)ngx_loyalty_table_drop(table, &hash);
            assert_false(ngx_loyalty_table_unchanged(&info));
            break;
        case 2:
            if (dice(100) == 0) {
                ngx_loyalty_table_clear(table);
                assert_false(ngx_loyalty_table_unchanged(&info));
            }
            break;
        default:
            other = name(1 + dice(KEYS));
            if (dice(10) == 0) {
                (void)ngx_loyalty_table_drop(table, &other);
            } else {
                put(table, 1 + dice(KEYS), (value_t){1, dice(200)});
            }
        }
    }

    assert_in_range(unchanged, 100000, 300000);
    assert_in_range(changed, 1000, 200000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_newer_value_takes_the_place_of_an_older),
        cmocka_unit_test(a_full_table_evicts_and_never_lies),
        cmocka_unit_test(visited_records_stay),
        cmocka_unit_test(an_entry_costs_at_most_16_bytes),
        cmocka_unit_test(a_writer_may_die_at_any_step),
        cmocka_unit_test(readers_see_whole_records_while_writers_are_killed),
        cmocka_unit_test(sizes_out_of_bounds_are_refused),
        cmocka_unit_test(none_gives_way_before_the_memory_is_full),
        cmocka_unit_test(what_is_unchanged_reads_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
