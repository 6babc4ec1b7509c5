/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SUBMISSION_TEAM_HEADERS_H
#define SUBMISSION_TEAM_HEADERS_H

struct istream;

/* What a mail answers, as its headers say: NULL where there is none. */
struct submission_team_headers {
	const char *in_reply_to;
	const char *references;
	const char *message_id;
};

/* Reads the header of a mail whose bytes are all there, and nothing behind it;
   the stream is left anywhere. Values are unfolded, of overlong ones the end is
   kept, and come from the data stack. */
void submission_team_headers_read(struct istream *input,
				  struct submission_team_headers *headers_r);

#endif
