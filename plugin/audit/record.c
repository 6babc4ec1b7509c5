/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit record and its canonical form. */

/* memrchr() */
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE
#endif
#include "record-keys.h"
#include "uidset.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer keys, of private keywords and details, are rare. */
#define KEY_BUFFER_SIZE 64

struct record_field {
	/* allocated unless there is one key only at that place */
	const char *key;
	char *value;
	unsigned int order;
};

struct team_record {
	/* in canonical order */
	struct record_field *fields;
	size_t count, alloc;
};

/* the last error's text, as errors name keys */
static _Thread_local char record_error[256];

static void *xrealloc(void *mem, size_t size)
{
	mem = realloc(mem, size);
	if (mem == NULL)
		abort();
	return mem;
}

static char *xstrndup(const char *text, size_t size)
{
	char *copy = xrealloc(NULL, size + 1);

	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

static int record_fail(const char *what, const char *key, const char **error_r)
{
	snprintf(record_error, sizeof(record_error), "%s: %.100s", what, key);
	*error_r = record_error;
	return -1;
}

static const char *key_dup(const char *key, unsigned int order)
{
	const char *name = team_record_key_name(order);

	return name != NULL ? name : xstrndup(key, strlen(key));
}

static void field_free(struct record_field *field)
{
	if (team_record_key_name(field->order) == NULL)
		free((char *)field->key);
	free(field->value);
}

struct team_record *team_record_new(void)
{
	struct team_record *record = xrealloc(NULL, sizeof(*record));

	memset(record, 0, sizeof(*record));
	return record;
}

struct team_record *team_record_dup(const struct team_record *record)
{
	struct team_record *copy = team_record_new();
	size_t i;

	copy->alloc = copy->count = record->count;
	copy->fields = xrealloc(NULL, (record->count + 1) *
				sizeof(*copy->fields));
	for (i = 0; i < record->count; i++) {
		const struct record_field *src = &record->fields[i];

		copy->fields[i].order = src->order;
		copy->fields[i].key = key_dup(src->key, src->order);
		copy->fields[i].value = xstrndup(src->value,
						 strlen(src->value));
	}
	return copy;
}

void team_record_free(struct team_record **_record)
{
	struct team_record *record = *_record;
	size_t i;

	if (record == NULL)
		return;
	*_record = NULL;
	for (i = 0; i < record->count; i++)
		field_free(&record->fields[i]);
	free(record->fields);
	free(record);
}

/* Finds the field, or where it would have to stand. */
static bool record_find(const struct team_record *record, const char *key,
			unsigned int order, size_t *idx_r)
{
	size_t i;
	int cmp = 1;

	/* fields mostly come in order */
	for (i = record->count; i > 0; i--) {
		const struct record_field *field = &record->fields[i - 1];

		if (field->order > order)
			continue;
		if (field->order < order)
			break;
		cmp = team_record_key_name(order) != NULL ? 0 :
			strcmp(field->key, key);
		if (cmp <= 0)
			break;
	}
	if (i > 0 && record->fields[i - 1].order == order && cmp == 0) {
		*idx_r = i - 1;
		return true;
	}
	*idx_r = i;
	return false;
}

static void record_remove(struct team_record *record, size_t idx)
{
	field_free(&record->fields[idx]);
	record->count--;
	memmove(&record->fields[idx], &record->fields[idx + 1],
		(record->count - idx) * sizeof(record->fields[0]));
}

static struct record_field *
record_insert(struct team_record *record, size_t idx)
{
	if (record->count == record->alloc) {
		record->alloc = record->alloc == 0 ? 16 : record->alloc * 2;
		record->fields = xrealloc(record->fields, record->alloc *
					  sizeof(record->fields[0]));
	}
	memmove(&record->fields[idx + 1], &record->fields[idx],
		(record->count - idx) * sizeof(record->fields[0]));
	record->count++;
	return &record->fields[idx];
}

int team_record_set(struct team_record *record, const char *key,
		    const char *value, enum team_record_source source,
		    const char **error_r)
{
	struct record_field *field;
	unsigned int order;
	const char *error;
	char *canonical;
	size_t idx;

	if (team_record_key_order(key, &order) < 0)
		return record_fail("unknown key", key, error_r);
	if (!team_record_key_allowed(order, source))
		return record_fail("key is set by the service", key, error_r);
	if (*value == '\0') {
		if (record_find(record, key, order, &idx))
			record_remove(record, idx);
		return 0;
	}
	if (team_record_value_check(key, order, value, &canonical,
				    &error) < 0)
		return record_fail(error, key, error_r);
	if (canonical == NULL)
		canonical = xstrndup(value, strlen(value));
	if (record_find(record, key, order, &idx)) {
		free(record->fields[idx].value);
		record->fields[idx].value = canonical;
		return 0;
	}
	field = record_insert(record, idx);
	field->key = key_dup(key, order);
	field->value = canonical;
	field->order = order;
	return 0;
}

/* Finds the '=' behind the key. A keyword may have one in its name. */
static const char *field_separator(const char *text, size_t size)
{
	if (size > 2 && text[0] == 'p' && (text[1] == '+' || text[1] == '-'))
		return memrchr(text, '=', size);
	return memchr(text, '=', size);
}

/* The key of size bytes as a string: in buf, or else allocated. */
static char *field_key(const char *text, size_t size, char *buf)
{
	if (size >= KEY_BUFFER_SIZE)
		return xstrndup(text, size);
	memcpy(buf, text, size);
	buf[size] = '\0';
	return buf;
}

int team_record_set_field(struct team_record *record, const char *text,
			  enum team_record_source source, const char **error_r)
{
	const char *p = field_separator(text, strlen(text));
	char buf[KEY_BUFFER_SIZE], *key;
	int ret;

	if (p == NULL)
		return record_fail("not key=value", text, error_r);
	key = field_key(text, (size_t)(p - text), buf);
	ret = team_record_set(record, key, p + 1, source, error_r);
	if (key != buf)
		free(key);
	return ret;
}

const char *team_record_get(const struct team_record *record, const char *key)
{
	unsigned int order;
	size_t idx;

	if (team_record_key_order(key, &order) < 0 ||
	    !record_find(record, key, order, &idx))
		return NULL;
	return record->fields[idx].value;
}

bool team_record_field(const struct team_record *record, size_t idx,
		       const char **key_r, const char **value_r)
{
	if (idx >= record->count)
		return false;
	*key_r = record->fields[idx].key;
	*value_r = record->fields[idx].value;
	return true;
}

static uint64_t uids_size(const char *text)
{
	struct team_uidset set;
	const char *error;
	uint64_t size;

	if (text == NULL || team_uidset_parse(text, &set, &error) < 0)
		return 0;
	size = team_uidset_size(&set);
	team_uidset_free(&set);
	return size;
}

int team_record_check(const struct team_record *record, const char **error_r)
{
	const char *fromuids = team_record_get(record, "fromuids");
	const char *uids = team_record_get(record, "uids");
	const struct record_field *last;

	if (team_record_get(record, "action") == NULL)
		return record_fail("key is missing", "action", error_r);
	last = &record->fields[record->count - 1];
	if ((uids != NULL || last->order == RECORD_ORDER_PRIVATE ||
	     team_record_get(record, "mids") != NULL) &&
	    (team_record_get(record, "mailbox") == NULL ||
	     team_record_get(record, "uidvalidity") == NULL))
		return record_fail("messages without their mailbox", "uids",
				   error_r);
	if (fromuids != NULL &&
	    (team_record_get(record, "from") == NULL ||
	     team_record_get(record, "fromvalidity") == NULL))
		return record_fail("messages without their mailbox",
				   "fromuids", error_r);
	if (fromuids != NULL && uids != NULL &&
	    uids_size(fromuids) != uids_size(uids))
		return record_fail("not as many messages as uids", "fromuids",
				   error_r);
	return 0;
}

/* Undoes the escaping of size bytes of value into dest, which has room. */
static int value_unescape(char *dest, const char *src, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		if (src[i] == '\0' || src[i] == '\r' || src[i] == '\n')
			return -1;
		if (src[i] != '\001') {
			*dest++ = src[i];
			continue;
		}
		if (++i == size)
			return -1;
		switch (src[i]) {
		case '1':
			*dest++ = '\001';
			break;
		case 't':
			*dest++ = '\t';
			break;
		case 'r':
			*dest++ = '\r';
			break;
		case 'n':
			*dest++ = '\n';
			break;
		default:
			/* '0' is reserved: C strings can't hold a NUL, so
			   none ever gets into a record */
			return -1;
		}
	}
	*dest = '\0';
	return 0;
}

/* Checks the value and appends the field, which takes it. */
static int record_append(struct team_record *record, const char *key,
			 char *value, const char **error_r)
{
	struct record_field *last = record->count == 0 ? NULL :
		&record->fields[record->count - 1], *field;
	unsigned int order;
	const char *error;
	char *canonical;
	bool same;

	if (team_record_key_order(key, &order) < 0)
		return record_fail("unknown key", key, error_r);
	if (team_record_value_check(key, order, value, &canonical,
				    &error) < 0)
		return record_fail(error, key, error_r);
	/* a UID set such as 2:2 means the same, but isn't what was hashed */
	same = canonical == NULL || strcmp(canonical, value) == 0;
	free(canonical);
	if (last != NULL &&
	    (last->order > order ||
	     (last->order == order &&
	      (team_record_key_name(order) != NULL ||
	       strcmp(last->key, key) >= 0))))
		return record_fail("key stands twice or out of order", key,
				   error_r);
	if (!same)
		return record_fail("value isn't in canonical form", key,
				   error_r);
	field = record_insert(record, record->count);
	field->key = key_dup(key, order);
	field->value = value;
	field->order = order;
	return 0;
}

static int record_parse_field(struct team_record *record, const char *text,
			      size_t size, const char **error_r)
{
	const char *p = field_separator(text, size);
	char buf[KEY_BUFFER_SIZE], *key, *value;
	int ret;

	if (p == NULL || memchr(text, '\0', (size_t)(p - text)) != NULL)
		return record_fail("not key=value", "field", error_r);
	key = field_key(text, (size_t)(p - text), buf);
	p++;
	size -= (size_t)(p - text);
	value = xrealloc(NULL, size + 1);
	if (value_unescape(value, p, size) < 0)
		ret = record_fail("invalid escaping", key, error_r);
	else if (*value == '\0')
		ret = record_fail("empty value", key, error_r);
	else
		ret = record_append(record, key, value, error_r);
	if (ret < 0)
		free(value);
	if (key != buf)
		free(key);
	return ret;
}

struct team_record *team_record_parse(const char *text, size_t size,
				      const char **error_r)
{
	struct team_record *record = team_record_new();
	const char *end = text + size, *p;

	for (;;) {
		p = memchr(text, '\t', (size_t)(end - text));
		if (p == NULL)
			p = end;
		if (record_parse_field(record, text, (size_t)(p - text),
				       error_r) < 0) {
			team_record_free(&record);
			return NULL;
		}
		if (p == end)
			return record;
		text = p + 1;
	}
}

static char *value_escape(char *dest, const char *src)
{
	for (; *src != '\0'; src++) {
		switch (*src) {
		case '\001':
			*dest++ = '\001';
			*dest++ = '1';
			break;
		case '\t':
			*dest++ = '\001';
			*dest++ = 't';
			break;
		case '\r':
			*dest++ = '\001';
			*dest++ = 'r';
			break;
		case '\n':
			*dest++ = '\001';
			*dest++ = 'n';
			break;
		default:
			*dest++ = *src;
			break;
		}
	}
	return dest;
}

char *team_record_format(const struct team_record *record)
{
	size_t i, size = 1;
	char *text, *p;

	for (i = 0; i < record->count; i++) {
		size += strlen(record->fields[i].key) + 2 +
			strlen(record->fields[i].value) * 2;
	}
	p = text = xrealloc(NULL, size);
	for (i = 0; i < record->count; i++) {
		size_t len = strlen(record->fields[i].key);

		if (i > 0)
			*p++ = '\t';
		memcpy(p, record->fields[i].key, len);
		p += len;
		*p++ = '=';
		p = value_escape(p, record->fields[i].value);
	}
	*p = '\0';
	return text;
}
