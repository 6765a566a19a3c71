alter table users add column email_open integer not null default 0;
alter table users add column phone_open integer not null default 0;

alter table codes add column action text not null default 'login';
alter table links add column action text not null default 'login';
