/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does the service have to be asked? The private index's header says which
   generations it was brought up to. Where the service's file has the same, an
   answer could bring nothing. */

#include "team-common.h"
#include "index-storage.h"
#include "mail-storage-private.h"
#include "team-client-generations.h"
#include "team-claims.h"
#include "team-replica-private.h"

#define GENERATIONS_EXT_NAME "team-generations"

static void team_generations_register(struct team_mailbox *tbox)
{
	tbox->generations_ext_id =
		mail_index_ext_register(tbox->box->index_pvt,
			GENERATIONS_EXT_NAME,
			sizeof(struct team_generations_header), 0, 0);
}

void team_generations_read(struct team_mailbox *tbox,
			   struct team_generations_header *hdr_r)
{
	const void *data;
	size_t size;

	team_generations_register(tbox);
	/* the index's newest header, not that of the view's */
	mail_index_get_header_ext(tbox->box->view_pvt,
				  tbox->generations_ext_id, &data, &size);
	if (size >= sizeof(*hdr_r))
		memcpy(hdr_r, data, sizeof(*hdr_r));
	else
		i_zero(hdr_r);
}

static bool
team_generations_now(struct team_mailbox *tbox, struct team_generations *gens_r)
{
	const struct team_generations_file *file;

	file = team_client_generations(tbox->tuser->user->set->base_dir);
	if (file == NULL)
		return FALSE;
	team_generations_get(file, tbox->guid, tbox->uidvalidity,
			     tbox->tuser->colleague, gens_r);
	return gens_r->epoch != 0;
}

bool team_generations_are_known(struct team_mailbox *tbox)
{
	struct team_generations now;

	return team_generations_now(tbox, &now);
}

bool team_generations_hold(struct team_mailbox *tbox,
			   const struct team_generations_header *hdr)
{
	struct team_generations now;

	if (hdr->gens.epoch == 0 || !team_generations_now(tbox, &now) ||
	    memcmp(&now, &hdr->gens, sizeof(now)) != 0)
		return FALSE;
	/* the shared index may have been made anew */
	if (team_claims_shown_sum(tbox) != hdr->claims_sum)
		return FALSE;
	tbox->gens = now;
	return TRUE;
}

bool team_generations_flags_changed(struct team_mailbox *tbox)
{
	struct team_generations now;

	/* what the colleague's other sessions change stands in the private
	   index, unless that is in this session's memory */
	return tbox->gens.epoch != 0 && team_generations_now(tbox, &now) &&
		(now.epoch != tbox->gens.epoch ||
		 now.flags != tbox->gens.flags ||
		 (now.own != tbox->gens.own &&
		  team_replica_is_in_memory(tbox->box)));
}

void team_generations_write(struct team_mailbox *tbox,
			    struct mail_index_transaction *trans,
			    const struct team_generations_header *hdr)
{
	team_generations_register(tbox);
	mail_index_update_header_ext(trans, tbox->generations_ext_id, 0, hdr,
				     sizeof(*hdr));
}

int team_generations_update(struct team_mailbox *tbox,
			    const struct team_generations_header *hdr)
{
	struct mail_index_transaction *trans;
	struct mail_index_view *view;
	int ret;

	view = mail_index_view_open(tbox->box->index_pvt);
	trans = mail_index_transaction_begin(view, 0);
	team_generations_write(tbox, trans, hdr);
	ret = mail_index_transaction_commit(&trans);
	mail_index_view_close(&view);
	return ret;
}

/* Reads the newest header. Other sessions may have done something that this
   process hasn't read yet; otherwise something else came between. */
static bool
team_generations_own_is(struct team_mailbox *tbox, uint64_t own_min,
			uint64_t own_max, uint64_t *own_r)
{
	struct team_generations_header hdr;
	struct team_generations now;
	bool refreshed = FALSE;

	for (;;) {
		team_generations_read(tbox, &hdr);
		*own_r = hdr.gens.own;
		if (hdr.gens.own >= own_min && hdr.gens.own <= own_max)
			break;
		if (refreshed || mail_index_refresh(tbox->box->index_pvt) < 0)
			return FALSE;
		refreshed = TRUE;
	}
	return team_generations_now(tbox, &now) &&
		hdr.gens.epoch == now.epoch;
}

uint64_t team_generations_own_next(struct team_transaction *tt,
				   unsigned int count)
{
	struct team_mailbox *tbox = tt->tbox;
	struct team_generations now;
	uint64_t own;

	if (count == 0 || tt->t->itrans_pvt == NULL ||
	    !team_generations_now(tbox, &now))
		return 0;
	/* what it has may wait to be counted as well */
	if (tbox->own_epoch == now.epoch)
		now.own = I_MAX(now.own, tbox->own_last);
	if (!team_generations_own_is(tbox, now.own, UINT64_MAX, &own))
		return 0;
	tbox->own_epoch = now.epoch;
	tbox->own_last = own + count;
	return tbox->own_last;
}

void team_generations_own_change(struct team_transaction *tt, uint64_t own,
				 uint64_t next, unsigned int count)
{
	struct mailbox_transaction_context *t = tt->t;
	uint64_t before;

	if (count == 0 || t->itrans_pvt == NULL)
		return;
	if (own == 0)
		own = next;
	else if (own != next &&
		 !team_generations_own_is(tt->tbox, own - count, own - count,
					  &before))
		return;
	if (own == 0)
		return;
	mail_index_update_header_ext(t->itrans_pvt,
		tt->tbox->generations_ext_id,
		offsetof(struct team_generations_header, gens.own),
		&own, sizeof(own));
}
