-- No foreign keys: entries outlive what they are about.
create table audit (
  id text not null,
  app_id text,
  user_id text,
  type text not null,
  actor text not null,
  actor_id text,
  ip text,
  user_agent text,
  details text not null,
  created_at bigint not null,
  constraint audit_key primary key (id)
);
create index audit_created_at on audit (created_at);
create index audit_app_id_created_at on audit (app_id, created_at);
create index audit_user_id_created_at on audit (user_id, created_at);
create index audit_type_created_at on audit (type, created_at);
create index audit_actor_id_created_at on audit (actor_id, created_at);
