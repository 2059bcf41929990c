-- Intents on their way to the validator, each kept until it is answered for good.
create table intents (
    intent_id text not null,
    version integer not null,
    hash text not null,
    plan_version integer,
    message text not null,
    receipt text,
    status text not null default 'waiting',
    due_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    primary key (intent_id, version)
);
create index intents_open on intents (due_at) where status in ('waiting', 'needs_review');
