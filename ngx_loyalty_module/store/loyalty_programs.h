/*
 * Compiled programs, kept by a thread.
 *
 * A program's document begins with its version, so its length and first bytes
 * tell whether the compiled one is still right: every transaction reads those
 * two with the rest and WATCHes the key, and the whole document only when they
 * differ.
 */

#ifndef LOYALTY_PROGRAMS_H
#define LOYALTY_PROGRAMS_H

#include "loyalty_program.h"
#include "loyalty_store.h"

typedef struct loyalty_programs_s loyalty_programs_t;

loyalty_programs_t *loyalty_programs_create(void);
void loyalty_programs_free(loyalty_programs_t *programs);

/* Adds the two commands that read the stamp. */
void loyalty_programs_stamp(loyalty_commands_t *commands,
                            const loyalty_scope_t *scope);

#define LOYALTY_PROGRAMS_STAMP_REPLIES 2

/* Does the stamp belong to `program`, the one got for this site?  Without a
 * program: is there none?  False also for replies of another type. */
bool loyalty_programs_current(const loyalty_programs_t *programs,
                              const loyalty_scope_t *scope,
                              const loyalty_program_t *program,
                              redisReply *const *stamp);

/* The stamp came with another read: if it is that of the site's compiled
 * program, the next get asks no more.  Without a stamp: that is over. */
void loyalty_programs_ahead(loyalty_programs_t *programs,
                            const loyalty_scope_t *scope,
                            redisReply *const *stamp);

/*
 * The site's program, NULL in *program if it has none.  It stays valid until
 * the next call for the same thread's programs.  LOYALTY_STORE_MALFORMED: a
 * document this build cannot read; loyalty_programs_problem() says why.
 */
loyalty_store_result_t loyalty_programs_get(loyalty_programs_t *programs,
                                            loyalty_store_t *store,
                                            const loyalty_scope_t *scope,
                                            const loyalty_program_t **program);

const char *loyalty_programs_problem(const loyalty_programs_t *programs);

/* The document as the key holds it: compact, the version first.  malloc'ed,
 * or NULL.  Takes no reference. */
char *loyalty_programs_document(json_t *document, int64_t version);

#endif
