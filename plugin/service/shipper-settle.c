/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where to go on shipping: which of the journal's records the database has. */

#include "team-common.h"
#include "ioloop.h"
#include "generations.h"
#include "journal.h"
#include "journal-gap.h"
#include "journal-tree.h"
#include "shipper-private.h"

#define SHIPPER_RETRY_MIN_MSECS 100
#define SHIPPER_RETRY_MAX_MSECS 10000

static void shipper_gap(struct shipper *shipper, const char *reason,
			int64_t first, int64_t last)
{
	const char *const details[] = {
		t_strconcat("d.reason=", reason, NULL),
		t_strdup_printf("d.first=%"PRId64, first),
		/* 0: nobody knows how many there were */
		last == 0 ? NULL : t_strdup_printf("d.last=%"PRId64, last),
		NULL
	};

	i_error("journal: %s (from record %"PRId64" on)", reason, first);
	journal_stage_gap(shipper->journal, details);
}

/* Finds out what to add to the journal's numbers so that the log's go on
   without a hole. Returns FALSE if it can't be written down now. */
static bool shipper_settle_base(struct shipper *shipper)
{
	struct journal *journal = shipper->journal;
	int64_t hwm = shipper->hwm, first, last = shipper->sent_seq, base;
	struct journal_status status;

	journal_flush(journal);
	journal_get_status(journal, &status);
	first = journal_first_seq(journal);
	base = status.base;
	if (status.base_known &&
	    hwm - base < (int64_t)status.shipped_seq) {
		i_warning("The database was set back: it has records up to "
			  "%"PRId64" of those up to %"PRId64" that had been "
			  "shipped. What the journal has of them is shipped "
			  "again", hwm, (int64_t)status.shipped_seq + base);
		generations_forget();
	}
	if (!status.base_known) {
		base = hwm - (first - 1);
		if (journal_set_base(journal, base) < 0)
			return FALSE;
		if (hwm > 0) {
			shipper_gap(shipper, "the journal was made anew: what "
				    "wasn't shipped before that is lost",
				    hwm + 1, 0);
		}
	} else if (hwm - base > last) {
		if (journal_tree_restart(journal, last + 1) < 0 ||
		    journal_set_base(journal, hwm - last) < 0)
			return FALSE;
		shipper_gap(shipper, "the journal was set back: it lacks "
			    "records that the database has", last + base + 1,
			    hwm);
		base = hwm - last;
	} else if (hwm - base < first - 1) {
		if (journal_tree_restart(journal, first) < 0 ||
		    journal_set_base(journal, hwm - (first - 1)) < 0)
			return FALSE;
		shipper_gap(shipper, "the database was set back: it lacks "
			    "records that had been shipped", hwm + 1,
			    first - 1 + base);
		base = hwm - (first - 1);
	}
	shipper->base = base;
	return TRUE;
}

static void shipper_retry(struct shipper *shipper)
{
	timeout_remove(&shipper->to_retry);
	if (shipper->reader == NULL)
		shipper_settle(shipper);
	else
		shipper_next(shipper);
}

void shipper_retry_later(struct shipper *shipper)
{
	shipper->retry_msecs = I_MIN(I_MAX(shipper->retry_msecs * 2,
					   SHIPPER_RETRY_MIN_MSECS),
				     SHIPPER_RETRY_MAX_MSECS);
	if (shipper->to_retry == NULL) {
		shipper->to_retry = timeout_add_short(shipper->retry_msecs,
						      shipper_retry, shipper);
	}
}

void shipper_settle(struct shipper *shipper)
{
	bool settled;

	T_BEGIN {
		settled = shipper_settle_base(shipper);
	} T_END;
	if (!settled) {
		shipper_retry_later(shipper);
		return;
	}
	shipper_drop_batches(shipper);
	shipper_set_shipped(shipper, shipper->hwm - shipper->base);
	shipper->reader = journal_reader_init(shipper->journal,
					      shipper->shipped_seq);
	shipper_next(shipper);
}
