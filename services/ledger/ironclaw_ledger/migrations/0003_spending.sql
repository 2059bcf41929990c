-- Not facts, like leases: what model calls cost, and what is held back for calls under way.
create table accounts (
    account text primary key,
    tokens bigint not null default 0,
    cost_microusd bigint not null default 0
);

-- One row for a call that may still cost something; `lapsed` when its unit lost the lease while it was under way.
create table reservations (
    reservation_id text primary key,
    accounts text[] not null,
    order_id text,
    attempt integer not null,
    unit_id text,
    tokens bigint not null,
    cost_microusd bigint not null,
    sent boolean not null default false,
    lapsed boolean not null default false,
    made_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index reservations_accounts on reservations using gin (accounts);
