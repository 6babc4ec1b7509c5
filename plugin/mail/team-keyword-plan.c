/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* STORE changes the same private keywords of one message after another. What
   is the same for all of them is found out once. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "index-mail.h"
#include "mail-storage-private.h"
#include "team-record.h"

struct team_keyword_plan {
	struct team_transaction *tt;
	enum modify_type modify_type;
	/* what is asked for, as numbers of the shared index; referenced */
	struct mail_keywords *keywords;
	/* the same as numbers of the private index; NULL if each message has to
	   be looked at more closely */
	struct mail_keywords *pvt;
	/* space separated */
	const char *names;
	ARRAY_TYPE(keyword_indexes) found;
};

/* Only private ones, which nobody's claim protects. */
static bool team_keyword_plan_is_simple(const struct team_keyword_plan *plan)
{
	unsigned int i;

	if (plan->tt->tbox->box->index_pvt == NULL ||
	    plan->modify_type == MODIFY_REPLACE || plan->keywords->count == 0 ||
	    !team_transaction_may_private(plan->tt))
		return FALSE;
	for (i = 0; i < plan->keywords->count; i++) {
		if (!team_keyword_index_is_private(plan->tt->tbox,
						   plan->keywords->idx[i]))
			return FALSE;
	}
	return TRUE;
}

static void team_keyword_plan_fill(struct team_keyword_plan *plan)
{
	struct mailbox *box = plan->tt->tbox->box;
	const ARRAY_TYPE(keywords) *names = mail_index_get_keywords(box->index);
	ARRAY_TYPE(keyword_indexes) indexes;
	string_t *str = t_str_new(64);
	unsigned int i;

	t_array_init(&indexes, plan->keywords->count);
	array_append(&indexes, plan->keywords->idx, plan->keywords->count);
	for (i = 0; i < plan->keywords->count; i++) {
		if (i > 0)
			str_append_c(str, ' ');
		str_append(str, array_idx_elem(names, plan->keywords->idx[i]));
	}
	plan->names = p_strdup(plan->tt->pool, str_c(str));
	plan->pvt = team_pvt_keywords_create(plan->tt->tbox, &indexes);
}

void team_keyword_plan_free(struct team_transaction *tt)
{
	struct team_keyword_plan *plan = tt->keyword_plan;

	if (plan == NULL)
		return;
	tt->keyword_plan = NULL;
	if (plan->pvt != NULL)
		mail_index_keywords_unref(&plan->pvt);
	mailbox_keywords_unref(&plan->keywords);
}

static struct team_keyword_plan *
team_keyword_plan_get(struct team_transaction *tt, enum modify_type modify_type,
		      struct mail_keywords *keywords)
{
	struct team_keyword_plan *plan = tt->keyword_plan;

	if (plan != NULL && plan->keywords == keywords &&
	    plan->modify_type == modify_type)
		return plan;
	team_keyword_plan_free(tt);
	plan = p_new(tt->pool, struct team_keyword_plan, 1);
	plan->tt = tt;
	plan->modify_type = modify_type;
	plan->keywords = keywords;
	mailbox_keywords_ref(keywords);
	p_array_init(&plan->found, tt->pool, 16);
	if (team_keyword_plan_is_simple(plan)) T_BEGIN {
		team_keyword_plan_fill(plan);
	} T_END;
	tt->keyword_plan = plan;
	return plan;
}

/* How many of the keywords the message has. */
static unsigned int
team_keyword_plan_count(struct team_keyword_plan *plan,
			struct mail_index_view *view, uint32_t seq)
{
	unsigned int i, idx, count = 0;

	mail_index_lookup_keywords(view, seq, &plan->found);
	array_foreach_elem(&plan->found, idx) {
		for (i = 0; i < plan->pvt->count; i++) {
			if (plan->pvt->idx[i] == idx)
				count++;
		}
	}
	return count;
}

bool team_keyword_plan_update(struct team_transaction *tt, struct mail *mail,
			      enum modify_type modify_type,
			      struct mail_keywords *keywords)
{
	struct team_keyword_plan *plan =
		team_keyword_plan_get(tt, modify_type, keywords);
	struct team_change *change;
	const char **names;
	unsigned int count;
	uint32_t seq;

	if (plan->pvt == NULL || (seq = team_mail_pvt_seq(mail)) == 0)
		return FALSE;
	count = team_keyword_plan_count(plan, mail->transaction->view_pvt, seq);
	if (count == (modify_type == MODIFY_ADD ? plan->pvt->count : 0))
		return TRUE;
	change = team_transaction_begin_change(tt, mail);
	names = modify_type == MODIFY_ADD ? &change->pvt_add_keywords :
		&change->pvt_remove_keywords;
	/* some of them, or more than one command's */
	if (count != (modify_type == MODIFY_ADD ? 0 : plan->pvt->count) ||
	    **names != '\0')
		return FALSE;
	*names = plan->names;
	team_mail_set_pvt_keywords(mail, seq, modify_type, plan->pvt);
	return TRUE;
}
