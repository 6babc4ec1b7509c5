/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TEAM_JSON_H
#define TEAM_JSON_H

/* Reading and writing of JSON objects, as exports have them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum team_json_type {
	TEAM_JSON_STRING,
	/* value is the number's text; also true, false and null */
	TEAM_JSON_LITERAL,
	/* value is the object's or array's text */
	TEAM_JSON_OBJECT,
	TEAM_JSON_ARRAY
};

/* key and value are valid during the call only. Returns 0 to go on, -1 to give
   up. */
typedef int team_json_callback_t(const char *key, enum team_json_type type,
				 const char *value, void *context);

/* Reads an object, which the text has to be. Returns 0, or -1 if it isn't one
   or the callback gave up. */
int team_json_object(const char *text, team_json_callback_t *callback,
		     void *context);
/* The same for an array; the callback's key is "". */
int team_json_array(const char *text, team_json_callback_t *callback,
		    void *context);

/* Writes text as a JSON string. */
void team_json_write(FILE *file, const char *text);

#endif
