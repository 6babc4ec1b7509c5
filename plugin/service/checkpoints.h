/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_CHECKPOINTS_H
#define TEAM_CHECKPOINTS_H

/* Signing of the journal's tree, at intervals and at shutdown, and bringing
   what was signed to the places where it is kept: the file "checkpoints" in the
   journal's directory, PostgreSQL and the administrator's command. */

struct team_service;
struct checkpoints;
struct team_signer;
struct team_verifier;

/* Reads or makes the key. Returns 0, or -1 with an error. */
int checkpoints_init(struct team_service *service,
		     struct checkpoints **checkpoints_r, const char **error_r);
/* After state_deinit(), which ends what is under way. */
void checkpoints_deinit(struct checkpoints **checkpoints);
/* Signs the tree if it has grown. */
void checkpoints_write(struct checkpoints *checkpoints);
/* Makes a new key, which the old one signs. Returns 0, or -1 with an error. */
int checkpoints_rotate_key(struct checkpoints *checkpoints,
			   const char **error_r);
/* Signs that the records that are in the tree may be dropped. origin: of the
   node's tree or of an older one; first: its first record. Returns 0 with the
   note (data stack), or -1 with an error. */
int checkpoints_sign_cut(struct checkpoints *checkpoints, const char *origin,
			 const char *tree_text, uint64_t first,
			 const char **note_r, const char **error_r);
/* Does PostgreSQL have all that was signed? */
bool checkpoints_are_sent(const struct checkpoints *checkpoints);
/* The size of the tree that was signed last, and when (0 = never since the
   start). */
uint64_t checkpoints_last_size(const struct checkpoints *checkpoints);
const struct team_verifier *
checkpoints_key(const struct checkpoints *checkpoints);

/* The key's files: team.key, and team.pub with a line for every key that there
   was. Return 1, 0 if there is no key yet, -1 with an error. */
int checkpoint_key_read(const char *dir, struct team_signer *signer_r,
			const char **error_r);
/* Writes it; the public key is added. Returns 0, or -1 with an error. */
int checkpoint_key_write(const char *dir, const struct team_signer *signer,
			 const char **error_r);

/* Runs the command with the note as its input, and says in the log if it
   fails. One after the other; returns FALSE if the last one still runs. */
bool checkpoint_command_run(const char *command, const char *note);
void checkpoint_command_deinit(void);

#endif
