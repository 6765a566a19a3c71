create table meta (
  name text not null,
  value text not null,
  constraint meta_key primary key (name)
);

create table limits (
  id text not null,
  count integer not null,
  resets_at bigint not null,
  constraint limits_key primary key (id)
);
create index limits_resets_at on limits (resets_at);

create table apps (
  id text not null,
  settings text not null,
  created_at bigint not null,
  updated_at bigint not null,
  constraint apps_key primary key (id)
);

create table api_keys (
  id text not null,
  app_id text not null,
  name text not null,
  prefix text not null,
  hash text not null,
  created_at bigint not null,
  last_used_at bigint,
  constraint api_keys_key primary key (id),
  constraint api_keys_app foreign key (app_id) references apps (id) on delete cascade
);
create unique index api_keys_hash on api_keys (hash);
create index api_keys_app_id on api_keys (app_id);

create table signing_keys (
  id text not null,
  app_id text not null,
  public_jwk text not null,
  private_jwk text not null,
  created_at bigint not null,
  active_at bigint not null,
  retires_at bigint,
  constraint signing_keys_key primary key (app_id, id),
  constraint signing_keys_app foreign key (app_id) references apps (id) on delete cascade
);

create table users (
  app_id text not null,
  id text not null,
  email text,
  email_verified integer not null,
  phone text,
  phone_verified integer not null,
  external_id text not null,
  status text not null,
  login_count integer not null,
  metadata text,
  created_at bigint not null,
  updated_at bigint not null,
  last_login_at bigint not null,
  constraint users_key primary key (app_id, id),
  constraint users_app foreign key (app_id) references apps (id) on delete cascade
);
create unique index users_app_id_email on users (app_id, email);
create unique index users_app_id_phone on users (app_id, phone);
create index users_app_id_created_at_id on users (app_id, created_at, id);
create index users_app_id_updated_at_id on users (app_id, updated_at, id);
create index users_app_id_last_login_at_id on users (app_id, last_login_at, id);
create index users_app_id_login_count_id on users (app_id, login_count, id);
create index users_app_id_status_created_at_id on users (app_id, status, created_at, id);

create table devices (
  id text not null,
  app_id text not null,
  user_id text not null,
  cred_id text not null,
  public_key text not null,
  counter bigint not null,
  transports text not null,
  aaguid text not null,
  backup_eligible integer not null,
  backed_up integer not null,
  type text not null,
  friendly_name text not null,
  usage_count integer not null,
  created_at bigint not null,
  updated_at bigint not null,
  last_login_at bigint not null,
  constraint devices_key primary key (app_id, id),
  constraint devices_user foreign key (app_id, user_id) references users (app_id, id) on delete cascade
);
create unique index devices_app_id_cred_id on devices (app_id, cred_id);
create index devices_app_id_user_id on devices (app_id, user_id);

create table handshakes (
  id_hash text not null,
  app_id text not null,
  ceremony text not null,
  challenge_hash text not null,
  user_id text,
  allowed text,
  expires_at bigint not null,
  constraint handshakes_key primary key (id_hash),
  constraint handshakes_app foreign key (app_id) references apps (id) on delete cascade
);
create index handshakes_expires_at on handshakes (expires_at);

create table codes (
  id_hash text not null,
  app_id text not null,
  user_id text,
  identifier text not null,
  code_hash text not null,
  attempts integer not null,
  created_at bigint not null,
  expires_at bigint not null,
  constraint codes_key primary key (id_hash),
  constraint codes_app foreign key (app_id) references apps (id) on delete cascade
);
create index codes_expires_at on codes (expires_at);
create index codes_app_id_identifier on codes (app_id, identifier);

create table links (
  id_hash text not null,
  secret_hash text not null,
  app_id text not null,
  user_id text not null,
  identifier text not null,
  type text not null,
  redirect_url text not null,
  created_at bigint not null,
  expires_at bigint not null,
  activated_at bigint,
  claimed_at bigint,
  constraint links_key primary key (id_hash),
  constraint links_user foreign key (app_id, user_id) references users (app_id, id) on delete cascade
);
create unique index links_secret_hash on links (secret_hash);
create index links_expires_at on links (expires_at);
create index links_app_id_user_id on links (app_id, user_id);

create table sessions (
  id text not null,
  app_id text not null,
  user_id text not null,
  created_at bigint not null,
  expires_at bigint not null,
  constraint sessions_key primary key (id),
  constraint sessions_user foreign key (app_id, user_id) references users (app_id, id) on delete cascade
);
create index sessions_app_id_user_id on sessions (app_id, user_id);
create index sessions_expires_at on sessions (expires_at);

create table refresh_tokens (
  hash text not null,
  session_id text not null,
  app_id text not null,
  created_at bigint not null,
  expires_at bigint not null,
  used_at bigint,
  constraint refresh_tokens_session foreign key (session_id) references sessions (id) on delete cascade,
  constraint refresh_tokens_key primary key (hash)
);
create index refresh_tokens_session_id on refresh_tokens (session_id);

create table events (
  id text not null,
  app_id text not null,
  user_id text not null,
  type text not null,
  action text not null,
  ip_addr text not null,
  user_agent text not null,
  created_at bigint not null,
  constraint events_key primary key (id),
  constraint events_user foreign key (app_id, user_id) references users (app_id, id) on delete cascade
);
create index events_app_id_user_id_created_at on events (app_id, user_id, created_at);
