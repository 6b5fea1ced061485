-- +goose Up
-- Partial, so that it does not grow with meetings that are untouched or over; by id, which never changes, so that no meeting
-- slips from one page to another while the live ones are read.
create index meetings_live on meetings (id) where state <> 'scheduled' and state <> 'ended';
-- The version before goes on beside this one.
insert into settings (name, value) values ('schema_compatible', '2'), ('schema_compatible_of', '3') on conflict (name) do update set value = excluded.value;

-- +goose Down
drop index meetings_live;
delete from settings where name in ('schema_compatible', 'schema_compatible_of');
