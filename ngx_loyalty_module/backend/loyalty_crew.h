/*
 * Threads that do what takes long, so that one slow thing does not hold up the
 * next.  Tasks come in lines; a line has threads of its own, made when they are
 * first needed, each with tools that it keeps.
 *
 *   post -> the line's queue -> a thread works -> take
 *
 * One thread posts and takes.
 */

#ifndef LOYALTY_CREW_H
#define LOYALTY_CREW_H

#include <stdbool.h>
#include <stddef.h>

typedef struct loyalty_crew_s loyalty_crew_t;
typedef struct loyalty_task_s loyalty_task_t;

/* The first member of what the caller posts, which stays as it is until it is
 * taken back. */
struct loyalty_task_s {
    loyalty_task_t *next; /* the crew's, as is the line */
    size_t line;
};

typedef struct {
    void *(*equip)(void *data); /* a thread's tools; NULL: none to be had */
    void (*work)(void *data, void *tools, loyalty_task_t *task);
    void (*put_away)(void *tools); /* may be NULL */
    void *data;
} loyalty_crew_conf_t;

/* `conf` outlives it; `threads`: the most of each line. */
loyalty_crew_t *loyalty_crew_create(const loyalty_crew_conf_t *conf,
                                    const int *threads, size_t lines);

/* All tasks have been taken back, or are forgotten; NULL is free already. */
void loyalty_crew_free(loyalty_crew_t *crew);

/* False: there is no thread to do it, nor can one be made. */
bool loyalty_crew_post(loyalty_crew_t *crew, size_t line,
                       loyalty_task_t *task);

/* A task that is done already, to be taken as the others are. */
void loyalty_crew_done(loyalty_crew_t *crew, size_t line,
                       loyalty_task_t *task);

/* A task that is done; NULL: none within `timeout` ms. */
loyalty_task_t *loyalty_crew_take(loyalty_crew_t *crew, int timeout);

/* Posted and not taken back: in a line, and in all. */
int loyalty_crew_in(const loyalty_crew_t *crew, size_t line);
size_t loyalty_crew_out(const loyalty_crew_t *crew);

#endif
