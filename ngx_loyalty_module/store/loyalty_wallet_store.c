/*
 * Writing and reading them, without a decision.
 */

#include "loyalty_wallet_store.h"

#include "loyalty_offer.h"

static void
write_use(const loyalty_scope_t *scope, const char *kind, loyalty_str_t offer,
          int64_t change, loyalty_commands_t *commands)
{
    char field[2 + LOYALTY_ID_MAX];

    if (change == 0 || offer.len > LOYALTY_ID_MAX) {
        return;
    }

    memcpy(field, kind, 2);
    memcpy(field + 2, offer.data, offer.len);
    loyalty_command(commands, "HINCRBY", 4);
    loyalty_arg_key(commands, scope, "u", loyalty_str_null);
    loyalty_arg(commands, (loyalty_str_t){field, 2 + offer.len});
    loyalty_arg_int(commands, change);
}

static void
write_code(const loyalty_scope_t *scope, const loyalty_code_t *code,
           loyalty_arena_t *arena, loyalty_commands_t *commands)
{
    const loyalty_str_t parts[] = {code->offer, code->member,
                                   code->entitlement, code->hold, code->order};
    size_t i, len = 0;
    char *value, *p;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        len += parts[i].len + 1;
    }

    value = p = loyalty_alloc(arena, len);
    if (value == NULL) {
        commands->failed = true;
        return;
    }

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len != 0) {
            memcpy(p, parts[i].data, parts[i].len);
        }
        p += parts[i].len + 1;
    }

    loyalty_command(commands, code->gone ? "HDEL" : "HSET",
                    code->gone ? 3 : 4);
    loyalty_arg_key(commands, scope, "cd", loyalty_str_null);
    loyalty_arg(commands, code->code);
    if (!code->gone) {
        loyalty_arg(commands, (loyalty_str_t){value, len - 1});
    }
}

/* Its place in the list of the offer's codes, when it comes and goes. */
static void
write_place(const loyalty_scope_t *scope, const loyalty_code_t *code,
            loyalty_commands_t *commands)
{
    bool used = code->hold.len != 0 || code->order.len != 0;

    if (used) {
        return;
    }

    loyalty_command(commands, code->gone ? "ZREM" : "ZADD",
                    code->gone ? 3 : 4);
    loyalty_arg_key(commands, scope, "cl", code->offer);
    if (!code->gone) {
        loyalty_arg_int(commands, 0);
    }
    loyalty_arg(commands, code->code);
}

void
loyalty_wallet_write(const loyalty_scope_t *scope,
                     const loyalty_effects_t *effects, loyalty_arena_t *arena,
                     loyalty_commands_t *commands)
{
    size_t i;

    for (i = 0; i < effects->nusage; i++) {
        write_use(scope, "u:", effects->usage[i].offer,
                  effects->usage[i].total, commands);
        write_use(scope, "s:", effects->usage[i].offer,
                  effects->usage[i].spent, commands);
    }

    for (i = 0; i < effects->ncodes; i++) {
        write_code(scope, &effects->codes[i], arena, commands);
        write_place(scope, &effects->codes[i], commands);
    }
}

void
loyalty_hold_write(const loyalty_scope_t *scope, const loyalty_hold_t *hold,
                   loyalty_arena_t *arena, loyalty_commands_t *commands)
{
    bool held = hold->state == LOYALTY_HOLD_HELD;
    loyalty_str_t bytes;

    if (loyalty_hold_encode(hold, arena, &bytes) != LOYALTY_OK) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, "SET", held ? 3 : 5);
    loyalty_arg_key(commands, scope, "hd", hold->id);
    loyalty_arg(commands, bytes);
    if (!held) {
        loyalty_arg_text(commands, "PX");
        loyalty_arg_int(commands, LOYALTY_HOLD_KEPT_MS);
    }

    loyalty_command(commands, held ? "ZADD" : "ZREM", held ? 4 : 3);
    loyalty_arg_key(commands, scope, "x", loyalty_str("holds"));
    if (held) {
        loyalty_arg_int(commands, hold->expires_at);
    }
    loyalty_arg(commands, hold->id);
}

static bool
is_limited(const loyalty_offer_t *offer)
{
    return offer->limit_total != 0 || offer->budget_total != 0;
}

loyalty_status_t
loyalty_usage_limited(const loyalty_program_t *program, loyalty_arena_t *arena,
                      loyalty_usage_t **usage, size_t *n)
{
    size_t i, count = 0;

    *n = 0;
    *usage = NULL;

    for (i = 0; i < program->noffers; i++) {
        count += is_limited(program->offers[i]);
    }

    if (count == 0) {
        return LOYALTY_OK;
    }

    *usage = loyalty_alloc(arena, count * sizeof(**usage));
    if (*usage == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < program->noffers; i++) {
        if (is_limited(program->offers[i])) {
            (*usage)[(*n)++].offer = program->offers[i]->id;
        }
    }

    return LOYALTY_OK;
}

void
loyalty_usage_command(const loyalty_scope_t *scope,
                      const loyalty_usage_t *usage, size_t n,
                      loyalty_commands_t *commands)
{
    char field[2 + LOYALTY_ID_MAX];
    size_t i;

    loyalty_command(commands, "HMGET", 2 + 2 * n);
    loyalty_arg_key(commands, scope, "u", loyalty_str_null);
    for (i = 0; i < n; i++) {
        memcpy(field, "u:", 2);
        memcpy(field + 2, usage[i].offer.data, usage[i].offer.len);
        loyalty_arg(commands, (loyalty_str_t){field, 2 + usage[i].offer.len});
        field[0] = 's';
        loyalty_arg(commands, (loyalty_str_t){field, 2 + usage[i].offer.len});
    }
}

static bool
take_count(const redisReply *reply, int64_t *count)
{
    loyalty_str_t text;

    *count = 0;
    if (!loyalty_reply_str(reply, &text)) {
        return false;
    }

    return text.data == NULL || loyalty_str_int(text, count);
}

bool
loyalty_usage_take(const redisReply *reply, loyalty_usage_t *usage, size_t n)
{
    size_t i;

    if (!loyalty_reply_array(reply, 2 * n)) {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (!take_count(reply->element[2 * i], &usage[i].total)
            || !take_count(reply->element[2 * i + 1], &usage[i].spent)) {
            return false;
        }
    }

    return true;
}

bool
loyalty_code_take(loyalty_str_t value, loyalty_code_t *code)
{
    loyalty_str_t *parts[] = {&code->offer, &code->member, &code->entitlement,
                              &code->hold, &code->order};
    const char *p = value.data, *end = value.data + value.len, *zero;
    size_t i, n = sizeof(parts) / sizeof(parts[0]);

    *code = (loyalty_code_t){0};

    for (i = 0; i < n; i++) {
        zero = p == end ? NULL : memchr(p, '\0', (size_t)(end - p));
        if ((zero == NULL) != (i == n - 1)) {
            return false;
        }
        zero = zero != NULL ? zero : end;
        *parts[i] = (loyalty_str_t){p, (size_t)(zero - p)};
        p = zero + (zero != end);
    }

    return code->offer.len != 0;
}
