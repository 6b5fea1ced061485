-- +goose Up
-- The embedded zone's texts, which prove to certificate authorities that the zone is ours. at is when one was written.
create table texts (
    name  text    not null,
    value text    not null,
    at    integer not null,
    primary key (name, value)
) without rowid;
create index texts_by_time on texts (at);

-- +goose Down
drop table texts;
