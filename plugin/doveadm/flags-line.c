/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Private flags as lines of JSON. */

#include "team-common.h"
#include "strnum.h"
#include "json.h"
#include "doveadm-team-flags.h"

struct line_context {
	struct flags_line *line;
	const char *error;
};

static int line_fail(struct line_context *ctx, const char *error)
{
	ctx->error = error;
	return -1;
}

/* As records and IMAP take it: an atom, with a backslash before it only for a
   system flag. */
static bool flag_is_valid(const char *flag)
{
	static const char *const system_flags[] = {
		"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft",
		NULL
	};
	const unsigned char *p;

	if (*flag == '\\')
		return str_array_find(system_flags, flag);
	for (p = (const unsigned char *)flag; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || strchr("(){%*\"\\]", *p) != NULL)
			return FALSE;
	}
	return p != (const unsigned char *)flag;
}

static bool guid_is_valid(const char *guid)
{
	return strlen(guid) == 32 && strspn(guid, "0123456789abcdef") == 32;
}

static int line_member(const char *key, enum team_json_type type,
		       const char *value, void *context)
{
	struct line_context *ctx = context;
	struct flags_line *line = ctx->line;
	const char *error;
	char **dest;

	if (strcmp(key, "uidvalidity") == 0) {
		if (line->uidvalidity != 0)
			return line_fail(ctx, "uidvalidity is there twice");
		if (type != TEAM_JSON_LITERAL ||
		    str_to_uint32(value, &line->uidvalidity) < 0 ||
		    line->uidvalidity == 0)
			return line_fail(ctx, "uidvalidity isn't a number "
					 "from 1 to 4294967295");
		return 0;
	}
	if (strcmp(key, "uids") == 0) {
		if (line->uids.count > 0)
			return line_fail(ctx, "uids is there twice");
		if (type != TEAM_JSON_STRING ||
		    team_uidset_parse(value, &line->uids, &error) < 0 ||
		    line->uids.count == 0)
			return line_fail(ctx, "uids isn't a set of ascending "
					 "UIDs such as \"1:4,7\"");
		return 0;
	}
	dest = strcmp(key, "colleague") == 0 ? &line->colleague :
		strcmp(key, "mailbox") == 0 ? &line->mailbox :
		strcmp(key, "guid") == 0 ? &line->guid :
		strcmp(key, "flag") == 0 ? &line->flag : NULL;
	if (dest == NULL) {
		return line_fail(ctx, t_strdup_printf("there is no key %s",
						      key));
	}
	if (*dest != NULL)
		return line_fail(ctx, t_strdup_printf("%s is there twice",
						      key));
	if (type != TEAM_JSON_STRING)
		return line_fail(ctx, t_strdup_printf("%s isn't text", key));
	*dest = i_strdup(value);
	return 0;
}

static const char *line_check(const struct flags_line *line)
{
	if (line->colleague == NULL || *line->colleague == '\0')
		return "colleague is missing";
	if (line->guid == NULL)
		return "guid is missing";
	if (!guid_is_valid(line->guid))
		return "guid isn't 32 lower-case hex digits";
	if (line->uidvalidity == 0)
		return "uidvalidity is missing";
	if (line->flag == NULL)
		return "flag is missing";
	if (!flag_is_valid(line->flag))
		return "flag is neither a system flag nor a keyword";
	if (line->uids.count == 0)
		return "uids is missing";
	return NULL;
}

int flags_line_parse(const char *text, struct flags_line *line_r,
		     const char **error_r)
{
	struct line_context ctx = { .line = line_r };

	i_zero(line_r);
	if (team_json_object(text, line_member, &ctx) < 0) {
		*error_r = ctx.error != NULL ? ctx.error :
			"it isn't a JSON object";
	} else {
		*error_r = line_check(line_r);
		if (*error_r == NULL)
			return 0;
	}
	flags_line_clear(line_r);
	return -1;
}

void flags_line_clear(struct flags_line *line)
{
	i_free(line->colleague);
	i_free(line->mailbox);
	i_free(line->guid);
	i_free(line->flag);
	team_uidset_free(&line->uids);
	i_zero(line);
}

bool flags_line_equals(const struct flags_line *l1,
		       const struct flags_line *l2)
{
	return l1->uidvalidity == l2->uidvalidity &&
		strcmp(l1->guid, l2->guid) == 0 &&
		strcmp(l1->colleague, l2->colleague) == 0 &&
		strcasecmp(l1->flag, l2->flag) == 0;
}

void flags_line_subtract(struct flags_line *line,
			 const struct team_uidset *uids)
{
	struct team_uidset rest = { .ranges = NULL };
	const struct team_uid_range *gone = uids->ranges;
	const struct team_uid_range *end = uids->ranges + uids->count;
	const struct team_uid_range *next;
	uint32_t first, last;
	size_t i;

	for (i = 0; i < line->uids.count; i++) {
		first = line->uids.ranges[i].first;
		last = line->uids.ranges[i].last;
		while (gone < end && gone->last < first)
			gone++;
		for (next = gone; next < end && next->first <= last; next++) {
			if (next->first > first)
				team_uidset_add(&rest, first, next->first - 1);
			if (next->last >= last)
				break;
			first = next->last + 1;
		}
		if (next == end || next->first > last)
			team_uidset_add(&rest, first, last);
	}
	team_uidset_free(&line->uids);
	line->uids = rest;
}

static void
line_write_text(FILE *file, const char *before, const char *text)
{
	fputs(before, file);
	team_json_write(file, text);
}

void flags_line_write(const struct flags_line *line, FILE *file)
{
	char *uids = team_uidset_format(&line->uids);

	line_write_text(file, "{\"colleague\":", line->colleague);
	line_write_text(file, ",\"mailbox\":", line->mailbox);
	line_write_text(file, ",\"guid\":", line->guid);
	fprintf(file, ",\"uidvalidity\":%u", line->uidvalidity);
	line_write_text(file, ",\"flag\":", line->flag);
	line_write_text(file, ",\"uids\":", uids);
	fputs("}\n", file);
	free(uids);
}
