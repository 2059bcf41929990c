-- Idempotency is permanent: one row for every key ever accepted. The feed is its 50 newest, by query.
-- Keys may be longer than an index takes, so their digest is the key. `xid` orders the live channel: rows of
-- transactions before the oldest one under way are all there.
create table milestones (
    key_digest bytea primary key,
    idempotency_key text not null,
    milestone_id text not null,
    at timestamptz not null,
    received_at timestamptz not null default now(),
    xid xid8 not null default pg_current_xact_id(),
    seq bigint generated always as identity,
    event text not null
);
create index milestones_feed on milestones (at desc, seq desc);
create index milestones_live on milestones (xid, seq);

create table demand_keys (
    key_digest bytea primary key,
    summary_id text not null,
    received_at timestamptz not null default now()
);

-- The one newest snapshot; an older one that comes late never replaces it.
create table demand_latest (
    only_row boolean primary key default true check (only_row),
    at timestamptz not null,
    snapshot text not null
);

create table dead_letters (
    id bigint generated always as identity primary key,
    channel text not null,
    at timestamptz not null default now(),
    reason text not null,
    idempotency_key text
);
create index dead_letters_newest on dead_letters (channel, id desc);

-- 100 a channel are kept; whoever inserts drops what falls out.
create function bound_dead_letters() returns trigger language plpgsql as $$
begin
    delete from dead_letters where channel = new.channel and id <= (
        select id from dead_letters where channel = new.channel order by id desc offset 100 limit 1
    );
    return null;
end
$$;
create trigger dead_letters_bounded after insert on dead_letters
    for each row execute function bound_dead_letters();
