-- +goose Up
-- The index of migrations/sqlite/0003_live.sql, with the same meaning.
create index meetings_live on meetings (id) where state <> 'scheduled' and state <> 'ended';
-- The version before goes on beside this one.
insert into settings (name, value) values ('schema_compatible', '2'), ('schema_compatible_of', '3') on conflict (name) do update set value = excluded.value;

-- +goose Down
drop index meetings_live;
delete from settings where name in ('schema_compatible', 'schema_compatible_of');
