-- Records to deliver, made in the transaction that moves the cursor past the event that they tell of.
create table outbox (
    idempotency_key text primary key,
    channel text not null,
    at timestamptz not null,
    record text not null,
    status text not null default 'pending',
    tries integer not null default 0,
    due_at timestamptz not null default now(),
    reason text,
    created_at timestamptz not null default now(),
    settled_at timestamptz
);
create index outbox_open on outbox (at, idempotency_key) where status in ('pending', 'retrying');
create index outbox_newest on outbox (created_at desc);

create table cursors (
    name text primary key,
    seq bigint not null
);
