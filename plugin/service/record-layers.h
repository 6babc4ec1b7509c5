/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_RECORD_LAYERS_H
#define TEAM_RECORD_LAYERS_H

/* In which order a batch's records have to take effect: those of a layer may be
   carried out together, after those of the layers below. Within a layer
   PostgreSQL carries out flags first, then copies and moves, then expunges,
   then deletions of mailboxes. */

struct record_layers;

struct record_effect {
	const char *action;
	/* numbers of mailboxes, 0 if there is none */
	unsigned int box, from_box;
	/* 0 if there are several, or none */
	uint32_t uid, from_uid;
	/* are private flags changed, and is one removed, or changed in some of
	   the messages only? */
	bool flags, removes;
};

struct record_layers *record_layers_init(void);
void record_layers_deinit(struct record_layers **layers);
void record_layers_clear(struct record_layers *layers);

/* Returns the layer of the next record, from 1. */
unsigned int record_layers_add(struct record_layers *layers,
			       const struct record_effect *effect);

#endif
