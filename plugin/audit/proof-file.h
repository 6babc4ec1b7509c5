/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_PROOF_FILE_H
#define TEAM_PROOF_FILE_H

/* Proofs as files: of inclusion as C2SP tlog-proof
     c2sp.org/tlog-proof@v1
     extra <base64 of the record as a line of an export>
     index <number of the leaf>
     <base64 of a hash>...
     <empty line>
     <checkpoint>
   and of consistency
     dovecot-team consistency
     <origin>
     <old size> <new size>
     <base64 of a hash>... */

#include "proof.h"

struct team_proof_file {
	struct team_proof proof;
	/* inclusion */
	uint64_t index;
	char *record;
	/* inside what was parsed */
	const char *checkpoint;
	/* consistency */
	char *origin;
	uint64_t old_size, size;
};

/* Both return the text, which the caller frees. */
char *team_inclusion_format(const struct team_proof *proof, uint64_t index,
			    const char *record, const char *checkpoint);
char *team_consistency_format(const struct team_proof *proof,
			      const char *origin, uint64_t old_size,
			      uint64_t size);

/* Return 0, or -1 if the text isn't one. Free with team_proof_file_clear(). */
int team_inclusion_parse(const char *text, struct team_proof_file *file_r);
int team_consistency_parse(const char *text, struct team_proof_file *file_r);
void team_proof_file_clear(struct team_proof_file *file);

#endif
