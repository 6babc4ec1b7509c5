/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The colleague: settings, connection to the service, refused messages. */

#include "team-common.h"
#include "array.h"
#include "net.h"
#include "time-util.h"
#include "str.h"
#include "ioloop.h"
#include "master-interface.h"
#include "master-service.h"
#include "mail-namespace.h"
#include "mail-storage-settings.h"
#include "mailbox-list-private.h"
#include "compat-acl.h"
#include "compat-settings.h"
#include "team-hash.h"
#include "team-operator.h"
#include "team-claims.h"

#include <ctype.h>
#include <time.h>

/* Characters of a name in a keyword: with the rest it stays below the 50 that
   Dovecot allows by default */
#define CLAIM_NAME_MAX 32

struct team_user_module team_user_module =
	MODULE_CONTEXT_INIT(&mail_user_module_register);

static void team_mail_user_deinit(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	team_user_logout(tuser);
	if (tuser->logged_in)
		team_user_event(user, "logout", "ok");
	if (tuser->session != NULL)
		team_session_deinit(&tuser->session);
	if (tuser->client != NULL)
		team_client_unref(&tuser->client);
	pool_unref(&tuser->refusals_pool);
	str_free(&tuser->alerts);
	team_user_free_notices(tuser);
	i_free(tuser->selects);
	tuser->module_ctx.super.deinit(user);
}

/* An atom that people can read: what IMAP doesn't allow in a keyword is
   replaced, capitals (keywords are the same in either case) and very long names
   are kept apart: such a name gets a number made of the original, so that two
   names can't become one. */
const char *team_claim_keyword(const char *colleague)
{
	string_t *str = t_str_new(64);
	const unsigned char *p;
	bool changed = FALSE;

	str_append(str, "claimed-");
	for (p = (const unsigned char *)colleague; *p != '\0'; p++) {
		if (p - (const unsigned char *)colleague >= CLAIM_NAME_MAX) {
			changed = TRUE;
			break;
		}
		if (*p <= ' ' || *p >= 0x7f ||
		    strchr("(){%*\"\\]", *p) != NULL) {
			str_append_c(str, '_');
			changed = TRUE;
		} else {
			str_append_c(str, *p);
			if (i_isupper(*p))
				changed = TRUE;
		}
	}
	if (changed)
		str_printfa(str, "_%08x", team_hash(colleague));
	return str_c(str);
}

static const char *team_user_find_colleague(struct mail_user *user)
{
	/* a role account's mail is opened by somebody who logged in under a
	   name of his own */
	if (user->auth_user != NULL && *user->auth_user != '\0')
		return user->auth_user;
	return user->username;
}

static const char *team_service_name(void)
{
	return master_service_get_name(master_service);
}

static enum team_service team_service_kind(void)
{
	const char *name = team_service_name();

	if (strcmp(name, "lmtp") == 0 || strcmp(name, "lda") == 0)
		return TEAM_SERVICE_DELIVERY;
	if (strcmp(name, "doveadm") == 0)
		return TEAM_SERVICE_DOVEADM;
	if (strcmp(name, "pop3") == 0)
		return TEAM_SERVICE_POP3;
	return TEAM_SERVICE_OTHER;
}

void team_mail_user_created(struct mail_user *user)
{
	struct mail_user_vfuncs *v = user->vlast;
	struct team_user *tuser;
	const struct team_settings *set;
	const char *error;

	if (user->autocreated)
		return;
	compat_acl_find();
	if (team_settings_read(user, user->pool, &set, &error) < 0) {
		user->error = p_strdup_printf(user->pool, "team: %s", error);
		return;
	}

	tuser = p_new(user->pool, struct team_user, 1);
	tuser->module_ctx.super = *v;
	user->vlast = &tuser->module_ctx.super;
	v->deinit = team_mail_user_deinit;

	tuser->user = user;
	tuser->kind = team_service_kind();
	tuser->began = (uint64_t)ioloop_timeval.tv_sec * 1000000 +
		ioloop_timeval.tv_usec;
	tuser->set = set;
	tuser->colleague =
		p_strdup(user->pool, team_user_find_colleague(user));
	tuser->claim_keyword =
		p_strdup(user->pool, team_claim_keyword(tuser->colleague));
	tuser->refusals_pool = pool_alloconly_create("team refusals", 512);
	p_array_init(&tuser->refusals, tuser->refusals_pool, 4);
	p_array_init(&tuser->virtual_uids, tuser->refusals_pool, 4);
	p_array_init(&tuser->namespaces, user->pool, 4);
	MODULE_CONTEXT_SET(user, team_user_module, tuser);
}

/* Only IMAP has more to tell, and does so itself. */
static void team_user_record_login(struct team_user *tuser)
{
	static const char *const services[] = { "pop3", "submission", NULL };

	if (tuser->logged_in ||
	    !str_array_find(services, team_service_name()) ||
	    !team_user_is_active(tuser->user))
		return;
	team_user_event(tuser->user, "login", "ok");
	tuser->logged_in = TRUE;
}

void team_mail_namespaces_created(struct mail_namespace *namespaces)
{
	struct mail_user *user = namespaces->user;
	struct team_user *tuser = TEAM_USER_CONTEXT(user);
	struct team_namespace *tns;
	struct mail_namespace *ns;
	const char *name, *error;

	if (tuser == NULL)
		return;
	for (ns = namespaces; ns != NULL; ns = ns->next) {
		name = compat_namespace_name(ns);
		if (name == NULL)
			continue;
		tns = array_append_space(&tuser->namespaces);
		tns->name = p_strdup(user->pool, name);
		if (team_settings_read_namespace(ns, user->pool, &tns->set,
						 &error) < 0) {
			user->error = p_strdup_printf(user->pool, "team: %s",
						      error);
			return;
		}
	}
	team_user_record_login(tuser);
}

const struct team_settings *
team_user_namespace_settings(struct team_user *tuser,
			     const struct mail_namespace *ns)
{
	const char *name = compat_namespace_name(ns);
	const struct team_namespace *tns;

	if (name != NULL) {
		array_foreach(&tuser->namespaces, tns) {
			if (strcmp(tns->name, name) == 0)
				return tns->set;
		}
	}
	return tuser->set;
}

bool team_user_is_active(struct mail_user *user)
{
	struct mail_namespace *ns;

	if (TEAM_USER_CONTEXT(user) == NULL)
		return FALSE;
	for (ns = user->namespaces; ns != NULL; ns = ns->next) {
		if (compat_list_has_private_index(ns->list))
			return TRUE;
	}
	return FALSE;
}

const char *team_user_colleague(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	return tuser->colleague;
}

static void
team_user_push(void *context, const char *guid, uint32_t uidvalidity,
	       const char *what)
{
	struct team_user *tuser = context;
	struct team_mailbox *tbox, *next;

	if (str_begins_with(what, "notice ")) {
		team_user_add_notice(tuser, what + 7);
		return;
	}
	for (tbox = tuser->boxes; tbox != NULL; tbox = next) {
		next = tbox->next;
		if (tbox->uidvalidity != uidvalidity ||
		    strcmp(tbox->guid, guid) != 0)
			continue;
		if (strcmp(what, "changed") != 0)
			tbox->stale = TRUE;
		if (tbox->box->notify_callback != NULL) {
			tbox->box->notify_callback(tbox->box,
						   tbox->box->notify_context);
		}
	}
}

struct team_session *team_user_session(struct team_user *tuser)
{
	struct mail_user *user = tuser->user;
	struct team_session_info *info = &tuser->session_info;

	if (tuser->session != NULL)
		return tuser->session;

	tuser->client = team_client_get(user->set->base_dir,
					tuser->set->team_socket,
					tuser->set->team_timeout * 1000);
	info->colleague = tuser->colleague;
	info->user = user->username;
	info->session_id = user->session_id;
	info->service = team_service_name();
	if (tuser->kind == TEAM_SERVICE_DOVEADM) {
		/* nobody logged in: who really does it */
		info->client_name = p_strdup(user->pool, team_operator_doveadm(
			getenv(MASTER_IS_PARENT_ENV) != NULL));
	}
	info->ip = user->conn.remote_ip == NULL ? NULL :
		p_strdup(user->pool, net_ip2addr(user->conn.remote_ip));
	info->tls = compat_user_tls(user);
	tuser->session = team_session_init(tuser->client, info, team_user_push,
					   tuser);
	return tuser->session;
}

void team_user_set_service(struct team_user *tuser, const char *service)
{
	struct team_session *session = team_user_session(tuser);

	if (service == NULL)
		service = team_service_name();
	if (strcmp(tuser->session_info.service, service) == 0)
		return;
	tuser->session_info.service = service;
	team_session_update(session, &tuser->session_info);
}

void team_user_set_client_name(struct mail_user *user, const char *name)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	tuser->session_info.client_name = p_strdup(user->pool, name);
	team_session_update(team_user_session(tuser), &tuser->session_info);
}

void team_user_event(struct mail_user *user, const char *action,
		     const char *outcome)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	const char *fields[3];

	fields[0] = t_strconcat("action=", action, NULL);
	fields[1] = t_strconcat("outcome=", outcome, NULL);
	fields[2] = NULL;
	team_client_note(team_user_session(tuser), fields);
}

int team_user_flush(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	const char *error;

	if (tuser->session == NULL)
		return 0;
	if (team_client_flush(tuser->session, &error) < 0) {
		/* once, not at every command */
		if (!tuser->away_logged) {
			e_error(user->event, "team: %s: records of "
				"this session are kept for now", error);
		}
		tuser->away_logged = TRUE;
		return -1;
	}
	tuser->away_logged = FALSE;
	return 0;
}

/*
 * Refused messages
 */

void team_user_defer_refusals(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);

	tuser->defer_refusals = TRUE;
}

void team_user_add_refusal(struct team_user *tuser,
			   const struct team_refusal *refusal)
{
	struct team_refusal *new_refusal;

	new_refusal = array_append_space(&tuser->refusals);
	*new_refusal = *refusal;
	new_refusal->guid = p_strdup(tuser->refusals_pool, refusal->guid);
	new_refusal->holder = p_strdup(tuser->refusals_pool, refusal->holder);
}

static int
team_refusal_message_cmp(const struct team_refusal *r1,
			 const struct team_refusal *r2)
{
	int ret = strcmp(r1->guid, r2->guid);

	if (ret != 0)
		return ret;
	if (r1->uidvalidity != r2->uidvalidity)
		return r1->uidvalidity < r2->uidvalidity ? -1 : 1;
	if (r1->uid != r2->uid)
		return r1->uid < r2->uid ? -1 : 1;
	/* a refusal says more than a correction */
	return (r1->correction ? 1 : 0) - (r2->correction ? 1 : 0);
}

static int
team_refusal_holder_cmp(const struct team_refusal *r1,
			const struct team_refusal *r2)
{
	return null_strcmp(r1->holder, r2->holder);
}

const ARRAY_TYPE(team_refusal) *team_user_take_refusals(struct mail_user *user)
{
	struct team_user *tuser = TEAM_USER_CONTEXT_REQUIRE(user);
	ARRAY_TYPE(team_refusal) *refusals;
	const struct team_refusal *refusal, *last = NULL;
	struct team_refusal dup;

	/* after nearly every command */
	if (array_count(&tuser->refusals) == 0 &&
	    array_count(&tuser->virtual_uids) == 0)
		return &tuser->refusals;
	refusals = t_new(ARRAY_TYPE(team_refusal), 1);
	t_array_init(refusals, array_count(&tuser->refusals) + 1);
	/* one message may have been asked for twice, for its flags and for its
	   keywords */
	array_sort(&tuser->refusals, team_refusal_message_cmp);
	array_foreach(&tuser->refusals, refusal) {
		if (last != NULL && last->uid == refusal->uid &&
		    last->uidvalidity == refusal->uidvalidity &&
		    strcmp(last->guid, refusal->guid) == 0)
			continue;
		last = refusal;
		dup = *refusal;
		dup.guid = t_strdup(refusal->guid);
		dup.holder = t_strdup(refusal->holder);
		array_push_back(refusals, &dup);
	}
	team_virtual_refusals(tuser, refusals);
	p_clear(tuser->refusals_pool);
	p_array_init(&tuser->refusals, tuser->refusals_pool, 4);
	p_array_init(&tuser->virtual_uids, tuser->refusals_pool, 4);
	return refusals;
}

const char *team_clock(time_t t)
{
	struct tm now, tm = *localtime(&t);

	now = *localtime(&ioloop_time);
	if (tm.tm_year == now.tm_year && tm.tm_yday == now.tm_yday)
		return t_strftime("%H:%M", &tm);
	return t_strftime("%Y-%m-%d %H:%M", &tm);
}

/* All messages of one holder in one clause, so that a hundred messages don't
   make a text that no dialog box can show. */
static void
team_refusals_holder_text(string_t *str, const struct team_refusal *refusals,
			  unsigned int count)
{
	time_t since = refusals[0].since, until = refusals[0].until;
	unsigned int i;

	for (i = 1; i < count; i++) {
		since = I_MIN(since, refusals[i].since);
		until = I_MAX(until, refusals[i].until);
	}
	if (str_len(str) > 0)
		str_append(str, "; ");
	if (count > 1)
		str_printfa(str, "%u messages ", count);
	str_printfa(str, "claimed by %s since %s, until %s",
		    refusals[0].holder, team_clock(since), team_clock(until));
}

const char *team_refusals_text(const ARRAY_TYPE(team_refusal) *refusals)
{
	ARRAY_TYPE(team_refusal) held;
	const struct team_refusal *refusal;
	string_t *str = t_str_new(128);
	unsigned int i, first = 0, count;
	bool unavailable = FALSE, unknown = FALSE;

	t_array_init(&held, array_count(refusals) + 1);
	array_foreach(refusals, refusal) {
		if (refusal->correction)
			continue;
		if (refusal->unknown)
			unknown = TRUE;
		else if (refusal->holder == NULL)
			unavailable = TRUE;
		else
			array_push_back(&held, refusal);
	}
	array_sort(&held, team_refusal_holder_cmp);
	refusal = array_get(&held, &count);
	for (i = 1; i <= count; i++) {
		if (i < count && strcmp(refusal[i].holder,
					refusal[first].holder) == 0)
			continue;
		team_refusals_holder_text(str, &refusal[first], i - first);
		first = i;
	}
	if (count > 0)
		return str_c(str);
	if (unknown) {
		return "Who claims the messages can't be found out right now, "
			"because the team's database can't be reached: they "
			"are left as they are. Try again in a moment";
	}
	if (unavailable) {
		return "Messages can't be claimed or given back right now, "
			"because the team's database can't be reached. "
			"Try again in a moment";
	}
	return NULL;
}
