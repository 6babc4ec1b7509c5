-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: where a command changed shared flags and the colleague's own at
-- once, the log's view says which are which.

CREATE FUNCTION team.private_flags(p_private team.private_change[],
				   p_uid bigint, p_added boolean DEFAULT NULL)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg(c.flag, ' ') FROM unnest(p_private) c
	WHERE c.uids @> p_uid AND (p_added IS NULL OR c.added = p_added));
COMMENT ON FUNCTION team.private_flags(team.private_change[], bigint, boolean) IS
	'The private flags that were changed on the message; only those that were added, or removed';

CREATE OR REPLACE FUNCTION team.audit_detail(
	p_detail jsonb, p_added text, p_removed text, p_private_added text,
	p_private_removed text, p_private team.private_change[], p_uid bigint,
	p_from text, p_from_uid bigint, p_user text, p_service text,
	p_tls text) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
-- without a query of its own it becomes a part of the query that calls it
RETURN coalesce(p_detail, '{}') || jsonb_strip_nulls(jsonb_build_object(
	'added', nullif(concat_ws(' ', p_added, p_private_added,
		CASE WHEN p_private IS NOT NULL THEN
			team.private_flags(p_private, p_uid, true) END), ''),
	'removed', nullif(concat_ws(' ', p_removed, p_private_removed,
		CASE WHEN p_private IS NOT NULL THEN
			team.private_flags(p_private, p_uid, false) END), ''),
	'private', CASE
		WHEN coalesce(p_private_added, p_private_removed) IS NOT NULL OR
			p_private IS NOT NULL AND
			team.private_flags(p_private, p_uid) IS NOT NULL
			THEN true
		WHEN coalesce(p_added, p_removed) IS NOT NULL
			THEN false END,
	'own', CASE WHEN coalesce(p_added, p_removed) IS NOT NULL
		THEN nullif(concat_ws(' ', p_private_added,
			CASE WHEN p_private IS NOT NULL THEN
				team.private_flags(p_private, p_uid, true) END,
			p_private_removed,
			CASE WHEN p_private IS NOT NULL THEN
				team.private_flags(p_private, p_uid, false) END), '')
		END,
	'from', p_from, 'fromuid', p_from_uid, 'user', p_user,
	'service', p_service, 'tls', p_tls));
COMMENT ON COLUMN team.audit.detail IS
	'added, removed: flags, space separated; private: whether they are the colleague''s own; own: those that are, where not all are; from, fromuid: the source of a copy or move; user: whose mail it is; service, tls; and what else the action has to say';

REVOKE ALL ON FUNCTION
	team.private_flags(team.private_change[], bigint, boolean) FROM PUBLIC;
-- what a view calls is called by whoever reads it
GRANT EXECUTE ON FUNCTION
	team.private_flags(team.private_change[], bigint, boolean)
	TO team_auditor;
