-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: where a command changed shared flags and the colleague's own at
-- once, the log's view says which are which.

CREATE OR REPLACE FUNCTION team.audit_detail(
	p_detail jsonb, p_added text, p_removed text, p_private_added text,
	p_private_removed text, p_private team.private_change[], p_uid bigint,
	p_from text, p_from_uid bigint, p_user text, p_service text,
	p_tls text) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(p_detail, '{}') || jsonb_strip_nulls(
		jsonb_build_object(
		'added', nullif(concat_ws(' ', p_added, p_private_added,
					  part.added), ''),
		'removed', nullif(concat_ws(' ', p_removed, p_private_removed,
					    part.removed), ''),
		'private', CASE
			WHEN coalesce(p_private_added, p_private_removed,
				      part.added, part.removed) IS NOT NULL
				THEN true
			WHEN coalesce(p_added, p_removed) IS NOT NULL
				THEN false END,
		'own', CASE WHEN coalesce(p_added, p_removed) IS NOT NULL
			THEN nullif(concat_ws(' ', p_private_added,
				part.added, p_private_removed, part.removed), '')
			END,
		'from', p_from, 'fromuid', p_from_uid, 'user', p_user,
		'service', p_service, 'tls', p_tls))
	FROM (SELECT string_agg(c.flag, ' ') FILTER (WHERE c.added) AS added,
		string_agg(c.flag, ' ') FILTER (WHERE NOT c.added) AS removed
	      FROM unnest(p_private) c WHERE c.uids @> p_uid) part;
END;
COMMENT ON COLUMN team.audit.detail IS
	'added, removed: flags, space separated; private: whether they are the colleague''s own; own: those that are, where not all are; from, fromuid: the source of a copy or move; user: whose mail it is; service, tls; and what else the action has to say';
