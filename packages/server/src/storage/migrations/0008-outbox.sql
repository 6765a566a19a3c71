create table outbox (
  id text not null,
  app_id text not null,
  message text not null,
  sent_at bigint not null,
  expires_at bigint not null,
  constraint outbox_key primary key (id),
  constraint outbox_app foreign key (app_id) references apps (id) on delete cascade
);
