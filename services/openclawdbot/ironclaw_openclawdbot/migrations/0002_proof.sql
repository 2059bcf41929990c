-- The OpenClaw validator: registered nodes, their keys, what they announced, and every message with its answer.
create table nodes (
    node_id text primary key,
    role text not null,
    label text not null,
    reputation double precision not null,
    registered_at timestamptz not null default now()
);

create table node_keys (
    node_id text not null references nodes,
    version text not null,
    public_key_ref text not null,
    retired_at timestamptz,
    registered_at timestamptz not null default now(),
    primary key (node_id, version)
);

create table intents (
    intent_id text not null,
    version integer not null,
    hash text not null,
    node_id text not null,
    status text not null,
    ack_id text not null,
    primary key (intent_id, version)
);

create table heartbeats (
    node_id text not null,
    key_version text not null,
    seq_no bigint not null,
    digest text not null,
    status text not null,
    received_at timestamptz not null,
    ack_id text not null,
    primary key (node_id, key_version)
);

-- Verbatim, with their signatures, so that each can be verified again without this service.
create table audit (
    id bigint generated always as identity primary key,
    ack_id text not null,
    kind text not null,
    node_id text not null,
    intent_id text,
    status text not null,
    at timestamptz not null,
    message jsonb not null,
    receipt jsonb not null,
    superseded boolean not null default false
);
create unique index audit_receipts on audit (ack_id);
create index audit_reviews on audit (id) where status = 'needs_review' and not superseded;
create index audit_of_intent on audit (intent_id, id) where intent_id is not null;
