-- +goose Up
-- Partial, so that it does not grow with meetings that are untouched or over; by id, which never changes, so that no meeting
-- slips from one page to another while the live ones are read.
create index meetings_live on meetings (id) where state <> 'scheduled' and state <> 'ended';

-- +goose Down
drop index meetings_live;
