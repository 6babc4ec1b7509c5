/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The claims of a mailbox that a session has seen. The service tells it what
   was changed since, so that it doesn't matter how many there are. */

#include "team-common.h"
#include "array.h"
#include "mail-storage-private.h"
#include "team-claims.h"

static const char *
team_shown_holder(struct team_shown_claims *shown, const char *holder)
{
	const char *name;

	array_foreach_elem(&shown->holders, name) {
		if (strcmp(name, holder) == 0)
			return name;
	}
	name = p_strdup(shown->pool, holder);
	array_push_back(&shown->holders, &name);
	return name;
}

static uint32_t team_shown_sum(const struct team_claim *claim)
{
	uint32_t sum;

	T_BEGIN {
		sum = team_claim_sum(claim->uid,
				     team_claim_keyword(claim->holder));
	} T_END;
	return sum;
}

static void
team_shown_push(struct team_shown_claims *shown,
		ARRAY_TYPE(team_claim) *list, const struct team_claim *claim)
{
	struct team_claim *copy = array_append_space(list);

	*copy = *claim;
	copy->holder = team_shown_holder(shown, claim->holder);
}

/* Both lists are in the order of UIDs. */
static uint32_t
team_shown_merge(struct team_shown_claims *shown,
		 const struct team_claims_answer *answer,
		 ARRAY_TYPE(team_claim) *list)
{
	const struct team_claim *old, *new;
	unsigned int i = 0, j = 0, old_count, new_count;
	uint32_t sum = answer->all ? 0 : shown->sum;

	old = array_get(&shown->list, &old_count);
	new = array_get(&answer->claims, &new_count);
	if (answer->all)
		old_count = 0;
	while (i < old_count || j < new_count) {
		if (j == new_count ||
		    (i < old_count && old[i].uid < new[j].uid)) {
			if (seq_range_exists(&answer->unclaimed, old[i].uid))
				sum -= team_shown_sum(&old[i]);
			else
				array_push_back(list, &old[i]);
			i++;
			continue;
		}
		if (i < old_count && old[i].uid == new[j].uid)
			sum -= team_shown_sum(&old[i++]);
		sum += team_shown_sum(&new[j]);
		team_shown_push(shown, list, &new[j++]);
	}
	return sum;
}

int team_mailbox_apply_claims(struct team_mailbox *tbox,
			      const struct team_claims_answer *answer)
{
	struct team_shown_claims *shown = &tbox->shown;
	ARRAY_TYPE(team_claim) list;
	uint32_t sum;

	if (shown->pool == NULL) {
		shown->pool = pool_alloconly_create("team shown claims", 256);
		p_array_init(&shown->holders, shown->pool, 8);
		i_array_init(&shown->list, 8);
	}
	i_array_init(&list, array_count(&shown->list) +
		     array_count(&answer->claims) + 1);
	sum = team_shown_merge(shown, answer, &list);
	if (team_mailbox_show_claims(tbox, &list, sum) < 0) {
		/* what changed until now is asked for once more */
		array_free(&list);
		return -1;
	}
	array_free(&shown->list);
	shown->list = list;
	shown->sum = sum;
	i_free(shown->cursor);
	shown->cursor = i_strdup(answer->cursor);
	return 0;
}

void team_mailbox_forget_claims(struct team_mailbox *tbox)
{
	struct team_shown_claims *shown = &tbox->shown;

	if (shown->pool == NULL)
		return;
	array_free(&shown->list);
	i_free(shown->cursor);
	pool_unref(&shown->pool);
}
