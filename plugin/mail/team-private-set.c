/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which flags are private is known to PostgreSQL for each mailbox. If others are
   than before, the first session that notices records what the shared index
   says of the new ones: that is what all colleagues start from. */

#include "team-common.h"
#include "array.h"
#include "str.h"
#include "imap-util.h"
#include "compat-settings.h"
#include "team-protocol.h"
#include "team-record.h"
#include "team-replica-private.h"

/* A record has room for more, but for less than one such line more. */
#define START_SIZE_MAX (TEAM_PROTOCOL_MAX_LINE / 4)
/* Ranges of UIDs in one line: at most START_SIZE_MAX */
#define START_RANGES_MAX 8192

/* Flags or keywords that are private now and weren't before. */
struct team_private_new {
	struct team_mailbox *tbox;
	enum mail_flags flags;
	/* each flag's or keyword's messages */
	ARRAY_TYPE(seq_range) flag_uids[8];
	/* by number of the shared index; not created for the others */
	ARRAY(ARRAY_TYPE(seq_range)) keyword_uids;
};

ARRAY_DEFINE_TYPE(team_private_text, string_t *);

static void
team_private_new_init(struct team_private_new *new_set,
		      struct team_mailbox *tbox, const char *old_flags,
		      const char *old_keywords)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(tbox->box->index);
	const char *const *flags = t_strsplit_spaces(old_flags, " ");
	const char *const *patterns = t_strsplit_spaces(old_keywords, " ");
	ARRAY_TYPE(seq_range) *uids;
	const char *name;
	unsigned int i;

	i_zero(new_set);
	new_set->tbox = tbox;
	new_set->flags = tbox->set->private_flags;
	for (; *flags != NULL; flags++)
		new_set->flags &= ENUM_NEGATE(imap_parse_system_flag(*flags));
	for (i = 0; i < N_ELEMENTS(new_set->flag_uids); i++)
		t_array_init(&new_set->flag_uids[i], 8);
	t_array_init(&new_set->keyword_uids, array_count(names) + 1);
	array_foreach_elem(names, name) {
		uids = array_append_space(&new_set->keyword_uids);
		if (team_keyword_is_private(tbox, name) &&
		    !team_keyword_fits(name, patterns))
			t_array_init(uids, 8);
	}
}

static void
team_private_new_add(struct team_private_new *new_set,
		     struct mail_index_view *view, uint32_t seq,
		     ARRAY_TYPE(keyword_indexes) *indexes)
{
	const struct mail_index_record *rec = mail_index_lookup(view, seq);
	ARRAY_TYPE(seq_range) *uids;
	unsigned int i, idx;

	for (i = 0; i < N_ELEMENTS(new_set->flag_uids); i++) {
		if ((rec->flags & new_set->flags & (1 << i)) != 0)
			seq_range_array_add(&new_set->flag_uids[i], rec->uid);
	}
	mail_index_lookup_keywords(view, seq, indexes);
	array_foreach_elem(indexes, idx) {
		if (idx >= array_count(&new_set->keyword_uids))
			continue;
		uids = array_idx_modifiable(&new_set->keyword_uids, idx);
		if (array_is_created(uids))
			seq_range_array_add(uids, rec->uid);
	}
}

/* The messages as the shared index has them now, whatever this session has seen
   of it. */
static void team_private_new_find(struct team_private_new *new_set)
{
	struct mail_index *index = new_set->tbox->box->index;
	ARRAY_TYPE(keyword_indexes) indexes;
	struct mail_index_view *view;
	uint32_t seq, count;

	if (mail_index_refresh(index) < 0)
		mailbox_set_index_error(new_set->tbox->box);
	t_array_init(&indexes, 16);
	view = mail_index_view_open(index);
	count = mail_index_view_get_messages_count(view);
	for (seq = 1; seq <= count; seq++)
		team_private_new_add(new_set, view, seq, &indexes);
	mail_index_view_close(&view);
}

static void
team_private_add_line(ARRAY_TYPE(team_private_text) *parts, const char *name,
		      const ARRAY_TYPE(seq_range) *uids)
{
	string_t *text = *array_back(parts);

	if (str_len(text) > START_SIZE_MAX) {
		text = t_str_new(START_SIZE_MAX);
		array_push_back(parts, &text);
	}
	if (str_len(text) > 0)
		str_append_c(text, '\n');
	str_append(text, name);
	str_append_c(text, ' ');
	str_append(text, team_uidset(uids));
}

static void
team_private_add_flag(ARRAY_TYPE(team_private_text) *parts, const char *name,
		      const ARRAY_TYPE(seq_range) *uids)
{
	ARRAY_TYPE(seq_range) some;
	unsigned int i = 0, count;

	t_array_init(&some, 8);
	do {
		count = I_MIN(array_count(uids) - i, START_RANGES_MAX);
		array_clear(&some);
		if (count > 0)
			array_append(&some, array_idx(uids, i), count);
		team_private_add_line(parts, name, &some);
		i += count;
	} while (i < array_count(uids));
}

/* Says it in as many parts as it takes. */
static void
team_private_new_text(struct team_private_new *new_set,
		      ARRAY_TYPE(team_private_text) *parts)
{
	const ARRAY_TYPE(keywords) *names =
		mail_index_get_keywords(new_set->tbox->box->index);
	const ARRAY_TYPE(seq_range) *uids;
	string_t *text = t_str_new(256), *name = t_str_new(16);
	unsigned int i;

	t_array_init(parts, 4);
	array_push_back(parts, &text);

	for (i = 0; i < N_ELEMENTS(new_set->flag_uids); i++) {
		if ((new_set->flags & (1 << i)) == 0)
			continue;
		str_truncate(name, 0);
		imap_write_flags(name, (enum mail_flags)(1 << i), NULL);
		team_private_add_flag(parts, str_c(name),
				      &new_set->flag_uids[i]);
	}
	for (i = 0; i < array_count(&new_set->keyword_uids); i++) {
		uids = array_idx(&new_set->keyword_uids, i);
		if (array_is_created(uids) && array_count(uids) > 0) {
			team_private_add_flag(parts, array_idx_elem(names, i),
					      uids);
		}
	}
}

static const char *team_private_namespace(struct team_mailbox *tbox)
{
	const char *name = compat_namespace_name(tbox->box->list->ns);

	return name == NULL ? "" : name;
}

/* There are no empty values. */
static void team_private_field(ARRAY_TYPE(const_string) *fields,
			       const char *key, const char *value)
{
	if (*value != '\0')
		team_fields_add(fields, key, value);
}

static void
team_private_set_record_part(struct team_mailbox *tbox, const char *start,
			     unsigned int part, unsigned int parts)
{
	ARRAY_TYPE(const_string) fields;

	team_record_begin(tbox, &fields, "settings", "ok");
	team_private_field(&fields, "d.namespace",
			   team_private_namespace(tbox));
	team_private_field(&fields, "d.flags", tbox->set->private_flag_names);
	team_private_field(&fields, "d.keywords",
			   tbox->set->private_keyword_names);
	team_private_field(&fields, "d.since",
			   t_strdup_printf("%"PRIu64, tbox->tuser->began));
	team_private_field(&fields, "d.start", start);
	if (parts > 1) {
		team_fields_add(&fields, "d.part", dec2str(part));
		team_fields_add(&fields, "d.parts", dec2str(parts));
	}
	array_append_zero(&fields);
	team_client_event(team_user_session(tbox->tuser),
			  array_front(&fields));
}

static void
team_private_set_record(struct team_mailbox *tbox, const char *old_flags,
			const char *old_keywords)
{
	struct team_private_new new_set;
	ARRAY_TYPE(team_private_text) parts;
	unsigned int i, count;
	const char *error = "";
	int ret = 0;

	team_private_new_init(&new_set, tbox, old_flags, old_keywords);
	team_private_new_find(&new_set);
	team_private_new_text(&new_set, &parts);
	count = array_count(&parts);
	for (i = 0; i < count && ret == 0; i++) T_BEGIN {
		team_private_set_record_part(tbox,
			str_c(array_idx_elem(&parts, i)), i + 1, count);
		/* many would be too much to be kept */
		if (count > 1)
			ret = team_client_flush(team_user_session(tbox->tuser),
						&error);
		if (ret < 0) {
			e_error(tbox->tuser->user->event, "team: %s: what %s "
				"starts with is recorded by the next session",
				error, tbox->box->vname);
		}
	} T_END;
}

static void team_private_set_ask(struct team_mailbox *tbox)
{
	struct team_answer answer;
	const char *args[7], *const *data, *error;
	pool_t pool = pool_alloconly_create("team private set", 256);

	args[0] = tbox->guid;
	args[1] = t_strdup_printf("%u", tbox->uidvalidity);
	args[2] = team_private_namespace(tbox);
	args[3] = tbox->set->private_flag_names;
	args[4] = tbox->set->private_keyword_names;
	args[5] = t_strdup_printf("%"PRIu64, tbox->tuser->began);
	args[6] = NULL;
	if (team_client_request(team_user_session(tbox->tuser), pool,
				"PRIVATE", args, &answer, &error) < 0 ||
	    answer.code != NULL) {
		/* PostgreSQL finds out what of it is new, before it gets to
		   know what the session changes now */
		team_private_set_record(tbox, "", "");
	} else {
		array_foreach_elem(&answer.data, data) {
			if (strcmp(data[0], "was") == 0 &&
			    str_array_length(data) >= 3)
				team_private_set_record(tbox, data[1], data[2]);
		}
	}
	pool_unref(&pool);
}

void team_private_set_tell(struct team_mailbox *tbox)
{
	if (tbox->settings_told)
		return;
	tbox->settings_told = TRUE;
	T_BEGIN {
		team_private_set_ask(tbox);
	} T_END;
}

void team_private_set_check(struct team_mailbox *tbox)
{
	struct team_state *state;

	/* what is delivered brings nobody's private flags */
	if (tbox->settings_told || tbox->uidvalidity == 0 ||
	    tbox->tuser->kind == TEAM_SERVICE_DELIVERY)
		return;
	state = team_state_new();
	team_replica_begin(tbox, state);
	if (!state->current ||
	    !team_generations_hold(tbox, &state->old_gens))
		team_private_set_tell(tbox);
	team_state_free(&state);
}
