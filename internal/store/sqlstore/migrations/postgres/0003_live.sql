-- +goose Up
-- The index of migrations/sqlite/0003_live.sql, with the same meaning.
create index meetings_live on meetings (id) where state <> 'scheduled' and state <> 'ended';

-- +goose Down
drop index meetings_live;
