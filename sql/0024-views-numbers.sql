-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: the auditors' views count what their names say.

CREATE OR REPLACE VIEW team.activity AS
	SELECT (a.at AT TIME ZONE 'UTC')::date AS day, a.colleague, a.action,
		a.outcome, count(coalesce(a.uid,
			(a.detail->>'fromuid')::bigint)) AS messages,
		count(DISTINCT (a.node, a.seq)) AS records
	FROM team.audit a WHERE a.colleague IS NOT NULL
	GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW team.activity IS
	'What each colleague did on each day (UTC): how many messages it concerned, and in how many records; a login concerns no message';

CREATE OR REPLACE VIEW team.response_time AS
	SELECT i.message_id, i.mailbox, i.arrived, d.answered, d.colleague,
		d.answered - i.arrived AS after
	FROM (SELECT a.message_id,
			(array_agg(a.mailbox ORDER BY a.at))[1] AS mailbox,
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
	'When and where each message first arrived, and when it was first marked as answered, by whom; NULL: not yet';

CREATE OR REPLACE VIEW team.double_answers_prevented AS
	SELECT a.at, a.node, a.seq, a.colleague, a.action, a.mailbox, a.uid,
		a.message_id, a.detail->>'holder' AS holder
	FROM team.audit a
	WHERE a.action IN ('claim', 'reply', 'draft') AND
		a.outcome = 'refused' AND NOT EXISTS (
			SELECT FROM team.audit o
			WHERE o.action = 'reply' AND o.outcome = 'ok' AND
				o.detail ? 'override' AND o.at > a.at AND
				o.message_id = a.message_id AND
				o.colleague = a.colleague);
COMMENT ON VIEW team.double_answers_prevented IS
	'Who was kept from working on, or replying to, a message that a colleague was at, and did not reply all the same';
