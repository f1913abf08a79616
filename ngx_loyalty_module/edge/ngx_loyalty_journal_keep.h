/*
 * Housekeeping of the journal, within the journal's own files.
 */

#ifndef _NGX_LOYALTY_JOURNAL_KEEP_H_INCLUDED_
#define _NGX_LOYALTY_JOURNAL_KEEP_H_INCLUDED_


#include "ngx_loyalty_journal.h"


ngx_int_t ngx_loyalty_journal_keep_start(ngx_loyalty_journal_t *journal);

/* Looks after a set this process has just locked; NULL: out of memory. */
ngx_loyalty_journal_set_t *ngx_loyalty_journal_adopt(
    ngx_loyalty_journal_t *journal, loyalty_journal_set_t *files);

/* Once a second: what sync=everysec has left. */
void ngx_loyalty_journal_sync(ngx_loyalty_journal_t *journal);

void ngx_loyalty_journal_group_reset(ngx_loyalty_group_t *group);


#endif /* _NGX_LOYALTY_JOURNAL_KEEP_H_INCLUDED_ */
