/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AUDIT_TRUST_H
#define AUDIT_TRUST_H

/* Which keys and checkpoints a check trusts: those given by --key and
   --checkpoints, otherwise the files of this node's service. */

struct doveadm_cmd_context;
struct doveadm_team;
struct team_verify;

/* Tells the checker, and waits until PostgreSQL has what this node's checkpoints
   cover: records have to be read after that. only: the node that it is about,
   or NULL. notes, if it isn't NULL, gets all the notes. Returns 0, or -1 with
   the error logged and the exit code set. */
int audit_trust_load(struct doveadm_cmd_context *cctx,
		     struct doveadm_team *team, const char *only,
		     struct team_verify *verify, string_t *notes);

/* The service signs what stands in its journal: waits until PostgreSQL has what
   stands there by now. *missing_r: how many records it still lacks after half
   a minute; 0 if it is away. Returns 0, or -1 as above. */
int audit_trust_wait_shipped(struct doveadm_team *team, int64_t *missing_r);

/* Finds one of the values of STATUS, allocated from team->pool. Returns 0, or
   -1 as above. */
int audit_trust_status(struct doveadm_team *team, const char *key,
		       const char **value_r);

#endif
