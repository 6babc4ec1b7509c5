/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_VERIFY_H
#define TEAM_VERIFY_H

/* Checks a log, record by record and in constant memory, against signed
   checkpoints and the public keys that are trusted. */

#include "checkpoint.h"
#include "export.h"

/* The worse the higher; also team-verify's exit codes, but for OK. */
enum team_verdict {
	TEAM_VERDICT_OK = 0,
	TEAM_VERDICT_NOT_CHECKABLE,
	TEAM_VERDICT_UNKNOWN_KEY,
	TEAM_VERDICT_CUT,
	TEAM_VERDICT_MISSING,
	TEAM_VERDICT_ALTERED
};

struct team_verify_stats {
	/* records read, those that a checkpoint covers, those from before the
	   tree and those after the last checkpoint */
	uint64_t records, covered, before, after;
	/* gone by retention, as their nodes signed */
	uint64_t dropped;
	uint64_t checkpoints;
};

/* text: what was found, in plain words. */
typedef void team_verify_callback_t(enum team_verdict verdict,
				    const char *text, void *context);

struct team_verify *team_verify_new(team_verify_callback_t *callback,
				    void *context);
void team_verify_free(struct team_verify **verify);

/* Trusts the keys, one a line. Returns 0, or -1 if one isn't valid. */
int team_verify_add_keys(struct team_verify *verify, const char *text);
/* Takes notes, one behind the other. */
void team_verify_add_notes(struct team_verify *verify, const char *data,
			   size_t size);
/* Takes the next record: all of a node's in order, node after node. */
void team_verify_record(struct team_verify *verify,
			const struct team_export *exp);
/* Takes a record that can't be read. */
void team_verify_bad_record(struct team_verify *verify, const char *node,
			    uint64_t seq, const char *error);
/* After the last record. Returns the worst that was found. */
enum team_verdict team_verify_finish(struct team_verify *verify,
				     struct team_verify_stats *stats_r);

/* Where the tree stands behind the last record that was taken */
struct team_verify_state {
	/* NULL if no checkpoint knows a tree that the record is in */
	const char *origin;
	uint64_t first;
	struct team_tree tree;
	/* the last record that a checkpoint was found to be right for */
	uint64_t good_seq;
};
void team_verify_get_state(const struct team_verify *verify,
			   struct team_verify_state *state_r);

/* Finds the trusted key that signed the note. NULL if there is none;
   *forged_r tells whether a signature is wrong. */
const struct team_verifier *
team_verify_find_key(struct team_verify *verify, const struct team_note *note,
		     bool *forged_r);
const char *team_verdict_name(enum team_verdict verdict);

#endif
