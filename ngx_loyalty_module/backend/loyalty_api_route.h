/*
 * A route and what a request goes through before its handler.
 *
 *   path, query -> route -> who calls, and may they -> body -> handler
 *
 * For loyalty_api*.c alone.
 */

#ifndef LOYALTY_API_ROUTE_H
#define LOYALTY_API_ROUTE_H

#include "loyalty_api_call.h"

/*
 * What the caller must be allowed, by a role on the site of the path (a
 * session) or a scope of the token.
 *
 *                 session      token        audited
 *   READ          viewer       read
 *   WRITE         editor       write        yes
 *   ORDERS        editor       write        no: many a second
 *   OWN           owner        write        yes
 *   ADMIN         owner        admin        yes
 *   INSTALLATION  owner of *   admin of *   yes
 *   ANY           whoever is signed in; the handler shows what is theirs
 *   SELF          a session only
 *   PUBLIC        anybody
 */
typedef enum {
    LOYALTY_SCOPE_READ,
    LOYALTY_SCOPE_WRITE,
    LOYALTY_SCOPE_ORDERS,
    LOYALTY_SCOPE_OWN,
    LOYALTY_SCOPE_ADMIN,
    LOYALTY_SCOPE_INSTALLATION,
    LOYALTY_SCOPE_ANY,
    LOYALTY_SCOPE_SELF,
    LOYALTY_SCOPE_PUBLIC
} loyalty_api_scope_t;

typedef enum {
    LOYALTY_BODY_NONE,
    LOYALTY_BODY_JSON,
    LOYALTY_BODY_NDJSON,
    LOYALTY_BODY_ANY, /* the handler looks at its type */
    LOYALTY_BODY_IMAGE
} loyalty_api_body_t;

typedef struct {
    loyalty_method_t method;
    const char *path; /* behind /v1/; * is any one segment */
    loyalty_api_scope_t scope;
    loyalty_api_body_t body;
    size_t body_max;
    loyalty_api_handler_pt handler;
} loyalty_api_route_t;

/* Every route there is. */
const loyalty_api_route_t *loyalty_api_routes(size_t *n);

/* openapi.json, a new reference; NULL: out of memory. */
json_t *loyalty_api_details(void);

/* Whether query and body have only what openapi.json names; false: the error
 * is written. */
bool loyalty_api_keeps_contract(loyalty_api_call_t *call,
                                const loyalty_api_route_t *route);

/* The path and the query of the request into the call, decoded; false: not
 * well formed, or no path of ours. */
bool loyalty_api_split_uri(loyalty_api_call_t *call);

/* Is the body of that type? */
bool loyalty_api_is_type(const loyalty_api_call_t *call, const char *type);

/* Who calls, and whether they may do what the route does.  *ok false: the
 * error is written. */
loyalty_store_result_t loyalty_api_authorize(loyalty_api_call_t *call,
                                             const loyalty_api_route_t *route,
                                             bool *ok);

/* Whether the caller may do that on a site, "*" being all of them. */
bool loyalty_api_may(const loyalty_api_call_t *call, loyalty_api_scope_t scope,
                     loyalty_str_t site);

#endif
