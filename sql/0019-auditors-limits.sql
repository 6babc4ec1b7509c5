-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: auditors who may see some mailboxes only. The views do it, and
-- not policies on the tables: these would keep every query, the service's as
-- well, from the range indexes, whose operators aren't leakproof.

CREATE TABLE team.auditor_limit (
	auditor regrole PRIMARY KEY,
	mailboxes text[] NOT NULL,
	patterns text[] NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE team.auditor_limit IS
	'Auditors (or groups of them) who see some mailboxes only; who isn''t in here sees all. Set with team.limit_auditor()';
COMMENT ON COLUMN team.auditor_limit.patterns IS
	'The mailboxes'' names as LIKE has them';

CREATE FUNCTION team.limit_auditor(p_auditor text, p_mailboxes text[])
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_auditor oid := (SELECT r.oid FROM pg_roles r
			  WHERE r.rolname = p_auditor);
BEGIN
	IF v_auditor IS NULL THEN
		RAISE EXCEPTION 'there is no role "%"', p_auditor
			USING ERRCODE = 'undefined_object';
	END IF;
	IF p_mailboxes IS NULL THEN
		DELETE FROM team.auditor_limit l WHERE l.auditor = v_auditor;
		RETURN;
	END IF;
	IF array_position(p_mailboxes, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'a mailbox has no name'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	INSERT INTO team.auditor_limit (auditor, mailboxes, patterns)
	VALUES (v_auditor, p_mailboxes, ARRAY(
		SELECT replace(regexp_replace(m, '([\\%_])', '\\\1', 'g'),
			       '*', '%')
		FROM unnest(p_mailboxes) m))
	ON CONFLICT (auditor) DO UPDATE SET mailboxes = excluded.mailboxes,
		patterns = excluded.patterns, at = excluded.at,
		by = excluded.by;
END
$$;
COMMENT ON FUNCTION team.limit_auditor(text, text[]) IS
	'Limits the auditor, a role, to the mailboxes with these names, in which * stands for anything; with none of them to nothing, with NULL no more';

CREATE VIEW team.sight AS
	WITH owner AS (
		SELECT n.nspowner AS id FROM pg_namespace n
		WHERE n.nspname = 'team'
	), own AS (
		-- SET ROLE takes no limit away; but what superusers are members
		-- of says nothing
		SELECT l.patterns FROM team.auditor_limit l, owner o
		WHERE pg_has_role(current_user, l.auditor, 'MEMBER') OR
			(pg_has_role(session_user, l.auditor, 'MEMBER') AND
			 NOT pg_has_role(session_user, o.id, 'MEMBER'))
	)
	SELECT pg_has_role(current_user, o.id, 'MEMBER') OR
			NOT EXISTS (SELECT FROM own) AS everything,
		ARRAY(SELECT DISTINCT n.mailbox_id
		      FROM own CROSS JOIN unnest(own.patterns) p
		      JOIN team.mailbox_name n ON n.name LIKE p) AS mailboxes,
		ARRAY(SELECT p FROM own CROSS JOIN unnest(own.patterns) p)
			AS patterns
	FROM owner o;
COMMENT ON VIEW team.sight IS
	'What who asks may see: everything, or these mailboxes, and records of mailboxes that couldn''t be opened by their names';

-- The barrier is here: one on a view that is a UNION ALL is lost when the
-- planner takes its arms apart. Whatever comes out of this may be seen.
CREATE VIEW team.limited_record WITH (security_barrier) AS
	SELECT r.at, r.node, r.seq, r.action, r.outcome, r.colleague_id,
		r.username, r.session, r.service, r.ip, r.tls, r.client,
		CASE WHEN see.dest THEN r.mailbox_id END AS mailbox_id,
		CASE WHEN see.dest THEN r.mailbox END AS mailbox,
		CASE WHEN see.dest THEN r.msg_mailbox_id
			ELSE r.from_mailbox_id END AS msg_mailbox_id,
		r.source_only OR NOT see.dest AS source_only,
		CASE WHEN see.dest OR r.source_only THEN r.uid
			ELSE r.from_uid END AS uid,
		CASE WHEN see.dest OR r.source_only THEN r.uids
			ELSE r.from_uids END AS uids,
		r.added, r.removed, r.private_added, r.private_removed,
		CASE WHEN see.dest THEN r.private END AS private,
		CASE WHEN see.source THEN r.from_mailbox_id END
			AS from_mailbox_id,
		CASE WHEN see.source THEN r.from_mailbox END AS from_mailbox,
		CASE WHEN see.source AND see.dest THEN r.from_uid END
			AS from_uid,
		CASE WHEN see.source AND see.dest THEN r.from_uids END
			AS from_uids,
		-- What a record that PostgreSQL couldn't take says is anything.
		CASE WHEN see.source AND see.dest
			THEN r.detail - 'record' END AS detail,
		w.whole, CASE WHEN w.whole THEN r.mids END AS mids,
		CASE WHEN w.whole THEN r.salt END AS salt,
		CASE WHEN w.whole THEN r.leaf END AS leaf,
		CASE WHEN w.whole THEN r.opened END AS opened
	FROM team.sight s
	JOIN team.record r ON r.mailbox_id = ANY (s.mailboxes) OR
		r.from_mailbox_id = ANY (s.mailboxes) OR
		r.mailbox_id IS NULL AND r.mailbox LIKE ANY (s.patterns)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN r.mailbox_id IS NOT NULL
			THEN r.mailbox_id = ANY (s.mailboxes)
			ELSE coalesce(r.mailbox LIKE ANY (s.patterns),
				      r.from_mailbox_id = ANY (s.mailboxes))
			END AS dest) d
	CROSS JOIN LATERAL (
		SELECT d.dest, CASE WHEN r.from_mailbox_id IS NOT NULL
			THEN r.from_mailbox_id = ANY (s.mailboxes)
			ELSE d.dest END AS source) see
	CROSS JOIN LATERAL (
		SELECT see.source AND see.dest AND
			NOT coalesce(r.detail ? 'record', false) AS whole) w
	WHERE NOT s.everything;
COMMENT ON VIEW team.limited_record IS
	'The records that an auditor who is limited may see. Of a copy or move between two mailboxes only that side which is his; whole: both, and nothing was left out';

DO $$
BEGIN
	EXECUTE 'CREATE VIEW team.audit_all AS ' ||
		pg_get_viewdef('team.audit'::regclass);
	EXECUTE 'CREATE VIEW team.export_all AS ' ||
		pg_get_viewdef('team.export'::regclass);
END
$$;
COMMENT ON VIEW team.audit_all IS
	'team.audit for who may see everything';
COMMENT ON VIEW team.export_all IS
	'team.export for who may see everything';

CREATE OR REPLACE VIEW team.audit AS
	SELECT a.* FROM team.audit_all a
	WHERE (SELECT s.everything FROM team.sight s)
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN p.uid END,
		m.message_id, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			p.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN p.uid ELSE p.from_uid END,
			r.username, r.service, r.tls)
	FROM team.limited_record r
	CROSS JOIN LATERAL (
		SELECT r.uid, r.from_uid WHERE r.uids IS NULL
		UNION ALL
		SELECT e.uid, e.from_uid FROM team.expand(r.uids, r.from_uids) e
		WHERE r.uids IS NOT NULL) p
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid = p.uid
	WHERE NOT (SELECT s.everything FROM team.sight s);

CREATE OR REPLACE VIEW team.export AS
	SELECT e.* FROM team.export_all e
	WHERE (SELECT s.everything FROM team.sight s)
	UNION ALL
	SELECT r.node, n.name, r.seq,
		(extract(epoch FROM r.at) * 1000000)::bigint,
		r.action, r.outcome, c.name, r.username, r.session, r.service,
		r.ip, r.tls, r.client, b.guid, nullif(b.uidvalidity, 0),
		r.mailbox,
		CASE WHEN NOT r.source_only THEN
			coalesce(r.uids, team.uid_set(r.uid)) END::text,
		r.mids, r.added, r.removed, f.guid, nullif(f.uidvalidity, 0),
		r.from_mailbox,
		CASE WHEN r.source_only THEN
			coalesce(r.uids, team.uid_set(r.uid))
		     ELSE coalesce(r.from_uids, team.uid_set(r.from_uid))
			END::text,
		r.private_added, r.private_removed, to_jsonb(r.private),
		r.detail, encode(r.salt, 'hex'), encode(r.leaf, 'hex'), r.opened
	FROM team.limited_record r
	JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	WHERE r.whole AND NOT (SELECT s.everything FROM team.sight s);

REVOKE ALL ON team.auditor_limit, team.sight, team.limited_record,
	team.audit_all, team.export_all FROM PUBLIC;
REVOKE ALL ON FUNCTION team.limit_auditor(text, text[]) FROM PUBLIC;
