#include "loyalty_refusal.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name, *text;
} refusals[] = {
    {"insufficient_points", "the member has too few active points"},
    {"insufficient_credits", "the member has too little active credit"},
    {"member_erased", "the member is deleted or erased"},
    {"already_owned", "the member has this card already"},
    {"wallet_full", "the member's wallet is full"},
    {"not_for_sale", "an offer of this type is not had this way: a promotion "
     "is for everyone, a card is given and not bought"},
    {"automatic", "a card applies by itself: it is never applied by hand"},
    {"codes_used_up", "no code of the offer is left: make more"},
    {"already_redeemed", "it has been used already"},
    {"held_elsewhere", "a checkout holds it: wait until that has ended"},
    {"not_found", "there is no such offer or entitlement"},
    {"not_published", "the offer is not published"},
    {"not_started", "the offer has not started yet"},
    {"expired", "it has ended"},
    {"status", "the member's status is none that the offer is for"},
    {"segment", "the member is in no segment that the offer is for"},
    {"group", "the member is in no group that the offer is for"},
    {"order_number", "the offer is for another order of the member's"},
    {"limit_total", "the offer is sold out"},
    {"limit_per_member", "the member has used the offer as often as allowed"},
    {"budget", "the offer's budget is spent"},
};

const char *
loyalty_refusal_text(const char *refusal)
{
    size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strcmp(refusal, refusals[i].name) == 0) {
            return refusals[i].text;
        }
    }

    return "a rule of the programme forbids it";
}
