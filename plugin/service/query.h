/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_QUERY_H
#define TEAM_QUERY_H

/* An auditor's query on a connection of its own, so that claims never wait
   behind it. Whatever the size of the answer, the memory needed is a row's, or
   a page's. */

#include "pg-error.h"

struct query;

struct query_callbacks {
	/* Once, before the rows. */
	void (*columns)(void *context, const char *const *names);
	/* Returns FALSE if no more rows are wanted before query_continue(). */
	bool (*row)(void *context, const char *const *values);
	/* The statement is over: returns TRUE to run it again with params, which
	   may be changed then (allocated with i_malloc()). May be NULL. */
	bool (*more)(void *context, char **params);
	/* error is NULL if it was answered completely. The query is gone
	   then. */
	void (*done)(void *context, const char *error, enum pg_action action);
};

/* Runs the query with text parameters. whole: answers are pages that are small
   enough to be kept, so that PostgreSQL doesn't run out of time while nobody
   takes the rows; otherwise they are read row by row. */
struct query *query_init(const char *conninfo, const char *sql,
			 const char *const *params, unsigned int params_count,
			 bool whole, const struct query_callbacks *callbacks,
			 void *context);
void query_continue(struct query *query);
/* Ends the query without calling back. */
void query_deinit(struct query **query);

#endif
