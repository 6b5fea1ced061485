-- +goose Up
-- The tables of migrations/sqlite/0001_first.sql, with the same meaning. Times are microseconds since 1970 in UTC.
-- Text that is ordered or compared in cursors has collation "C", so that its order is SQLite's and Go's.
--
-- A meeting that is under way is saved many times a minute, and each save writes its row twice: the save itself moves
-- wake_at, which is indexed, and the engine's job is noted in wake_job, which is not, so that this second write can be
-- HOT. For that there must be room in the page (fillfactor) and the row must be small: toast_tuple_target moves doc,
-- compressed, out of it. Vacuuming goes by the number of dead rows and hardly by the size of the table, most of
-- which is meetings that are over and never change again.
create table meetings (
    id        text collate "C" not null primary key,
    rev       bigint           not null,
    state     text collate "C" not null,
    starts_at bigint           not null,
    wake_at   bigint, -- null is none
    wake_job  bigint           not null default 0, -- the engine's job for wake_at, 0 is none
    last_seq  bigint           not null, -- of the latest event
    closed    boolean          not null,
    doc       bytea            not null
) with (
    fillfactor = 80, toast_tuple_target = 128,
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_analyze_threshold = 5000, autovacuum_analyze_scale_factor = 0.01,
    toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_scale_factor = 0.01
);
create index meetings_by_start on meetings (starts_at, id);
create index meetings_by_state on meetings (state, starts_at, id);
-- Partial, so that it does not grow with meetings that are over.
create index meetings_by_wake on meetings (wake_at, id) where wake_at is not null and not closed;

create table events (
    meeting_id text collate "C" not null references meetings (id),
    seq        bigint           not null,
    at         bigint           not null,
    kind       text collate "C" not null,
    doc        bytea            not null,
    primary key (meeting_id, seq)
);
create index events_by_kind on events (kind, at, meeting_id, seq);

create table idempotency (
    key         text collate "C" not null primary key,
    fingerprint text             not null,
    meeting_id  text collate "C" not null references meetings (id),
    at          bigint           not null
);
create index idempotency_by_time on idempotency (at);

create table settings (
    name  text collate "C" not null primary key,
    value text             not null
);

create table records (
    name    text collate "C" not null primary key,
    address text             not null,
    owner   text             not null
);

-- One row that is written to see whether writing works.
create table pulse (
    id bigint not null primary key,
    at bigint not null
) with (fillfactor = 10);

-- +goose Down
drop table pulse;
drop table records;
drop table settings;
drop table idempotency;
drop table events;
drop table meetings;
