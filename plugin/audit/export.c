/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of exports as JSON. */

#include "export.h"
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int export_fail(char **error_r, const char *what, const char *error)
{
	if (asprintf(error_r, "%s: %.200s", what, error) < 0)
		abort();
	return -1;
}

void team_export_clear(struct team_export *exp)
{
	free(exp->node);
	free(exp->replaced);
	team_record_free(&exp->record);
	team_opening_clear(&exp->opening);
	memset(exp, 0, sizeof(*exp));
}

static int set_number(const char *value, uint64_t *num_r)
{
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || digits > 18 || value[digits] != '\0')
		return -1;
	*num_r = strtoull(value, NULL, 10);
	return 0;
}

struct opened_context {
	struct team_export *exp;
	bool erased;
};

static int set_opened_field(const char *key, enum team_json_type type,
			    const char *value, void *context)
{
	struct opened_context *ctx = context;
	struct team_hash hash;

	if (type != TEAM_JSON_STRING || !team_leaf_key_is_personal(key) ||
	    team_hex_decode(value, hash.bytes, TEAM_HASH_SIZE) < 0)
		return -1;
	team_opening_add(&ctx->exp->opening, key, ctx->erased, &hash);
	return 0;
}

static int set_opened(const char *key, enum team_json_type type,
		      const char *value, void *context)
{
	struct opened_context ctx = { .exp = context };

	if (type != TEAM_JSON_OBJECT)
		return -1;
	if (strcmp(key, "erased") == 0)
		ctx.erased = true;
	else if (strcmp(key, "salts") != 0)
		return -1;
	return team_json_object(value, set_opened_field, &ctx);
}

int team_export_set_opened(struct team_export *exp, const char *json)
{
	exp->have_opening = true;
	return team_json_object(json, set_opened, exp);
}

int team_export_set(struct team_export *exp, const char *key,
		    const char *value, char **error_r)
{
	const char *error;
	int ret = 0;

	if (team_key_is(key, "node")) {
		free(exp->node);
		exp->node = strdup(value);
		if (exp->node == NULL)
			abort();
	} else if (team_key_is(key, "seq")) {
		ret = set_number(value, &exp->seq);
	} else if (team_key_is(key, "salt")) {
		exp->opening.have_salt = exp->have_opening = true;
		ret = team_hex_decode(value, exp->opening.salt,
				      TEAM_SALT_SIZE);
	} else if (team_key_is(key, "leaf")) {
		exp->have_leaf = true;
		ret = team_hex_decode(value, exp->leaf.bytes, TEAM_HASH_SIZE);
	} else if (team_key_is(key, "replaced")) {
		free(exp->replaced);
		exp->replaced = strdup(value);
		if (exp->replaced == NULL)
			abort();
	} else if (!team_key_is(key, "time") &&
		   team_record_set(exp->record, key, value,
				   TEAM_RECORD_SOURCE_JOURNAL, &error) < 0) {
		return export_fail(error_r, key, error);
	}
	return ret < 0 ? export_fail(error_r, key, "not valid") : 0;
}

struct json_context {
	struct team_export *exp;
	char **error_r;
};

static int set_member(const char *key, enum team_json_type type,
		      const char *value, void *context)
{
	struct json_context *ctx = context;

	if (type == TEAM_JSON_OBJECT && strcmp(key, "opened") == 0) {
		return team_export_set_opened(ctx->exp, value) == 0 ? 0 :
			export_fail(ctx->error_r, key, "not valid");
	}
	if (type == TEAM_JSON_OBJECT || type == TEAM_JSON_ARRAY)
		return export_fail(ctx->error_r, key, "not valid");
	return team_export_set(ctx->exp, key, value, ctx->error_r);
}

int team_export_from_json(struct team_export *export_r, const char *line,
			  char **error_r)
{
	struct json_context ctx = { .exp = export_r, .error_r = error_r };

	*error_r = NULL;
	memset(export_r, 0, sizeof(*export_r));
	export_r->record = team_record_new();
	if (team_json_object(line, set_member, &ctx) < 0) {
		if (*error_r == NULL)
			(void)export_fail(error_r, "line",
					  "not a JSON object of an export");
	} else if (export_r->node == NULL || export_r->seq == 0 ||
		   team_record_get(export_r->record, "action") == NULL) {
		(void)export_fail(error_r, "line",
				  "it lacks node, seq or action");
	} else {
		return 0;
	}
	team_export_clear(export_r);
	return -1;
}

static void write_time(FILE *file, const char *at)
{
	uint64_t usecs = strtoull(at, NULL, 10);
	time_t secs = (time_t)(usecs / 1000000);
	char text[64];
	struct tm tm;

	if (gmtime_r(&secs, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return;
	fprintf(file, ",\"time\":\"%s.%06uZ\"", text,
		(unsigned int)(usecs % 1000000));
}

static void write_opened(const struct team_opening *opening, bool erased,
			 FILE *file)
{
	char hex[TEAM_HASH_HEX_SIZE];
	bool first = true;
	size_t i;

	fprintf(file, "\"%s\":{", erased ? "erased" : "salts");
	for (i = 0; i < opening->fields_count; i++) {
		if (opening->fields[i].erased != erased)
			continue;
		if (!first)
			putc(',', file);
		first = false;
		team_json_write(file, opening->fields[i].key);
		team_hex_encode(opening->fields[i].hash.bytes, TEAM_HASH_SIZE,
				hex);
		fprintf(file, ":\"%s\"", hex);
	}
	putc('}', file);
}

void team_export_write_json(const struct team_export *exp, FILE *file)
{
	char hex[TEAM_HASH_HEX_SIZE];
	const char *key, *value;
	size_t i;

	fputs("{\"node\":", file);
	team_json_write(file, exp->node);
	fprintf(file, ",\"seq\":%"PRIu64, exp->seq);
	for (i = 0; team_record_field(exp->record, i, &key, &value); i++) {
		if (strcmp(key, "at") == 0)
			write_time(file, value);
		putc(',', file);
		team_json_write(file, key);
		putc(':', file);
		if (team_record_key_is_number(key))
			fputs(value, file);
		else
			team_json_write(file, value);
	}
	if (exp->replaced != NULL) {
		fputs(",\"replaced\":", file);
		team_json_write(file, exp->replaced);
	}
	if (exp->have_opening && exp->opening.have_salt) {
		team_hex_encode(exp->opening.salt, TEAM_SALT_SIZE, hex);
		fprintf(file, ",\"salt\":\"%s\"", hex);
	} else if (exp->have_opening) {
		fputs(",\"opened\":{", file);
		write_opened(&exp->opening, false, file);
		putc(',', file);
		write_opened(&exp->opening, true, file);
		putc('}', file);
	}
	if (exp->have_leaf) {
		team_hex_encode(exp->leaf.bytes, TEAM_HASH_SIZE, hex);
		fprintf(file, ",\"leaf\":\"%s\"", hex);
	}
	fputs("}\n", file);
}
