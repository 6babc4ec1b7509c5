/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_SCHEMA_PLAN_H
#define TEAM_SCHEMA_PLAN_H

#include "schema-files.h"

/* What stands between the schema in the database and this program's. */

/* A row of team.migration */
struct team_applied {
	unsigned int version;
	const char *name;
	/* when it was applied, as text */
	const char *applied_at;
	const char *checksum;
};
ARRAY_DEFINE_TYPE(team_applied, struct team_applied);

enum team_step_state {
	/* applied, unchanged */
	TEAM_STEP_OK,
	/* to be applied */
	TEAM_STEP_MISSING,
	/* to be applied, but a later one has been already */
	TEAM_STEP_SKIPPED,
	/* the file isn't the one that was applied */
	TEAM_STEP_CHANGED,
	/* applied by a newer version of the program */
	TEAM_STEP_NEWER
};

struct team_step {
	unsigned int version;
	const char *name;
	/* when it was applied, "" if it wasn't */
	const char *applied_at;
	enum team_step_state state;
	/* NULL if newer */
	const struct team_migration *migration;
	/* NULL if missing or skipped */
	const struct team_applied *applied;
};
ARRAY_DEFINE_TYPE(team_step, struct team_step);

/* Compares the program's migrations with the applied ones, both in the order
   of their versions, and fills steps, which point into both, in that order. */
void team_schema_plan(const ARRAY_TYPE(team_migration) *migrations,
		      const ARRAY_TYPE(team_applied) *applied,
		      ARRAY_TYPE(team_step) *steps);

/* One word for the state. */
const char *team_step_state_name(enum team_step_state state);
/* A sentence saying what is wrong with the step and what to do, allocated from
   the data stack; NULL if it is applied and unchanged. */
const char *team_step_problem(const struct team_step *step);
/* Returns TRUE if the step stands against applying anything. */
bool team_step_blocks(const struct team_step *step);

#endif
