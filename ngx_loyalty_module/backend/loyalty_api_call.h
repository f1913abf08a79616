/*
 * What the handlers of routes share.
 *
 * A handler reads, decides, writes the response, and then commits; it returns
 * what the store says.  LOYALTY_STORE_CONFLICT makes the whole call run again
 * from the beginning, any other failure becomes an error response.
 */

#ifndef LOYALTY_API_CALL_H
#define LOYALTY_API_CALL_H

#include <jansson.h>

#include "loyalty_api.h"
#include "loyalty_batch.h"
#include "loyalty_member_change.h"

#define LOYALTY_API_SEGMENTS_MAX 7
#define LOYALTY_API_QUERY_MAX 16
#define LOYALTY_API_WHO_MAX 256

/* Who calls: a member of staff with a session, or a token. */
typedef struct {
    bool signed_in; /* a session */
    json_t *sites;  /* {"demo":"editor","*":"viewer"}, or of a token ["demo"] */
    json_t *scopes; /* of a token: ["read","write","admin"] */
    json_t *account;
    char session[65]; /* the hash that names it */
    char csrf[64];
    loyalty_instant_t expires_at;
} loyalty_api_caller_t;

struct loyalty_api_session_s {
    const loyalty_store_conf_t *conf;
    loyalty_store_t *store;
    loyalty_programs_t *programs;
    loyalty_batch_t *batch;
    loyalty_member_change_t change;
    loyalty_commands_t commands;
    loyalty_arena_t arena;
    json_t *details; /* openapi.json */
    bool watching; /* something, until a commit or the call's end */
};

typedef struct {
    loyalty_str_t name;
    loyalty_str_t value;
} loyalty_api_parameter_t;

typedef struct {
    loyalty_api_session_t *session;
    loyalty_arena_t *arena; /* until the call's end */
    const loyalty_api_request_t *request;
    loyalty_api_response_t *response;
    loyalty_instant_t now;
    loyalty_scope_t scope;

    /* The path behind /v1, decoded: sites, {site}, members, {id}, ... */
    loyalty_str_t segments[LOYALTY_API_SEGMENTS_MAX];
    size_t nsegments;
    loyalty_api_parameter_t query[LOYALTY_API_QUERY_MAX];
    size_t nquery;

    json_t *body; /* of a JSON route; NULL otherwise */
    loyalty_api_caller_t caller;
    char who[LOYALTY_API_WHO_MAX]; /* the token's name, the account's e-mail */
    char fingerprint[65]; /* of an idempotent request; empty: it is not */
    loyalty_str_t person; /* whom the answer is about, if it says who it is */

    /* For the audit, set by a handler before it commits: the object as it was
     * and as it is, each a reference or NULL. */
    bool audited;
    json_t *audit_before;
    json_t *audit_after;
} loyalty_api_call_t;

typedef loyalty_store_result_t (*loyalty_api_handler_pt)(
    loyalty_api_call_t *call);

/* {"error":{"code","message","details":[]}} */
void loyalty_api_error(loyalty_api_call_t *call, int status, const char *code,
                       const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The problems as details, each pointer without its first `prefix`; `n` as it
 * was counted, of which a list holds LOYALTY_PROBLEMS_MAX. */
void loyalty_api_problems(loyalty_api_call_t *call, int status,
                          const char *code, const char *message,
                          const loyalty_problem_t *problems, size_t n,
                          const char *prefix);

/* One detail. */
void loyalty_api_problem(loyalty_api_call_t *call, const char *pointer,
                         const char *message);

/* Takes the reference, which may be NULL: out of memory. */
void loyalty_api_json(loyalty_api_call_t *call, int status, json_t *json);

/* Copies the bytes; `type` is static. */
void loyalty_api_bytes(loyalty_api_call_t *call, const char *type,
                       loyalty_str_t bytes);

void loyalty_api_no_content(loyalty_api_call_t *call);

/* "not_found" with what it is. */
void loyalty_api_not_found(loyalty_api_call_t *call, const char *what);

loyalty_str_t loyalty_api_query(const loyalty_api_call_t *call,
                                const char *name);

/* A parameter that is true or false, as the dispatcher has made sure. */
bool loyalty_api_flag(const loyalty_api_call_t *call, const char *name);

/* ?limit= within 1-200, 50 by default; false: the error is written. */
bool loyalty_api_limit(loyalty_api_call_t *call, size_t *limit);

/* A stream id, "1-2"; anything else names nothing. */
bool loyalty_api_is_stream_id(loyalty_str_t id);

/* The rank behind ?cursor=, an element, in a sorted set read from its end; 0
 * without one.  Where there is no such element the error is written. */
loyalty_store_result_t loyalty_api_rank(loyalty_api_call_t *call,
                                        const char *kind, loyalty_str_t rest,
                                        int64_t *rank);

/* One more than `limit` elements of a sorted set by its command of ranges, from
 * there on; the reply is an array. */
loyalty_store_result_t loyalty_api_range(loyalty_api_call_t *call,
                                         const char *command,
                                         const char *kind, loyalty_str_t rest,
                                         loyalty_str_t from, const char *to,
                                         size_t limit,
                                         loyalty_replies_t *replies);

/* {name: items, "next_cursor"}, without the latter where it is empty.  Takes
 * the reference. */
void loyalty_api_list(loyalty_api_call_t *call, const char *name,
                      json_t *items, loyalty_str_t next);

/* An array's texts, `limit` at most; *next is the last of them where the array
 * has more. */
loyalty_store_result_t loyalty_api_ids(loyalty_api_call_t *call,
                                       const redisReply *reply, size_t limit,
                                       loyalty_str_t **ids, size_t *n,
                                       loyalty_str_t *next);

/* MGET of a kind of key, n > 0. */
loyalty_store_result_t loyalty_api_values(loyalty_api_call_t *call,
                                          const char *kind,
                                          const loyalty_str_t *ids, size_t n,
                                          loyalty_replies_t *replies);

/* ?name=, an instant; not there: *at stays.  false: the error is written. */
bool loyalty_api_query_instant(loyalty_api_call_t *call, const char *name,
                               loyalty_instant_t *at);

/* ?at= or now; false: the error is written. */
bool loyalty_api_at(loyalty_api_call_t *call, loyalty_instant_t *at);

/* Adds a new job to session->commands, which is MULTI ...; its address is the
 * response's Location. */
void loyalty_api_add_job(loyalty_api_call_t *call, const char *kind,
                         loyalty_str_t id, const json_t *params,
                         loyalty_instant_t due, int64_t total);

/*
 * Adds a new job to session->commands, which is MULTI ..., answers 202 with
 * its id, and commits.  `total` -1: not known yet.
 */
loyalty_store_result_t loyalty_api_create_job(loyalty_api_call_t *call,
                                              const char *kind,
                                              loyalty_str_t id,
                                              const json_t *params,
                                              int64_t total);

/* The same, not to begin before `due`. */
loyalty_store_result_t loyalty_api_preset_job(loyalty_api_call_t *call,
                                              const char *kind,
                                              loyalty_str_t id,
                                              const json_t *params,
                                              loyalty_instant_t due,
                                              int64_t total);

/* Appends to session->commands, which is MULTI ..., that a job is cancelled.
 * What of its params, or NULL, is not personal stays. */
void loyalty_api_write_cancel(loyalty_api_call_t *call, loyalty_str_t id,
                              const json_t *params);

/* Adds json (its reference is taken) or NULL under a name, unless it has no
 * value; strings that are empty are left out. */
void loyalty_api_set_str(json_t *object, const char *name, loyalty_str_t text);
void loyalty_api_set_instant(json_t *object, const char *name,
                             loyalty_instant_t instant);

/* Sends session->commands, the replies into `replies` (emptied first). */
loyalty_store_result_t loyalty_api_read(loyalty_api_call_t *call,
                                        loyalty_replies_t *replies);

/* A key that is no site's, "loyalty:staff"; and one command on it. */
loyalty_str_t loyalty_api_global_key(loyalty_api_call_t *call,
                                     const char *name);
void loyalty_api_global(loyalty_api_call_t *call, const char *name,
                        loyalty_str_t key, size_t more);
/* Sends session->commands to where that key lies. */
loyalty_store_result_t loyalty_api_global_read(loyalty_api_call_t *call,
                                               loyalty_str_t key,
                                               loyalty_replies_t *replies);

/*
 * The one command of session->commands on that key, which changes it unless
 * what the handler WATCHed has changed, after its entry in the audit: what is
 * not in the audit has not happened.  The reply goes to *reply: an integer.
 */
loyalty_store_result_t loyalty_api_global_write(loyalty_api_call_t *call,
                                                loyalty_str_t key,
                                                int64_t *reply);

/* The caller is an owner of the site; false: 403 is written. */
bool loyalty_api_is_owner(loyalty_api_call_t *call);

/* Appends a command of a name, a key and `more` arguments to come. */
void loyalty_api_command(loyalty_api_call_t *call, const char *name,
                         const char *kind, loyalty_str_t rest, size_t more);

/* WATCH of one key. */
void loyalty_api_watch(loyalty_api_call_t *call, const char *kind,
                       loyalty_str_t rest);

/*
 * session->commands is MULTI ...; adds the answer to be given again to this
 * Idempotency-Key and the audit's entry, then EXEC, and runs it.  The response
 * must be written.
 */
loyalty_store_result_t loyalty_api_commit(loyalty_api_call_t *call);

/* The path behind the site, as it was asked for: "statuses/gold". */
loyalty_str_t loyalty_api_path(loyalty_api_call_t *call);

/* If-None-Match: *, by which a PUT is to make something new. */
bool loyalty_api_wants_new(const loyalty_api_call_t *call);

/* The same, where there is something: 412 is written. */
bool loyalty_api_refuses_any(loyalty_api_call_t *call);

/* Hex SHA-256 of one text, or of several, each with its length before it.
 * Empty when there is no memory for it. */
void loyalty_api_sha256(const loyalty_str_t *parts, size_t n, char hex[65]);

/* The audit's entry of this call, for a route that is audited. */
void loyalty_api_audit(loyalty_api_call_t *call);
void loyalty_api_audit_forget(loyalty_api_call_t *call);

/* Takes an entry back, whose change did not come about. */
void loyalty_api_audit_undo(loyalty_api_call_t *call, loyalty_str_t entry);

/* The site's program.  OK with NULL: the site does not exist, which the
 * response says. */
loyalty_store_result_t loyalty_api_program(loyalty_api_call_t *call,
                                           const loyalty_program_t **program);

/*
 * WATCHes and reads a member to be changed, with the caller's own `reads`
 * (NULL: none), into session->change.  OK with NULL in *slot: there is no such
 * site, which the response says.  A member that is not there is slot->fresh.
 */
loyalty_store_result_t loyalty_api_load_member(loyalty_api_call_t *call,
                                               loyalty_str_t id,
                                               const loyalty_commands_t *reads,
                                               loyalty_member_slot_t **slot);

/* Empties session->commands, begins MULTI and writes session->change's
 * members; the handler may add to it before it commits. */
void loyalty_api_begin(loyalty_api_call_t *call);

/* Only reads a member; its bytes stay in `replies`.  *found false: there is
 * none, and nothing is written about it. */
loyalty_store_result_t loyalty_api_read_member(loyalty_api_call_t *call,
                                               loyalty_str_t id,
                                               loyalty_replies_t *replies,
                                               loyalty_member_t *member,
                                               bool *found);

/* The member's id in the path, if a member can have it; false: 404 is
 * written. */
bool loyalty_api_member_id(loyalty_api_call_t *call, loyalty_str_t *id);

/* Handlers, by resource. */
loyalty_store_result_t loyalty_api_get_settings(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_put_settings(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_resources(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_create_resource(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_resource(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_put_resource(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_resource(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_copy_resource(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_order_resources(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_publish_offer(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_unpublish_offer(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_assign_offer(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_create_image(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_image(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_images(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_image(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_activate(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_deactivate(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_preview_link(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_draft(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_put_draft(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_draft(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_publish_draft(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_versions(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_version(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_restore_version(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_members(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_create_member(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_member(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_patch_member(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_member(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_bulk(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_import(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_export(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_job_file(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_check(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_member_orders(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_member_ledger(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_member_consents(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_member_export(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_codes(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_make_codes(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_export_codes(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_post_points(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_post_credits(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_post_entitlement(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_apply_entitlement(loyalty_api_call_t *call);
loyalty_store_result_t
loyalty_api_unapply_entitlement(loyalty_api_call_t *call);
loyalty_store_result_t
loyalty_api_delete_entitlement(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_post_order(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_post_orders(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_order(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_cancel_order(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_refund_order(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_post_hold(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_hold(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_hold(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_quote(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_groups(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_create_group(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_group(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_group(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_members(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_points(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_credits(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_reach(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_broadcast(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_group_export(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_reach(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_broadcast(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_broadcasts(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_jobs(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_post_job(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_job(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_cancel_job(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_openapi(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_audit(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_sign_in(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_session(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_sign_out(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_put_password(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_sites(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_health(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_redis(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_metrics(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_staff(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_create_staff(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_staff(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_patch_staff(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_staff(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_roles(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_put_role(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_role(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_tokens(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_create_token(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_token(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_list_messages(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_message(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_member_messages(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_retry_message(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_retry_messages(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_message_stats(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_rule_stats(loyalty_api_call_t *call);

loyalty_store_result_t loyalty_api_stats(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_dead(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_replay_dead(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_delete_dead(loyalty_api_call_t *call);

loyalty_store_result_t
loyalty_api_make_webhook_secret(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_webhooks(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_test_webhook(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_list_deliveries(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_get_delivery(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_replay_delivery(loyalty_api_call_t *call);
loyalty_store_result_t loyalty_api_replay_deliveries(loyalty_api_call_t *call);

#endif
