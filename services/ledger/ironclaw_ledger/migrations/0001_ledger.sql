-- The append-only truth: `body` holds the canonical bytes that `hash` covers; the other columns index them.
create table events (
    seq bigint primary key,
    event_id text not null constraint events_event_id_unique unique,
    ts timestamptz not null,
    type text not null,
    theater_id text,
    run_id text,
    order_id text,
    source text not null,
    fingerprint bytea not null,
    body text not null,
    hash text not null
);
create index events_run on events (run_id, seq) where run_id is not null;
create index events_order on events (order_id, seq) where order_id is not null;
create index events_type on events (type, seq);

-- Derived state. Everything below can be rebuilt from `events`, except leases, which are no facts.
create table runs (
    run_id text primary key,
    theater_id text not null,
    status text not null,
    first_seq bigint not null,
    last_seq bigint not null,
    snapshot text not null
);
create index runs_newest on runs (first_seq desc);
create index runs_open on runs (first_seq desc) where status = 'OPEN';

create table orders (
    order_id text primary key,
    run_id text not null,
    theater_id text not null,
    phase text not null,
    status text not null,
    first_seq bigint not null,
    last_seq bigint not null,
    snapshot text not null
);
create index orders_of_run on orders (run_id, first_seq);
create index orders_newest on orders (first_seq desc);
create index orders_open on orders (phase, first_seq) where phase not in ('INTEGRATED', 'FAILED', 'CANCELLED');

create table leases (
    order_id text primary key,
    attempt integer not null,
    unit_id text not null,
    expires_at timestamptz not null
);

create table checkpoints (
    seq bigint primary key,
    hash text not null,
    signature text not null,
    public_key text not null
);

-- The service appends and reads; it can neither change nor remove a fact, nor switch that off.
do $$
begin
    if exists (select from pg_roles where rolname = 'ledger') then
        revoke update, delete, truncate on events, checkpoints from ledger;
    end if;
end
$$;
