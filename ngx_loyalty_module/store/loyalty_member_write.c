/*
 * A member's value, its places in the indexes, the history of consent, the
 * entries of the ledgers.
 */

#include "loyalty_member_write.h"

#include "loyalty_event.h"
#include "loyalty_member_index.h"
#include "loyalty_wallet_store.h"

static void
write_element(const loyalty_member_writer_t *writer, const char *name,
              loyalty_index_t index, loyalty_str_t folded, loyalty_str_t id)
{
    loyalty_commands_t *commands = writer->commands;
    bool added = name[1] == 'A';
    loyalty_str_t element;

    if (loyalty_index_element(folded, id, writer->arena, &element)
        != LOYALTY_OK) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, name, added ? 4 : 3);
    loyalty_arg_key(commands, writer->scope, loyalty_index_kind(index),
                    loyalty_str_null);
    if (added) {
        loyalty_arg_int(commands, 0);
    }
    loyalty_arg(commands, element);
}

static void
write_index(const loyalty_member_writer_t *writer, loyalty_index_t index,
            loyalty_str_t before, loyalty_str_t after, loyalty_str_t id)
{
    loyalty_str_t from, to;

    if (loyalty_str_eq(before, after)) {
        return;
    }

    if (loyalty_index_fold(index, before, writer->arena, &from) != LOYALTY_OK
        || loyalty_index_fold(index, after, writer->arena, &to)
               != LOYALTY_OK) {
        writer->commands->failed = true;
        return;
    }

    if (loyalty_str_eq(from, to)) {
        return;
    }

    if (from.len != 0) {
        write_element(writer, "ZREM", index, from, id);
    }
    if (to.len != 0) {
        write_element(writer, "ZADD", index, to, id);
    }
}

/* Tombstones are in no list. */
static bool
is_listed(const loyalty_member_t *member)
{
    return member != NULL && member->deleted_at == LOYALTY_UNKNOWN;
}

static void
write_indexes(const loyalty_member_writer_t *writer,
              const loyalty_member_t *before, const loyalty_member_t *after)
{
    loyalty_commands_t *commands = writer->commands;
    loyalty_member_t none;
    bool listed = is_listed(after);

    if (is_listed(before) != listed) {
        loyalty_command(commands, listed ? "ZADD" : "ZREM", listed ? 4 : 3);
        loyalty_arg_key(commands, writer->scope, "mi", loyalty_str_null);
        if (listed) {
            loyalty_arg_int(commands, 0);
        }
        loyalty_arg(commands, after->id);
    }

    if (before == NULL) {
        loyalty_member_init(&none, after->id);
        before = &none;
    }

    write_index(writer, LOYALTY_INDEX_EMAIL, before->email, after->email,
                after->id);
    write_index(writer, LOYALTY_INDEX_PHONE, before->phone, after->phone,
                after->id);
    write_index(writer, LOYALTY_INDEX_NAME, before->name, after->name,
                after->id);
}

/* The history of a channel's consent; its instants are the entries' ids. */
static void
write_consent(const loyalty_member_writer_t *writer,
              const loyalty_member_t *before, const loyalty_member_t *after)
{
    static const struct {
        const char *name;
        loyalty_channel_t channel;
    } channels[] = {
        {"email", LOYALTY_CHANNEL_EMAIL},
        {"sms", LOYALTY_CHANNEL_SMS},
        {"messenger", LOYALTY_CHANNEL_MESSENGER},
        {"line", LOYALTY_CHANNEL_LINE},
    };
    unsigned changed = (before != NULL ? before->consent : 0) ^ after->consent;
    const loyalty_origin_t *origin = &writer->origin;
    loyalty_commands_t *commands = writer->commands;
    const loyalty_str_t system = loyalty_str("system");
    size_t i;

    for (i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        if ((changed & channels[i].channel) == 0) {
            continue;
        }
        loyalty_command(commands, "XADD", 11);
        loyalty_arg_key(commands, writer->scope, "ch", after->id);
        loyalty_arg_text(commands, "*");
        loyalty_arg_text(commands, "c");
        loyalty_arg_text(commands, channels[i].name);
        loyalty_arg_text(commands, "v");
        loyalty_arg_text(commands, after->consent & channels[i].channel
                                       ? "given" : "withdrawn");
        loyalty_arg_text(commands, "b");
        loyalty_arg(commands, origin->by.len != 0 ? origin->by : system);
        loyalty_arg_text(commands, "s");
        loyalty_arg(commands, origin->source.len != 0 ? origin->source
                                                      : system);
    }
}

/* What is about the person, and not about what the shop sold. */
static void
forget(const loyalty_member_writer_t *writer, loyalty_str_t id)
{
    loyalty_command(writer->commands, "DEL", 3);
    loyalty_arg_key(writer->commands, writer->scope, "ch", id);
    loyalty_arg_key(writer->commands, writer->scope, "mt", id);
}

void
loyalty_member_write(const loyalty_member_writer_t *writer,
                     const loyalty_member_t *before,
                     const loyalty_member_t *after)
{
    loyalty_commands_t *commands = writer->commands;
    loyalty_str_t bytes;

    if (loyalty_member_encode(after, writer->arena, &bytes) != LOYALTY_OK) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, "SET", 3);
    loyalty_arg_key(commands, writer->scope, "m", after->id);
    loyalty_arg(commands, bytes);

    if (before == after) {
        return;
    }

    write_indexes(writer, before, after);
    if (after->erased) {
        forget(writer, after->id);
    } else {
        write_consent(writer, before, after);
    }
}

/* Fields of a ledger entry in its stream, short because there are many. */
static void
write_entry(const loyalty_member_writer_t *writer, const char *kind,
            loyalty_str_t id, const loyalty_entry_t *entry)
{
    loyalty_commands_t *commands = writer->commands;
    const loyalty_cause_t *cause = &entry->cause;
    const struct {
        const char *name;
        loyalty_str_t value;
    } texts[] = {
        {"l", loyalty_str_eq(entry->lot, cause->order) ? loyalty_str_null
                                                       : entry->lot},
        {"o", cause->order},  {"f", cause->offer},  {"g", cause->group},
        {"b", cause->by},     {"r", cause->reason},
    };
    size_t i, fields = 4;
    bool expires = entry->expires_at != LOYALTY_NEVER
                   && entry->expires_at != LOYALTY_UNKNOWN;

    fields += expires;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fields += texts[i].value.len != 0;
    }

    loyalty_command(commands, "XADD", 3 + fields * 2);
    loyalty_arg_key(commands, writer->scope, kind, id);
    loyalty_arg_text(commands, "*");
    loyalty_arg_text(commands, "n");
    loyalty_arg_int(commands, (int64_t)entry->seq);
    loyalty_arg_text(commands, "k");
    loyalty_arg_text(commands, loyalty_entry_kind_name(entry->kind));
    loyalty_arg_text(commands, "a");
    loyalty_arg_int(commands, entry->amount);
    loyalty_arg_text(commands, "t");
    loyalty_arg_int(commands, cause->at);
    if (expires) {
        loyalty_arg_text(commands, "x");
        loyalty_arg_int(commands, entry->expires_at);
    }
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].value.len != 0) {
            loyalty_arg_text(commands, texts[i].name);
            loyalty_arg(commands, texts[i].value);
        }
    }
}

void
loyalty_member_write_effects(const loyalty_member_writer_t *writer,
                             loyalty_str_t id,
                             const loyalty_effects_t *effects)
{
    const loyalty_events_t events = {writer->scope, writer->program,
                                     writer->commands};
    size_t i;

    for (i = 0; i < effects->points.n; i++) {
        write_entry(writer, "l", id, &effects->points.list[i]);
    }
    for (i = 0; i < effects->credits.n; i++) {
        write_entry(writer, "c", id, &effects->credits.list[i]);
    }

    loyalty_wallet_write(writer->scope, effects, writer->arena,
                         writer->commands);
    loyalty_event_effects(&events, id, effects);
}
