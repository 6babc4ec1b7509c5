/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The audit log's detail column in words. Reads jsonb's output by itself:
   Dovecot's JSON parser is another one in every version. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "unichar.h"
#include "audit-what.h"

#include <ctype.h>

/* Stands in every row of a session, and in columns of its own elsewhere. */
static const char *const hidden_keys[] = { "user", "service", "tls", NULL };

static void skip_space(const char **p)
{
	while (**p == ' ' || **p == '\n' || **p == '\t' || **p == '\r')
		(*p)++;
}

/* *p stands behind "\u". */
static bool read_hex4(const char **p, unichar_t *chr_r)
{
	unsigned int num, i;

	for (i = 0; i < 4; i++) {
		if (!i_isxdigit((*p)[i]))
			return FALSE;
	}
	if (str_to_uint_hex(t_strndup(*p, 4), &num) < 0)
		return FALSE;
	*p += 4;
	*chr_r = num;
	return TRUE;
}

static bool read_unicode_escape(const char **p, string_t *dest)
{
	unichar_t chr, low;

	if (!read_hex4(p, &chr))
		return FALSE;
	if (chr >= 0xd800 && chr < 0xdc00 && (*p)[0] == '\\' &&
	    (*p)[1] == 'u') {
		*p += 2;
		if (!read_hex4(p, &low))
			return FALSE;
		if (low < 0xdc00 || low > 0xdfff)
			return FALSE;
		chr = 0x10000 + ((chr - 0xd800) << 10) + (low - 0xdc00);
	}
	if (!uni_is_valid_ucs4(chr))
		chr = UNICODE_REPLACEMENT_CHAR;
	uni_ucs4_to_utf8_c(chr, dest);
	return TRUE;
}

/* Appends the string at *p (which is '"') to dest. */
static bool read_string(const char **p, string_t *dest)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *esc;

	for ((*p)++; **p != '"'; ) {
		if (**p == '\0')
			return FALSE;
		if (**p != '\\') {
			str_append_c(dest, **p);
			(*p)++;
			continue;
		}
		(*p)++;
		if (**p == 'u') {
			(*p)++;
			if (!read_unicode_escape(p, dest))
				return FALSE;
			continue;
		}
		if (**p == '\0' || (esc = strchr(from, **p)) == NULL)
			return FALSE;
		str_append_c(dest, to[esc - from]);
		(*p)++;
	}
	(*p)++;
	return TRUE;
}

/* Skips a whole nested value. */
static bool skip_nested(const char **p)
{
	unsigned int depth = 0;
	string_t *ignored = t_str_new(64);

	do {
		switch (**p) {
		case '\0':
			return FALSE;
		case '"':
			if (!read_string(p, ignored))
				return FALSE;
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		}
		(*p)++;
	} while (depth > 0);
	return TRUE;
}

/* Numbers, true, false, null and nested values as they stand. */
static bool read_raw(const char **p, string_t *dest)
{
	const char *start = *p;

	if (**p == '{' || **p == '[') {
		if (!skip_nested(p))
			return FALSE;
	} else {
		while (i_isalnum(**p) || **p == '-' || **p == '+' ||
		       **p == '.')
			(*p)++;
	}
	str_append_data(dest, start, *p - start);
	return *p > start;
}

/* ["a", "b"] becomes "a b". */
static bool read_array(const char **p, string_t *dest)
{
	bool first = TRUE;

	(*p)++;
	for (;; first = FALSE) {
		skip_space(p);
		if (**p == ']')
			break;
		if (!first) {
			if (**p != ',')
				return FALSE;
			(*p)++;
			skip_space(p);
			str_append_c(dest, ' ');
		}
		if (**p == '"' ? !read_string(p, dest) : !read_raw(p, dest))
			return FALSE;
	}
	(*p)++;
	return TRUE;
}

static bool read_value(const char **p, string_t *dest)
{
	switch (**p) {
	case '"':
		return read_string(p, dest);
	case '[':
		return read_array(p, dest);
	default:
		return read_raw(p, dest);
	}
}

static bool read_object(const char *p, ARRAY_TYPE(detail_field) *fields)
{
	struct detail_field *field;
	string_t *key, *value;

	skip_space(&p);
	if (*p++ != '{')
		return FALSE;
	skip_space(&p);
	while (*p != '}') {
		if (array_count(fields) > 0) {
			if (*p++ != ',')
				return FALSE;
			skip_space(&p);
		}
		key = t_str_new(16);
		value = t_str_new(64);
		if (*p != '"' || !read_string(&p, key))
			return FALSE;
		skip_space(&p);
		if (*p++ != ':')
			return FALSE;
		skip_space(&p);
		if (!read_value(&p, value))
			return FALSE;
		skip_space(&p);
		field = array_append_space(fields);
		field->key = str_c(key);
		field->value = str_c(value);
	}
	p++;
	skip_space(&p);
	return *p == '\0';
}

bool team_audit_detail_read(const char *detail,
			    ARRAY_TYPE(detail_field) *fields)
{
	unsigned int i;

	if (!read_object(detail, fields))
		return FALSE;
	for (i = 0; hidden_keys[i] != NULL; i++)
		(void)team_audit_detail_take(fields, hidden_keys[i]);
	return TRUE;
}

const char *
team_audit_detail_take(ARRAY_TYPE(detail_field) *fields, const char *key)
{
	struct detail_field *field;
	const char *value;

	array_foreach_modifiable(fields, field) {
		if (strcmp(field->key, key) != 0)
			continue;
		value = field->value;
		array_delete(fields, array_foreach_idx(fields, field), 1);
		return strcmp(value, "null") == 0 ? "" : value;
	}
	return "";
}

static void append_word(string_t *dest, const char *word)
{
	if (str_len(dest) > 0)
		str_append_c(dest, ' ');
	str_append(dest, word);
}

static void append_flags(string_t *dest, char sign, const char *flags)
{
	const char *const *list = t_strsplit_spaces(flags, " ");

	for (; *list != NULL; list++)
		append_word(dest, t_strdup_printf("%c%s", sign, *list));
}

const char *team_audit_what(const char *detail)
{
	ARRAY_TYPE(detail_field) fields;
	const struct detail_field *field;
	const char *from, *fromuid;
	string_t *what = t_str_new(64);

	t_array_init(&fields, 8);
	if (!team_audit_detail_read(detail, &fields))
		return detail;
	append_flags(what, '+', team_audit_detail_take(&fields, "added"));
	append_flags(what, '-', team_audit_detail_take(&fields, "removed"));
	if (strcmp(team_audit_detail_take(&fields, "private"), "true") == 0)
		append_word(what, "(private)");
	from = team_audit_detail_take(&fields, "from");
	fromuid = team_audit_detail_take(&fields, "fromuid");
	if (*from != '\0')
		append_word(what, t_strconcat("from ", from, NULL));
	if (*fromuid != '\0') {
		append_word(what, t_strconcat(*from == '\0' ? "from uid " :
					      "uid ", fromuid, NULL));
	}
	array_foreach(&fields, field) {
		const char *quote = strchr(field->value, ' ') == NULL ?
			"" : "\"";
		append_word(what, t_strconcat(field->key, "=", quote,
					      field->value, quote, NULL));
	}
	return str_c(what);
}
