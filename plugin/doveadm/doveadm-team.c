/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The doveadm plugin: registers the commands of doveadm team. */

#include "team-common.h"
#include "doveadm-team.h"

const char *doveadm_team_plugin_version = DOVECOT_ABI_VERSION;

static struct doveadm_cmd_ver2 *const team_commands[] = {
	&doveadm_cmd_team_status,
	&doveadm_cmd_team_audit_search,
	&doveadm_cmd_team_audit_show,
	&doveadm_cmd_team_audit_export,
	&doveadm_cmd_team_audit_checkpoints,
	&doveadm_cmd_team_audit_verify,
	&doveadm_cmd_team_audit_prove,
	&doveadm_cmd_team_audit_rotate_key,
	&doveadm_cmd_team_audit_retain,
	&doveadm_cmd_team_claim_list,
	&doveadm_cmd_team_claim_take,
	&doveadm_cmd_team_claim_hand_over,
	&doveadm_cmd_team_claim_release,
	&doveadm_cmd_team_who,
	&doveadm_cmd_team_erase,
	&doveadm_cmd_team_flags_export,
	&doveadm_cmd_team_flags_import,
	&doveadm_cmd_team_flags_write_back,
	&doveadm_cmd_team_schema_install,
	&doveadm_cmd_team_schema_upgrade,
	&doveadm_cmd_team_schema_check,
};

void doveadm_team_plugin_init(struct module *module ATTR_UNUSED)
{
	unsigned int i;

	for (i = 0; i < N_ELEMENTS(team_commands); i++)
		doveadm_cmd_register_ver2(team_commands[i]);
}

void doveadm_team_plugin_deinit(void)
{
	doveadm_team_output_end();
}
