/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team flags import, write-back: every colleague's private index of
   every mailbox, as doveadm's mail commands go through them. */

#include "team-common.h"
#include "module-dir.h"
#include "mail-namespace.h"
#include "mailbox-list-iter.h"
#include "compat-doveadm.h"
#include "compat-storage.h"
#include "doveadm-team.h"
#include "doveadm-team-flags.h"
#include "mail/team-plugin.h"

typedef int team_flags_func_t(struct mailbox *box,
			      struct team_flags_counts *counts_r,
			      const char **error_r);

struct flags_cmd_context {
	struct doveadm_mail_cmd_context ctx;
	bool write_back;
	/* of the mail plugin, which this one must do without otherwise */
	team_flags_func_t *func;

	/* NULL-terminated */
	const char *const *patterns;
	unsigned int hidden;
};

static int
flags_mailbox(struct flags_cmd_context *ctx, const struct mailbox_info *info)
{
	struct team_flags_counts counts;
	struct mailbox *box;
	const char *error;
	int ret;

	/* as the storage does it, whatever ACLs say: nobody else is touched */
	box = mailbox_alloc(info->ns->list, info->vname,
			    MAILBOX_FLAG_IGNORE_ACLS);
	ret = ctx->func(box, &counts, &error);
	if (ret < 0) {
		i_error("Mailbox %s: %s", info->vname, error);
		doveadm_mail_failed_error(&ctx->ctx, MAIL_ERROR_TEMP);
	} else {
		ctx->hidden += counts.hidden;
		doveadm_team_print(info->vname);
		doveadm_print_num(counts.messages);
		doveadm_print_num(ctx->write_back ? counts.hidden :
				  counts.changed);
	}
	mailbox_free(&box);
	return ret;
}

static int
cmd_team_flags_run(struct doveadm_mail_cmd_context *_ctx,
		   struct mail_user *user)
{
	struct flags_cmd_context *ctx = (struct flags_cmd_context *)_ctx;
	struct mailbox_list_iterate_context *iter;
	const struct mailbox_info *info;
	unsigned int found = 0;
	int ret = 0;

	iter = mailbox_list_iter_init_namespaces(user->namespaces,
		ctx->patterns, MAIL_NAMESPACE_TYPE_MASK_ALL,
		MAILBOX_LIST_ITER_SKIP_ALIASES |
		MAILBOX_LIST_ITER_NO_AUTO_BOXES |
		MAILBOX_LIST_ITER_RAW_LIST);
	while ((info = mailbox_list_iter_next(iter)) != NULL) {
		if ((info->flags & (MAILBOX_NOSELECT |
				    MAILBOX_NONEXISTENT)) != 0 ||
		    !compat_list_has_private_index(info->ns->list))
			continue;
		found++;
		T_BEGIN {
			if (flags_mailbox(ctx, info) < 0)
				ret = -1;
		} T_END;
	}
	if (mailbox_list_iter_deinit(&iter) < 0) {
		i_error("Listing mailboxes failed");
		doveadm_mail_failed_error(_ctx, MAIL_ERROR_TEMP);
		ret = -1;
	} else if (found == 0 && _ctx->iterate_single_user) {
		i_error("There is no such mailbox in a namespace with private "
			"indexes");
		doveadm_mail_failed_error(_ctx, MAIL_ERROR_NOTFOUND);
		ret = -1;
	}
	return ret;
}

static void cmd_team_flags_preinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct flags_cmd_context *ctx = (struct flags_cmd_context *)_ctx;
	struct module *module =
		module_dir_find(mail_storage_service_modules, "team");

	if (module != NULL) {
		ctx->func = (team_flags_func_t *)
			module_get_symbol_quiet(module, ctx->write_back ?
						"team_flags_write_back" :
						"team_flags_import");
	}
	if (ctx->func == NULL) {
		i_fatal_status(DOVEADM_EX_NOTPOSSIBLE, "doveadm needs the mail "
			"plugin team for this: put it into mail_plugins, "
			"outside of protocol blocks");
	}
}

static void COMPAT_DOVEADM_MAIL_INIT(cmd_team_flags_init)
{
	static const char *const all[] = { "*", NULL };
	struct flags_cmd_context *ctx = (struct flags_cmd_context *)_ctx;

	if (!doveadm_cmd_param_array(_ctx->cctx, "mailbox", &ctx->patterns) ||
	    ctx->patterns[0] == NULL)
		ctx->patterns = all;
	doveadm_print_header("mailbox", "mailbox",
			     DOVEADM_PRINT_HEADER_FLAG_EXPAND);
	doveadm_print_header_simple("messages");
	doveadm_print_header_simple(ctx->write_back ? "hidden" : "imported");
}

static void cmd_team_flags_deinit(struct doveadm_mail_cmd_context *_ctx)
{
	struct flags_cmd_context *ctx = (struct flags_cmd_context *)_ctx;

	if (ctx->hidden > 0) {
		i_warning("Plain Dovecot shows a colleague's own \\Seen, and "
			"no other flag or keyword of one's own: %u messages "
			"have some. They stay in the private indexes and in "
			"PostgreSQL; doveadm team flags export keeps them in "
			"a file", ctx->hidden);
	}
}

static struct doveadm_mail_cmd_context *flags_alloc(bool write_back)
{
	struct flags_cmd_context *ctx;

	ctx = doveadm_mail_cmd_alloc(struct flags_cmd_context);
	ctx->write_back = write_back;
	ctx->ctx.v.preinit = cmd_team_flags_preinit;
	ctx->ctx.v.init = cmd_team_flags_init;
	ctx->ctx.v.run = cmd_team_flags_run;
	ctx->ctx.v.deinit = cmd_team_flags_deinit;
	doveadm_print_init(DOVEADM_PRINT_TYPE_TABLE);
	return &ctx->ctx;
}

static struct doveadm_mail_cmd_context *flags_import_alloc(void)
{
	return flags_alloc(FALSE);
}

static struct doveadm_mail_cmd_context *flags_write_back_alloc(void)
{
	return flags_alloc(TRUE);
}

static void cmd_team_flags_import(struct doveadm_cmd_context *cctx)
{
	const char *path;

	if (doveadm_cmd_param_str(cctx, "input", &path))
		doveadm_team_flags_import_file(cctx, path);
	else
		doveadm_cmd_ver2_to_mail_cmd_wrapper(cctx);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_flags_import = {
	.name = "team flags import",
	.cmd = cmd_team_flags_import,
	.mail_cmd = flags_import_alloc,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "[<mailbox mask> ...] | "
		"--input <file>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "input", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_flags_write_back = {
	.name = "team flags write-back",
	.mail_cmd = flags_write_back_alloc,
	.usage = DOVEADM_CMD_MAIL_USAGE_PREFIX "[<mailbox mask> ...]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_MAIL_COMMON
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_ARRAY, CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
