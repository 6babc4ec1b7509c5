/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A JSON reader that hands out an object's members one by one. */

#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
		p++;
	return p;
}

static int hex4(const char *p, uint32_t *num_r)
{
	unsigned int i;
	uint32_t num = 0;

	for (i = 0; i < 4; i++) {
		char c = p[i];

		num <<= 4;
		if (c >= '0' && c <= '9')
			num |= (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			num |= (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			num |= (uint32_t)(c - 'A' + 10);
		else
			return -1;
	}
	*num_r = num;
	return 0;
}

static char *put_utf8(char *dest, uint32_t chr)
{
	if (chr < 0x80) {
		*dest++ = (char)chr;
	} else if (chr < 0x800) {
		*dest++ = (char)(0xc0 | chr >> 6);
		*dest++ = (char)(0x80 | (chr & 0x3f));
	} else if (chr < 0x10000) {
		*dest++ = (char)(0xe0 | chr >> 12);
		*dest++ = (char)(0x80 | (chr >> 6 & 0x3f));
		*dest++ = (char)(0x80 | (chr & 0x3f));
	} else {
		*dest++ = (char)(0xf0 | chr >> 18);
		*dest++ = (char)(0x80 | (chr >> 12 & 0x3f));
		*dest++ = (char)(0x80 | (chr >> 6 & 0x3f));
		*dest++ = (char)(0x80 | (chr & 0x3f));
	}
	return dest;
}

/* p is behind "\u". Returns what is behind it all, or NULL. */
static const char *unescape_unicode(const char *p, char **dest)
{
	uint32_t chr, low;

	if (hex4(p, &chr) < 0)
		return NULL;
	p += 4;
	if (chr >= 0xd800 && chr < 0xdc00) {
		if (p[0] != '\\' || p[1] != 'u' || hex4(p + 2, &low) < 0 ||
		    low < 0xdc00 || low > 0xdfff)
			return NULL;
		p += 6;
		chr = 0x10000 + ((chr - 0xd800) << 10) + (low - 0xdc00);
	} else if (chr == 0 || (chr >= 0xdc00 && chr <= 0xdfff)) {
		return NULL;
	}
	*dest = put_utf8(*dest, chr);
	return p;
}

static char unescape_char(char c)
{
	switch (c) {
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case '"': case '\\': case '/': return c;
	default: return '\0';
	}
}

/* p is behind the opening quote. dest has room. Returns what is behind the
   closing one, or NULL. */
static const char *read_string(const char *p, char *dest)
{
	size_t len;

	for (;;) {
		len = 0;
		while ((unsigned char)p[len] >= 0x20 && p[len] != '"' &&
		       p[len] != '\\')
			len++;
		memcpy(dest, p, len);
		dest += len;
		p += len;
		if (*p == '"')
			break;
		if (*p != '\\')
			return NULL;
		if (p[1] == 'u') {
			p = unescape_unicode(p + 2, &dest);
			if (p == NULL)
				return NULL;
			continue;
		}
		*dest = unescape_char(p[1]);
		if (*dest++ == '\0')
			return NULL;
		p += 2;
	}
	*dest = '\0';
	return p + 1;
}

/* Finds the end of the string whose opening quote is at p. */
static const char *skip_string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\0' || (*p == '\\' && *++p == '\0'))
			return NULL;
	}
	return p + 1;
}

/* Finds the end of the object or array at p. */
static const char *skip_nested(const char *p)
{
	unsigned int depth = 0;

	do {
		switch (*p) {
		case '\0':
			return NULL;
		case '"':
			p = skip_string(p);
			if (p == NULL)
				return NULL;
			continue;
		case '{': case '[':
			if (++depth > DEPTH_MAX)
				return NULL;
			break;
		case '}': case ']':
			depth--;
			break;
		}
		p++;
	} while (depth > 0);
	return p;
}

/* Reads the value at p into buf. Returns what is behind it, or NULL. */
static const char *read_value(const char *p, char *buf,
			      enum team_json_type *type_r)
{
	const char *end;

	if (*p == '"') {
		*type_r = TEAM_JSON_STRING;
		return read_string(p + 1, buf);
	}
	if (*p == '{' || *p == '[') {
		*type_r = *p == '{' ? TEAM_JSON_OBJECT : TEAM_JSON_ARRAY;
		end = skip_nested(p);
	} else {
		*type_r = TEAM_JSON_LITERAL;
		end = p + strcspn(p, ",]} \t\r\n");
		if (end == p)
			return NULL;
	}
	if (end != NULL) {
		memcpy(buf, p, (size_t)(end - p));
		buf[end - p] = '\0';
	}
	return end;
}

static int read_members(const char *text, char open, char close,
			team_json_callback_t *callback, void *context)
{
	size_t size = strlen(text) + 1;
	char *key = malloc(size * 2), *value;
	enum team_json_type type;
	const char *p;
	int ret = -1;

	if (key == NULL)
		abort();
	value = key + size;
	*key = '\0';
	p = skip_space(text);
	if (*p != open) {
		free(key);
		return -1;
	}
	p = skip_space(p + 1);
	if (*p == close) {
		ret = *skip_space(p + 1) == '\0' ? 0 : -1;
		free(key);
		return ret;
	}
	for (;;) {
		if (open == '{') {
			if (*p != '"' ||
			    (p = read_string(p + 1, key)) == NULL ||
			    *(p = skip_space(p)) != ':')
				break;
			p = skip_space(p + 1);
		}
		p = read_value(p, value, &type);
		if (p == NULL || callback(key, type, value, context) < 0)
			break;
		p = skip_space(p);
		if (*p == close) {
			ret = *skip_space(p + 1) == '\0' ? 0 : -1;
			break;
		}
		if (*p != ',')
			break;
		p = skip_space(p + 1);
	}
	free(key);
	return ret;
}

int team_json_object(const char *text, team_json_callback_t *callback,
		     void *context)
{
	return read_members(text, '{', '}', callback, context);
}

int team_json_array(const char *text, team_json_callback_t *callback,
		    void *context)
{
	return read_members(text, '[', ']', callback, context);
}

void team_json_write(FILE *file, const char *text)
{
	size_t len;

	putc('"', file);
	for (;;) {
		len = 0;
		while ((unsigned char)text[len] >= 0x20 && text[len] != '"' &&
		       text[len] != '\\')
			len++;
		fwrite(text, 1, len, file);
		text += len;
		if (*text == '\0')
			break;
		if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else
			fprintf(file, "\\u%04x", (unsigned char)*text);
		text++;
	}
	putc('"', file);
}
