/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking over private indexes that plain Dovecot made, and leaving them to it
   again: what doveadm team flags does with one colleague's mailbox. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-util.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-record.h"
#include "team-replica-private.h"

/* Ranges of UIDs in one record: leaves room for two such sets in a line */
#define RECORD_RANGES_MAX 8192

static const enum mail_flags team_system_flags[] = {
	MAIL_ANSWERED, MAIL_FLAGGED, MAIL_DELETED, MAIL_SEEN, MAIL_DRAFT
};

static const char *team_flags_away(const char *reason)
{
	return t_strdup_printf("The team service and PostgreSQL have to be "
		"reachable for this: %s", reason);
}

static int
team_flags_sync(struct team_mailbox *tbox, const char **error_r)
{
	struct mailbox *box = tbox->box;

	if (mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) {
		*error_r = mailbox_get_last_internal_error(box, NULL);
		return -1;
	}
	if (team_mailbox_identify(tbox) < 0) {
		*error_r = mailbox_get_last_internal_error(box, NULL);
		return -1;
	}
	if (tbox->stale) {
		*error_r = team_flags_away("the colleague's flags aren't all "
			"here yet (see the log, and try again)");
		return -1;
	}
	return 0;
}

/* Opens the mailbox and its private index without bringing them up to date:
   that could take away what plain Dovecot has left there. replica_r: this has
   been done before. */
static int
team_flags_open(struct team_mailbox *tbox, bool *replica_r,
		const char **error_r)
{
	struct mailbox *box = tbox->box;
	struct team_state state;

	if (mailbox_open(box) < 0 ||
	    /* nobody has ever synced it: there is nothing to lose */
	    (mail_index_get_header(box->view)->uid_validity == 0 &&
	     mailbox_sync(box, MAILBOX_SYNC_FLAG_FULL_READ) < 0) ||
	    team_mailbox_identify(tbox) < 0 ||
	    mailbox_open_index_pvt(box) < 0) {
		*error_r = mailbox_get_last_internal_error(box, NULL);
		return -1;
	}
	if (team_replica_is_in_memory(box)) {
		*error_r = t_strdup_printf("The private index can't be used: %s",
			team_replica_memory_reason(box));
		return -1;
	}
	i_zero(&state);
	team_replica_begin(tbox, &state);
	*replica_r = state.replica;
	return 0;
}

/*
 * Taking over
 */

static struct team_state_flag *
team_flags_get(ARRAY_TYPE(team_state_flag) *flags, enum mail_flags flag,
	       const char *keyword)
{
	struct team_state_flag key = { .flag = flag, .keyword = keyword };
	struct team_state_flag *found;

	array_foreach_modifiable(flags, found) {
		if (team_state_flag_equals(found, &key))
			return found;
	}
	found = array_append_space(flags);
	*found = key;
	t_array_init(&found->uids, 64);
	return found;
}

static void
team_flags_collect_keywords(struct team_mailbox *tbox,
			    struct mail_index_view *view, uint32_t seq,
			    uint32_t uid, ARRAY_TYPE(team_state_flag) *flags,
			    ARRAY_TYPE(keyword_indexes) *indexes)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(mail_index_view_get_index(view));
	const char *name;
	unsigned int idx;

	mail_index_lookup_keywords(view, seq, indexes);
	array_foreach_elem(indexes, idx) {
		name = array_idx_elem(names, idx);
		if (team_keyword_is_private(tbox, name)) {
			seq_range_array_add(
				&team_flags_get(flags, 0, name)->uids, uid);
		}
	}
}

/* What the view of the private index has of the colleague's own flags. Returns
   how many messages have some. */
static unsigned int
team_flags_collect(struct team_mailbox *tbox, struct mail_index_view *view,
		   ARRAY_TYPE(team_state_flag) *flags)
{
	uint32_t seq, box_seq, count = mail_index_view_get_messages_count(view);
	ARRAY_TYPE(keyword_indexes) indexes;
	const struct mail_index_record *rec;
	unsigned int i, messages = 0;
	enum mail_flags private;

	/* of a mailbox that was there before this one */
	if (mail_index_get_header(view)->uid_validity != tbox->uidvalidity)
		return 0;
	t_array_init(&indexes, 16);
	for (seq = 1; seq <= count; seq++) {
		rec = mail_index_lookup(view, seq);
		/* expunged meanwhile */
		if (!mail_index_lookup_seq(tbox->box->view, rec->uid, &box_seq))
			continue;
		private = rec->flags & tbox->set->private_flags;
		for (i = 0; i < N_ELEMENTS(team_system_flags); i++) {
			if ((private & team_system_flags[i]) == 0)
				continue;
			seq_range_array_add(&team_flags_get(flags,
				team_system_flags[i], NULL)->uids, rec->uid);
		}
		array_clear(&indexes);
		team_flags_collect_keywords(tbox, view, seq, rec->uid, flags,
					    &indexes);
		if (private != 0 || array_count(&indexes) > 0)
			messages++;
	}
	return messages;
}

static void
team_flags_record(struct team_mailbox *tbox, const struct team_state_flag *flag)
{
	ARRAY_TYPE(const_string) fields;
	ARRAY_TYPE(seq_range) part;
	unsigned int i, count;
	const char *name = flag->keyword, *uids;
	string_t *str = t_str_new(16);

	if (name == NULL) {
		imap_write_flags(str, flag->flag, NULL);
		name = str_c(str);
	}
	t_array_init(&part, RECORD_RANGES_MAX);
	for (i = 0; i < array_count(&flag->uids); i += count) {
		count = I_MIN(array_count(&flag->uids) - i, RECORD_RANGES_MAX);
		array_clear(&part);
		array_append(&part, array_idx(&flag->uids, i), count);
		uids = team_uidset(&part);
		/* nobody reads these messages now: always a change of flags */
		team_record_begin(tbox, &fields, "flag", "ok");
		team_fields_add(&fields, "uids", uids);
		team_fields_add(&fields, t_strconcat("p+", name, NULL), uids);
		team_fields_add(&fields, TEAM_RECORD_KEY_IMPORT, "index");
		array_append_zero(&fields);
		team_client_event(team_user_session(tbox->tuser),
				  array_front(&fields));
	}
}

/* Records what the private index has and PostgreSQL doesn't. */
static int
team_flags_take_over(struct team_mailbox *tbox, struct mail_index_view *view,
		     const struct team_state *known,
		     struct team_flags_counts *counts_r, const char **error_r)
{
	ARRAY_TYPE(team_state_flag) flags;
	ARRAY_TYPE(seq_range) taken;
	struct team_state_flag *flag;
	const struct team_state_flag *old;
	const char *error;

	t_array_init(&flags, 8);
	t_array_init(&taken, 64);
	counts_r->messages = team_flags_collect(tbox, view, &flags);
	array_foreach_modifiable(&flags, flag) {
		array_foreach(&known->flags, old) {
			if (team_state_flag_equals(old, flag)) {
				seq_range_array_remove_seq_range(&flag->uids,
								 &old->uids);
			}
		}
		team_flags_record(tbox, flag);
		seq_range_array_merge(&taken, &flag->uids);
	}
	counts_r->changed = seq_range_count(&taken);
	if (array_count(&taken) > 0 &&
	    team_client_flush(team_user_session(tbox->tuser), &error) < 0) {
		*error_r = team_flags_away(error);
		return -1;
	}
	return 0;
}

/* With the private index locked, so that no other session takes a flag away
   between looking and recording. */
static int
team_flags_take_over_locked(struct team_mailbox *tbox,
			    struct team_flags_counts *counts_r,
			    const char **error_r)
{
	struct mail_index_sync_ctx *sync_ctx;
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	struct team_state *known;
	const char *error;
	int ret;

	known = team_state_get_all(tbox, &error);
	if (known == NULL) {
		*error_r = team_flags_away(error);
		return -1;
	}
	if (mail_index_sync_begin(tbox->box->index_pvt, &sync_ctx, &view,
				  &trans, 0) <= 0) {
		mailbox_set_index_error(tbox->box);
		*error_r = mailbox_get_last_internal_error(tbox->box, NULL);
		ret = -1;
	} else {
		ret = team_flags_take_over(tbox, view, known, counts_r,
					   error_r);
		mail_index_sync_rollback(&sync_ctx);
	}
	team_state_free(&known);
	return ret;
}

int team_flags_import(struct mailbox *box, struct team_flags_counts *counts_r,
		      const char **error_r)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	bool replica;

	i_zero(counts_r);
	if (team_flags_open(tbox, &replica, error_r) < 0)
		return -1;
	/* a replica may have flags that were taken away on another node */
	if ((replica && team_flags_sync(tbox, error_r) < 0) ||
	    team_flags_take_over_locked(tbox, counts_r, error_r) < 0)
		return -1;
	/* PostgreSQL has all of it now, and maybe more */
	tbox->changed = TRUE;
	team_replica_distrust(tbox);
	return team_flags_sync(tbox, error_r);
}

/*
 * Writing back
 */

/* Plain Dovecot keeps \Seen private, and nothing else. */
static int
team_flags_write_seen(struct team_mailbox *tbox, const char **error_r)
{
	struct mail_index *index = tbox->box->index_pvt;
	const struct mail_index_record *rec, *shared;
	struct mail_index_sync_ctx *sync_ctx;
	struct mail_index_transaction *trans;
	struct mail_index_sync_rec sync_rec;
	struct mail_index_view *view;
	uint32_t seq, shared_seq;

	if (mail_index_sync_begin(index, &sync_ctx, &view, &trans, 0) > 0) {
		while (mail_index_sync_next(sync_ctx, &sync_rec)) ;
		for (seq = mail_index_view_get_messages_count(view); seq > 0;
		     seq--) {
			rec = mail_index_lookup(view, seq);
			if (!mail_index_lookup_seq(tbox->box->view, rec->uid,
						   &shared_seq))
				continue;
			shared = mail_index_lookup(tbox->box->view, shared_seq);
			if (((rec->flags ^ shared->flags) & MAIL_SEEN) != 0) {
				mail_index_update_flags(trans, seq,
					(shared->flags & MAIL_SEEN) != 0 ?
					MODIFY_ADD : MODIFY_REMOVE,
					(enum mail_flags)MAIL_SEEN);
			}
		}
		if (mail_index_sync_commit(&sync_ctx) == 0)
			return 0;
	}
	mailbox_set_index_error(tbox->box);
	*error_r = mailbox_get_last_internal_error(tbox->box, NULL);
	return -1;
}

static void
team_flags_count(struct team_mailbox *tbox, struct team_flags_counts *counts_r)
{
	ARRAY_TYPE(team_state_flag) flags;
	ARRAY_TYPE(seq_range) hidden;
	const struct team_state_flag *flag;
	struct mail_index_view *view;

	t_array_init(&flags, 8);
	t_array_init(&hidden, 64);
	view = mail_index_view_open(tbox->box->index_pvt);
	counts_r->messages = team_flags_collect(tbox, view, &flags);
	mail_index_view_close(&view);
	array_foreach(&flags, flag) {
		if (flag->flag != MAIL_SEEN)
			seq_range_array_merge(&hidden, &flag->uids);
	}
	counts_r->hidden = seq_range_count(&hidden);
}

/* A colleague's flags were given away, as by a query. */
static int
team_flags_record_write_back(struct team_mailbox *tbox,
			     const struct team_flags_counts *counts,
			     const char **error_r)
{
	struct team_session *session = team_user_session(tbox->tuser);
	ARRAY_TYPE(const_string) fields;
	const char *error;

	team_record_begin(tbox, &fields, "query", "ok");
	team_fields_add(&fields, "d.query", "flags write-back");
	team_fields_add(&fields, "d.rows",
			t_strdup_printf("%u", counts->messages));
	array_append_zero(&fields);
	team_client_event(session, array_front(&fields));
	if (team_client_flush(session, &error) < 0) {
		*error_r = team_flags_away(error);
		return -1;
	}
	return 0;
}

int team_flags_write_back(struct mailbox *box,
			  struct team_flags_counts *counts_r,
			  const char **error_r)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
	bool replica;

	i_zero(counts_r);
	/* being up to date is all it takes */
	if (team_flags_open(tbox, &replica, error_r) < 0 ||
	    team_flags_sync(tbox, error_r) < 0)
		return -1;
	if ((tbox->set->private_flags & MAIL_SEEN) == 0 &&
	    team_flags_write_seen(tbox, error_r) < 0)
		return -1;
	team_flags_count(tbox, counts_r);
	return team_flags_record_write_back(tbox, counts_r, error_r);
}
