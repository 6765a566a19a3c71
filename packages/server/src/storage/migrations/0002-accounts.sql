delete from sessions;
delete from codes;
delete from links;
delete from handshakes;

alter table sessions add column method text not null default '';
alter table sessions add column device_id text;
alter table sessions add column proven integer not null default 0;
create index sessions_device_id on sessions (device_id);

alter table links add column channel text not null default '';
alter table links add column source text not null default '';
alter table links add column session_id text;
alter table links add column address text;

alter table codes add column channel text not null default '';
create index codes_app_id_user_id on codes (app_id, user_id);

alter table handshakes add column session_id text;
create index handshakes_app_id_user_id on handshakes (app_id, user_id);

alter table devices add column proven integer not null default 0;

alter table users add column origin text not null default 'back_end';
alter table users add column email_proven_at bigint;
alter table users add column phone_proven_at bigint;
alter table users add column open_metadata text;

update users set origin = 'signup' where login_count > 0;

update users set email_proven_at = (
  select max(events.created_at) from events
  where events.app_id = users.app_id and events.user_id = users.id
  and events.type in ('otp.completed', 'magic_link.completed', 'magic_link.claimed')
) where email_verified = 1;

update users set phone_proven_at = (
  select max(events.created_at) from events
  where events.app_id = users.app_id and events.user_id = users.id
  and events.type in ('otp.completed', 'magic_link.completed', 'magic_link.claimed')
) where phone_verified = 1;

update devices set proven = 1 where exists (
  select 1 from users
  where users.app_id = devices.app_id and users.id = devices.user_id
  and (users.email_proven_at is not null or users.phone_proven_at is not null)
);
