-- +goose Up
-- Times are microseconds since 1970 in UTC. doc is the JSON of the meeting or event; what queries need of it
-- stands beside it in columns.
create table meetings (
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
create index meetings_by_start on meetings (starts_at, id);
create index meetings_by_state on meetings (state, starts_at, id);
-- Partial, so that it does not grow with meetings that are over.
create index meetings_by_wake on meetings (wake_at, id) where wake_at is not null and not closed;

create table events (
    meeting_id text    not null references meetings (id),
    seq        integer not null,
    at         integer not null,
    kind       text    not null,
    doc        blob    not null,
    primary key (meeting_id, seq)
) without rowid;
create index events_by_kind on events (kind, at);

create table idempotency (
    key         text    not null primary key,
    fingerprint text    not null,
    meeting_id  text    not null references meetings (id),
    at          integer not null
);
create index idempotency_by_time on idempotency (at);

create table settings (
    name  text not null primary key,
    value text not null
);

create table records (
    name    text not null primary key,
    address text not null,
    owner   text not null
);

-- One row that is written to see whether writing works.
create table pulse (
    id integer not null primary key,
    at integer not null
);

-- +goose Down
drop table pulse;
drop table records;
drop table settings;
drop table idempotency;
drop table events;
drop table meetings;
