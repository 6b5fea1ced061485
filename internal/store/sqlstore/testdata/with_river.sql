BEGIN TRANSACTION;
CREATE TABLE events (
    meeting_id text    not null references meetings (id),
    seq        integer not null,
    at         integer not null,
    kind       text    not null,
    doc        blob    not null,
    primary key (meeting_id, seq)
) without rowid;
INSERT INTO "events" VALUES('4k281cmgsy3xt9cn',1,1795827109435964,'scheduled',X'7B22736571223A312C226174223A22323032362D31312D32385430303A35313A34392E3433353936343730395A222C226B696E64223A227363686564756C6564222C226D657373616765223A22546865206D656574696E6720776173207363686564756C65642E222C2264617461223A7B22656E64735F6174223A22323032362D31312D32385430343A35313A34395A222C227374617274735F6174223A22323032362D31312D32385430333A35313A34395A227D7D');
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-28 00:51:35');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-28 00:51:35');
INSERT INTO "goose_db_version" VALUES(3,2,1,'2026-11-28 00:51:35');
INSERT INTO "goose_db_version" VALUES(4,3,1,'2026-11-28 00:51:35');
CREATE TABLE idempotency (
    key         text    not null primary key,
    fingerprint text    not null,
    meeting_id  text    not null references meetings (id),
    at          integer not null
);
CREATE TABLE meetings (
    id        text    not null primary key,
    rev       integer not null,
    state     text    not null,
    starts_at integer not null,
    wake_at   integer, -- null is none
    wake_job  integer not null default 0, -- the engine's job for wake_at, 0 is none
    last_seq  integer not null, -- of the latest event
    closed    boolean not null,
    doc       blob    not null
);
INSERT INTO "meetings" VALUES('4k281cmgsy3xt9cn',2,'scheduled',1795837909000000,1795837309000000,2,1,0,X'7B226964223A22346B323831636D67737933787439636E222C22726576223A322C2276657273696F6E223A312C227469746C65223A224B657074222C227374617274735F6174223A22323032362D31312D32385430333A35313A34395A222C22656E64735F6174223A22323032362D31312D32385430343A35313A34395A222C2274696D655F7A6F6E65223A22555443222C22626C75657072696E74223A7B226E616D65223A2264656661756C74222C2270726F7669646572223A226C6F63616C222C2270726F746F636F6C223A226E6F766E63222C227365617473223A5B2274656163686572222C2273747564656E74225D2C226170706C69636174696F6E73223A5B22787465726D225D2C2273637265656E223A223132383078383030222C226167656E74223A22677265656E726F6F6D222C2275736572223A227061727469636970616E74222C2272756C6573223A7B226C656164223A2231306D222C226E6F5F73686F775F6166746572223A2231356D222C22656D7074795F6166746572223A2231306D222C226772616365223A22356D222C226F76657274696D65223A2233306D222C226B696C6C5F6166746572223A22313268222C22777261705F7570223A22316D222C2273746167655F646561646C696E65223A7B22626F6F74696E67223A22356D222C226C61756E6368696E67223A22326D222C226E616D696E67223A22326D222C2270726F76696E67223A22336D227D7D7D2C227365617473223A5B7B22726F6C65223A2274656163686572222C226E616D65223A22416461222C226B6579223A226D6C554B5A79383667443147385678476B54715875794B356D2D5F79746C6343544C69506D35486848456F222C226465736B746F70223A7B227068617365223A22706C616E6E6564222C22617474656D7074223A312C2274696D696E6773223A7B22706C616E6E6564223A22323032362D31312D32385430303A35313A34392E3433353936343730395A227D7D7D5D2C22637265617465645F6174223A22323032362D31312D32385430303A35313A34392E3433353936343730395A222C2277616B655F6174223A22323032362D31312D32385430333A34313A34395A227D');
CREATE TABLE pulse (
    id integer not null primary key,
    at integer not null
);
CREATE TABLE records (
    name    text not null primary key,
    address text not null,
    owner   text not null
);
CREATE TABLE river_job (
    id integer PRIMARY KEY AUTOINCREMENT,
    args blob NOT NULL DEFAULT (jsonb('{}')),
    attempt integer NOT NULL DEFAULT 0,
    attempted_at timestamp,
    attempted_by blob, -- json
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    errors blob, -- json
    finalized_at timestamp,
    kind text NOT NULL,
    max_attempts integer NOT NULL DEFAULT 25,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    priority integer NOT NULL DEFAULT 1,
    queue text NOT NULL DEFAULT 'default',
    state text NOT NULL DEFAULT 'available',
    scheduled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    tags blob NOT NULL DEFAULT (jsonb('[]')),
    unique_key blob,
    unique_states integer,
    CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
    ),
    CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
    CONSTRAINT queue_length CHECK (length(queue) > 0 AND length(queue) < 128),
    CONSTRAINT kind_length CHECK (length(kind) > 0 AND length(kind) < 128),
    CONSTRAINT state_valid CHECK (state IN ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'))
);
INSERT INTO "river_job" VALUES(2,X'CC1A776D656574696E67C710346B323831636D67737933787439636E',0,NULL,NULL,'2026-11-28 00:51:49.440',NULL,NULL,'wake',25,X'CC26C71272697665723A756E697175655F6E6F6E6365C71038396236663333393566363732363733',1,'wakes','scheduled','2026-11-28 03:41:59.000',X'0B',NULL,NULL);
CREATE TABLE river_leader (
    elected_at timestamp NOT NULL,
    expires_at timestamp NOT NULL,
    leader_id text NOT NULL,
    name text PRIMARY KEY NOT NULL DEFAULT 'default' CHECK (name = 'default'),
    CONSTRAINT name_length CHECK (length(name) > 0 AND length(name) < 128),
    CONSTRAINT leader_id_length CHECK (length(leader_id) > 0 AND length(leader_id) < 128)
);
INSERT INTO "river_leader" VALUES('2026-11-28 00:51:35.740','2026-11-28 00:52:00.752','vm_2026_11_28T00_51_35_728260','default');
CREATE TABLE river_migration (
    line text NOT NULL,
    version integer NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT line_length CHECK (length(line) > 0 AND length(line) < 128),
    CONSTRAINT version_gte_1 CHECK (version >= 1),
    PRIMARY KEY (line, version)
);
INSERT INTO "river_migration" VALUES('main',1,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',2,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',3,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',4,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',5,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',6,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',7,'2026-11-28 00:51:35');
INSERT INTO "river_migration" VALUES('main',8,'2026-11-28 00:51:35');
CREATE TABLE river_notification (
    id integer PRIMARY KEY AUTOINCREMENT,
    created_at timestamp NOT NULL DEFAULT (datetime('now', 'subsec')),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);
CREATE TABLE river_queue (
    name text PRIMARY KEY NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    paused_at timestamp,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO "river_queue" VALUES('wakes','2026-11-28 00:51:35.728',X'0C',NULL,'2026-11-28 00:51:35.728');
CREATE TABLE settings (
    name  text not null primary key,
    value text not null
);
INSERT INTO "settings" VALUES('schema_compatible','2');
INSERT INTO "settings" VALUES('schema_compatible_of','3');
INSERT INTO "settings" VALUES('owner','yzafpdbmj6qvkh88');
INSERT INTO "settings" VALUES('master_key','Ba6K1qAXn9unuchlJYPKWuL38gUUipAQM7-IPeFSRDc');
CREATE TABLE texts (
    name  text    not null,
    value text    not null,
    at    integer not null,
    primary key (name, value)
) without rowid;
CREATE INDEX meetings_by_start on meetings (starts_at, id);
CREATE INDEX meetings_by_state on meetings (state, starts_at, id);
CREATE INDEX meetings_by_wake on meetings (wake_at, id) where wake_at is not null and not closed;
CREATE INDEX events_by_kind on events (kind, at);
CREATE INDEX idempotency_by_time on idempotency (at);
CREATE INDEX texts_by_time on texts (at);
CREATE INDEX meetings_live on meetings (id) where state <> 'scheduled' and state <> 'ended';
CREATE INDEX river_notification_created_at_idx ON river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON river_notification (topic, id);
CREATE INDEX river_job_kind ON river_job (kind);
CREATE INDEX river_job_state_and_finalized_at_index ON river_job (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX river_job_prioritized_fetching_index ON river_job (state, queue, priority, scheduled_at, id);
CREATE UNIQUE INDEX river_job_unique_idx ON river_job (unique_key)
    WHERE unique_key IS NOT NULL
        AND unique_states IS NOT NULL
        AND CASE state
            WHEN 'available' THEN unique_states & (1 << 0)
            WHEN 'cancelled' THEN unique_states & (1 << 1)
            WHEN 'completed' THEN unique_states & (1 << 2)
            WHEN 'discarded' THEN unique_states & (1 << 3)
            WHEN 'pending'   THEN unique_states & (1 << 4)
            WHEN 'retryable' THEN unique_states & (1 << 5)
            WHEN 'running'   THEN unique_states & (1 << 6)
            WHEN 'scheduled' THEN unique_states & (1 << 7)
            ELSE 0
        END >= 1;
CREATE INDEX greenroom_jobs_due on river_job (state, scheduled_at) where state in ('retryable', 'scheduled');
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('goose_db_version',4);
INSERT INTO "sqlite_sequence" VALUES('river_job',2);
COMMIT;
