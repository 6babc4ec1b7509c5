/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A mailbox's UIDVALIDITY is lost with its indexes, or Maildir's list of UIDs,
   and with it what PostgreSQL knows its messages by. Their GUIDs stay: they are
   told while there is time, and found again when needed. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "time-util.h"
#include "imap-seqset.h"
#include "mail-namespace.h"
#include "mail-storage-private.h"
#include "team-claims.h"
#include "team-record.h"
#include "team-recover.h"
#include "team-replica-private.h"

/* So long it may take to find out GUIDs: some storages have to open each
   message. What is left is done the next time. */
#define IDENTIFY_MSECS 2000
/* Lines of GUIDs in one request: leaves room in the protocol's line */
#define GUIDS_SIZE_MAX (256*1024)
/* Messages whose GUIDs may be missing, in one request: even every other one fits
   into the protocol's line */
#define UNIDENTIFIED_MAX 32768

struct team_guids {
	struct team_mailbox *tbox;
	struct mailbox_transaction_context *t;
	struct mail *mail;
	string_t *lines;
};

static void team_guids_begin(struct team_guids *guids,
			     struct team_mailbox *tbox)
{
	guids->tbox = tbox;
	guids->lines = str_new(default_pool, 1024);
	guids->t = mailbox_transaction_begin(tbox->box, 0, "team GUIDs");
	guids->mail = mail_alloc(guids->t, MAIL_FETCH_GUID, NULL);
}

/* Adds the current mail's GUID, if it can be had. Returns TRUE when it is time
   to send. */
static bool team_guids_add(struct team_guids *guids)
{
	const char *guid;

	if (mail_get_special(guids->mail, MAIL_FETCH_GUID, &guid) == 0 &&
	    *guid != '\0' && strchr(guid, '\n') == NULL) {
		if (str_len(guids->lines) > 0)
			str_append_c(guids->lines, '\n');
		str_printfa(guids->lines, "%u %s", guids->mail->uid, guid);
	}
	return str_len(guids->lines) > GUIDS_SIZE_MAX;
}

static void team_guids_end(struct team_guids *guids)
{
	mail_free(&guids->mail);
	(void)mailbox_transaction_commit(&guids->t);
	str_free(&guids->lines);
}

/* Sends a request about the mailbox. Returns 0 with the data of its answer, -1
   if it didn't work: then it is done another time. */
static int
team_guids_request(struct team_mailbox *tbox, pool_t pool, const char *cmd,
		   const char *arg1, const char *arg2,
		   struct team_answer *answer_r)
{
	const char *const args[] = {
		tbox->guid, t_strdup_printf("%u", tbox->uidvalidity), arg1,
		arg2, NULL
	};
	const char *error;

	if (team_client_request(team_user_session(tbox->tuser), pool, cmd, args,
				answer_r, &error) < 0 ||
	    answer_r->code != NULL) {
		e_debug(tbox->box->event, "team: %s of %s failed", cmd,
			tbox->box->vname);
		return -1;
	}
	return 0;
}

/*
 * Telling GUIDs
 */

/* Returns TRUE if all were told, and there is time for more. */
static bool
team_identify_uids(struct team_mailbox *tbox,
		   const ARRAY_TYPE(seq_range) *uids,
		   const struct timeval *start)
{
	struct team_guids guids;
	struct team_answer answer;
	struct seq_range_iter iter;
	struct timeval now;
	unsigned int n = 0;
	uint32_t uid;
	bool more = TRUE, done = TRUE;
	pool_t pool = pool_alloconly_create("team identify", 1024);

	team_guids_begin(&guids, tbox);
	seq_range_array_iter_init(&iter, uids);
	while (more) {
		more = seq_range_array_iter_nth(&iter, n++, &uid);
		if (more && (!mail_set_uid(guids.mail, uid) ||
			     !team_guids_add(&guids))) {
			i_gettimeofday(&now);
			if (timeval_diff_msecs(&now, start) < IDENTIFY_MSECS)
				continue;
			more = done = FALSE;
		}
		if (str_len(guids.lines) > 0 &&
		    team_guids_request(tbox, pool, "IDENTIFY",
				       str_c(guids.lines), NULL, &answer) < 0)
			more = done = FALSE;
		str_truncate(guids.lines, 0);
	}
	team_guids_end(&guids);
	pool_unref(&pool);
	return done;
}

/* Asks which of them have to be told. Returns as team_identify_uids() does. */
static bool
team_identify(struct team_mailbox *tbox, const ARRAY_TYPE(seq_range) *uids,
	      const struct timeval *start)
{
	ARRAY_TYPE(seq_range) unknown;
	struct team_answer answer;
	const char *const *data;
	pool_t pool = pool_alloconly_create("team unidentified", 1024);
	bool done = FALSE;

	t_array_init(&unknown, 64);
	if (team_guids_request(tbox, pool, "UNIDENTIFIED", team_uidset(uids),
			       NULL, &answer) == 0) {
		array_foreach_elem(&answer.data, data) {
			if (data[0] == NULL || data[1] == NULL ||
			    imap_seq_set_nostar_parse(data[1], &unknown) < 0)
				break;
		}
		done = array_count(&unknown) == 0 ||
			team_identify_uids(tbox, &unknown, start);
	}
	pool_unref(&pool);
	return done;
}

static bool team_recover_is_claimed(struct team_mailbox *tbox,
				    const ARRAY_TYPE(keyword_indexes) *keywords)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index);
	unsigned int idx;

	array_foreach_elem(keywords, idx) {
		if (str_array_icase_find(tbox->tuser->set->claim_keywords,
					 array_idx_elem(names, idx)))
			return TRUE;
	}
	return FALSE;
}

/* Messages that somebody may want to know again. */
static void
team_identify_wanted(struct team_mailbox *tbox, ARRAY_TYPE(seq_range) *uids)
{
	struct mailbox *box = tbox->box;
	ARRAY_TYPE(keyword_indexes) keywords;
	const struct mail_index_record *rec;
	uint32_t seq, count;

	t_array_init(&keywords, 16);
	count = mail_index_view_get_messages_count(box->view_pvt);
	for (seq = 1; seq <= count; seq++) {
		rec = mail_index_lookup(box->view_pvt, seq);
		array_clear(&keywords);
		mail_index_lookup_keywords(box->view_pvt, seq, &keywords);
		if ((rec->flags & tbox->set->private_flags) != 0 ||
		    array_count(&keywords) > 0)
			seq_range_array_add(uids, rec->uid);
	}
	count = team_claims_shown_sum(tbox) == 0 ? 0 :
		mail_index_view_get_messages_count(box->view);
	for (seq = 1; seq <= count; seq++) {
		array_clear(&keywords);
		mail_index_lookup_keywords(box->view, seq, &keywords);
		if (team_recover_is_claimed(tbox, &keywords)) {
			rec = mail_index_lookup(box->view, seq);
			seq_range_array_add(uids, rec->uid);
		}
	}
}

static void team_recover_tell_later(struct team_mailbox *tbox)
{
	struct team_user *tuser = tbox->tuser;
	const char *name;

	if (!array_is_created(&tuser->untold))
		p_array_init(&tuser->untold, tuser->user->pool, 4);
	array_foreach_elem(&tuser->untold, name) {
		if (strcmp(name, tbox->box->vname) == 0)
			return;
	}
	name = p_strdup(tuser->user->pool, tbox->box->vname);
	array_push_back(&tuser->untold, &name);
}

void team_user_leaves(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	struct team_mailbox *tbox;
	struct mailbox *box;
	const char *name;

	tuser->leaving = TRUE;
	if (!array_is_created(&tuser->untold))
		return;
	array_foreach_elem(&tuser->untold, name) T_BEGIN {
		box = mailbox_alloc(mail_namespace_find(user->namespaces,
							name)->list, name, 0);
		if (mailbox_open(box) == 0 && team_mailbox_is_team(box)) {
			tbox = TEAM_BOX_CONTEXT_REQUIRE(box);
			/* the rest is done when it is closed */
			tbox->changed = mailbox_open_index_pvt(box) > 0 &&
				team_mailbox_identify(tbox) == 0;
		}
		mailbox_free(&box);
	} T_END;
}

void team_mailbox_tell_guids(struct team_mailbox *tbox)
{
	ARRAY_TYPE(seq_range) uids, some;
	struct timeval start;

	if (!tbox->changed)
		return;
	if (tbox->tuser->kind == TEAM_SERVICE_OTHER &&
	    !tbox->tuser->leaving) {
		/* the client mustn't wait for this */
		team_recover_tell_later(tbox);
		return;
	}
	/* nobody should wait for a service that is away */
	if (tbox->uidvalidity == 0 || tbox->box->view_pvt == NULL ||
	    !team_generations_are_known(tbox))
		return;
	t_array_init(&uids, 64);
	t_array_init(&some, 64);
	i_gettimeofday(&start);
	team_identify_wanted(tbox, &uids);
	tbox->changed = FALSE;
	do {
		team_uids_take(&uids, UNIDENTIFIED_MAX, &some);
	} while (array_count(&some) > 0 && team_identify(tbox, &some, &start));
}

/*
 * Finding messages again
 */

static int
team_recover_send(struct team_guids *guids, bool last, uint64_t *count)
{
	struct team_answer answer;
	const char *const *data;
	uint64_t found;
	pool_t pool = pool_alloconly_create("team recover", 1024);
	int ret;

	ret = team_guids_request(guids->tbox, pool, "RECOVER",
				 last ? "last" : "more", str_c(guids->lines),
				 &answer);
	if (ret == 0) {
		array_foreach_elem(&answer.data, data) {
			if (data[0] != NULL && data[1] != NULL &&
			    str_to_uint64(data[1], &found) == 0)
				*count += found;
		}
	}
	str_truncate(guids->lines, 0);
	pool_unref(&pool);
	return ret;
}

static void team_recover_record(struct team_mailbox *tbox, uint64_t count)
{
	ARRAY_TYPE(const_string) fields;

	e_info(tbox->box->event, "team: The UIDVALIDITY of %s is new: flags "
	       "and claims of %"PRIu64" messages were found by their GUIDs",
	       tbox->box->vname, count);
	team_record_begin(tbox, &fields, "flag", "ok");
	team_fields_add(&fields, "d.recovered", dec2str(count));
	array_append_zero(&fields);
	team_client_event(team_user_session(tbox->tuser), array_front(&fields));
}

bool team_mailbox_recover(struct team_mailbox *tbox)
{
	struct mailbox *box = tbox->box;
	struct team_guids guids;
	uint32_t seq, messages = mail_index_view_get_messages_count(box->view);
	uint64_t count = 0;
	int ret = 0;

	tbox->lost = FALSE;
	/* it is asked for again as soon as there are messages */
	if (messages == 0)
		return FALSE;
	team_guids_begin(&guids, tbox);
	for (seq = 1; seq <= messages && ret == 0; seq++) T_BEGIN {
		mail_set_seq(guids.mail, seq);
		if (team_guids_add(&guids) && seq < messages)
			ret = team_recover_send(&guids, FALSE, &count);
	} T_END;
	if (ret == 0)
		(void)team_recover_send(&guids, TRUE, &count);
	team_guids_end(&guids);
	if (count > 0)
		team_recover_record(tbox, count);
	return count > 0;
}
