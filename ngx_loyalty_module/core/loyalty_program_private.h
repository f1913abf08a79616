/*
 * What a program keeps for itself, and the shapes of its document's parts.
 * Internal to core/.
 */

#ifndef LOYALTY_PROGRAM_PRIVATE_H
#define LOYALTY_PROGRAM_PRIVATE_H

#include "loyalty_offer.h"
#include "loyalty_reader.h"
#include "loyalty_scope.h"

typedef struct {
    loyalty_str_t pattern;
    loyalty_str_t category;
    loyalty_pattern_t *compiled;
} loyalty_category_rule_t;

struct loyalty_program_private_s {
    loyalty_arena_t arena; /* all but the document and compiled patterns */
    loyalty_map_t templates_by_id;
    loyalty_map_t offers_by_id;
    loyalty_map_t rules_by_id;
    loyalty_scope_index_t scopes;
    loyalty_category_rule_t *categories;
    size_t ncategories;
    loyalty_pattern_t **patterns; /* every one, to be freed */
    size_t npatterns;
    size_t patterns_capacity;
    json_t *default_statuses; /* where the document has none */
};

extern const loyalty_name_t loyalty_segment_names[];
extern const loyalty_name_t loyalty_criterion_names[];
extern const loyalty_name_t loyalty_channel_names[];

extern const loyalty_shape_t loyalty_settings_shape;
extern const loyalty_shape_t loyalty_tier_shape;
extern const loyalty_shape_t loyalty_design_shape;
extern const loyalty_shape_t loyalty_message_template_shape;
extern const loyalty_shape_t loyalty_category_shape;
extern const loyalty_shape_t loyalty_offer_shape;
extern const loyalty_shape_t loyalty_rule_shape;

void loyalty_read_webhooks(loyalty_reader_t *reader, json_t *value,
                           void *target);
void loyalty_read_offers(loyalty_reader_t *reader, json_t *array);
void loyalty_read_rules(loyalty_reader_t *reader, json_t *array);

/* What has no name is called by its id. */
void loyalty_name_by_id(loyalty_reader_t *reader, loyalty_texts_t *name,
                        loyalty_str_t id);

/* Compiles the pattern being read; NULL with a problem, or without memory. */
loyalty_pattern_t *loyalty_read_pattern(loyalty_reader_t *reader,
                                        loyalty_str_t source);

/* A problem for each mistake in the Mustache being read. */
void loyalty_read_mustache(loyalty_reader_t *reader, const char *key,
                           loyalty_str_t source);

/* The statuses of a site that has not chosen any; a new reference. */
json_t *loyalty_default_statuses(int exponent);

#endif
