/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of IMAP UIDs: parsing, formatting, look-up. */

#include "uidset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "4294967295:4294967295," and "[4294967295,4294967295]," */
#define RANGE_TEXT_MAX 26

static void *xrealloc(void *mem, size_t size)
{
	mem = realloc(mem, size);
	if (mem == NULL)
		abort();
	return mem;
}

void team_uidset_free(struct team_uidset *set)
{
	free(set->ranges);
	memset(set, 0, sizeof(*set));
}

void team_uidset_add(struct team_uidset *set, uint32_t first, uint32_t last)
{
	struct team_uid_range *prev;

	if (set->count > 0) {
		prev = &set->ranges[set->count - 1];
		if ((uint64_t)first <= (uint64_t)prev->last + 1) {
			if (last > prev->last)
				prev->last = last;
			return;
		}
	}
	if (set->count == set->alloc) {
		set->alloc = set->alloc == 0 ? 8 : set->alloc * 2;
		set->ranges = xrealloc(set->ranges,
				       set->alloc * sizeof(*set->ranges));
	}
	set->ranges[set->count].first = first;
	set->ranges[set->count++].last = last;
}

/* Reads 1..2^32-1 without sign, blanks or leading zeros. */
static int parse_uid(const char **text, uint32_t *uid_r)
{
	const char *p = *text;
	uint64_t num = 0;

	if (*p < '1' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++) {
		num = num * 10 + (uint64_t)(*p - '0');
		if (num > UINT32_MAX)
			return -1;
	}
	*uid_r = (uint32_t)num;
	*text = p;
	return 0;
}

static int uidset_fail(struct team_uidset *set, const char *error,
		       const char **error_r)
{
	team_uidset_free(set);
	*error_r = error;
	return -1;
}

int team_uidset_parse(const char *text, struct team_uidset *set_r,
		      const char **error_r)
{
	uint32_t first, last, prev = 0;

	memset(set_r, 0, sizeof(*set_r));
	for (;;) {
		if (parse_uid(&text, &first) < 0)
			return uidset_fail(set_r, "invalid UID in UID set",
					   error_r);
		last = first;
		if (*text == ':') {
			text++;
			if (parse_uid(&text, &last) < 0)
				return uidset_fail(set_r,
					"invalid UID in UID set", error_r);
		}
		if (first <= prev || last < first)
			return uidset_fail(set_r, "UID set isn't ascending",
					   error_r);
		team_uidset_add(set_r, first, last);
		prev = last;
		if (*text == '\0')
			return 0;
		if (*text++ != ',')
			return uidset_fail(set_r,
				"invalid character in UID set", error_r);
	}
}

/* Reads one "[1,5)"-like range. */
static int parse_pg_range(const char **text, uint32_t *first_r,
			  uint32_t *last_r)
{
	const char *p = *text;
	uint64_t first, last;
	bool first_open, last_open;
	char *end;

	if (*p != '[' && *p != '(')
		return -1;
	first_open = *p++ == '(';
	if (*p < '0' || *p > '9')
		return -1;
	first = strtoull(p, &end, 10);
	p = end;
	if (*p++ != ',' || *p < '0' || *p > '9')
		return -1;
	last = strtoull(p, &end, 10);
	p = end;
	if (*p != ']' && *p != ')')
		return -1;
	last_open = *p++ == ')';
	if (first > UINT32_MAX || last > (uint64_t)UINT32_MAX + 1 ||
	    (last_open && last == 0))
		return -1;
	first += first_open ? 1 : 0;
	last -= last_open ? 1 : 0;
	if (first < 1 || last < first || last > UINT32_MAX)
		return -1;
	*first_r = (uint32_t)first;
	*last_r = (uint32_t)last;
	*text = p;
	return 0;
}

int team_uidset_parse_multirange(const char *text, struct team_uidset *set_r,
				 const char **error_r)
{
	uint32_t first, last, prev = 0;

	memset(set_r, 0, sizeof(*set_r));
	if (strcmp(text, "{}") == 0)
		return 0;
	if (*text++ != '{')
		return uidset_fail(set_r, "invalid multirange", error_r);
	for (;;) {
		if (parse_pg_range(&text, &first, &last) < 0 || first <= prev)
			return uidset_fail(set_r, "invalid multirange",
					   error_r);
		team_uidset_add(set_r, first, last);
		prev = last;
		if (strcmp(text, "}") == 0)
			return 0;
		if (*text++ != ',')
			return uidset_fail(set_r, "invalid multirange",
					   error_r);
	}
}

bool team_uidset_contains(const struct team_uidset *set, uint32_t uid)
{
	size_t left = 0, right = set->count, mid;

	while (left < right) {
		mid = left + (right - left) / 2;
		if (uid < set->ranges[mid].first)
			right = mid;
		else if (uid > set->ranges[mid].last)
			left = mid + 1;
		else
			return true;
	}
	return false;
}

uint64_t team_uidset_size(const struct team_uidset *set)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < set->count; i++) {
		size += (uint64_t)set->ranges[i].last -
			set->ranges[i].first + 1;
	}
	return size;
}

char *team_uidset_format_part(const struct team_uidset *set, size_t *pos,
			      size_t max_size)
{
	size_t alloc, used = 0, start = *pos;
	const struct team_uid_range *range;
	char *text;

	alloc = (set->count - start) * RANGE_TEXT_MAX + 1;
	if (alloc > max_size + RANGE_TEXT_MAX + 1)
		alloc = max_size + RANGE_TEXT_MAX + 1;
	text = xrealloc(NULL, alloc);
	text[0] = '\0';
	for (; *pos < set->count; (*pos)++) {
		if (*pos > start && used + RANGE_TEXT_MAX > max_size)
			break;
		range = &set->ranges[*pos];
		if (range->first == range->last) {
			used += (size_t)sprintf(text + used, "%s%u",
				used == 0 ? "" : ",", range->first);
		} else {
			used += (size_t)sprintf(text + used, "%s%u:%u",
				used == 0 ? "" : ",", range->first,
				range->last);
		}
	}
	return text;
}

char *team_uidset_format(const struct team_uidset *set)
{
	size_t pos = 0;

	return team_uidset_format_part(set, &pos, SIZE_MAX / 2);
}

char *team_uidset_format_multirange(const struct team_uidset *set)
{
	char *text = xrealloc(NULL, set->count * RANGE_TEXT_MAX + 3);
	size_t i, used = 1;

	text[0] = '{';
	for (i = 0; i < set->count; i++) {
		used += (size_t)sprintf(text + used, "%s[%u,%u]",
			i == 0 ? "" : ",", set->ranges[i].first,
			set->ranges[i].last);
	}
	text[used++] = '}';
	text[used] = '\0';
	return text;
}
