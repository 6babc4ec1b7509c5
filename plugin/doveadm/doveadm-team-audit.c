/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* doveadm team audit */

#include "team-common.h"
#include "array.h"
#include "ioloop.h"
#include "net.h"
#include "time-util.h"
#include "audit-time.h"
#include "doveadm-team.h"

/* PostgreSQL may have a lot to look through. The service answers at once when
   PostgreSQL is away, so nobody waits this long for nothing. */
#define AUDIT_TIMEOUT_MSECS (2*60*1000)
#define AUDIT_DEFAULT_LIMIT 1000

static const char *const audit_actions[] = {
	"login", "logout", "open", "read", "fetch", "flag", "append",
	"deliver", "copy", "move", "expunge", "create", "delete", "rename",
	"acl", "claim", "renew", "release", "lapse", "takeover", "draft",
	"reply", "settings", "query", "erase", "gap", NULL
};
static const char *const audit_outcomes[] = {
	"ok", "refused", "failed", NULL
};

static const char *const search_columns[] = {
	"at", "colleague", "action", "mailbox", "uid", "message_id",
	"outcome", "what", NULL
};
static const struct doveadm_team_view search_view = {
	.columns = search_columns,
	.what = TRUE,
};
static const char *const show_columns[] = {
	"at", "colleague", "what", NULL
};
static const struct doveadm_team_view show_view = {
	.columns = show_columns,
	.what = TRUE,
	.story = TRUE,
};

/* All of these return 0, or -1 with the error logged and the exit code set. */

/* allowed: the only words that there are; several may be given, with commas
   between them. NULL: any text. */
static int
param_add_text(struct doveadm_cmd_context *cctx, const char *param,
	       const char *key, const char *const *allowed,
	       ARRAY_TYPE(const_string) *args)
{
	const char *value, *arg, *const *words;

	if (!doveadm_cmd_param_str(cctx, param, &value))
		return 0;
	if (*value == '\0') {
		doveadm_team_usage_error("--%s: the value is empty", param);
		return -1;
	}
	for (words = allowed == NULL ? NULL : t_strsplit(value, ",");
	     words != NULL && *words != NULL; words++) {
		if (str_array_find(allowed, *words))
			continue;
		doveadm_team_usage_error("--%s: there is no '%s', only: %s",
			param, *words, t_strarray_join(allowed, " "));
		return -1;
	}
	arg = t_strconcat(key, "=", value, NULL);
	array_push_back(args, &arg);
	return 0;
}

static int
param_add_ip(struct doveadm_cmd_context *cctx, ARRAY_TYPE(const_string) *args)
{
	struct ip_addr ip;
	const char *value, *arg;

	if (!doveadm_cmd_param_str(cctx, "ip", &value))
		return 0;
	if (net_addr2ip(value, &ip) < 0) {
		doveadm_team_usage_error(
			"--ip: '%s' isn't an IPv4 or IPv6 address", value);
		return -1;
	}
	/* one way to write it: 2001:DB8:0::1 is 2001:db8::1 */
	arg = t_strconcat("ip=", net_ip2addr(&ip), NULL);
	array_push_back(args, &arg);
	return 0;
}

/* Returns 1 if the parameter was given, 0 if not, -1 on error. */
static int
param_get_time(struct doveadm_cmd_context *cctx, const char *param,
	       time_t *time_r)
{
	const char *value, *error;

	if (!doveadm_cmd_param_str(cctx, param, &value))
		return 0;
	if (team_time_parse(value, ioloop_time, time_r, &error) < 0) {
		doveadm_team_usage_error("--%s '%s': %s", param, value, error);
		return -1;
	}
	return 1;
}

static int
param_add_times(struct doveadm_cmd_context *cctx,
		ARRAY_TYPE(const_string) *args)
{
	time_t since = 0, until = 0;
	int have_since, have_until;
	const char *arg;

	if ((have_since = param_get_time(cctx, "since", &since)) < 0 ||
	    (have_until = param_get_time(cctx, "until", &until)) < 0)
		return -1;
	if (have_since > 0 && have_until > 0 && since >= until) {
		doveadm_team_usage_error("--since (%s) isn't before "
			"--until (%s): nothing can be found",
			t_strflocaltime("%Y-%m-%d %H:%M:%S", since),
			t_strflocaltime("%Y-%m-%d %H:%M:%S", until));
		return -1;
	}
	if (have_since > 0) {
		arg = t_strconcat("since=", team_time_to_wire(since), NULL);
		array_push_back(args, &arg);
	}
	if (have_until > 0) {
		arg = t_strconcat("until=", team_time_to_wire(until), NULL);
		array_push_back(args, &arg);
	}
	return 0;
}

static int
param_add_order(struct doveadm_cmd_context *cctx,
		ARRAY_TYPE(const_string) *args)
{
	const char *value, *arg;

	if (!doveadm_cmd_param_str(cctx, "order", &value))
		return 0;
	if (strcmp(value, "asc") != 0 && strcmp(value, "desc") != 0) {
		doveadm_team_usage_error(
			"--order: '%s' is neither asc nor desc", value);
		return -1;
	}
	arg = t_strconcat("order=", value, NULL);
	array_push_back(args, &arg);
	return 0;
}

static int
param_add_limit(struct doveadm_cmd_context *cctx,
		ARRAY_TYPE(const_string) *args, unsigned int *limit_r)
{
	const char *value, *arg;

	*limit_r = AUDIT_DEFAULT_LIMIT;
	if (doveadm_cmd_param_str(cctx, "limit", &value) &&
	    str_to_uint(value, limit_r) < 0) {
		doveadm_team_usage_error("--limit: '%s' isn't a number of rows "
			"(0 for all)", value);
		return -1;
	}
	arg = t_strdup_printf("limit=%u", *limit_r);
	array_push_back(args, &arg);
	return 0;
}

static int
search_params(struct doveadm_cmd_context *cctx, ARRAY_TYPE(const_string) *args,
	      unsigned int *limit_r)
{
	if (param_add_text(cctx, "colleague", "colleague", NULL, args) < 0 ||
	    param_add_text(cctx, "action", "action", audit_actions,
			   args) < 0 ||
	    param_add_text(cctx, "mailbox", "mailbox", NULL, args) < 0 ||
	    param_add_text(cctx, "message-id", "message_id", NULL,
			   args) < 0 ||
	    param_add_text(cctx, "outcome", "outcome", audit_outcomes,
			   args) < 0 ||
	    param_add_ip(cctx, args) < 0 ||
	    param_add_times(cctx, args) < 0 ||
	    param_add_order(cctx, args) < 0 ||
	    param_add_limit(cctx, args, limit_r) < 0)
		return -1;
	array_append_zero(args);
	return 0;
}

static void cmd_team_audit_search(struct doveadm_cmd_context *cctx)
{
	struct doveadm_team *team;
	ARRAY_TYPE(const_string) args;
	unsigned int limit, rows;
	const char *order;

	t_array_init(&args, 16);
	if (search_params(cctx, &args, &limit) < 0 ||
	    doveadm_team_connect(cctx, AUDIT_TIMEOUT_MSECS, &team) < 0)
		return;
	if (doveadm_team_query(team, "audit-search", array_front(&args),
			       &search_view, &rows) == 0 &&
	    limit > 0 && rows >= limit) {
		if (!doveadm_cmd_param_str(cctx, "order", &order))
			order = "desc";
		i_warning("Only the %s %u rows are shown: there may be more "
			  "(--limit)", strcmp(order, "asc") == 0 ?
			  "oldest" : "newest", limit);
	}
	doveadm_team_disconnect(&team);
}

static void cmd_team_audit_show(struct doveadm_cmd_context *cctx)
{
	struct doveadm_team *team;
	const char *args[2] = { NULL, NULL }, *message_id;
	unsigned int rows;

	if (!doveadm_cmd_param_str(cctx, "message-id", &message_id) ||
	    *message_id == '\0') {
		doveadm_team_usage_error("Name the message: "
			"doveadm team audit show <message-id>");
		return;
	}
	args[0] = t_strconcat("message_id=", message_id, NULL);
	if (doveadm_team_connect(cctx, AUDIT_TIMEOUT_MSECS, &team) < 0)
		return;
	if (doveadm_team_query(team, "audit-show", args, &show_view,
			       &rows) == 0 && rows == 0) {
		i_error("The log has nothing about the message %s: is this its "
			"Message-ID as in the header?", message_id);
		doveadm_exit_code = DOVEADM_EX_NOTFOUND;
	}
	doveadm_team_disconnect(&team);
}

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_search = {
	.name = "team audit search",
	.cmd = cmd_team_audit_search,
	.usage = "[--colleague <name>] [--action <action>[,...]] "
		"[--mailbox <mailbox>] [--message-id <id>] "
		"[--outcome ok|refused|failed[,...]] [--ip <address>] "
		"[--since <time>] [--until <time>] [--limit <rows>] "
		"[--order asc|desc]",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "colleague", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "action", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "mailbox", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "outcome", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "ip", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "since", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "until", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "limit", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAM('\0', "order", CMD_PARAM_STR, 0)
DOVEADM_CMD_PARAMS_END
};

struct doveadm_cmd_ver2 doveadm_cmd_team_audit_show = {
	.name = "team audit show",
	.cmd = cmd_team_audit_show,
	.usage = "<message-id>",
DOVEADM_CMD_PARAMS_START
DOVEADM_CMD_PARAM('\0', "message-id", CMD_PARAM_STR,
		  CMD_PARAM_FLAG_POSITIONAL)
DOVEADM_CMD_PARAMS_END
};
