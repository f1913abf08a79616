/*
 * Accounts of staff, one for each person of an installation:
 *
 *   loyalty:staff, field e-mail in lower case:
 *   {"email","name","password","sites":{SITE|"*":"owner|editor|viewer"},
 *    "generation","disabled","created_at"}
 *
 * The password is as libcrypt's crypt() writes it, yescrypt.  A session is
 * worth nothing once the generation of its account is another.
 */

#ifndef LOYALTY_API_STAFF_H
#define LOYALTY_API_STAFF_H

#include "loyalty_api_call.h"

/* The account of that e-mail, or NULL in *account. */
loyalty_store_result_t loyalty_api_read_account(loyalty_api_call_t *call,
                                                loyalty_str_t email,
                                                json_t **account);

/* The same, to be changed: while nobody else changes an account. */
loyalty_store_result_t loyalty_api_watch_account(loyalty_api_call_t *call,
                                                 loyalty_str_t email,
                                                 json_t **account);

/* Writes the account, which is WATCHed, with its entry in the audit;
 * `sign_out` ends all of its sessions. */
loyalty_store_result_t loyalty_api_write_account(loyalty_api_call_t *call,
                                                 json_t *account,
                                                 bool sign_out);

/* An e-mail as accounts know it, in the arena; empty: it is none. */
loyalty_str_t loyalty_api_account_email(loyalty_api_call_t *call,
                                        const json_t *text);

/* A password as it is kept, malloc'ed; NULL: out of memory or entropy. */
char *loyalty_password_hash(const char *password);

typedef enum {
    LOYALTY_PASSWORD_RIGHT,
    LOYALTY_PASSWORD_WRONG,
    LOYALTY_PASSWORD_BUSY /* too many at once */
} loyalty_password_t;

/* Takes the same time where `hash` is NULL, which no password fits. */
loyalty_password_t loyalty_password_verify(const char *password,
                                           const char *hash);

/* Writes 43 letters of 32 random bytes; false: there is no entropy. */
bool loyalty_random_token(char token[44]);

/* The field of the body, a password to be; NULL: 422 is written. */
const char *loyalty_api_new_password(loyalty_api_call_t *call,
                                     const char *field);

#endif
