/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The few headers that tell what a mail answers, read from where Dovecot keeps
   the mail: piece by piece, so that no header of any size is held in memory. */

#include "team-common.h"
#include "istream.h"
#include "str.h"
#include "message-header-parser.h"
#include "submission-team-headers.h"

/* The nearest messages come last in References. */
#define VALUE_SIZE_MAX (64*1024)

struct header_value {
	const char *name;
	/* NULL until seen */
	string_t *value;
	/* one of the same name that comes later doesn't count */
	bool complete;
};

static void header_value_add(struct header_value *value,
			     const struct message_header_line *hdr)
{
	if (value->value == NULL)
		value->value = t_str_new(256);
	str_append_data(value->value, hdr->value, hdr->value_len);
	/* else the line was too long to come at once */
	if (!hdr->no_newline)
		str_append_c(value->value, ' ');
	if (str_len(value->value) > 2 * VALUE_SIZE_MAX) {
		str_delete(value->value, 0,
			   str_len(value->value) - VALUE_SIZE_MAX);
	}
	value->complete = !hdr->continues && !hdr->no_newline;
}

static struct header_value *
header_value_find(struct header_value *values, unsigned int count,
		  const char *name)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (strcasecmp(values[i].name, name) == 0)
			return values[i].complete ? NULL : &values[i];
	}
	return NULL;
}

static const char *header_value_text(const struct header_value *value)
{
	return value->value == NULL ? NULL : str_c(value->value);
}

void submission_team_headers_read(struct istream *input,
				  struct submission_team_headers *headers_r)
{
	struct header_value values[] = {
		{ .name = "In-Reply-To" },
		{ .name = "References" },
		{ .name = "Message-ID" },
	};
	struct message_header_parser_ctx *parser;
	struct message_header_line *hdr;
	struct header_value *value;

	i_stream_seek(input, 0);
	parser = message_parse_header_init(input, NULL, 0);
	while (message_parse_header_next(parser, &hdr) > 0) {
		if (hdr->eoh)
			break;
		value = header_value_find(values, N_ELEMENTS(values),
					  hdr->name);
		if (value != NULL)
			header_value_add(value, hdr);
	}
	message_parse_header_deinit(&parser);
	headers_r->in_reply_to = header_value_text(&values[0]);
	headers_r->references = header_value_text(&values[1]);
	headers_r->message_id = header_value_text(&values[2]);
}
