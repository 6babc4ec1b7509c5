-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: whose flags and whose deeds. Where nobody logged in (doveadm,
-- deliveries) the colleague is who acted, and private flags are those of the
-- user whose mail it is. Records of the action "private", into which the
-- service turns what is about reading when that isn't to be recorded, change
-- flags and leave nothing behind but their leaf.

DROP TRIGGER record_gap ON team.record;
DROP FUNCTION team.record_gap();

CREATE FUNCTION team.tell_again(p_mailbox_id int, p_colleague_id int,
	p_uids int8multirange, p_added text, p_removed text,
	p_private team.private_change[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rev bigint;
BEGIN
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = p_mailbox_id RETURNING m.rev INTO v_rev;
	INSERT INTO team.flag AS f
		(mailbox_id, colleague_id, flag, block, uids, rev, node)
		SELECT DISTINCT p_mailbox_id, p_colleague_id,
			team.flag_name(p_mailbox_id, p_colleague_id,
				       team.short(c.flag)),
			b.block, '{}'::int8multirange, v_rev, 0
		FROM (
			SELECT string_to_table(concat_ws(' ', p_added,
					p_removed), ' ') AS flag,
				p_uids AS uids
			UNION ALL
			SELECT p.flag, p.uids FROM unnest(p_private) p) c
		CROSS JOIN LATERAL team.blocks(c.uids) b
		WHERE c.flag <> ''
	ON CONFLICT (mailbox_id, colleague_id, flag, block) DO UPDATE SET
		rev = v_rev, node = 0,
		other_rev = CASE WHEN f.node = 0 THEN f.other_rev
				 ELSE f.rev END;
	PERFORM team.mailbox_changed(0, p_mailbox_id, 'flags ' || c.name)
		FROM team.colleague c WHERE c.id = p_colleague_id;
END
$$;
COMMENT ON FUNCTION team.tell_again IS
	'A change of private flags may have been made in a node''s index, and is not in force: all have to fetch these flags';

CREATE TABLE team.refill (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	colleague_id int NOT NULL REFERENCES team.colleague,
	rev bigint NOT NULL,
	PRIMARY KEY (mailbox_id, colleague_id)
);
COMMENT ON TABLE team.refill IS
	'Nodes'' indexes that may have private flags which are not in force, of messages and names that nobody knows: whoever has not fetched the colleague''s flags since rev has to fetch all';
COMMENT ON COLUMN team.refill.rev IS 'mailbox.rev of that moment';

CREATE FUNCTION team.refill(p_mailbox_id int, p_colleague_id int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_rev bigint;
BEGIN
	UPDATE team.mailbox m SET rev = m.rev + 1
		WHERE m.id = p_mailbox_id RETURNING m.rev INTO v_rev;
	INSERT INTO team.refill (mailbox_id, colleague_id, rev)
		VALUES (p_mailbox_id, p_colleague_id, v_rev)
	ON CONFLICT (mailbox_id, colleague_id) DO UPDATE
		SET rev = excluded.rev;
	PERFORM team.mailbox_changed(0, p_mailbox_id, 'flags ' || c.name)
		FROM team.colleague c WHERE c.id = p_colleague_id;
END
$$;
COMMENT ON FUNCTION team.refill(int, int) IS
	'Whatever nodes'' indexes have of the colleague''s flags may be wrong: all have to be fetched';
REVOKE EXECUTE ON FUNCTION team.refill(int, int) FROM PUBLIC;

CREATE OR REPLACE FUNCTION team.append_records(
	p_node int, p_first bigint, p_skip int, p_words text[],
	p_colleagues int[], p_users int[], p_sessions int[], p_services int[],
	p_ips int[], p_tlss int[], p_clients int[],
	p_guids int[], p_validities bigint[], p_box_names int[],
	p_at timestamptz[], p_action int[], p_outcome int[], p_context int[],
	p_box int[], p_name int[], p_uid bigint[], p_uids int[], p_mids int[],
	p_added int[], p_removed int[], p_private_added int[],
	p_private_removed int[], p_private int[], p_from_box int[],
	p_from_name int[], p_from_uid bigint[], p_from_uids int[],
	p_detail int[], p_layer int[], p_salt bytea[], p_leaf bytea[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	k_without_login CONSTANT text[] := '{doveadm,lmtp,lda,sieve}';
	v_count int := coalesce(array_length(p_at, 1), 0);
	v_colleagues int[];
	-- whose private flags they are
	v_owners int[];
	v_boxes int[];
	v_mailboxes int[];
	v_names text[];
	v_uids bigint[];
	v_message_ids text[];
	v_effects team.effect[];
	v_steps int[];
BEGIN
	PERFORM team.make_partitions(p_at);
	v_colleagues := team.enter_colleagues(
		ARRAY(SELECT p_words[c] FROM unnest(p_colleagues) c));
	v_owners := v_colleagues;
	IF EXISTS (SELECT FROM unnest(p_services) s
		   WHERE p_words[s] = ANY (k_without_login)) THEN
		v_owners := team.enter_colleagues(ARRAY(
			SELECT p_words[CASE
				WHEN p_words[s] = ANY (k_without_login)
				THEN coalesce(u, c) ELSE c END]
			FROM unnest(p_colleagues, p_users, p_services)
				x(c, u, s)));
	END IF;
	v_boxes := team.enter_mailboxes(
		ARRAY(SELECT p_words[g] FROM unnest(p_guids) g), p_validities,
		ARRAY(SELECT p_words[g] FROM unnest(p_box_names) g));

	INSERT INTO team.record AS i (
		at, node, seq, action, outcome, colleague_id, username,
		session, service, ip, tls, client, mailbox_id, mailbox,
		msg_mailbox_id, source_only, uid, uids, mids, added,
		removed, private_added, private_removed, private,
		from_mailbox_id, from_mailbox, from_uid, from_uids,
		detail, salt, leaf)
	SELECT p_at[i], p_node, p_first + i - 1,
		coalesce(p_words[p_action[i]], ''),
		coalesce(p_words[p_outcome[i]], ''),
		v_colleagues[p_context[i]], p_words[p_users[p_context[i]]],
		p_words[p_sessions[p_context[i]]],
		p_words[p_services[p_context[i]]],
		p_words[p_ips[p_context[i]]], p_words[p_tlss[p_context[i]]],
		p_words[p_clients[p_context[i]]],
		v_boxes[p_box[i]], p_words[p_name[i]],
		v_boxes[CASE WHEN s.only THEN p_from_box[i] ELSE p_box[i] END],
		s.only,
		CASE WHEN s.only THEN p_from_uid[i] ELSE p_uid[i] END,
		p_words[CASE WHEN s.only THEN p_from_uids[i]
			     ELSE p_uids[i] END]::int8multirange,
		p_words[p_mids[i]], p_words[p_added[i]], p_words[p_removed[i]],
		p_words[p_private_added[i]], p_words[p_private_removed[i]],
		CASE WHEN p_private[i] IS NOT NULL THEN
			team.private_changes(p_words[p_private[i]]::jsonb) END,
		v_boxes[p_from_box[i]], p_words[p_from_name[i]],
		CASE WHEN NOT s.only THEN p_from_uid[i] END,
		p_words[CASE WHEN NOT s.only THEN p_from_uids[i] END
			]::int8multirange,
		CASE WHEN octet_length(p_words[p_colleagues[p_context[i]]])
			> 1024
			THEN coalesce(p_words[p_detail[i]]::jsonb, '{}') ||
				jsonb_build_object('colleague',
					p_words[p_colleagues[p_context[i]]])
			ELSE p_words[p_detail[i]]::jsonb END,
		p_salt[i], p_leaf[i]
	FROM generate_series(p_skip + 1, v_count) i
	CROSS JOIN LATERAL (
		SELECT coalesce(p_from_uid[i], p_from_uids[i]) IS NOT NULL AND
			coalesce(p_uid[i], p_uids[i]) IS NULL AS only) s
	WHERE p_words[p_action[i]] IS DISTINCT FROM 'private';

	-- What isn't told keeps its place in the tree, and nothing else.
	INSERT INTO team.record (at, node, seq, action, outcome, leaf, opened)
	SELECT p_at[i], p_node, p_first + i - 1, 'private',
		coalesce(p_words[p_outcome[i]], ''), p_leaf[i],
		team.open_record(p_salt[i], NULL, jsonb_build_object('d.effect',
			p_words[p_detail[i]]::jsonb->>'effect'), '{d.effect}')
	FROM generate_series(p_skip + 1, v_count) i
	WHERE p_words[p_action[i]] = 'private';

	SELECT array_agg(b.id), array_agg(b.name)
		INTO v_mailboxes, v_names
		FROM (SELECT DISTINCT v_boxes[p_box[i]] AS id,
				p_words[p_name[i]] AS name
		      FROM generate_series(p_skip + 1, v_count) i
		      UNION
		      SELECT DISTINCT v_boxes[p_from_box[i]],
				p_words[p_from_name[i]]
		      FROM generate_series(p_skip + 1, v_count) i) b
		WHERE b.id IS NOT NULL;
	PERFORM team.enter_mailbox_names(v_mailboxes, v_names);

	-- What was refused names messages that are there, what was not put
	-- anywhere doesn't.
	SELECT array_agg(v_boxes[p_box[i]]), array_agg(p[1]::bigint),
		array_agg(p[2])
		INTO v_mailboxes, v_uids, v_message_ids
		FROM generate_series(p_skip + 1, v_count) i
		CROSS JOIN LATERAL string_to_table(p_words[p_mids[i]], E'\n') l
		CROSS JOIN LATERAL
			regexp_match(l, '^([1-9][0-9]{0,9})(?: +(.*))?$') p
		WHERE p_mids[i] IS NOT NULL AND p_layer[i] IS NOT NULL AND
			v_boxes[p_box[i]] IS NOT NULL AND
			p[1]::bigint <= 4294967295 AND
			(p_words[p_outcome[i]] = 'ok' OR
			 p_words[p_action[i]] <> ALL
			 ('{append,deliver,copy,move,draft}'));
	IF v_mailboxes IS NOT NULL THEN
		PERFORM team.enter_messages(v_mailboxes, v_uids, v_message_ids);
	END IF;

	-- Steps: in each layer flags come first, then what takes them along,
	-- then what takes them away.
	SELECT array_agg(ROW(e.kind, e.mailbox_id, v_owners[p_context[e.i]],
			p_uid[e.i], p_words[p_uids[e.i]]::int8multirange,
			v_boxes[p_from_box[e.i]], p_from_uid[e.i],
			p_words[p_from_uids[e.i]]::int8multirange,
			p_words[p_private_added[e.i]],
			p_words[p_private_removed[e.i]],
			CASE WHEN p_private[e.i] IS NOT NULL THEN
				team.private_changes(p_words[p_private[e.i]]::jsonb) END
			)::team.effect ORDER BY e.step, e.i),
		array_agg(e.step ORDER BY e.step, e.i)
		INTO v_effects, v_steps
		FROM (SELECT k.*, p_layer[k.i] * 4 + CASE k.kind
				WHEN 'flags' THEN 0 WHEN 'expunge' THEN 2
				WHEN 'delete' THEN 3 ELSE 1 END AS step
		      FROM (SELECT i, v_boxes[p_box[i]] AS mailbox_id,
			CASE
			WHEN p_words[p_action[i]] = ANY ('{copy,move}') AND
				p_from_box[i] IS NOT NULL AND
				(coalesce(p_uid[i], p_uids[i]) IS NOT NULL OR
				 coalesce(p_from_uid[i], p_from_uids[i])
					IS NULL)
				THEN p_words[p_action[i]]
			WHEN p_words[p_action[i]] = ANY ('{expunge,delete}')
				THEN p_words[p_action[i]]
			WHEN coalesce(p_private_added[i], p_private_removed[i],
				      p_private[i]) IS NOT NULL THEN 'flags'
			END AS kind
			FROM generate_series(p_skip + 1, v_count) i
			WHERE p_words[p_outcome[i]] = 'ok' AND
				v_boxes[p_box[i]] IS NOT NULL AND
				p_layer[i] IS NOT NULL) k
		      WHERE k.kind IS NOT NULL) e;
	IF v_effects IS NOT NULL THEN
		PERFORM team.apply_effects(p_node, v_effects, v_steps);
	END IF;

	PERFORM team.tell_again(v_boxes[p_box[i]], v_owners[p_context[i]],
			coalesce(p_words[p_uids[i]]::int8multirange,
				 team.uid_set(p_uid[i])),
			p_words[p_private_added[i]],
			p_words[p_private_removed[i]],
			team.private_changes(p_words[p_private[i]]::jsonb))
		FROM generate_series(p_skip + 1, v_count) i
		WHERE (p_words[p_action[i]] = 'gap' OR
		       p_words[p_action[i]] = 'private' AND
		       p_words[p_outcome[i]] = 'failed') AND
			v_boxes[p_box[i]] IS NOT NULL AND
			v_owners[p_context[i]] IS NOT NULL AND
			coalesce(p_private_added[i], p_private_removed[i],
				 p_private[i]) IS NOT NULL;
	-- new messages have no UIDs before they are there
	PERFORM team.refill(v_boxes[p_box[i]], v_owners[p_context[i]])
		FROM generate_series(p_skip + 1, v_count) i
		WHERE p_words[p_action[i]] = 'gap' AND
			coalesce(p_uid[i], p_uids[i]) IS NULL AND
			p_words[p_detail[i]]::jsonb ? 'unresolved' AND
			v_boxes[p_box[i]] IS NOT NULL AND
			v_owners[p_context[i]] IS NOT NULL;
END
$$;
COMMENT ON FUNCTION team.append_records IS
	'Writes the records after the first p_skip to the log and carries out their effects; raises if a value doesn''t fit. Sessions are numbered by p_context, mailboxes by p_box and p_from_box, texts are numbers of p_words, NULL what is missing. Records of one p_layer may be carried out in any order; without one a record has no effects. Of records of the action private nothing is kept but that there was one';

CREATE OR REPLACE VIEW team.audit_all AS
	SELECT r.at, n.name AS node, r.seq, c.name AS colleague, r.action,
		coalesce(r.mailbox, b.name) AS mailbox,
		CASE WHEN NOT r.source_only THEN r.uid END AS uid,
		m.message_id, r.outcome, r.session, r.ip AS remote_ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			r.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN r.uid ELSE r.from_uid END,
			r.username, r.service, r.tls) AS detail
	FROM team.record r
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid = r.uid
	WHERE r.uids IS NULL AND r.action <> 'private'
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN m.uid END,
		m.message_id, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			m.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN m.uid END,
			r.username, r.service, r.tls)
	FROM team.record r
	-- The first three conditions are for indexes, the fourth says it all.
	JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid BETWEEN lower(r.uids) AND upper(r.uids) - 1 AND
		team.place(r.msg_mailbox_id, r.uids) @>
			((m.mailbox_id::bigint << 32) + m.uid) AND
		r.uids @> m.uid
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	WHERE r.uids IS NOT NULL AND r.from_uids IS NULL
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN p.uid END,
		NULL::text, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			p.uid, coalesce(r.from_mailbox, f.name),
			CASE WHEN r.source_only THEN p.uid END,
			r.username, r.service, r.tls)
	FROM team.record r
	CROSS JOIN LATERAL team.expand(r.uids, NULL) p
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	WHERE r.uids IS NOT NULL AND r.from_uids IS NULL AND NOT EXISTS (
		SELECT FROM team.message m
		WHERE m.mailbox_id = r.msg_mailbox_id AND m.uid = p.uid)
	UNION ALL
	SELECT r.at, n.name, r.seq, c.name, r.action,
		coalesce(r.mailbox, b.name),
		CASE WHEN NOT r.source_only THEN p.uid END,
		m.message_id, r.outcome, r.session, r.ip, r.client,
		team.audit_detail(r.detail, r.added, r.removed,
			r.private_added, r.private_removed, r.private,
			p.uid, coalesce(r.from_mailbox, f.name),
			p.from_uid,
			r.username, r.service, r.tls)
	FROM team.record r
	CROSS JOIN LATERAL team.expand(r.uids, r.from_uids) p
	LEFT JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id
	LEFT JOIN team.message m ON m.mailbox_id = r.msg_mailbox_id AND
		m.uid = p.uid AND r.uids @> m.uid AND
		team.place(r.msg_mailbox_id, r.uids) @>
			((m.mailbox_id::bigint << 32) + m.uid)
	WHERE r.uids IS NOT NULL AND r.from_uids IS NOT NULL;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
