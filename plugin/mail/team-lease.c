/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A claim lasts as long as its holder works on the message, and he is told if
   somebody takes it over, or takes it once it has lapsed. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "mail-storage-private.h"
#include "team-protocol.h"
#include "team-claims.h"
#include "team-record.h"

/* More than anybody reads */
#define ALERTS_SIZE_MAX 4096

/* Most mailboxes show no claims of his most of the time: messages needn't be
   looked at then. */
void team_mailbox_find_own_claims(struct team_mailbox *tbox)
{
	if (team_claims_shown_sum(tbox) == 0 ||
	    !mail_index_keyword_lookup(tbox->box->index,
				       tbox->tuser->claim_keyword,
				       &tbox->own_claim_idx))
		tbox->own_claim_idx = TEAM_KEYWORD_NONE;
}

void team_mailbox_touch(struct mail *mail)
{
	struct team_mailbox *tbox = TEAM_BOX_CONTEXT_REQUIRE(mail->box);
	const ARRAY_TYPE(keyword_indexes) *indexes;
	unsigned int idx;

	if (tbox->own_claim_idx == TEAM_KEYWORD_NONE || mail->uid == 0)
		return;
	indexes = mail_get_keyword_indexes(mail);
	array_foreach_elem(indexes, idx) {
		if (idx == tbox->own_claim_idx) {
			seq_range_array_add(&tbox->touched_uids, mail->uid);
			break;
		}
	}
}

void team_mailbox_renew(struct team_mailbox *tbox)
{
	if (array_count(&tbox->touched_uids) == 0)
		return;
	/* the service knows whether it is time */
	T_BEGIN {
		team_session_renew(team_user_session(tbox->tuser), tbox->guid,
				   tbox->uidvalidity,
				   team_uidset(&tbox->touched_uids));
	} T_END;
	array_clear(&tbox->touched_uids);
}

void team_user_add_alert(struct team_user *tuser, const char *text)
{
	if (tuser->alerts == NULL)
		tuser->alerts = str_new(default_pool, 128);
	if (str_len(tuser->alerts) > ALERTS_SIZE_MAX)
		return;
	str_append(tuser->alerts, text);
	str_append_c(tuser->alerts, '\n');
}

void team_user_add_notice(struct team_user *tuser, const char *notice)
{
	char *copy = i_strdup(notice);

	if (!array_is_created(&tuser->notices))
		i_array_init(&tuser->notices, 2);
	array_push_back(&tuser->notices, &copy);
}

void team_user_free_notices(struct team_user *tuser)
{
	char *notice;

	if (!array_is_created(&tuser->notices))
		return;
	array_foreach_elem(&tuser->notices, notice)
		i_free(notice);
	array_free(&tuser->notices);
}

/* Returns 1 if it is this session's turn to show it, 0 if another has, -1 if
   that can't be known now. */
static int team_user_tell(struct team_user *tuser, const char *id)
{
	pool_t pool = pool_alloconly_create("team tell", 256);
	const char *args[] = { id, NULL }, *error;
	struct team_answer answer;
	int ret = -1;

	if (team_client_request(tuser->session, pool, "TELL", args, &answer,
				&error) == 0 && answer.code == NULL)
		ret = null_strcmp(answer.args[0], TEAM_TELL_SHOW) == 0 ? 1 : 0;
	pool_unref(&pool);
	return ret;
}

static void team_user_take_notices(struct team_user *tuser)
{
	const char *text;
	char *notice;
	int ret;

	if (!array_is_created(&tuser->notices))
		return;
	while (array_count(&tuser->notices) > 0) {
		notice = *array_front(&tuser->notices);
		text = strchr(notice, ' ');
		ret = text == NULL ? 0 :
			team_user_tell(tuser, t_strdup_until(notice, text));
		if (ret < 0)
			return;
		if (ret > 0)
			team_user_add_alert(tuser, text + 1);
		array_pop_front(&tuser->notices);
		i_free(notice);
	}
}

const char *const *team_user_take_alerts(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	const char *const *alerts;

	team_user_take_notices(tuser);
	if (tuser->alerts == NULL || str_len(tuser->alerts) == 0)
		return NULL;
	str_truncate(tuser->alerts, str_len(tuser->alerts) - 1);
	alerts = t_strsplit(str_c(tuser->alerts), "\n");
	str_truncate(tuser->alerts, 0);
	return alerts;
}

bool team_user_claims_until_logout(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	return tuser->set->team_claim_until_logout;
}

void team_user_logout(struct team_user *tuser)
{
	static const char *const no_args[] = { NULL };
	struct team_answer answer;
	const char *error;
	pool_t pool;

	if (!tuser->set->team_claim_until_logout || tuser->session == NULL)
		return;
	pool = pool_alloconly_create("team logout", 256);
	if (team_client_request(tuser->session, pool, "LOGOUT", no_args,
				&answer, &error) < 0)
		e_error(tuser->user->event, "team: %s: claims last until they "
			"lapse", error);
	pool_unref(&pool);
}
