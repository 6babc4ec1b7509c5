/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JOURNAL_ENTRY_H
#define TEAM_JOURNAL_ENTRY_H

/* What the frames of the journal say. The payload's first line has the
   entry's own fields separated by TABs, the lines behind it are records in
   canonical form without their seq, which follows from the frame. */

enum journal_entry_type {
	/* first frame of a segment */
	JOURNAL_ENTRY_SEGMENT = 'S',
	/* what is known about a client; in snapshots */
	JOURNAL_ENTRY_CLIENT = 'C',
	/* an intent; also in snapshots */
	JOURNAL_ENTRY_PREPARE = 'P',
	/* final records, and the transaction that they resolve */
	JOURNAL_ENTRY_RECORDS = 'R',
	/* a transaction given back without any record */
	JOURNAL_ENTRY_ABORT = 'A',
	/* what to add to numbers in the journal to get the log's */
	JOURNAL_ENTRY_BASE = 'B',
	/* the tree of all records before it */
	JOURNAL_ENTRY_TREE = 'T'
};

/* The format of segments. Others are refused. */
#define JOURNAL_VERSION 1

enum journal_resolves {
	JOURNAL_RESOLVES_NOTHING = 0,
	/* the transaction's intents are done with */
	JOURNAL_RESOLVES_DONE = 1,
	/* nobody knows: kept in case that the client comes back */
	JOURNAL_RESOLVES_GIVEN_UP = 2
};

struct journal_entry {
	enum journal_entry_type type;

	/* CLIENT, PREPARE, RECORDS (NULL if it isn't a client's), ABORT */
	const char *client_id;
	/* PREPARE, RECORDS, ABORT: the request's id; 0 = none */
	uint64_t id;
	uint64_t txn;
	/* microseconds since the epoch */
	uint64_t at;

	/* CLIENT: ids of requests that are done, e.g. "1:4,6" */
	const char *done;
	/* PREPARE */
	bool given_up;

	/* RECORDS; SEGMENT: the first number in it; TREE: its first leaf's */
	uint64_t first_seq;
	unsigned int count;
	enum journal_resolves resolves;
	/* PREPARE (one), RECORDS (count): joined by LF */
	const char *records;
	/* RECORDS: what the records' salts come from, in hex; NULL if they were
	   written before there was a tree */
	const char *salt;
	/* TREE: size and frontier; at is when it was begun */
	const char *tree;

	/* SEGMENT, BASE */
	int64_t base;
	bool base_known;
	/* SEGMENT */
	const char *node;
};

/* Appends the entry's payload. */
void journal_entry_encode(string_t *dest, const struct journal_entry *entry);
/* Decodes a payload; strings are from the data stack. Returns 0, or -1 with
   an error if it isn't valid. */
int journal_entry_decode(uint8_t type, const void *payload, size_t size,
			 struct journal_entry *entry_r, const char **error_r);

#endif
