/*
 * Letters rendered and composed as e-mail, nothing of it sent or recorded: the
 * template of a rule over a member, in one thread.  "metric value" lines.
 *
 *   letter PROGRAM RULE     PROGRAM: a site's document, as Redis has it
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loyalty_letter.h"
#include "loyalty_mime.h"

#define TIMES 20000

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static loyalty_program_t *
read_program(const char *path)
{
    static char bytes[LOYALTY_PROGRAM_SIZE_MAX];
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    FILE *file = fopen(path, "r");
    size_t len;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    if (loyalty_program_parse(bytes, len, &problems, &program) != LOYALTY_OK) {
        fprintf(stderr, "%s is no program\n", path);
        exit(1);
    }
    loyalty_arena_free(&arena);

    return program;
}

int
main(int argc, char **argv)
{
    static loyalty_formats_t formats;
    loyalty_letter_t letter = {0};
    loyalty_envelope_t envelope;
    loyalty_member_t member;
    loyalty_arena_t arena;
    const char *what = "";
    char id[32], name[32];
    loyalty_str_t bytes;
    loyalty_status_t rc;
    double began;
    size_t i, size = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s PROGRAM RULE\n", argv[0]);
        return 2;
    }

    letter.program = read_program(argv[1]);
    letter.rule = loyalty_program_rule(letter.program,
                                       loyalty_str_from(argv[2]));
    if (letter.rule == NULL) {
        fprintf(stderr, "no rule %s\n", argv[2]);
        return 1;
    }

    letter.member = &member;
    letter.channel = LOYALTY_CHANNEL_EMAIL;
    letter.secret = loyalty_str("0123456789abcdef0123456789abcdef");
    letter.formats = &formats;
    letter.at = INT64_C(1795000000000);
    loyalty_arena_init(&arena, 0);
    began = seconds();

    for (i = 0; i < TIMES; i++) {
        snprintf(id, sizeof(id), "m%07zu", i);
        snprintf(name, sizeof(name), "Name %zu", i);
        loyalty_member_init(&member, loyalty_str_from(id));
        member.name = loyalty_str_from(name);
        member.email = loyalty_str("name@example.com");
        member.spent_total = (int64_t)i * 100;
        letter.id = loyalty_str_from(id);

        rc = loyalty_letter_write(&letter, &arena, &envelope);
        if (rc == LOYALTY_OK) {
            rc = loyalty_mime_compose(&envelope, &arena, &bytes, &what);
        }
        if (rc != LOYALTY_OK) {
            fprintf(stderr, "%s %s\n", loyalty_status_name(rc), what);
            return 1;
        }
        size += bytes.len;
        loyalty_arena_reset(&arena);
    }

    printf("letter_rendered_per_second %.0f\n", TIMES / (seconds() - began));
    printf("letter_bytes %zu\n", size / TIMES);

    return 0;
}
