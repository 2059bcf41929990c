-- Request ids are a caller's own for a day, reputations move on record, and some nodes are the garrison's own.
alter table nodes add column ours boolean not null default false;

alter table intents add column campaign_ref text not null default '';
create index intents_of_campaign on intents (campaign_ref);

alter table audit add column caller text not null default '';
alter table audit add column request_id text not null default '';
alter table audit add column digest text not null default '';
create index audit_requests on audit (request_id, caller);

create table reputation_changes (
    id bigint generated always as identity primary key,
    node_id text not null references nodes,
    at timestamptz not null default now(),
    outcome text not null,
    before double precision not null,
    after double precision not null,
    cause text not null unique
);
create index reputation_changes_of_node on reputation_changes (node_id, id);

create table proof_cursors (
    name text primary key,
    seq bigint not null
);
