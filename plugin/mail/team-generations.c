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

/* Is the replica what the colleague's last change but these has left? */
static bool team_generations_own_is(struct team_mailbox *tbox, uint64_t own)
{
	struct team_generations_header hdr;
	struct team_generations now;

	team_generations_read(tbox, &hdr);
	return hdr.gens.own == own && team_generations_now(tbox, &now) &&
		hdr.gens.epoch == now.epoch;
}

void team_generations_own_change(struct team_transaction *tt, uint64_t own,
				 unsigned int count)
{
	struct mailbox_transaction_context *t = tt->t;

	if (own == 0 || t->itrans_pvt == NULL)
		return;
	/* other sessions may have done something that this process hasn't read
	   yet; otherwise something else came between */
	if (!team_generations_own_is(tt->tbox, own - count) &&
	    (mail_index_refresh(t->box->index_pvt) < 0 ||
	     !team_generations_own_is(tt->tbox, own - count)))
		return;
	mail_index_update_header_ext(t->itrans_pvt,
		tt->tbox->generations_ext_id,
		offsetof(struct team_generations_header, gens.own),
		&own, sizeof(own));
}
