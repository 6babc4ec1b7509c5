/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Points in time given on the command line. Stricter than strptime(): what
   isn't understood in full is refused, since an auditor's query with a
   misread limit gives a wrong answer that looks right. */

#include "team-common.h"
#include "audit-time.h"

#include <ctype.h>
#include <time.h>

#define TIME_SYNTAX \
	"give a date (2026-11-23), a date and time (2026-11-23 14:00), a day " \
	"(today, yesterday), a time of today (14:00), or how long ago (1h, " \
	"2 days)"

static const struct {
	const char *name;
	unsigned int secs;
} time_units[] = {
	{ "s", 1 }, { "sec", 1 }, { "secs", 1 },
	{ "second", 1 }, { "seconds", 1 },
	{ "m", 60 }, { "min", 60 }, { "mins", 60 },
	{ "minute", 60 }, { "minutes", 60 },
	{ "h", 3600 }, { "hour", 3600 }, { "hours", 3600 },
	{ "d", 86400 }, { "day", 86400 }, { "days", 86400 },
	{ "w", 604800 }, { "week", 604800 }, { "weeks", 604800 },
};

/* Reads exactly the given number of digits. */
static bool read_digits(const char **p, unsigned int count, int *value_r)
{
	int value = 0;

	for (; count > 0; count--, (*p)++) {
		if (!i_isdigit(**p))
			return FALSE;
		value = value * 10 + (**p - '0');
	}
	*value_r = value;
	return TRUE;
}

static bool read_char(const char **p, char c)
{
	if (**p != c)
		return FALSE;
	(*p)++;
	return TRUE;
}

static int month_days(int year, int month)
{
	static const int days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Reads "14:00" or "14:00:05". */
static bool read_time_of_day(const char **p, struct tm *tm)
{
	if (!read_digits(p, 2, &tm->tm_hour) || !read_char(p, ':') ||
	    !read_digits(p, 2, &tm->tm_min))
		return FALSE;
	if (read_char(p, ':'))
		return read_digits(p, 2, &tm->tm_sec);
	return TRUE;
}

/* Reads "Z", "+01:00", "+0100" or "+01" into seconds east of Greenwich. */
static bool read_offset(const char **p, int *offset_r)
{
	int hours, mins = 0, sign = 1;

	if (read_char(p, 'Z')) {
		*offset_r = 0;
		return TRUE;
	}
	if (read_char(p, '-'))
		sign = -1;
	else if (!read_char(p, '+'))
		return FALSE;
	if (!read_digits(p, 2, &hours))
		return FALSE;
	if ((read_char(p, ':') || **p != '\0') && !read_digits(p, 2, &mins))
		return FALSE;
	if (hours > 15 || mins > 59)
		return FALSE;
	*offset_r = sign * (hours * 3600 + mins * 60);
	return TRUE;
}

static bool tm_in_range(const struct tm *tm, int year, int month)
{
	return year >= 1970 && month >= 1 && month <= 12 &&
		tm->tm_mday >= 1 && tm->tm_mday <= month_days(year, month) &&
		tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 59;
}

static int
parse_date(const char *str, time_t *time_r, const char **error_r)
{
	struct tm tm;
	const char *p = str;
	int year, month, offset = 0;
	bool have_offset = FALSE;

	i_zero(&tm);
	tm.tm_isdst = -1;
	*error_r = "this isn't a time: " TIME_SYNTAX;
	if (!read_digits(&p, 4, &year) || !read_char(&p, '-') ||
	    !read_digits(&p, 2, &month) || !read_char(&p, '-') ||
	    !read_digits(&p, 2, &tm.tm_mday))
		return -1;
	if (*p == ' ' || *p == 'T') {
		p++;
		if (!read_time_of_day(&p, &tm))
			return -1;
		if (*p == ' ' && p[1] != '\0')
			p++;
		if (*p != '\0') {
			if (!read_offset(&p, &offset))
				return -1;
			have_offset = TRUE;
		}
	}
	if (*p != '\0')
		return -1;
	if (!tm_in_range(&tm, year, month)) {
		*error_r = "there is no such day or time of day";
		return -1;
	}
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*time_r = have_offset ? timegm(&tm) - offset : mktime(&tm);
	return 0;
}

static const char *skip_spaces(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

static int
parse_ago(const char *str, time_t now, time_t *time_r, const char **error_r)
{
	const char *p = str, *unit;
	uintmax_t count;
	unsigned int i;

	while (i_isdigit(*p))
		p++;
	if (str_to_uintmax(t_strdup_until(str, p), &count) < 0) {
		*error_r = "this isn't a time: " TIME_SYNTAX;
		return -1;
	}
	unit = skip_spaces(p);
	for (p = unit; i_isalpha(*p); p++) ;
	unit = t_str_lcase(t_strdup_until(unit, p));
	p = skip_spaces(p);
	if (*p != '\0' && strcasecmp(p, "ago") != 0) {
		*error_r = "this isn't a time: " TIME_SYNTAX;
		return -1;
	}
	for (i = 0; i < N_ELEMENTS(time_units); i++) {
		if (strcmp(time_units[i].name, unit) != 0)
			continue;
		if (count > (uintmax_t)now / time_units[i].secs) {
			*error_r = "that long ago was before 1970";
			return -1;
		}
		*time_r = now - (time_t)(count * time_units[i].secs);
		return 0;
	}
	if (*unit == '\0') {
		*error_r = "a number needs a unit: secs, mins, hours, days "
			"or weeks";
	} else {
		*error_r = t_strdup_printf("'%s' isn't a unit of time: "
			"secs, mins, hours, days and weeks are", unit);
	}
	return -1;
}

/* "today" or "yesterday", "yesterday 14:00", or "14:00", which is today's */
static int
parse_day(const char *str, time_t now, time_t *time_r, const char **error_r)
{
	struct tm tm;
	const char *p = str;
	int days = 0;

	*error_r = "this isn't a time: " TIME_SYNTAX;
	if (localtime_r(&now, &tm) == NULL)
		i_panic("localtime_r(%"PRIdTIME_T") failed: %m", now);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	while (i_isalpha(*p))
		p++;
	if (strncasecmp(str, "yesterday", I_MAX(p - str, 9)) == 0)
		days = 1;
	else if (p > str && strncasecmp(str, "today", I_MAX(p - str, 5)) != 0)
		return -1;
	if (p == str || *p != '\0') {
		p = skip_spaces(p);
		if (!read_time_of_day(&p, &tm) || *p != '\0')
			return -1;
	}
	if (!tm_in_range(&tm, tm.tm_year + 1900, tm.tm_mon + 1)) {
		*error_r = "there is no such day or time of day";
		return -1;
	}
	tm.tm_mday -= days;
	*time_r = mktime(&tm);
	return 0;
}

int team_time_parse(const char *str, time_t now, time_t *time_r,
		    const char **error_r)
{
	const char *p;

	if (strcasecmp(str, "now") == 0) {
		*time_r = now;
		return 0;
	}
	for (p = str; i_isdigit(*p); p++) ;
	if (p > str && *p == '-')
		return parse_date(str, time_r, error_r);
	if (p == str || *p == ':')
		return parse_day(str, now, time_r, error_r);
	return parse_ago(str, now, time_r, error_r);
}

const char *team_time_to_wire(time_t time)
{
	struct tm tm;

	if (gmtime_r(&time, &tm) == NULL)
		i_panic("gmtime_r(%"PRIdTIME_T") failed: %m", time);
	return t_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02dZ",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			       tm.tm_hour, tm.tm_min, tm.tm_sec);
}
