/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened to a message, for people. */

#include "team-common.h"
#include "array.h"
#include "hash.h"
#include "str.h"
#include "audit-what.h"
#include "audit-story.h"

/* A flag of the message where it is */
struct story_flag {
	const char *name;
	/* NULL: everybody sees it */
	const char *owner;
};

struct story_place {
	ARRAY(struct story_flag) flags;
	/* how it came, so all flags are known */
	bool known;
};

struct team_audit_story {
	pool_t pool;
	/* mailbox TAB uid */
	HASH_TABLE(char *, struct story_place *) places;
};

struct story_words {
	const char *action, *done, *tried;
};

/* %m: the mailbox, %f: the one that it comes from */
static const struct story_words story_words[] = {
	{ "append", "put into %m", "put it into %m" },
	{ "deliver", "delivered to %m", "deliver it to %m" },
	{ "fetch", "its text was downloaded", "download its text" },
	{ "read", "read", "mark it as read" },
	{ "copy", "copied from %f to %m", "copy it" },
	{ "move", "moved from %f to %m", "move it" },
	{ "expunge", "removed for good from %m", "remove it for good" },
	{ "claim", "claimed", "claim it" },
	{ "renew", "claim renewed", "renew the claim" },
	{ "release", "given back", "give it back" },
	{ "lapse", "the claim lapsed", "let the claim lapse" },
	{ "takeover", "claim taken over", "take the claim over" },
	{ "draft", "began to answer it", "begin to answer it" },
	{ "reply", "answered it", "answer it" },
	{ "gap", "nobody knows what became of this", "do this" },
	{ NULL, NULL, NULL }
};

struct team_audit_story *team_audit_story_init(void)
{
	pool_t pool = pool_alloconly_create("audit story", 4096);
	struct team_audit_story *story = p_new(pool, struct team_audit_story, 1);

	story->pool = pool;
	hash_table_create(&story->places, pool, 0, str_hash, strcmp);
	return story;
}

void team_audit_story_deinit(struct team_audit_story **_story)
{
	struct team_audit_story *story = *_story;

	*_story = NULL;
	hash_table_destroy(&story->places);
	pool_unref(&story->pool);
}

/* ---- flags ---- */

static struct story_place *
story_place(struct team_audit_story *story, const char *mailbox,
	    const char *uid)
{
	const char *key = t_strconcat(mailbox, "\t", uid, NULL);
	struct story_place *place = hash_table_lookup(story->places, key);
	char *copy;

	if (place == NULL) {
		place = p_new(story->pool, struct story_place, 1);
		p_array_init(&place->flags, story->pool, 8);
		copy = p_strdup(story->pool, key);
		hash_table_insert(story->places, copy, place);
	}
	return place;
}

static void
place_remove(struct story_place *place, const char *name, const char *owner)
{
	const struct story_flag *flag;

	array_foreach(&place->flags, flag) {
		if (strcasecmp(flag->name, name) == 0 &&
		    null_strcmp(flag->owner, owner) == 0) {
			array_delete(&place->flags,
				array_foreach_idx(&place->flags, flag), 1);
			return;
		}
	}
}

static void
place_add(struct team_audit_story *story, struct story_place *place,
	  const char *name, const char *owner)
{
	struct story_flag *flag;

	place_remove(place, name, owner);
	flag = array_append_space(&place->flags);
	flag->name = p_strdup(story->pool, name);
	flag->owner = p_strdup(story->pool, owner);
}

/* own: which of them are the colleague's own, in a row that changes others as
   well; else private says it of all. */
static void
place_change(struct team_audit_story *story, struct story_place *place,
	     const char *colleague, const char *added, const char *removed,
	     bool private, const char *own)
{
	const char *const *own_list = t_strsplit_spaces(own, " ");
	const char *const *names, *owner;

	for (names = t_strsplit_spaces(removed, " "); *names != NULL; names++) {
		owner = (*own != '\0' ? str_array_find(own_list, *names) :
			 private) ? colleague : NULL;
		place_remove(place, *names, owner);
	}
	for (names = t_strsplit_spaces(added, " "); *names != NULL; names++) {
		owner = (*own != '\0' ? str_array_find(own_list, *names) :
			 private) ? colleague : NULL;
		place_add(story, place, *names, owner);
	}
}

/* What the colleague sees. */
static const char *
place_flags(struct story_place *place, const char *colleague)
{
	const struct story_flag *flag;
	string_t *str = t_str_new(64);

	array_foreach(&place->flags, flag) {
		if (flag->owner != NULL && strcmp(flag->owner, colleague) != 0)
			continue;
		if (str_len(str) > 0)
			str_append_c(str, ' ');
		str_append(str, flag->name);
	}
	return str_len(str) == 0 ? "none" : str_c(str);
}

static void
story_copy_flags(struct team_audit_story *story, struct story_place *from,
		 struct story_place *to)
{
	const struct story_flag *flag;

	to->known = from->known;
	array_foreach(&from->flags, flag)
		place_add(story, to, flag->name, flag->owner);
}

/* ---- words ---- */

static const struct story_words *words_find(const char *action)
{
	const struct story_words *words;

	for (words = story_words; words->action != NULL; words++) {
		if (strcmp(words->action, action) == 0)
			return words;
	}
	return NULL;
}

static void
words_append(string_t *dest, const char *words, const char *mailbox,
	     const char *from)
{
	for (; *words != '\0'; words++) {
		if (words[0] == '%' && (words[1] == 'm' || words[1] == 'f')) {
			words++;
			str_append(dest, *words == 'm' ? mailbox :
				   *from == '\0' ? "?" : from);
		} else {
			str_append_c(dest, *words);
		}
	}
}

static void append_signs(string_t *dest, const char *sign, const char *flags)
{
	const char *const *list = t_strsplit_spaces(flags, " ");

	for (; *list != NULL; list++)
		str_printfa(dest, " %s%s", sign, *list);
}

/* "2026-11-23T15:01:45Z" is "15:01:45" for a claim that ends within hours. */
static const char *clock_of(const char *time)
{
	const char *p = strchr(time, 'T');

	return p == NULL ? time : t_strcut(p + 1, 'Z');
}

static void
append_rest(string_t *dest, const char *action, ARRAY_TYPE(detail_field) *fields)
{
	const struct detail_field *field;
	const char *holder = team_audit_detail_take(fields, "holder");
	const char *until = team_audit_detail_take(fields, "until");

	if (*holder != '\0')
		str_printfa(dest, ": %s had claimed it", holder);
	/* until when it would have been the holder's interests nobody */
	if (*until != '\0' && strcmp(action, "release") != 0)
		str_printfa(dest, ", until %s", clock_of(until));
	array_foreach(fields, field) {
		if (strcmp(field->key, "former") == 0)
			str_printfa(dest, " from %s", field->value);
		else if (strcmp(field->key, "for") == 0)
			str_printfa(dest, " for %s", field->value);
		else if (strcmp(field->key, "reason") == 0 ||
			 strcmp(field->key, "error") == 0 ||
			 strcmp(field->key, "unresolved") == 0)
			str_printfa(dest, ": %s", field->value);
		else if (strcmp(field->key, "since") != 0 &&
			 strcmp(field->key, "command") != 0)
			str_printfa(dest, ", %s %s", field->key, field->value);
	}
}

static void
story_tell_tried(string_t *dest, const struct team_audit_row *row,
		 const struct story_words *words, const char *from,
		 const char *added, const char *removed)
{
	str_append(dest, strcmp(row->outcome, "refused") == 0 ?
		   "REFUSED to " : "FAILED to ");
	if (words != NULL)
		words_append(dest, words->tried, row->mailbox, from);
	else if (strcmp(row->action, "flag") == 0)
		str_append(dest, "change flags");
	else
		str_append(dest, row->action);
	/* without a source the mailbox is where the message is */
	if (*from != '\0')
		str_printfa(dest, " from %s to %s", from, row->mailbox);
	if (words == NULL) {
		append_signs(dest, "+", added);
		append_signs(dest, "-", removed);
	}
}

static void
story_tell_flags(string_t *dest, struct story_place *place,
		 const struct team_audit_row *row, const char *before,
		 const char *added, const char *removed)
{
	str_append(dest, "flags");
	if (place->known) {
		str_printfa(dest, ": %s -> %s", before,
			    place_flags(place, row->colleague));
	} else {
		append_signs(dest, "+", added);
		append_signs(dest, "-", removed);
	}
}

const char *team_audit_story_tell(struct team_audit_story *story,
				  const struct team_audit_row *row)
{
	const struct story_words *words = words_find(row->action);
	const char *added, *removed, *from, *fromuid, *own, *before;
	ARRAY_TYPE(detail_field) fields;
	struct story_place *place;
	string_t *dest = t_str_new(128);
	bool private;

	t_array_init(&fields, 8);
	if (!team_audit_detail_read(row->detail, &fields))
		return row->detail;
	added = team_audit_detail_take(&fields, "added");
	removed = team_audit_detail_take(&fields, "removed");
	own = team_audit_detail_take(&fields, "own");
	private = strcmp(team_audit_detail_take(&fields, "private"),
			 "true") == 0;
	from = team_audit_detail_take(&fields, "from");
	fromuid = team_audit_detail_take(&fields, "fromuid");
	place = story_place(story, row->mailbox, row->uid);
	before = place_flags(place, row->colleague);

	if (strcmp(row->outcome, "ok") != 0 &&
	    strcmp(row->action, "gap") != 0) {
		story_tell_tried(dest, row, words, from, added, removed);
		append_rest(dest, row->action, &fields);
		return str_c(dest);
	}
	if (strcmp(row->action, "append") == 0 ||
	    strcmp(row->action, "deliver") == 0)
		place->known = TRUE;
	if (*fromuid != '\0') {
		story_copy_flags(story, story_place(story, from, fromuid),
				 place);
	}
	place_change(story, place, row->colleague, added, removed, private,
		     own);
	if (words == NULL && strcmp(row->action, "flag") == 0) {
		story_tell_flags(dest, place, row, before, added, removed);
	} else {
		words_append(dest, words == NULL ? row->action : words->done,
			     row->mailbox, from);
		if (strcmp(row->action, "read") != 0 &&
		    (*added != '\0' || *removed != '\0')) {
			str_append(dest, ", flags");
			append_signs(dest, "+", added);
			append_signs(dest, "-", removed);
		}
	}
	append_rest(dest, row->action, &fields);
	return str_c(dest);
}
