/*
 * Every Redis key, on one page.  {site} is the hash tag: one site, one slot.
 *
 *   key                               type    what
 *   loyalty:p:{site}                  string  program, JSON          tracked
 *   loyalty:m:{site}:member           string  member state, codec    tracked
 *   loyalty:o:{site}:order            string  order record, codec
 *   loyalty:h:{site}:member           hash    units ordered, by SKU
 *   loyalty:l:{site}:member           stream  points ledger entries
 *   loyalty:c:{site}:member           stream  credits ledger entries
 *   loyalty:mo:{site}:member          zset    order ids by placed_at
 *   loyalty:ch:{site}:member          stream  history of consent
 *   loyalty:mi:{site}                 zset    member ids, lexical
 *   loyalty:ie:{site}                 zset    folded email \0 member
 *   loyalty:ip:{site}                 zset    phone's digits \0 member
 *   loyalty:in:{site}                 zset    folded name \0 member
 *   loyalty:s:{site}:orders           stream  order events from the edge
 *   loyalty:s:{site}:visits           stream  visits, capped
 *   loyalty:s:{site}:posts            stream  order posts left to the back end
 *   loyalty:s:{site}:dead             stream  dead letters
 *   loyalty:s:{site}:audit           stream  changes by staff, the newest
 *   loyalty:x:{site}:lease            string  who applies, fencing token
 *   loyalty:x:{site}:stats            hash    counters of the pipeline
 *   loyalty:x:{site}:versions         zset    numbers of the versions kept
 *   loyalty:v:{site}:N                string  version N: a line, the document
 *   loyalty:im:{site}:HASH            hash    an image
 *   loyalty:x:{site}:images           zset    hashes of images
 *   loyalty:dr:{site}                 string  the draft of the program
 *   loyalty:j:{site}:JOB              hash    a job (loyalty_job.h)
 *   loyalty:jm:{site}:JOB             zset    the members it is about; of a
 *                                             check a hash, uses to begin with
 *   loyalty:jf:{site}:JOB             list    its file, in blocks
 *   loyalty:g:{site}:GROUP            hash    a group (loyalty_group.h)
 *   loyalty:gm:{site}:GROUP           zset    its members, lexical
 *   loyalty:x:{site}:groups           zset    all groups, by creation
 *   loyalty:x:{site}:broadcasts       zset    jobs of broadcasts, by creation
 *   loyalty:x:{site}:jobs             zset    jobs to be run, by due instant
 *   loyalty:x:{site}:joblist          zset    all jobs, by creation
 *   loyalty:x:{site}:jobs-lease       string  who works on jobs
 *   loyalty:x:{site}:nightly          string  local day of the last night run
 *   loyalty:s:{site}:tracks           stream  opens, clicks
 *   loyalty:x:{site}:tracks           string  the last of them applied
 *   loyalty:s:{site}:unsubscribes     stream  unsubscribes
 *   loyalty:x:{site}:unsubscribes     string  the last of them applied
 *   loyalty:s:{site}:events           stream  what webhooks are to be told
 *   loyalty:x:{site}:events           string  times that some were taken
 *   loyalty:x:{site}:secrets          hash    webhook -> its secret
 *   loyalty:x:{site}:deliveries       zset    pending ones by next try
 *   loyalty:wd:{site}:DELIVERY        hash    a delivery (loyalty_hook.h)
 *   loyalty:wl:{site}[:state]         zset    deliveries by created_at
 *   loyalty:ob:{site}:channel         zset    pending messages by next try
 *   loyalty:mg:{site}:message         hash    a message (loyalty_message.h)
 *   loyalty:ml:{site}[:state]         zset    messages by created_at
 *   loyalty:mm:{site}:member          zset    a member's, by created_at
 *   loyalty:ms:{site}:member          zset    those sent, by that instant
 *   loyalty:us:{site}:channel         set     members who unsubscribed
 *   loyalty:mb:{site}                 zset    who was blocked, by when
 *   loyalty:br:{site}                 hash    member -> rules not fired, why
 *   loyalty:mt:{site}:member          string  last click and open
 *   loyalty:oc:{site}:order           string  the message credited with it
 *   loyalty:rs:{site}[:rule]          hash    numbers of messages, all-time
 *   loyalty:ct:{site}:content         hash    what a broadcast says
 *   loyalty:u:{site}                  hash    uses and money given, by offer
 *   loyalty:hd:{site}:HOLD            string  a checkout's hold, codec
 *   loyalty:x:{site}:holds            zset    holds in force, by expiry
 *   loyalty:cd:{site}                 hash    coupon code -> whose, used by
 *   loyalty:cl:{site}:OFFER           zset    codes of an offer, lexical
 *   loyalty:i:{site}:key              string  idempotency answers, 24 h
 *   loyalty:ik:{site}:member          set     keys of answers about a person
 *   loyalty:sites                     set     site ids
 *   loyalty:tokens                    hash    sha256 -> scopes
 *   loyalty:staff                     hash    e-mail -> account, JSON
 *   loyalty:session:SHA256            string  session, JSON, with a TTL
 *   loyalty:lock:{SHA256}             string  no sign-in for this e-mail now
 *   loyalty:tries:{SHA256}            string  sign-ins that failed, a day
 *   loyalty:audit                     stream  changes of staff and tokens
 *
 * Tracked: loyalty:m: and loyalty:p: are the prefixes whose changes Redis
 * tells the edge; nothing else may begin with them.
 */

#ifndef LOYALTY_KEYS_H
#define LOYALTY_KEYS_H

#include "loyalty.h"

#define LOYALTY_KEY_MAX 512

/*
 * Writes prefix:kind:{site}[:rest]; terminated.  `rest` may be empty.
 * Returns the length, or 0 when it does not fit LOYALTY_KEY_MAX.
 * The site id must have passed loyalty_site_id_check (no braces).
 */
size_t loyalty_key(char key[LOYALTY_KEY_MAX], loyalty_str_t prefix,
                   const char *kind, loyalty_str_t site, loyalty_str_t rest);

/* [a-z0-9][a-z0-9_-]*, else LOYALTY_ERROR_INVALID; longer than
 * LOYALTY_SITE_ID_MAX: LOYALTY_ERROR_LIMIT. */
loyalty_status_t loyalty_site_id_check(loyalty_str_t site);

/* The kind (one letter), site and rest of a tracked key, for invalidations;
 * anything else is LOYALTY_ERROR_INVALID.  The strings point into `key`. */
loyalty_status_t loyalty_key_split(loyalty_str_t key, loyalty_str_t prefix,
                                   char *kind, loyalty_str_t *site,
                                   loyalty_str_t *rest);

#endif
