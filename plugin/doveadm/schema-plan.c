/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Compares the schema in the database with this program's migrations. */

#include "team-common.h"
#include "array.h"
#include "schema-plan.h"

static void
step_add(ARRAY_TYPE(team_step) *steps, enum team_step_state state,
	 const struct team_migration *migration,
	 const struct team_applied *applied)
{
	struct team_step *step = array_append_space(steps);

	i_assert(migration != NULL || applied != NULL);
	step->state = state;
	step->migration = migration;
	step->applied = applied;
	step->version = migration != NULL ?
		migration->version : applied->version;
	step->name = migration != NULL ? migration->name : applied->name;
	step->applied_at = applied != NULL ? applied->applied_at : "";
}

void team_schema_plan(const ARRAY_TYPE(team_migration) *migrations,
		      const ARRAY_TYPE(team_applied) *applied,
		      ARRAY_TYPE(team_step) *steps)
{
	const struct team_migration *m, *m_end;
	const struct team_applied *a, *a_end;
	unsigned int m_count, a_count;

	m = array_get(migrations, &m_count);
	m_end = m + m_count;
	a = array_get(applied, &a_count);
	a_end = a + a_count;

	while (m < m_end || a < a_end) {
		if (a == a_end) {
			step_add(steps, TEAM_STEP_MISSING, m++, NULL);
		} else if (m == m_end || a->version < m->version) {
			step_add(steps, TEAM_STEP_NEWER, NULL, a++);
		} else if (m->version < a->version) {
			step_add(steps, TEAM_STEP_SKIPPED, m++, NULL);
		} else {
			step_add(steps,
				 strcmp(m->checksum, a->checksum) == 0 ?
				 TEAM_STEP_OK : TEAM_STEP_CHANGED, m, a);
			m++;
			a++;
		}
	}
}

const char *team_step_state_name(enum team_step_state state)
{
	switch (state) {
	case TEAM_STEP_OK:
		return "ok";
	case TEAM_STEP_MISSING:
		return "missing";
	case TEAM_STEP_SKIPPED:
		return "skipped";
	case TEAM_STEP_CHANGED:
		return "changed";
	case TEAM_STEP_NEWER:
		return "newer";
	}
	i_unreached();
}

const char *team_step_problem(const struct team_step *step)
{
	switch (step->state) {
	case TEAM_STEP_OK:
		return NULL;
	case TEAM_STEP_MISSING:
		return t_strdup_printf("Migration %04u-%s is missing in the "
			"database: run doveadm team schema upgrade",
			step->version, step->name);
	case TEAM_STEP_SKIPPED:
		return t_strdup_printf("Migration %04u-%s is missing in the "
			"database although later ones have been applied: its "
			"row in team.migration was removed, or the schema was "
			"made by hand. Restore the database from a backup",
			step->version, step->name);
	case TEAM_STEP_CHANGED:
		return t_strdup_printf("Migration %04u-%s was changed after "
			"it was applied at %s: the applied one has the SHA-256 "
			"checksum %s, %s has %s. Reinstall the dovecot-team "
			"that the database was made with, or a later one",
			step->version, step->name, step->applied_at,
			step->applied->checksum, step->migration->path,
			step->migration->checksum);
	case TEAM_STEP_NEWER:
		return t_strdup_printf("Migration %04u-%s, applied at %s, is "
			"newer than this program: upgrade dovecot-team on "
			"this machine", step->version, step->name,
			step->applied_at);
	}
	i_unreached();
}

bool team_step_blocks(const struct team_step *step)
{
	return step->state != TEAM_STEP_OK && step->state != TEAM_STEP_MISSING;
}
