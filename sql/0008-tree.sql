-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: what makes the log checkable: each record's leaf in its node's
-- Merkle tree, the salt that its personal fields are committed to with, and
-- the signed notes. Records from before have none of these: the tree of a node
-- begins with the first record that has.

ALTER TABLE team.record ADD COLUMN salt bytea, ADD COLUMN leaf bytea,
	ADD COLUMN opened jsonb;
COMMENT ON COLUMN team.record.salt IS
	'What the salts of the record''s personal fields are derived from; gone when one of them was erased';
COMMENT ON COLUMN team.record.leaf IS
	'Hash of the record''s leaf in the node''s tree, as the service computed it';
COMMENT ON COLUMN team.record.opened IS
	'In place of salt: what is left of it. salts: salts of the fields that are still there, erased: commitments of those that aren''t';
CREATE INDEX record_seq ON team.record (node, seq);

CREATE TABLE team.note (
	node int NOT NULL REFERENCES team.node,
	id bigint GENERATED ALWAYS AS IDENTITY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	kind text NOT NULL CHECK (kind IN ('checkpoint', 'key', 'cut')),
	note text NOT NULL,
	PRIMARY KEY (node, id)
);
COMMENT ON TABLE team.note IS
	'What the nodes signed, in order: checkpoints of their trees, keys, cuts. Copies of what they published elsewhere, too';
CREATE UNIQUE INDEX note_note ON team.note (node, md5(note));
CREATE TRIGGER note_append_only
	BEFORE UPDATE OR DELETE OR TRUNCATE ON team.note
	FOR EACH STATEMENT EXECUTE FUNCTION team.record_refuse();

CREATE FUNCTION team.add_note(p_node int, p_kind text, p_note text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO team.note (node, kind, note)
	VALUES (p_node, p_kind, p_note) ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION team.add_note(int, text, text) IS
	'Keeps a note that the node signed; the same one twice is one';

CREATE OR REPLACE FUNCTION team.ingest_rows(p_node int, p_records jsonb,
				 p_effects boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_effects team.effect[];
BEGIN
	PERFORM team.ingest_names(p_records);

	WITH ins AS (
		INSERT INTO team.record AS i (
			at, node, seq, action, outcome, colleague_id, username,
			session, service, ip, tls, client, mailbox_id, mailbox,
			msg_mailbox_id, source_only, uid, uids, mids, added,
			removed, private_added, private_removed, private,
			from_mailbox_id, from_mailbox, from_uid, from_uids,
			detail, salt, leaf)
		SELECT timestamptz 'epoch' + r.at * interval '1 microsecond',
			p_node, r.seq, coalesce(r.action, ''),
			coalesce(r.outcome, ''), c.id, r.user, r.session,
			r.service, r.ip, r.tls, r.client, m.id, r.name,
			CASE WHEN s.only THEN f.id ELSE m.id END, s.only,
			CASE WHEN upper(s.uids) - lower(s.uids) = 1
				THEN lower(s.uids) END,
			CASE WHEN upper(s.uids) - lower(s.uids) = 1 OR
					isempty(s.uids)
				THEN NULL ELSE s.uids END,
			r.mids, r.add, r.remove, k.private_added,
			k.private_removed, k.private, f.id, r.fromname,
			CASE WHEN s.only THEN NULL
				WHEN upper(r.fromuids) - lower(r.fromuids) = 1
				THEN lower(r.fromuids) END,
			CASE WHEN s.only OR isempty(r.fromuids) OR
					upper(r.fromuids) - lower(r.fromuids) = 1
				THEN NULL ELSE r.fromuids END,
			CASE WHEN octet_length(r.colleague) > 1024
				THEN coalesce(k.detail, '{}') ||
					jsonb_build_object('colleague',
							   r.colleague)
				ELSE k.detail END,
			decode(r._salt, 'hex'), decode(r._leaf, 'hex')
		FROM ROWS FROM (
			jsonb_to_recordset(p_records) AS (
				seq bigint, at bigint, action text,
				outcome text, colleague text, "user" text,
				session text, service text, ip text, tls text,
				client text, mailbox text, uidvalidity bigint,
				name text, uids int8multirange, mids text,
				"add" text, remove text, "from" text,
				fromvalidity bigint, fromname text,
				fromuids int8multirange, _salt text,
				_leaf text),
			jsonb_array_elements(p_records)) AS r(
				seq, at, action, outcome, colleague, "user",
				session, service, ip, tls, client, mailbox,
				uidvalidity, name, uids, mids, "add", remove,
				"from", fromvalidity, fromname, fromuids,
				_salt, _leaf, raw)
		LEFT JOIN team.colleague c ON c.name = team.short(r.colleague)
		LEFT JOIN team.mailbox m ON m.guid = r.mailbox AND
			m.uidvalidity = coalesce(r.uidvalidity, 0)
		LEFT JOIN team.mailbox f ON f.guid = r."from" AND
			f.uidvalidity = coalesce(r.fromvalidity, 0)
		CROSS JOIN LATERAL (
			SELECT o.only, CASE WHEN o.only THEN r.fromuids
					    ELSE r.uids END AS uids
			FROM (SELECT coalesce(r.fromuids <> '{}', false) AND
				coalesce(isempty(r.uids), true) AS only) o) s
		CROSS JOIN LATERAL (
			SELECT string_agg(e.flag, ' ') FILTER (
					WHERE e.kind = 'p+' AND e.alike)
					AS private_added,
				string_agg(e.flag, ' ') FILTER (
					WHERE e.kind = 'p-' AND e.alike)
					AS private_removed,
				array_agg(ROW(e.flag, e.kind = 'p+', CASE
					WHEN e.kind <> 'd.' AND NOT e.alike
					THEN e.value::int8multirange END
					)::team.private_change)
					FILTER (WHERE e.kind <> 'd.' AND
						NOT e.alike) AS private,
				jsonb_object_agg(e.flag, e.value) FILTER (
					WHERE e.kind = 'd.') AS detail
			FROM (SELECT left(x.key, 2) AS kind,
					substr(x.key, 3) AS flag, x.value,
					x.value = r.raw->>'uids' AND
					x.key !~ ' |^..$' AS alike
			      FROM jsonb_each_text(r.raw) x
			      WHERE left(x.key, 2) IN ('p+', 'p-', 'd.')) e
			) k
		RETURNING *
	), new_name AS (
		INSERT INTO team.mailbox_name (name, mailbox_id)
		SELECT n.name, n.id FROM (
			SELECT DISTINCT team.short(i.mailbox) AS name,
				i.mailbox_id AS id
			FROM ins i WHERE i.mailbox <> '' AND
				i.mailbox_id IS NOT NULL
			UNION
			SELECT DISTINCT team.short(i.from_mailbox),
				i.from_mailbox_id
			FROM ins i WHERE i.from_mailbox <> '' AND
				i.from_mailbox_id IS NOT NULL) n
		WHERE NOT EXISTS (SELECT FROM team.mailbox_name o
				  WHERE o.name = n.name AND
					o.mailbox_id = n.id)
		ORDER BY 1, 2
		ON CONFLICT DO NOTHING
	), effect AS (
		SELECT i.*, CASE
			WHEN i.outcome <> 'ok' OR i.mailbox_id IS NULL
				THEN NULL
			WHEN i.action IN ('copy', 'move') AND
				i.from_mailbox_id IS NOT NULL AND
				NOT i.source_only THEN i.action
			WHEN i.action IN ('expunge', 'delete') THEN i.action
			WHEN i.private_added IS NOT NULL OR
				i.private_removed IS NOT NULL OR
				i.private IS NOT NULL THEN 'flags'
			END AS kind,
			-- What was refused names messages that are there, what
			-- was not put anywhere doesn't.
			CASE WHEN i.outcome = 'ok' OR i.action NOT IN
				('append', 'deliver', 'copy', 'move', 'draft')
				THEN i.mids END AS new_mids
		FROM ins i
		WHERE p_effects
	)
	SELECT array_agg(ROW(e.kind, e.mailbox_id, e.colleague_id,
			coalesce(e.uids, team.uid_set(e.uid)),
			e.from_mailbox_id,
			coalesce(e.from_uids, team.uid_set(e.from_uid)),
			CASE WHEN e.kind IS NOT NULL THEN e.private_added END,
			CASE WHEN e.kind IS NOT NULL THEN e.private_removed END,
			CASE WHEN e.kind IS NOT NULL THEN e.private END,
			e.new_mids)::team.effect ORDER BY e.seq)
		INTO v_effects
		FROM effect e
		WHERE e.kind IS NOT NULL OR e.new_mids IS NOT NULL;

	IF v_effects IS NOT NULL THEN
		PERFORM team.apply_effects(p_node, v_effects);
	END IF;
END
$$;
CREATE OR REPLACE FUNCTION team.ingest_odd(p_node int, p_record jsonb, p_error text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_row jsonb := jsonb_strip_nulls(jsonb_build_object(
		'seq', p_record->'seq',
		'action', p_record->>'action', 'outcome', p_record->>'outcome',
		'colleague', p_record->>'colleague', 'user', p_record->>'user',
		'session', p_record->>'session',
		'service', p_record->>'service', 'ip', p_record->>'ip',
		'tls', p_record->>'tls', 'client', p_record->>'client',
		'name', p_record->>'name', 'fromname', p_record->>'fromname',
		'_salt', p_record->>'_salt', '_leaf', p_record->>'_leaf',
		'd.invalid', p_error,
		'd.record', (p_record - '_salt' - '_leaf')::text));
	v_at text := p_record->>'at';
	v_key text;
BEGIN
	IF v_at ~ '^[0-9]{15,16}$' AND v_at::bigint
			BETWEEN 946684800000000 AND 4102444800000000 THEN
		v_row := v_row || jsonb_build_object('at', v_at::bigint);
	ELSE
		v_row := v_row || jsonb_build_object('at',
			floor(extract(epoch FROM clock_timestamp()) * 1000000));
	END IF;
	IF p_record->>'mailbox' ~ '^[0-9a-f]{32}$' AND
			team.is_uidvalidity(p_record->>'uidvalidity') THEN
		v_row := v_row || jsonb_build_object(
			'mailbox', p_record->>'mailbox',
			'uidvalidity', coalesce(p_record->>'uidvalidity', '0'));
	END IF;
	IF p_record->>'from' ~ '^[0-9a-f]{32}$' AND
			team.is_uidvalidity(p_record->>'fromvalidity') THEN
		v_row := v_row || jsonb_build_object(
			'from', p_record->>'from',
			'fromvalidity', coalesce(p_record->>'fromvalidity', '0'));
	END IF;
	FOREACH v_key IN ARRAY ARRAY['uids', 'fromuids'] LOOP
		BEGIN
			IF team.uids_valid((p_record->>v_key)::int8multirange) AND
					p_record->>v_key IS NOT NULL THEN
				v_row := v_row || jsonb_build_object(
					v_key, p_record->>v_key);
			END IF;
		EXCEPTION WHEN data_exception OR syntax_error THEN
			NULL;
		END;
	END LOOP;
	PERFORM team.ingest_rows(p_node, jsonb_build_array(v_row), false);
END
$$;

CREATE VIEW team.export AS
	SELECT r.node AS node_id, n.name AS node, r.seq,
		(extract(epoch FROM r.at) * 1000000)::bigint AS at,
		r.action, r.outcome, c.name AS colleague, r.username AS "user",
		r.session, r.service, r.ip, r.tls, r.client,
		b.guid AS mailbox, nullif(b.uidvalidity, 0) AS uidvalidity,
		r.mailbox AS name,
		CASE WHEN NOT r.source_only THEN
			coalesce(r.uids, team.uid_set(r.uid)) END::text AS uids,
		r.mids, r.added AS "add", r.removed AS remove,
		f.guid AS "from", nullif(f.uidvalidity, 0) AS fromvalidity,
		r.from_mailbox AS fromname,
		CASE WHEN r.source_only THEN
			coalesce(r.uids, team.uid_set(r.uid))
		     ELSE coalesce(r.from_uids, team.uid_set(r.from_uid))
			END::text AS fromuids,
		r.private_added, r.private_removed,
		to_jsonb(r.private) AS private, r.detail,
		encode(r.salt, 'hex') AS salt, encode(r.leaf, 'hex') AS leaf,
		r.opened
	FROM team.record r
	JOIN team.node n ON n.id = r.node
	LEFT JOIN team.colleague c ON c.id = r.colleague_id
	LEFT JOIN team.mailbox b ON b.id = r.mailbox_id
	LEFT JOIN team.mailbox f ON f.id = r.from_mailbox_id;
COMMENT ON VIEW team.export IS
	'The log record by record with all that its leaves are made of, for exports and checks';

CREATE VIEW team.notes AS
	SELECT t.node AS node_id, n.name AS node, t.id, t.at, t.kind, t.note
	FROM team.note t JOIN team.node n ON n.id = t.node;
COMMENT ON VIEW team.notes IS
	'The signed notes; trust them only as far as they agree with what was published elsewhere';

CREATE VIEW team.nodes AS
	SELECT n.id, n.name, n.hwm, n.first_seen, n.last_seen FROM team.node n
	WHERE n.id > 0;
COMMENT ON VIEW team.nodes IS 'The Dovecot nodes that write the log';

CREATE FUNCTION team.export_records(p_node text, p_after bigint, p_limit int)
RETURNS SETOF team.export
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.export e
	WHERE e.node_id = (SELECT n.id FROM team.node n
			   WHERE n.name = team.short(p_node)) AND
		e.seq > p_after
	ORDER BY e.seq LIMIT p_limit
$$;
COMMENT ON FUNCTION team.export_records(text, bigint, int) IS
	'The node''s records after one, in order';

CREATE FUNCTION team.export_notes(p_node text, p_after bigint)
RETURNS SETOF team.notes
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.notes t
	WHERE t.node = p_node AND t.id > p_after ORDER BY t.id LIMIT 10000
$$;
COMMENT ON FUNCTION team.export_notes(text, bigint) IS
	'What the node signed, in order';

CREATE FUNCTION team.export_nodes()
RETURNS SETOF team.nodes
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM team.nodes n ORDER BY n.name
$$;
COMMENT ON FUNCTION team.export_nodes() IS 'The nodes that write the log';

REVOKE ALL ON team.note, team.export, team.notes, team.nodes FROM PUBLIC;
REVOKE ALL ON FUNCTION team.add_note(int, text, text),
	team.export_records(text, bigint, int), team.export_notes(text, bigint),
	team.export_nodes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION team.add_note(int, text, text),
	team.export_records(text, bigint, int), team.export_notes(text, bigint),
	team.export_nodes() TO team_service;
GRANT SELECT ON team.export, team.notes, team.nodes TO team_auditor;
GRANT EXECUTE ON FUNCTION team.uid_set(bigint) TO team_auditor;
