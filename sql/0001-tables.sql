-- SPDX-License-Identifier: LGPL-2.1-or-later
--
-- dovecot-team: the schema, its roles and its tables.
--
-- Migrations run in the order of their numbers, each in a transaction of its
-- own, as the owner of the database. Nothing here needs a superuser;
-- CREATEROLE is needed only while the two roles don't exist yet.

CREATE SCHEMA team;
COMMENT ON SCHEMA team IS
	'dovecot-team: private flags, claims and audit log of shared mailboxes';
REVOKE ALL ON SCHEMA team FROM PUBLIC;

CREATE TABLE team.migration (
	version int PRIMARY KEY,
	name text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	checksum text NOT NULL
);
COMMENT ON TABLE team.migration IS
	'What has been applied; written by doveadm team schema install|upgrade';

-- Roles belong to the whole cluster: another database may have made them.
DO $$
DECLARE
	v_role text;
BEGIN
	FOREACH v_role IN ARRAY ARRAY['team_service', 'team_auditor'] LOOP
		CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles
				      WHERE rolname = v_role);
		BEGIN
			EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', v_role);
		EXCEPTION
		WHEN duplicate_object OR unique_violation THEN
			NULL;
		WHEN insufficient_privilege THEN
			RAISE EXCEPTION 'role "%" doesn''t exist and "%" may not create roles',
				v_role, current_user
				USING ERRCODE = 'insufficient_privilege',
				HINT = 'As a superuser: CREATE ROLE team_service; CREATE ROLE team_auditor; then install again.';
		END;
	END LOOP;
END
$$;
GRANT USAGE ON SCHEMA team TO team_service, team_auditor;

CREATE TABLE team.node (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE,
	hwm bigint NOT NULL DEFAULT 0,
	first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
	last_seen timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE team.node IS
	'The Dovecot nodes. Node 0 is nobody: changes that every node has to fetch';
COMMENT ON COLUMN team.node.hwm IS
	'High-water mark: the last record of the node''s journal that is in the log';

CREATE TABLE team.colleague (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL UNIQUE
);
COMMENT ON TABLE team.colleague IS 'The persons who authenticated';

CREATE TABLE team.mailbox (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	guid text NOT NULL CHECK (guid ~ '^[0-9a-f]{32}$'),
	uidvalidity bigint NOT NULL CHECK (uidvalidity BETWEEN 0 AND 4294967295),
	name text NOT NULL DEFAULT '',
	rev bigint NOT NULL DEFAULT 0,
	UNIQUE (guid, uidvalidity)
) WITH (fillfactor = 50);
COMMENT ON TABLE team.mailbox IS
	'Mailboxes by GUID and UIDVALIDITY, so that a rename keeps all and a mailbox made anew starts clean';
COMMENT ON COLUMN team.mailbox.name IS 'The name under which it was last seen';
COMMENT ON COLUMN team.mailbox.rev IS
	'Rises with each transaction that changes flags or claims. Whoever writes either holds the lock on this row until commit, so that no lower revision ever shows up after a higher one';

CREATE TABLE team.mailbox_name (
	name text NOT NULL,
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	PRIMARY KEY (name, mailbox_id)
);
COMMENT ON TABLE team.mailbox_name IS
	'Every name that a mailbox ever had for anybody, for searching the log';

CREATE TABLE team.message (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	uid bigint NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
	message_id text,
	PRIMARY KEY (mailbox_id, uid)
);
-- Equality is all that's asked, and a hash takes IDs of any length.
CREATE INDEX message_message_id ON team.message USING hash (message_id);
COMMENT ON TABLE team.message IS
	'Message-IDs as given, filled when a message is first seen and kept as long as the log speaks of it';
COMMENT ON COLUMN team.message.message_id IS
	'With its angle brackets; NULL: the message is known to have none';

CREATE TABLE team.message_block (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	block int NOT NULL,
	uids int8multirange NOT NULL,
	PRIMARY KEY (mailbox_id, block)
) WITH (fillfactor = 50);
COMMENT ON TABLE team.message_block IS
	'The UIDs that team.message knows, in blocks of 1024: answers which are known without reading a row for each message';

CREATE TABLE team.flag (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	colleague_id int NOT NULL REFERENCES team.colleague,
	flag text NOT NULL,
	block int NOT NULL,
	uids int8multirange NOT NULL,
	rev bigint NOT NULL,
	node int NOT NULL,
	other_rev bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (mailbox_id, colleague_id, flag, block)
) WITH (fillfactor = 50);
-- Copies and expunges look for all colleagues' flags of a few messages. Whole
-- keys, so that it's no worse a choice than the primary key for anything.
CREATE INDEX flag_block ON team.flag (mailbox_id, block, colleague_id, flag);
COMMENT ON TABLE team.flag IS
	'Private flags and keywords: the messages of a block of 1024 UIDs that have the flag for the colleague';
COMMENT ON COLUMN team.flag.block IS 'UID / 1024';
COMMENT ON COLUMN team.flag.rev IS 'mailbox.rev of the last change';
COMMENT ON COLUMN team.flag.node IS
	'The node that made the last change and needs not be told; 0: all have to be told';
COMMENT ON COLUMN team.flag.other_rev IS
	'mailbox.rev of the last change made by another node than "node"';

CREATE TABLE team.claim (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	uid bigint NOT NULL CHECK (uid BETWEEN 1 AND 4294967295),
	colleague_id int NOT NULL REFERENCES team.colleague,
	node int NOT NULL,
	session text,
	since timestamptz NOT NULL,
	until timestamptz NOT NULL,
	PRIMARY KEY (mailbox_id, uid)
);
CREATE INDEX claim_until ON team.claim (until);
COMMENT ON TABLE team.claim IS
	'Who holds which message. A row whose time is up counts as none';

CREATE TABLE team.claim_lapsed (
	mailbox_id int NOT NULL REFERENCES team.mailbox,
	uid bigint NOT NULL,
	colleague_id int NOT NULL REFERENCES team.colleague,
	since timestamptz NOT NULL,
	until timestamptz NOT NULL
);
COMMENT ON TABLE team.claim_lapsed IS
	'Claims that were taken anew after they lapsed and before anybody noticed: waits for team.claim_lapse to report them';

CREATE TYPE team.private_change AS (
	flag text,
	added boolean,
	uids int8multirange
);
COMMENT ON TYPE team.private_change IS
	'A private flag added or removed on some of a record''s messages only';

CREATE FUNCTION team.uid_count(p_uids int8multirange) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT sum(upper(u) - lower(u))::bigint FROM unnest(p_uids) u);
COMMENT ON FUNCTION team.uid_count(int8multirange) IS
	'How many UIDs are in the set; NULL for an empty one or one without end';

CREATE FUNCTION team.uids_valid(p_uids int8multirange) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN p_uids IS NULL OR isempty(p_uids) THEN true
	WHEN lower_inf(p_uids) OR upper_inf(p_uids) OR
		lower(p_uids) < 1 OR upper(p_uids) > 4294967296 THEN false
	ELSE upper(p_uids) - lower(p_uids) <= 10000000 OR
		team.uid_count(p_uids) <= 10000000
END;
COMMENT ON FUNCTION team.uids_valid(int8multirange) IS
	'Whether these are UIDs at all, and no more than a mailbox can hold (10 million): bigger sets are never expanded';

CREATE FUNCTION team.private_valid(p_private team.private_change[])
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT coalesce(bool_and(team.uids_valid(c.uids)), true)
	FROM unnest(p_private) c);
COMMENT ON FUNCTION team.private_valid(team.private_change[]) IS
	'Whether all the sets are of UIDs';

CREATE FUNCTION team.place(p_mailbox_id int, p_uids int8multirange)
RETURNS int8range
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int8range((p_mailbox_id::bigint << 32) + lower(p_uids),
		 (p_mailbox_id::bigint << 32) + upper(p_uids));
COMMENT ON FUNCTION team.place(int, int8multirange) IS
	'Mailbox and UIDs from the first to the last as one range, for an index over both without an extension';

CREATE TABLE team.record (
	at timestamptz NOT NULL,
	node int NOT NULL,
	seq bigint NOT NULL,
	action text NOT NULL,
	outcome text NOT NULL,
	colleague_id int,
	username text,
	session text,
	service text,
	ip text,
	tls text,
	client text,
	mailbox_id int,
	mailbox text,
	msg_mailbox_id int,
	source_only boolean NOT NULL DEFAULT false,
	uid bigint CHECK (uid BETWEEN 1 AND 4294967295),
	uids int8multirange CHECK (team.uids_valid(uids)),
	mids text,
	added text,
	removed text,
	private_added text,
	private_removed text,
	private team.private_change[] CHECK (team.private_valid(private)),
	from_mailbox_id int,
	from_mailbox text,
	from_uid bigint CHECK (from_uid BETWEEN 1 AND 4294967295),
	from_uids int8multirange CHECK (team.uids_valid(from_uids)),
	detail jsonb,
	PRIMARY KEY (at, node, seq)
) PARTITION BY RANGE (at);
COMMENT ON TABLE team.record IS
	'The log: every record of every node''s journal. Rows are added and never changed; whole months are dropped';
COMMENT ON COLUMN team.record.msg_mailbox_id IS
	'The mailbox that uid and uids are in: mailbox_id, or from_mailbox_id with source_only';
COMMENT ON COLUMN team.record.source_only IS
	'A copy or move that put nothing anywhere: uid and uids are the source''s';
COMMENT ON COLUMN team.record.uid IS 'The message, if it is a single one';
COMMENT ON COLUMN team.record.uids IS 'The messages, if they are several';
COMMENT ON COLUMN team.record.private_added IS
	'Private flags added to all messages of the record, space separated';
COMMENT ON COLUMN team.record.private IS
	'Private flags that were changed in only some of the messages';

CREATE INDEX record_colleague ON team.record (colleague_id, at);
CREATE INDEX record_mailbox ON team.record (mailbox_id, at);
CREATE INDEX record_from_mailbox ON team.record (from_mailbox_id, at)
	WHERE from_mailbox_id IS NOT NULL;
-- Most records are of one message and cost a cheap entry here; the others,
-- fewer, go into range indexes.
CREATE INDEX record_uid ON team.record (msg_mailbox_id, uid)
	WHERE uid IS NOT NULL;
CREATE INDEX record_uids ON team.record
	USING gist (team.place(msg_mailbox_id, uids))
	WHERE uids IS NOT NULL;
CREATE INDEX record_from_uid ON team.record (from_mailbox_id, from_uid)
	WHERE from_uid IS NOT NULL;
CREATE INDEX record_from_uids ON team.record
	USING gist (team.place(from_mailbox_id, from_uids))
	WHERE from_uids IS NOT NULL;

CREATE FUNCTION team.record_refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'the log is append-only: % on %.% refused',
		TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
		USING ERRCODE = 'insufficient_privilege',
		HINT = 'Retention drops the partitions of whole months.';
END
$$;
COMMENT ON FUNCTION team.record_refuse() IS
	'Trigger: keeps even the owner from changing the log by a slip';

CREATE TRIGGER record_append_only
	BEFORE UPDATE OR DELETE OR TRUNCATE ON team.record
	FOR EACH STATEMENT EXECUTE FUNCTION team.record_refuse();

CREATE FUNCTION team.make_partition(p_at timestamptz) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- Months are UTC's, whatever the session's time zone.
	v_from timestamp := date_trunc('month', p_at AT TIME ZONE 'UTC');
	v_name text := 'record_' || to_char(v_from, 'YYYYMM');
BEGIN
	IF to_regclass(format('team.%I', v_name)) IS NOT NULL THEN
		RETURN NULL;
	END IF;
	-- Two nodes may find out at the same time that a new month began.
	PERFORM pg_advisory_xact_lock(hashtextextended('team.record', 0));
	IF to_regclass(format('team.%I', v_name)) IS NOT NULL THEN
		RETURN NULL;
	END IF;
	-- Attaching, unlike PARTITION OF, doesn't wait for readers.
	EXECUTE format('CREATE TABLE team.%I (LIKE team.record INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
		v_name);
	EXECUTE format('ALTER TABLE team.record ATTACH PARTITION team.%I FOR VALUES FROM (%L) TO (%L)',
		v_name, v_from AT TIME ZONE 'UTC',
		(v_from + interval '1 month') AT TIME ZONE 'UTC');
	EXECUTE format('CREATE TRIGGER record_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON team.%I FOR EACH STATEMENT EXECUTE FUNCTION team.record_refuse()',
		v_name);
	RETURN v_name;
END
$$;
COMMENT ON FUNCTION team.make_partition(timestamptz) IS
	'Makes the log''s partition for the month of the time, if it is missing; returns its name if it was';

DO $$
BEGIN
	PERFORM team.make_partition(now());
	PERFORM team.make_partition(now() + interval '1 month');
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA team FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA team FROM PUBLIC;
