-- +goose Up
-- The table of migrations/sqlite/0002_texts.sql, with the same meaning.
create table texts (
    name  text collate "C" not null,
    value text collate "C" not null,
    at    bigint           not null,
    primary key (name, value)
);
create index texts_by_time on texts (at);

-- +goose Down
drop table texts;
