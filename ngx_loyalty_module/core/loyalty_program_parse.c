/*
 * From the document to the program.  Each part is read by its shape; here are
 * the rules that tie parts together: statuses to each other, the settings to
 * a design, offers and rules to what they name.
 *
 * Reading goes on after a mistake, so that all are reported at once; with any
 * problem there is no program.
 */

#include "loyalty_program_private.h"

#include "loyalty_template.h"

#include <stdlib.h>

loyalty_pattern_t *
loyalty_read_pattern(loyalty_reader_t *reader, loyalty_str_t source)
{
    struct loyalty_program_private_s *own = reader->program->private_data;
    loyalty_pattern_t *pattern = NULL, **patterns;
    loyalty_status_t rc;
    size_t capacity;

    if (own->npatterns == own->patterns_capacity) {
        capacity = own->patterns_capacity * 2 + 16;
        patterns = realloc(own->patterns, capacity * sizeof(patterns[0]));
        if (patterns == NULL) {
            reader->out_of_memory = true;
            return NULL;
        }
        own->patterns = patterns;
        own->patterns_capacity = capacity;
    }

    rc = loyalty_pattern_compile(source, reader->pointer, reader->problems,
                                 &pattern);
    if (rc == LOYALTY_OK) {
        own->patterns[own->npatterns++] = pattern;
    }

    reader->out_of_memory |= rc == LOYALTY_ERROR_MEMORY;
    return pattern;
}

void
loyalty_read_mustache(loyalty_reader_t *reader, const char *key,
                      loyalty_str_t source)
{
    loyalty_template_t *compiled = NULL;
    loyalty_problems_t problems;
    loyalty_status_t rc;
    size_t i;

    if (source.len == 0) {
        return;
    }

    loyalty_problems_init(&problems, reader->arena);
    rc = loyalty_template_compile(source, &problems, &compiled);
    loyalty_template_free(compiled);

    if (rc == LOYALTY_ERROR_MEMORY) {
        reader->out_of_memory = true;
        return;
    }

    for (i = 0; i < problems.count && i < LOYALTY_PROBLEMS_MAX; i++) {
        loyalty_report(reader, key, "%.*s: %.*s",
                       (int)problems.list[i].pointer.len,
                       problems.list[i].pointer.data,
                       (int)problems.list[i].message.len,
                       problems.list[i].message.data);
    }
}

static int
by_threshold(const void *a, const void *b)
{
    const loyalty_tier_t *x = a, *y = b;

    return (x->threshold > y->threshold) - (x->threshold < y->threshold);
}

static void
order_tiers(loyalty_reader_t *reader)
{
    loyalty_program_t *program = reader->program;
    loyalty_tier_t *tiers = program->tiers;
    size_t i, k, mark, item_mark;

    if (program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        return;
    }

    mark = loyalty_enter(reader, "statuses");
    for (i = 1; i < program->ntiers; i++) {
        for (k = 0; k < i; k++) {
            if (tiers[i].threshold >= 0
                && tiers[i].threshold == tiers[k].threshold) {
                item_mark = loyalty_enter_index(reader, i);
                loyalty_report(reader, "threshold", "is that of /statuses/%zu "
                               "too: give each status its own", k);
                loyalty_leave(reader, item_mark);
                break;
            }
        }
    }
    loyalty_leave(reader, mark);

    if (program->ntiers > 1) {
        qsort(tiers, program->ntiers, sizeof(tiers[0]), by_threshold);
    }
}

static void
read_tiers(loyalty_reader_t *reader, json_t *statuses)
{
    loyalty_program_t *program = reader->program;
    loyalty_map_t ids;

    program->tiers = loyalty_read_objects(reader, statuses, "statuses",
                                          LOYALTY_PROGRAM_STATUSES_MAX,
                                          &loyalty_tier_shape,
                                          &program->ntiers);
    loyalty_read_ids(reader, "statuses", program->tiers,
                     sizeof(program->tiers[0]), program->ntiers, &ids);
    order_tiers(reader);
}

static void
read_designs(loyalty_reader_t *reader, json_t *designs)
{
    loyalty_program_t *program = reader->program;
    loyalty_str_t chosen = program->settings.design;
    loyalty_map_t ids;

    program->designs = loyalty_read_objects(reader, designs, "designs",
                                            LOYALTY_PROGRAM_DESIGNS_MAX,
                                            &loyalty_design_shape,
                                            &program->ndesigns);
    loyalty_read_ids(reader, "designs", program->designs,
                     sizeof(program->designs[0]), program->ndesigns, &ids);

    if (chosen.len != 0 && loyalty_program_design(program, chosen) == NULL) {
        loyalty_problem(reader->problems, "/settings/design",
                        "is no id in /designs: add the design, or choose "
                        "another");
    }
}

static void
read_templates(loyalty_reader_t *reader, json_t *templates)
{
    loyalty_program_t *program = reader->program;

    program->templates = loyalty_read_objects(
        reader, templates, "templates", LOYALTY_PROGRAM_TEMPLATES_MAX,
        &loyalty_message_template_shape, &program->ntemplates);
    loyalty_read_ids(reader, "templates", program->templates,
                     sizeof(program->templates[0]), program->ntemplates,
                     &program->private_data->templates_by_id);
}

static void
read_version(loyalty_reader_t *reader, json_t *version)
{
    if (version == NULL) {
        return;
    }

    if (!json_is_integer(version) || json_integer_value(version) < 0) {
        loyalty_problem(reader->problems, "/version",
                        "must be a whole number, 0 or more");
        return;
    }

    reader->program->version = json_integer_value(version);
}

static json_t *
part(json_t *document, const char *name)
{
    json_t *value = json_object_get(document, name);

    return json_is_null(value) ? NULL : value;
}

static void
check_parts(loyalty_reader_t *reader, json_t *document)
{
    static const char *const parts[] = {
        "version", "settings", "statuses", "designs",
        "offers", "rules", "templates", "categories",
    };
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(document, key, value) {
        for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (strcmp(key, parts[i]) == 0) {
                break;
            }
        }
        if (i == sizeof(parts) / sizeof(parts[0])) {
            loyalty_report(reader, key, "is no part of a program: remove it");
        }
    }

    if (part(document, "settings") == NULL) {
        loyalty_problem(reader->problems, "/settings", "is missing: a program "
                        "needs it, with at least \"id\" and \"currency\"");
    }
}

static void
read_document(loyalty_reader_t *reader, json_t *document)
{
    loyalty_program_t *program = reader->program;
    struct loyalty_program_private_s *own = program->private_data;
    json_t *statuses = part(document, "statuses"), *defaults = NULL;
    size_t mark;

    check_parts(reader, document);
    read_version(reader, part(document, "version"));

    mark = loyalty_enter(reader, "settings");
    loyalty_read_object(reader, part(document, "settings"),
                        &loyalty_settings_shape, &program->settings);
    loyalty_leave(reader, mark);

    if (statuses == NULL
        && program->settings.criterion == LOYALTY_CRITERION_SPEND) {
        defaults = loyalty_default_statuses(program->settings.exponent);
        own->default_statuses = defaults;
        statuses = defaults;
        reader->out_of_memory |= defaults == NULL;
    }

    read_tiers(reader, statuses);
    read_designs(reader, part(document, "designs"));
    read_templates(reader, part(document, "templates"));
    own->categories = loyalty_read_objects(
        reader, part(document, "categories"), "categories",
        LOYALTY_PROGRAM_CATEGORIES_MAX, &loyalty_category_shape,
        &own->ncategories);
    loyalty_read_offers(reader, part(document, "offers"));
    loyalty_read_rules(reader, part(document, "rules"));
}

static bool
too_deep(json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value)) {
        return false;
    }

    if (depth == 0) {
        return true;
    }

    json_object_foreach(value, key, item) {
        if (too_deep(item, depth - 1)) {
            return true;
        }
    }

    json_array_foreach(value, i, item) {
        if (too_deep(item, depth - 1)) {
            return true;
        }
    }

    return false;
}

static loyalty_program_t *
new_program(json_t *document)
{
    loyalty_program_t *program = calloc(1, sizeof(*program));

    if (program == NULL) {
        return NULL;
    }

    program->private_data = calloc(1, sizeof(*program->private_data));
    if (program->private_data == NULL) {
        free(program);
        return NULL;
    }

    loyalty_arena_init(&program->private_data->arena, 0);
    program->private_data->scopes.nscopes = LOYALTY_SCOPE_WHOLE_SITE + 1;
    program->json = json_incref(document);
    return program;
}

static loyalty_status_t
compile(json_t *document, const char *pointer, bool preview,
        loyalty_problems_t *problems, loyalty_program_t **program)
{
    size_t problems_before = problems->count;
    loyalty_reader_t reader;
    loyalty_program_t *made;

    if (too_deep(document, LOYALTY_JSON_DEPTH_MAX)) {
        loyalty_problem(problems, pointer, "is nested more than %d deep",
                        LOYALTY_JSON_DEPTH_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    made = new_program(document);
    if (made == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    reader = (loyalty_reader_t){
        .arena = &made->private_data->arena, .problems = problems,
        .program = made, .locale = loyalty_str("en"), .preview = preview,
        .len = strlen(pointer),
    };
    memcpy(reader.pointer, pointer, reader.len);
    read_document(&reader, document);

    if (problems->count == problems_before && !reader.out_of_memory) {
        reader.out_of_memory =
            loyalty_scope_index_build(&made->private_data->scopes,
                                      made->offers, made->noffers,
                                      reader.arena)
            != LOYALTY_OK;
    }

    if (reader.out_of_memory || problems->count != problems_before) {
        loyalty_program_free(made);
        return reader.out_of_memory ? LOYALTY_ERROR_MEMORY
                                    : LOYALTY_ERROR_INVALID;
    }

    *program = made;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_program_from_json(json_t *document, loyalty_problems_t *problems,
                          loyalty_program_t **program)
{
    if (!json_is_object(document)) {
        loyalty_problem(problems, "", "must be a JSON object: a program");
        return LOYALTY_ERROR_INVALID;
    }

    return compile(document, "", false, problems, program);
}

loyalty_status_t
loyalty_program_preview(const loyalty_program_t *program, json_t *offers,
                        loyalty_problems_t *problems,
                        loyalty_program_t **preview)
{
    loyalty_status_t rc = LOYALTY_ERROR_MEMORY;
    json_t *document;

    document = json_copy(program->json);

    /* Rules speak of the offers that are replaced. */
    if (document != NULL && json_object_set(document, "offers", offers) == 0) {
        json_object_del(document, "rules");
        rc = compile(document, "/preview", true, problems, preview);
    }

    json_decref(document);
    return rc;
}

loyalty_status_t
loyalty_program_parse(const char *bytes, size_t len,
                      loyalty_problems_t *problems,
                      loyalty_program_t **program)
{
    json_error_t error;
    json_t *document;
    loyalty_status_t rc;

    if (len > LOYALTY_PROGRAM_SIZE_MAX) {
        loyalty_problem(problems, "", "has %zu bytes, at most %d", len,
                        LOYALTY_PROGRAM_SIZE_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    document = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        loyalty_problem(problems, "", "is no JSON: line %d, column %d: %s",
                        error.line, error.column, error.text);
        return LOYALTY_ERROR_INVALID;
    }

    rc = loyalty_program_from_json(document, problems, program);
    json_decref(document);
    return rc;
}
