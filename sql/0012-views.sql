-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: what auditors most often ask.

CREATE VIEW team.activity AS
	SELECT (a.at AT TIME ZONE 'UTC')::date AS day, a.colleague, a.action,
		a.outcome, count(*) AS messages,
		count(DISTINCT (a.node, a.seq)) AS records
	FROM team.audit a WHERE a.colleague IS NOT NULL
	GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW team.activity IS
	'What each colleague did on each day (UTC), in messages and records';

CREATE VIEW team.response_time AS
	SELECT i.message_id, i.mailbox, i.arrived, d.answered, d.colleague,
		d.answered - i.arrived AS after
	FROM (SELECT a.message_id, min(a.mailbox) AS mailbox,
			min(a.at) AS arrived
	      FROM team.audit a
	      WHERE a.action IN ('append', 'deliver') AND a.outcome = 'ok' AND
		a.message_id IS NOT NULL
	      GROUP BY 1) i
	LEFT JOIN LATERAL (
		SELECT f.at AS answered, f.colleague FROM team.audit f
		WHERE f.message_id = i.message_id AND f.outcome = 'ok' AND
			f.at >= i.arrived AND
			string_to_array(f.detail->>'added', ' ') @>
				ARRAY['\Answered']
		ORDER BY f.at LIMIT 1) d ON true;
COMMENT ON VIEW team.response_time IS
	'When each message arrived and when it was first marked as answered, by whom; NULL: not yet';

CREATE VIEW team.claims_refused AS
	SELECT a.at, a.node, a.seq, a.colleague, a.mailbox, a.uid, a.message_id,
		a.detail->>'holder' AS holder
	FROM team.audit a
	WHERE a.action IN ('claim', 'takeover') AND a.outcome = 'refused';
COMMENT ON VIEW team.claims_refused IS
	'Who wanted a message that somebody else held';

CREATE VIEW team.double_answers_prevented AS
	SELECT a.at, a.node, a.seq, a.colleague, a.action, a.mailbox, a.uid,
		a.message_id, a.detail->>'holder' AS holder
	FROM team.audit a
	WHERE a.action IN ('claim', 'reply', 'draft') AND a.outcome = 'refused';
COMMENT ON VIEW team.double_answers_prevented IS
	'Who was kept from working on, or replying to, a message that a colleague was at';

CREATE VIEW team.deleted AS
	SELECT a.at, a.node, a.seq, a.colleague, a.action, a.outcome, a.mailbox,
		a.uid, a.message_id, a.session, a.remote_ip, a.client
	FROM team.audit a
	WHERE a.action IN ('expunge', 'delete') OR
		string_to_array(a.detail->>'added', ' ') @> ARRAY['\Deleted'];
COMMENT ON VIEW team.deleted IS
	'Who marked as deleted, expunged or deleted which message or mailbox, and who tried';

REVOKE ALL ON team.activity, team.response_time, team.claims_refused,
	team.double_answers_prevented, team.deleted FROM PUBLIC;
GRANT SELECT ON team.activity, team.response_time, team.claims_refused,
	team.double_answers_prevented, team.deleted TO team_auditor;
