-- No foreign keys: events outlive what they are about.
create table webhooks (
  id text not null,
  app_id text not null,
  user_id text not null,
  position bigint not null,
  type text not null,
  body text not null,
  state text not null,
  attempts integer not null,
  due_at bigint not null,
  expires_at bigint not null,
  done_at bigint,
  answer text,
  created_at bigint not null,
  constraint webhooks_key primary key (id)
);
create unique index webhooks_app_id_user_id_position on webhooks (app_id, user_id, position);
create index webhooks_state_due_at on webhooks (state, due_at);
create index webhooks_created_at on webhooks (created_at);
create index webhooks_done_at on webhooks (done_at);
create index webhooks_expires_at on webhooks (expires_at);
