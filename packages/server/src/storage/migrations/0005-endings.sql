alter table users add column ended_at bigint not null default 0;
