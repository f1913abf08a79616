/*
 * Texts by language.  The apostrophe is ’ and French has its no-break space
 * before a colon, as in print.
 */


#include "ngx_loyalty_text.h"


static const char *
    ngx_loyalty_texts[NGX_LOYALTY_TEXT_N][NGX_LOYALTY_LANGUAGES] = {

    [NGX_LOYALTY_TEXT_TITLE_MEMBER] =
        { "Your status", "Votre statut" },
    [NGX_LOYALTY_TEXT_TITLE_GUEST] =
        { "Our loyalty programme", "Notre programme de fidélité" },
    [NGX_LOYALTY_TEXT_PREVIEW] =
        { "Preview: this is how the page will look.",
          "Aperçu : voici comment la page apparaîtra." },
    [NGX_LOYALTY_TEXT_DRAFT] =
        { "Preview of the draft: shoppers do not see this yet.",
          "Aperçu du brouillon : les clients ne voient pas encore ceci." },
    [NGX_LOYALTY_TEXT_NO_STATUS] =
        { "No status yet", "Pas encore de statut" },
    [NGX_LOYALTY_TEXT_TOP] =
        { "You have reached the highest status.",
          "Vous avez atteint le statut le plus élevé." },
    [NGX_LOYALTY_TEXT_SIGN_IN] =
        { "Sign in to see your status and your points.",
          "Connectez-vous pour voir votre statut et vos points." },
    [NGX_LOYALTY_TEXT_SIGN_IN_LINK] =
        { "Sign in", "Se connecter" },
    [NGX_LOYALTY_TEXT_LADDER] =
        { "All statuses", "Tous les statuts" },
    [NGX_LOYALTY_TEXT_CURRENT] =
        { "Your status", "Votre statut" },
    [NGX_LOYALTY_TEXT_REACHED] =
        { "Reached", "Atteint" },
    [NGX_LOYALTY_TEXT_PROGRESS] =
        { "Progress to %s", "Progression vers %s" },
    [NGX_LOYALTY_TEXT_WINDOW] =
        { "What counts is the last %s days.",
          "Les %s derniers jours comptent." },
    [NGX_LOYALTY_TEXT_EVERYONE] =
        { "For every member", "Pour tous les membres" },
    [NGX_LOYALTY_TEXT_VIP] =
        { "For our best customers", "Pour nos meilleurs clients" },
    [NGX_LOYALTY_TEXT_AT_RISK] =
        { "For customers we have missed", "Pour les clients qui nous manquent" },
    [NGX_LOYALTY_TEXT_NEW] =
        { "For new customers", "Pour les nouveaux clients" },
    [NGX_LOYALTY_TEXT_RECURRING] =
        { "For regular customers", "Pour les clients réguliers" },
    [NGX_LOYALTY_TEXT_SPEND] =
        { "%s of purchases", "%s d’achats" },
    [NGX_LOYALTY_TEXT_SPEND_TO_GO] =
        { "%s of purchases to go until %s",
          "Encore %s d’achats pour atteindre %s" },
    [NGX_LOYALTY_TEXT_BADGE] =
        { "Your loyalty status", "Votre statut de fidélité" },
    [NGX_LOYALTY_TEXT_BADGE_SPEND] =
        { "%s to %s", "encore %s pour %s" }
};


/* one, other */

static const char *
    ngx_loyalty_counts[NGX_LOYALTY_COUNT_N][NGX_LOYALTY_LANGUAGES][2] = {

    [NGX_LOYALTY_COUNT_POINTS] =
        { { "%s point", "%s points" }, { "%s point", "%s points" } },
    [NGX_LOYALTY_COUNT_PENDING] =
        { { "%s point pending", "%s points pending" },
          { "%s point en attente", "%s points en attente" } },
    [NGX_LOYALTY_COUNT_POINTS_TO_GO] =
        { { "%s point to go until %s", "%s points to go until %s" },
          { "Encore %s point pour atteindre %s",
            "Encore %s points pour atteindre %s" } },
    [NGX_LOYALTY_COUNT_ORDERS] =
        { { "%s order", "%s orders" }, { "%s commande", "%s commandes" } },
    [NGX_LOYALTY_COUNT_ORDERS_TO_GO] =
        { { "%s order to go until %s", "%s orders to go until %s" },
          { "Encore %s commande pour atteindre %s",
            "Encore %s commandes pour atteindre %s" } },
    [NGX_LOYALTY_COUNT_BADGE_POINTS] =
        { { "%s point to %s", "%s points to %s" },
          { "encore %s point pour %s", "encore %s points pour %s" } },
    [NGX_LOYALTY_COUNT_BADGE_ORDERS] =
        { { "%s order to %s", "%s orders to %s" },
          { "encore %s commande pour %s", "encore %s commandes pour %s" } }
};


static ngx_uint_t
ngx_loyalty_language_is(loyalty_str_t locale, const char *language)
{
    return locale.len >= 2
           && ngx_strncasecmp((u_char *) locale.data, (u_char *) language, 2)
              == 0
           && (locale.len == 2 || locale.data[2] == '-'
               || locale.data[2] == '_');
}


ngx_loyalty_language_e
ngx_loyalty_language(loyalty_str_t locale)
{
    return ngx_loyalty_language_is(locale, "fr") ? NGX_LOYALTY_FRENCH
                                                 : NGX_LOYALTY_ENGLISH;
}


ngx_uint_t
ngx_loyalty_language_known(loyalty_str_t locale)
{
    return ngx_loyalty_language_is(locale, "fr")
           || ngx_loyalty_language_is(locale, "en");
}


const char *
ngx_loyalty_text(ngx_loyalty_language_e language, ngx_loyalty_text_e text)
{
    return ngx_loyalty_texts[text][language];
}


/* French says "0 point", English "0 points" (CLDR) */

const char *
ngx_loyalty_count_text(ngx_loyalty_language_e language,
    ngx_loyalty_count_e text, int64_t n)
{
    ngx_uint_t  one;

    one = n == 1 || n == -1 || (n == 0 && language == NGX_LOYALTY_FRENCH);

    return ngx_loyalty_counts[text][language][one ? 0 : 1];
}
