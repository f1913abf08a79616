/*
 * The ledger of loyalty_ledger.h.
 *
 * Lots stand in one array by age (created_at, then id).  A lot is
 *
 *   pending   starts_at > t      active   starts_at <= t < expires_at
 *   expired   expires_at <= t    finished remaining = 0
 *
 * so that a reading at any t needs no job to have run.  Each function checks
 * and reserves first and changes last.
 */

#include "loyalty_ledger.h"

#include "loyalty_money.h"

#define NO_LOT SIZE_MAX

static const char *const kind_names[] = {
    [LOYALTY_ENTRY_EARN] = "earn",     [LOYALTY_ENTRY_GRANT] = "grant",
    [LOYALTY_ENTRY_DEBIT] = "debit",   [LOYALTY_ENTRY_REVOKE] = "revoke",
    [LOYALTY_ENTRY_EXPIRE] = "expire", [LOYALTY_ENTRY_RESTORE] = "restore",
    [LOYALTY_ENTRY_ADJUST] = "adjust",
};

const char *
loyalty_entry_kind_name(loyalty_entry_kind_t kind)
{
    return kind_names[kind];
}

static int64_t
min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool
is_active(const loyalty_lot_t *lot, loyalty_instant_t at)
{
    return lot->starts_at <= at && at < lot->expires_at;
}

static bool
awaits_event(const loyalty_lot_t *lot)
{
    return lot->starts_at == LOYALTY_NEVER;
}

/*
 * Debt is absorbed by the lots that start after it arose, the first to start
 * first.  Lots active at that time are empty, or there would be no debt; the
 * others to leave out are those that had expired by then.  Returns the lot
 * after `last` in that order, or NO_LOT.
 */
static size_t
next_absorbing(const loyalty_ledger_t *ledger, loyalty_instant_t at,
               size_t last)
{
    const loyalty_lot_t *lot, *after, *best;
    size_t i, found = NO_LOT;

    after = last == NO_LOT ? NULL : &ledger->lots[last];

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];

        if (lot->remaining == 0 || lot->starts_at > at
            || lot->expires_at <= ledger->debt_since) {
            continue;
        }

        if (after != NULL
            && (lot->starts_at < after->starts_at
                || (lot->starts_at == after->starts_at && i <= last))) {
            continue;
        }

        best = found == NO_LOT ? NULL : &ledger->lots[found];
        if (best == NULL || lot->starts_at < best->starts_at) {
            found = i;
        }
    }

    return found;
}

static void
settle(loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    size_t i = NO_LOT;
    int64_t part;

    while (ledger->debt > 0 && (i = next_absorbing(ledger, at, i)) != NO_LOT) {
        part = min64(ledger->debt, ledger->lots[i].remaining);
        ledger->debt -= part;
        ledger->lots[i].remaining -= part;
    }

    if (ledger->debt == 0) {
        ledger->debt_since = 0;
    }
}

void
loyalty_ledger_balance(const loyalty_ledger_t *ledger, loyalty_instant_t at,
                       loyalty_balance_t *balance)
{
    const loyalty_lot_t *lot;
    int64_t debt = ledger->debt, part;
    size_t i;

    *balance = (loyalty_balance_t){.spent = ledger->spent,
                                   .expired = ledger->expired,
                                   .life = ledger->life,
                                   .revoked = ledger->revoked};

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];

        if (lot->expires_at <= at) {
            balance->expired += lot->remaining;
        } else if (lot->starts_at <= at) {
            balance->active += lot->remaining;
        } else {
            balance->pending += lot->remaining;
        }
    }

    i = NO_LOT;
    while (debt > 0 && (i = next_absorbing(ledger, at, i)) != NO_LOT) {
        lot = &ledger->lots[i];
        part = min64(debt, lot->remaining);
        debt -= part;
        if (lot->expires_at <= at) {
            balance->expired -= part;
        } else {
            balance->active -= part;
        }
    }

    balance->active -= debt;
}

loyalty_instant_t
loyalty_ledger_change_at(const loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    loyalty_instant_t next = LOYALTY_NEVER;
    const loyalty_lot_t *lot;
    size_t i;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];

        if (lot->remaining == 0) {
            continue;
        }
        if (lot->starts_at > at) {
            next = min64(next, lot->starts_at);
        }
        if (lot->expires_at > at) {
            next = min64(next, lot->expires_at);
        }
    }

    return next;
}

loyalty_status_t
loyalty_ledger_copy(const loyalty_ledger_t *from, size_t more,
                    loyalty_arena_t *arena, loyalty_ledger_t *to)
{
    size_t capacity = from->nlots + more;
    loyalty_lot_t *lots;

    lots = loyalty_alloc(arena, capacity * sizeof(*lots));
    if (lots == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (from->lots != NULL) {
        memcpy(lots, from->lots, from->nlots * sizeof(*lots));
    }

    *to = *from;
    to->lots = lots;
    to->lots_capacity = capacity;
    return LOYALTY_OK;
}

static loyalty_status_t
reserve_lots(loyalty_ledger_t *ledger, size_t more, loyalty_arena_t *arena)
{
    if (ledger->lots != NULL
        && more <= ledger->lots_capacity - ledger->nlots) {
        return LOYALTY_OK;
    }

    return loyalty_ledger_copy(ledger, ledger->nlots + more, arena, ledger);
}

static loyalty_status_t
reserve_entries(loyalty_entries_t *entries, size_t more, loyalty_arena_t *arena)
{
    size_t capacity = entries->n * 2 + more;
    loyalty_entry_t *list;

    if (more <= entries->capacity - entries->n) {
        return LOYALTY_OK;
    }

    list = loyalty_alloc(arena, capacity * sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (entries->n != 0) {
        memcpy(list, entries->list, entries->n * sizeof(*list));
    }

    entries->list = list;
    entries->capacity = capacity;
    return LOYALTY_OK;
}

/* Room for it has been reserved. */
static void
write_entry(loyalty_ledger_t *ledger, loyalty_entries_t *entries,
            loyalty_entry_kind_t kind, int64_t amount, const loyalty_lot_t *lot,
            const loyalty_cause_t *cause)
{
    loyalty_entry_t *entry;

    if (amount == 0) {
        return;
    }

    entry = &entries->list[entries->n++];
    *entry = (loyalty_entry_t){.seq = ++ledger->entries,
                               .kind = kind,
                               .amount = amount,
                               .expires_at = LOYALTY_NEVER,
                               .cause = *cause};
    if (lot != NULL) {
        entry->lot = lot->id;
        entry->expires_at = lot->expires_at;
    }
}

static bool
is_older(const loyalty_lot_t *a, const loyalty_lot_t *b)
{
    if (a->created_at != b->created_at) {
        return a->created_at < b->created_at;
    }
    return loyalty_str_cmp(a->id, b->id) < 0;
}

static void
insert_lot(loyalty_ledger_t *ledger, const loyalty_lot_t *lot)
{
    size_t i = ledger->nlots++;

    for (; i > 0 && is_older(lot, &ledger->lots[i - 1]); i--) {
        ledger->lots[i] = ledger->lots[i - 1];
    }
    ledger->lots[i] = *lot;
}

static void
remove_lot(loyalty_ledger_t *ledger, size_t i)
{
    ledger->nlots--;
    memmove(&ledger->lots[i], &ledger->lots[i + 1],
            (ledger->nlots - i) * sizeof(*ledger->lots));
}

/* Forgets finished lots, the oldest first, until few enough are left. */
static void
forget_finished(loyalty_ledger_t *ledger)
{
    size_t i, kept = 0, surplus;
    const loyalty_lot_t *lot;

    surplus = ledger->nlots - LOYALTY_LEDGER_LOTS_KEPT;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (surplus > 0 && lot->remaining == 0) {
            surplus--;
        } else {
            ledger->lots[kept++] = *lot;
        }
    }

    ledger->nlots = kept;
}

/* Folds started lots that never expire into the oldest of them. */
static void
fold_endless(loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    size_t i, kept = 0, surplus;
    loyalty_lot_t *lot, *base = NULL;
    int64_t amount;

    surplus = ledger->nlots - LOYALTY_LEDGER_LOTS_KEPT;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];

        if (surplus > 0 && base != NULL && lot->starts_at <= at
            && lot->expires_at == LOYALTY_NEVER
            && loyalty_add(base->amount, lot->amount, &amount) == LOYALTY_OK) {
            base->id = loyalty_str_null;
            base->amount = amount;
            base->remaining += lot->remaining;
            if (lot->starts_at > base->starts_at) {
                base->starts_at = lot->starts_at;
            }
            surplus--;
            continue;
        }

        ledger->lots[kept] = *lot;
        if (base == NULL && lot->starts_at <= at
            && lot->expires_at == LOYALTY_NEVER) {
            base = &ledger->lots[kept];
        }
        kept++;
    }

    ledger->nlots = kept;
}

static void
compact(loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    if (ledger->nlots > LOYALTY_LEDGER_LOTS_KEPT) {
        forget_finished(ledger);
    }
    if (ledger->nlots > LOYALTY_LEDGER_LOTS_KEPT) {
        fold_endless(ledger, at);
    }
}

loyalty_status_t
loyalty_ledger_credit(loyalty_ledger_t *ledger, loyalty_entry_kind_t kind,
                      const loyalty_lot_t *lot, const loyalty_cause_t *cause,
                      loyalty_arena_t *arena, loyalty_entries_t *entries)
{
    loyalty_lot_t opened = *lot;
    int64_t credited, life = ledger->life;
    loyalty_status_t rc;

    if (lot->id.len == 0 || lot->amount <= 0
        || (lot->expires_at <= lot->starts_at && !awaits_event(lot))) {
        return LOYALTY_ERROR_INVALID;
    }

    if ((rc = loyalty_add(ledger->credited, lot->amount, &credited))
            != LOYALTY_OK
        || (lot->earned && !awaits_event(lot)
            && (rc = loyalty_add(life, lot->amount, &life)) != LOYALTY_OK)
        || (rc = reserve_lots(ledger, 1, arena)) != LOYALTY_OK
        || (rc = reserve_entries(entries, 1, arena)) != LOYALTY_OK) {
        return rc;
    }

    opened.remaining = opened.amount;
    opened.lost = 0;
    ledger->credited = credited;
    ledger->life = life;
    insert_lot(ledger, &opened);
    write_entry(ledger, entries, kind, opened.amount, &opened, cause);
    settle(ledger, cause->at);
    compact(ledger, cause->at);
    return LOYALTY_OK;
}

/* The lot of that id: one that holds something, else the newest, else the one
 * that stands in for it. */
static size_t
find_lot(const loyalty_ledger_t *ledger, loyalty_str_t id,
         loyalty_instant_t expires_at)
{
    size_t i, newest = NO_LOT, stand_in = NO_LOT;
    const loyalty_lot_t *lot;

    for (i = ledger->nlots; i-- > 0;) {
        lot = &ledger->lots[i];

        if (loyalty_str_eq(lot->id, id)) {
            if (lot->remaining > 0) {
                return i;
            }
            if (newest == NO_LOT) {
                newest = i;
            }
        } else if (lot->id.len == 0 && expires_at == LOYALTY_NEVER
                   && lot->expires_at == LOYALTY_NEVER) {
            stand_in = i;
        }
    }

    return newest != NO_LOT ? newest : stand_in;
}

/* The lot of that id that is still pending on its event.  Others of the id may
 * hold something, too: what only_pending left of an attempt before. */
static size_t
find_awaiting(const loyalty_ledger_t *ledger, loyalty_str_t id)
{
    const loyalty_lot_t *lot;
    size_t i;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (awaits_event(lot) && lot->remaining > 0
            && loyalty_str_eq(lot->id, id)) {
            return i;
        }
    }

    return NO_LOT;
}

loyalty_status_t
loyalty_ledger_start(loyalty_ledger_t *ledger, const loyalty_lot_t *lot,
                     const loyalty_cause_t *cause, loyalty_arena_t *arena,
                     loyalty_entries_t *entries)
{
    loyalty_lot_t started = *lot;
    int64_t adjustment, credited, life = ledger->life;
    loyalty_status_t rc;
    size_t i;

    i = find_awaiting(ledger, lot->id);
    if (i == NO_LOT) {
        return LOYALTY_ERROR_NOT_FOUND;
    }

    if (lot->amount < 0 || lot->expires_at <= lot->starts_at) {
        return LOYALTY_ERROR_INVALID;
    }

    adjustment = lot->amount - ledger->lots[i].amount;

    if ((rc = loyalty_add(ledger->credited, adjustment, &credited))
            != LOYALTY_OK
        || (lot->earned
            && (rc = loyalty_add(life, lot->amount, &life)) != LOYALTY_OK)
        || (rc = reserve_entries(entries, 1, arena)) != LOYALTY_OK) {
        return rc;
    }

    remove_lot(ledger, i);
    ledger->credited = credited;
    ledger->life = life;

    if (started.amount > 0) {
        started.remaining = started.amount;
        started.lost = 0;
        insert_lot(ledger, &started);
    }

    write_entry(ledger, entries, LOYALTY_ENTRY_ADJUST, adjustment, lot, cause);
    settle(ledger, cause->at);
    compact(ledger, cause->at);
    return LOYALTY_OK;
}

/* Lots of one order and one time: the second has what its offers add, where
 * these came to be known later. */
static bool
is_twin(const loyalty_lot_t *a, const loyalty_lot_t *b)
{
    return loyalty_str_eq(a->id, b->id) && a->starts_at == b->starts_at
           && a->expires_at == b->expires_at;
}

void
loyalty_ledger_redate(loyalty_ledger_t *ledger, const loyalty_lot_t *lot)
{
    size_t i = find_lot(ledger, lot->id, LOYALTY_UNKNOWN);
    loyalty_lot_t old, moved;

    if (i == NO_LOT || awaits_event(&ledger->lots[i])
        || is_twin(&ledger->lots[i], lot)) {
        return;
    }

    old = ledger->lots[i];
    for (i = 0; i < ledger->nlots;) {
        if (!is_twin(&ledger->lots[i], &old)) {
            i++;
            continue;
        }
        moved = ledger->lots[i];
        moved.created_at = lot->created_at;
        moved.starts_at = lot->starts_at;
        moved.expires_at = lot->expires_at;
        remove_lot(ledger, i);
        insert_lot(ledger, &moved);
        i = 0;
    }
}

/* The active lot that a debit takes next, or NO_LOT. */
static size_t
next_debited(const loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    const loyalty_lot_t *lot;
    size_t i, found = NO_LOT;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (lot->remaining > 0 && is_active(lot, at)
            && (found == NO_LOT
                || lot->expires_at < ledger->lots[found].expires_at)) {
            found = i;
        }
    }

    return found;
}

/* Takes up to `amount`; returns what it took.  `parts` may be NULL. */
static int64_t
take(loyalty_ledger_t *ledger, int64_t amount, loyalty_instant_t at,
     loyalty_lot_t *parts, size_t *nparts)
{
    int64_t part, taken = 0;
    size_t i;

    while (taken < amount && (i = next_debited(ledger, at)) != NO_LOT) {
        part = min64(amount - taken, ledger->lots[i].remaining);
        if (parts != NULL) {
            parts[*nparts] = ledger->lots[i];
            parts[*nparts].remaining = part;
            parts[(*nparts)++].lost = 0;
        }
        ledger->lots[i].remaining -= part;
        taken += part;
    }

    return taken;
}

loyalty_status_t
loyalty_ledger_debit(loyalty_ledger_t *ledger, int64_t amount,
                     const loyalty_cause_t *cause, loyalty_arena_t *arena,
                     loyalty_entries_t *entries, loyalty_spending_t *spending)
{
    loyalty_balance_t balance;
    loyalty_lot_t *parts = NULL;
    loyalty_status_t rc;
    int64_t spent;
    size_t nparts = 0;

    if (amount <= 0) {
        return LOYALTY_ERROR_INVALID;
    }

    loyalty_ledger_balance(ledger, cause->at, &balance);
    if (balance.active < amount) {
        return LOYALTY_ERROR_INSUFFICIENT;
    }

    if (spending != NULL) {
        parts = loyalty_alloc(arena, ledger->nlots * sizeof(*parts));
        if (parts == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    if ((rc = loyalty_add(ledger->spent, amount, &spent)) != LOYALTY_OK
        || (rc = reserve_entries(entries, 1, arena)) != LOYALTY_OK) {
        return rc;
    }

    settle(ledger, cause->at);
    take(ledger, amount, cause->at, parts, &nparts);
    ledger->spent = spent;
    write_entry(ledger, entries, LOYALTY_ENTRY_DEBIT, -amount,
                nparts == 1 ? &parts[0] : NULL, cause);

    if (spending != NULL) {
        *spending = (loyalty_spending_t){parts, nparts, amount};
    }
    return LOYALTY_OK;
}

static void
restore_part(loyalty_ledger_t *ledger, const loyalty_lot_t *part)
{
    size_t i = find_lot(ledger, part->id, LOYALTY_UNKNOWN);
    loyalty_lot_t *lot = i == NO_LOT ? NULL : &ledger->lots[i];

    if (lot != NULL && lot->expires_at == part->expires_at
        && part->remaining <= lot->amount - lot->remaining - lot->lost) {
        lot->remaining += part->remaining;
    } else {
        insert_lot(ledger, part);
    }
}

loyalty_status_t
loyalty_ledger_restore(loyalty_ledger_t *ledger,
                       const loyalty_spending_t *spending,
                       const loyalty_cause_t *cause, loyalty_arena_t *arena,
                       loyalty_entries_t *entries)
{
    loyalty_status_t rc;
    int64_t spent;
    size_t i;

    if (spending->amount > ledger->spent) {
        return LOYALTY_ERROR_INVALID;
    }

    if ((rc = loyalty_sub(ledger->spent, spending->amount, &spent))
            != LOYALTY_OK
        || (rc = reserve_lots(ledger, spending->nparts, arena)) != LOYALTY_OK
        || (rc = reserve_entries(entries, 1, arena)) != LOYALTY_OK) {
        return rc;
    }

    ledger->spent = spent;
    for (i = 0; i < spending->nparts; i++) {
        restore_part(ledger, &spending->parts[i]);
    }

    write_entry(ledger, entries, LOYALTY_ENTRY_RESTORE, spending->amount,
                spending->nparts == 1 ? &spending->parts[0] : NULL, cause);
    settle(ledger, cause->at);
    compact(ledger, cause->at);
    return LOYALTY_OK;
}

static void
expire_lot(loyalty_ledger_t *ledger, loyalty_lot_t *lot,
           const loyalty_cause_t *cause, loyalty_entries_t *entries)
{
    write_entry(ledger, entries, LOYALTY_ENTRY_EXPIRE, -lot->remaining, lot,
                cause);
    ledger->expired += lot->remaining;
    lot->lost += lot->remaining;
    lot->remaining = 0;
}

/* Takes of the lot what is its own; returns how much of `amount` is left. */
static int64_t
take_back(loyalty_ledger_t *ledger, loyalty_lot_t *lot, int64_t amount,
          const loyalty_cause_t *cause, loyalty_entries_t *entries,
          int64_t *taken)
{
    int64_t part;

    if (lot->expires_at <= cause->at && lot->remaining > 0) {
        expire_lot(ledger, lot, cause, entries);
    }

    part = min64(amount, lot->lost);
    lot->lost -= part;
    amount -= part;

    part = min64(amount, lot->remaining);
    lot->remaining -= part;
    *taken += part;
    return amount - part;
}

loyalty_status_t
loyalty_ledger_revoke(loyalty_ledger_t *ledger, loyalty_str_t id,
                      loyalty_instant_t expires_at, int64_t amount,
                      loyalty_return_policy_t policy,
                      const loyalty_cause_t *cause, loyalty_arena_t *arena,
                      loyalty_entries_t *entries)
{
    loyalty_lot_t *lot = NULL;
    bool pending, counted;
    int64_t taken = 0, rest, limit;
    loyalty_status_t rc;
    size_t i, twins;

    i = find_awaiting(ledger, id);
    if (i == NO_LOT) {
        i = find_lot(ledger, id, expires_at);
    }
    if (i != NO_LOT) {
        lot = &ledger->lots[i];
    }

    pending = lot != NULL && lot->starts_at > cause->at;
    counted = lot == NULL || !awaits_event(lot);

    if (amount < 0 || (counted && amount > ledger->life)) {
        return LOYALTY_ERROR_INVALID;
    }

    if (policy == LOYALTY_RETURN_ONLY_PENDING && !pending) {
        return LOYALTY_OK;
    }

    for (i = 0, twins = 0; lot != NULL && i < ledger->nlots; i++) {
        twins += is_twin(&ledger->lots[i], lot);
    }

    if ((rc = loyalty_add(ledger->revoked, amount, &limit)) != LOYALTY_OK
        || (rc = loyalty_add(ledger->debt, amount, &limit)) != LOYALTY_OK
        || (rc = reserve_entries(entries, twins + 1, arena)) != LOYALTY_OK) {
        return rc;
    }

    settle(ledger, cause->at);

    if (lot != NULL) {
        rest = take_back(ledger, lot, amount, cause, entries, &taken);
        for (i = 0; i < ledger->nlots; i++) {
            if (&ledger->lots[i] != lot && is_twin(&ledger->lots[i], lot)) {
                rest = take_back(ledger, &ledger->lots[i], rest, cause,
                                 entries, &taken);
            }
        }
    } else {
        rest = expires_at <= cause->at ? 0 : amount;
    }

    if (policy != LOYALTY_RETURN_ONLY_PENDING) {
        i = 0;
        limit = take(ledger, rest, cause->at, NULL, &i);
        taken += limit;
        rest -= limit;
    }

    if (policy == LOYALTY_RETURN_UNLIMITED && rest > 0) {
        ledger->debt += rest;
        if (cause->at > ledger->debt_since) {
            ledger->debt_since = cause->at;
        }
        taken += rest;
    }

    ledger->revoked += taken;
    if (counted) {
        ledger->life -= amount;
    }
    write_entry(ledger, entries, LOYALTY_ENTRY_REVOKE, -taken, lot, cause);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_ledger_expire(loyalty_ledger_t *ledger, const loyalty_cause_t *cause,
                      loyalty_arena_t *arena, loyalty_entries_t *entries)
{
    loyalty_lot_t *lot;
    loyalty_status_t rc;
    int64_t expired = ledger->expired;
    size_t i, n = 0;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (lot->remaining > 0 && lot->expires_at <= cause->at) {
            rc = loyalty_add(expired, lot->remaining, &expired);
            if (rc != LOYALTY_OK) {
                return rc;
            }
            n++;
        }
    }

    if (n == 0) {
        return LOYALTY_OK;
    }

    rc = reserve_entries(entries, n, arena);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    settle(ledger, cause->at);

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (lot->remaining > 0 && lot->expires_at <= cause->at) {
            expire_lot(ledger, lot, cause, entries);
        }
    }

    compact(ledger, cause->at);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_ledger_check(const loyalty_ledger_t *ledger)
{
    int64_t balance, sum = ledger->credited;
    const loyalty_lot_t *lot;
    size_t i;

    if (ledger->debt < 0 || ledger->debt > ledger->revoked || ledger->spent < 0
        || ledger->expired < 0 || ledger->revoked < 0 || ledger->credited < 0
        || ledger->life < 0) {
        return LOYALTY_ERROR_CORRUPT;
    }

    balance = -ledger->debt;

    for (i = 0; i < ledger->nlots; i++) {
        lot = &ledger->lots[i];
        if (lot->amount <= 0 || lot->remaining < 0 || lot->lost < 0
            || lot->remaining > lot->amount
            || lot->lost > lot->amount - lot->remaining
            || (i > 0 && lot->created_at < lot[-1].created_at)
            || loyalty_add(balance, lot->remaining, &balance) != LOYALTY_OK) {
            return LOYALTY_ERROR_CORRUPT;
        }
    }

    if (loyalty_sub(sum, ledger->spent, &sum) != LOYALTY_OK
        || loyalty_sub(sum, ledger->expired, &sum) != LOYALTY_OK
        || loyalty_sub(sum, ledger->revoked, &sum) != LOYALTY_OK
        || sum != balance) {
        return LOYALTY_ERROR_CORRUPT;
    }

    return LOYALTY_OK;
}
