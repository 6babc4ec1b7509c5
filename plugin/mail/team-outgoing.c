/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply guard: a mail that answers what a colleague is at, or has answered
   meanwhile, is sent only if its sender means it. Whatever can't be found out
   never keeps a mail from being sent. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "time-util.h"
#include "mail-storage-private.h"
#include "team-reply.h"
#include "team-record.h"

/* Characters of a colleague's name in the text */
#define HOLDER_SIZE_MAX 100

struct team_outgoing {
	struct team_user *tuser;
	pool_t pool;
	/* what it answers, one a line, the nearest first */
	const char *ids;
	const char *message_id;

	/* it is sent in spite of this; NULL if nothing stood against it */
	const char *override, *holder;
};

struct team_conflict {
	struct team_reply_place place;
	/* claimed, answered */
	const char *state;
	const char *holder;
	time_t since, until;
	/* the sender was told so a while ago */
	bool told;
};
ARRAY_DEFINE_TYPE(team_conflict, struct team_conflict);

struct team_outgoing *
team_outgoing_init(struct mail_user *user, pool_t pool, const char *in_reply_to,
		   const char *references, const char *message_id)
{
	struct team_outgoing *mail;
	const char *ids = team_reply_ids(in_reply_to, references);

	if (ids == NULL)
		return NULL;
	mail = p_new(pool, struct team_outgoing, 1);
	mail->tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	mail->pool = pool;
	mail->ids = p_strdup(pool, ids);
	mail->message_id = p_strdup(pool, message_id);
	return mail;
}

static int
team_conflict_parse(const char *const *data, struct team_conflict *conflict_r)
{
	intmax_t since, until;

	i_zero(conflict_r);
	if (str_array_length(data) < 8 ||
	    team_reply_place_parse(data + 1, &conflict_r->place) < 0 ||
	    str_to_intmax(data[6], &since) < 0 ||
	    str_to_intmax(data[7], &until) < 0)
		return -1;
	conflict_r->state = data[0];
	conflict_r->holder = data[5];
	conflict_r->since = since;
	conflict_r->until = until;
	conflict_r->told = null_strcmp(data[8], "told") == 0;
	return 0;
}

/* What is in mailboxes that the sender may not open is none of his business. */
static bool
team_conflict_concerns(struct team_user *tuser,
		       const struct team_conflict *conflict)
{
	struct mailbox *box = team_reply_place_open(tuser, &conflict->place);

	if (box == NULL)
		return FALSE;
	mailbox_free(&box);
	return TRUE;
}

static void
team_outgoing_conflicts(struct team_outgoing *mail,
			ARRAY_TYPE(team_conflict) *conflicts)
{
	struct team_user *tuser = mail->tuser;
	struct team_conflict conflict;
	struct team_answer answer;
	const char *args[3], *const *data, *error;

	args[0] = t_strdup_printf("%u", tuser->set->team_guard_override);
	args[1] = mail->ids;
	args[2] = NULL;
	if (team_client_request(team_user_session(tuser), mail->pool, "REPLY",
				args, &answer, &error) < 0) {
		e_error(tuser->user->event, "team: %s: a reply is sent "
			"without asking who else answers", error);
		return;
	}
	if (answer.code != NULL) {
		e_error(tuser->user->event, "team: a reply is sent without "
			"asking who else answers: %s (%s)", answer.code,
			answer.args[0] == NULL ? "" : answer.args[0]);
		return;
	}
	array_foreach_elem(&answer.data, data) {
		if (team_conflict_parse(data, &conflict) == 0 &&
		    team_conflict_concerns(tuser, &conflict))
			array_push_back(conflicts, &conflict);
	}
}

static const char *team_outgoing_time(time_t t)
{
	return t_strfgmtime("%Y-%m-%dT%H:%M:%SZ", t);
}

/* Which mail it was. */
static void team_outgoing_add_reply(struct team_outgoing *mail,
				    ARRAY_TYPE(const_string) *fields)
{
	if (mail->message_id != NULL)
		team_fields_add(fields, "d.reply", mail->message_id);
}

static void
team_outgoing_record_refused(struct team_outgoing *mail,
			     const struct team_conflict *conflict)
{
	ARRAY_TYPE(const_string) fields;

	t_array_init(&fields, 8);
	team_fields_add(&fields, "d.holder", conflict->holder);
	team_fields_add(&fields, "d.since",
			team_outgoing_time(conflict->since));
	team_fields_add(&fields, "d.guard", conflict->state);
	team_outgoing_add_reply(mail, &fields);
	array_append_zero(&fields);
	team_reply_record(mail->tuser, &conflict->place, TEAM_REPLY_SENT,
			  "refused", array_front(&fields));
	(void)team_user_flush(mail->tuser->user);
}

/* SMTP has no character set. */
static const char *team_outgoing_ascii(const char *text)
{
	string_t *str = t_str_new(256);

	for (; *text != '\0'; text++)
		str_append_c(str, *text < ' ' || *text > '~' ? '?' : *text);
	return str_c(str);
}

static const char *team_outgoing_duration(unsigned int secs)
{
	if (secs % 60 != 0)
		return t_strdup_printf("%u seconds", secs);
	return secs == 60 ? "a minute" :
		t_strdup_printf("%u minutes", secs / 60);
}

static const char *
team_conflict_text(struct team_outgoing *mail,
		   const struct team_conflict *conflict)
{
	const struct team_settings *set = mail->tuser->set;
	const char *holder = t_strndup(conflict->holder, HOLDER_SIZE_MAX);
	string_t *str = t_str_new(256);

	if (strcmp(conflict->state, "claimed") == 0) {
		str_printfa(str, "Not sent: the message that you answer is "
			    "claimed by %s since %s, until %s.", holder,
			    team_clock(conflict->since),
			    team_clock(conflict->until));
		if (set->guard == TEAM_GUARD_HOLD) {
			str_printfa(str, " Ask %s to give it back, or wait.",
				    holder);
			return team_outgoing_ascii(str_c(str));
		}
	} else {
		str_printfa(str, "Not sent: %s answered the message that you "
			    "answer at %s, after you last opened it.", holder,
			    team_clock(conflict->since));
	}
	str_printfa(str, " To send all the same, send again within %s.",
		    team_outgoing_duration(set->team_guard_override));
	return team_outgoing_ascii(str_c(str));
}

const char *team_outgoing_check(struct team_outgoing *mail)
{
	enum team_guard guard = mail->tuser->set->guard;
	ARRAY_TYPE(team_conflict) conflicts;
	const struct team_conflict *conflict;

	if (guard == TEAM_GUARD_OFF)
		return NULL;
	t_array_init(&conflicts, 4);
	team_outgoing_conflicts(mail, &conflicts);
	array_foreach(&conflicts, conflict) {
		if (conflict->told &&
		    (guard != TEAM_GUARD_HOLD ||
		     strcmp(conflict->state, "claimed") != 0))
			continue;
		team_outgoing_record_refused(mail, conflict);
		return team_conflict_text(mail, conflict);
	}
	if (array_count(&conflicts) > 0) {
		conflict = array_front(&conflicts);
		mail->override = p_strdup(mail->pool, conflict->state);
		mail->holder = p_strdup(mail->pool, conflict->holder);
	}
	return NULL;
}

void team_outgoing_sent(struct team_outgoing *mail)
{
	ARRAY_TYPE(const_string) fields;

	t_array_init(&fields, 8);
	team_outgoing_add_reply(mail, &fields);
	if (mail->override != NULL) {
		team_fields_add(&fields, "d.override", mail->override);
		team_fields_add(&fields, "d.holder", mail->holder);
	}
	array_append_zero(&fields);
	team_reply_handle(mail->tuser, mail->ids, TEAM_REPLY_SENT,
			  array_front(&fields));
	(void)team_user_flush(mail->tuser->user);
}
