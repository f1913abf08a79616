// Transactions over a connection that is lost and made anew between their
// calls, or whose slot moves.  Redis is a stand-in that hangs up after a GET of
// "hang-up", and before the answer to a GET of "silence"; the first command on
// "moved" is answered with MOVED.
// link: ngx_loyalty_module/store/loyalty_store.c
// link: ngx_loyalty_module/store/loyalty_link.c
// link: ngx_loyalty_module/store/loyalty_reply.c
// link: ngx_loyalty_module/store/loyalty_commands.c
// link: ngx_loyalty_module/store/loyalty_keys.c -lhiredis -lpthread

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "loyalty_store.h"

typedef struct {
    char path[64];
    char addr[80];
    int listener;
    int execs; /* that came */
    bool moved;
    pthread_t thread;
    loyalty_str_t addrs[1];
    loyalty_store_conf_t conf;
    loyalty_store_t *store;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
} world_t;

/* One word; false: the client has gone. */
static bool
read_word(FILE *in, char *word, size_t size)
{
    size_t len;

    if (fscanf(in, "$%zu", &len) != 1 || len >= size || fgetc(in) != '\r'
        || fgetc(in) != '\n' || fread(word, 1, len, in) != len
        || fgetc(in) != '\r' || fgetc(in) != '\n') {
        return false;
    }

    word[len] = '\0';
    return true;
}

/* The commands of one connection until it ends. */
static void
serve(world_t *world, int fd)
{
    FILE *in = fdopen(fd, "r+"), *out = fdopen(dup(fd), "w");
    char name[64], word[64] = "";
    bool queueing = false;
    int argc, i;

    while (fscanf(in, "*%d", &argc) == 1 && fgetc(in) == '\r'
           && fgetc(in) == '\n' && read_word(in, name, sizeof(name))) {
        for (i = 1; i < argc && read_word(in, word, sizeof(word)); i++) {
        }

        if (strcmp(word, "silence") == 0) {
            break;
        }
        if (strcmp(name, "EXEC") == 0) {
            world->execs++;
            queueing = false;
            fputs("*1\r\n+OK\r\n", out);
        } else if (strcmp(word, "moved") == 0 && !world->moved) {
            world->moved = true;
            fputs("-MOVED 1 127.0.0.1:1\r\n", out);
        } else {
            fputs(queueing ? "+QUEUED\r\n" : "+OK\r\n", out);
            queueing = queueing || strcmp(name, "MULTI") == 0;
        }
        fflush(out);

        if (strcmp(word, "hang-up") == 0) {
            break;
        }
    }

    fclose(in);
    fclose(out);
}

static void *
run(void *data)
{
    world_t *world = data;
    int fd;

    while ((fd = accept(world->listener, NULL, NULL)) >= 0) {
        serve(world, fd);
    }

    return NULL;
}

static int
setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    world_t *world = calloc(1, sizeof(*world));

    snprintf(world->path, sizeof(world->path), "/tmp/loyalty-store-%d",
             (int)getpid());
    snprintf(world->addr, sizeof(world->addr), "unix:%s", world->path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
    unlink(world->path);
    world->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address,
                          sizeof(address)), 0);
    assert_int_equal(listen(world->listener, 8), 0);
    assert_int_equal(pthread_create(&world->thread, NULL, run, world), 0);

    world->addrs[0] = loyalty_str_from(world->addr);
    world->conf = (loyalty_store_conf_t){.addrs = world->addrs, .naddrs = 1,
                                         .connect_timeout = 1000,
                                         .timeout = 1000};
    world->store = loyalty_store_open(&world->conf);
    loyalty_commands_init(&world->commands);
    loyalty_replies_init(&world->replies);
    *state = world;

    return 0;
}

static int
teardown(void **state)
{
    world_t *world = *state;

    loyalty_replies_free(&world->replies);
    loyalty_commands_free(&world->commands);
    loyalty_store_close(world->store);
    shutdown(world->listener, SHUT_RDWR);
    pthread_join(world->thread, NULL);
    close(world->listener);
    unlink(world->path);
    free(world);

    return 0;
}

static loyalty_store_result_t
call(world_t *world, const char *name, const char *key)
{
    loyalty_commands_reset(&world->commands);
    loyalty_command_words(&world->commands, name, key, (char *)NULL);

    return loyalty_store_call(world->store, loyalty_str("s"),
                              &world->commands, &world->replies);
}

static loyalty_store_result_t
exec(world_t *world)
{
    loyalty_commands_reset(&world->commands);
    loyalty_command(&world->commands, "MULTI", 1);
    loyalty_command_words(&world->commands, "SET", "k", "v", (char *)NULL);
    loyalty_command(&world->commands, "EXEC", 1);

    return loyalty_store_exec(world->store, loyalty_str("s"),
                              &world->commands);
}

/* Until the stand-in's end of the connection is seen to be closed. */
static void
rest(void)
{
    nanosleep(&(struct timespec){0, 100 * 1000 * 1000}, NULL);
}

static void
test_one_connection(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "WATCH", "b"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
    assert_int_equal(world->execs, 1);
}

static void
test_reads_by_another_connection(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "hang-up"), LOYALTY_STORE_OK);
    rest();
    assert_int_equal(call(world, "GET", "a"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_CONFLICT);
    assert_int_equal(world->execs, 0);
}

static void
test_watches_by_two_connections(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "hang-up"), LOYALTY_STORE_OK);
    rest();
    assert_int_equal(call(world, "WATCH", "b"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_CONFLICT);
    assert_int_equal(world->execs, 0);

    /* Done again it goes through. */
    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "WATCH", "b"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
    assert_int_equal(world->execs, 1);
}

static void
test_given_up(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "hang-up"), LOYALTY_STORE_OK);
    rest();
    loyalty_store_unwatch(world->store, loyalty_str("s"));
    assert_int_equal(call(world, "WATCH", "b"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
}

/* Who hears that the connection was lost begins anew: no conflict. */
static void
test_loss_that_was_told(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "silence"), LOYALTY_STORE_AWAY);
    rest();
    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
}

static void
test_moved_within(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "moved"), LOYALTY_STORE_CONFLICT);
    assert_int_equal(call(world, "WATCH", "a"), LOYALTY_STORE_OK);
    assert_int_equal(call(world, "GET", "moved"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
    assert_int_equal(world->execs, 1);
}

static void
test_moved_at_the_beginning(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "WATCH", "moved"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
    assert_int_equal(world->execs, 1);
}

static void
test_without_watch(void **state)
{
    world_t *world = *state;

    assert_int_equal(call(world, "GET", "hang-up"), LOYALTY_STORE_OK);
    rest();
    assert_int_equal(call(world, "GET", "a"), LOYALTY_STORE_OK);
    assert_int_equal(exec(world), LOYALTY_STORE_OK);
    assert_int_equal(world->execs, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_connection),
        TEST(test_reads_by_another_connection),
        TEST(test_watches_by_two_connections),
        TEST(test_given_up),
        TEST(test_loss_that_was_told),
        TEST(test_moved_within),
        TEST(test_moved_at_the_beginning),
        TEST(test_without_watch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
