-- Derived like runs and orders: what a person should know, and whether one does.
create table escalations (
    escalation_id text primary key,
    severity text not null,
    state text not null,
    seq bigint not null,
    snapshot text not null
);
create index escalations_newest on escalations (seq desc);
create index escalations_open on escalations (seq desc) where state = 'open';

-- Not facts, like the leases of orders: who does what only one at a time may do.
create table leads (
    lead_id text primary key,
    service text not null,
    holder text not null,
    expires_at timestamptz not null
);

alter table leases add column progressed_at timestamptz, add column lease_seconds integer;
