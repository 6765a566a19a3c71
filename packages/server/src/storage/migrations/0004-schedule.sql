-- What has expired is looked up by its time, without reading all that has not.
create index events_created_at on events (created_at);
