-- What gates said of trees. A tree under the same definition and tools is never judged twice.
create table verdicts (
    tree text not null,
    definition text not null,
    toolchain text not null,
    gate text not null,
    verdict text not null check (verdict in ('passed', 'failed')),
    detail text not null,
    flaky boolean not null,
    output text,
    judged_at timestamptz not null default now(),
    primary key (tree, definition, toolchain)
);
create index verdicts_by_age on verdicts (judged_at);

-- What a gate's command printed, by hash.
create table outputs (
    sha256 text primary key,
    content bytea not null,
    kept_at timestamptz not null default now()
);
create index outputs_by_age on outputs (kept_at);

-- Whether each gate refused its planted bad commit when that was last tried.
create table proofs (
    theater_id text not null,
    gate text not null,
    definition text not null,
    toolchain text not null,
    state text not null check (state in ('alive', 'dead', 'unproven')),
    detail text not null,
    output text,
    commit_sha text not null,
    tried_at timestamptz not null default now(),
    primary key (theater_id, gate)
);

-- What a person decided about one result of an order, where the theater asks for it.
create table approvals (
    order_id text not null,
    attempt integer not null,
    commit_sha text not null,
    approved boolean not null,
    decided_by text not null,
    note text not null,
    decided_at timestamptz not null default now(),
    primary key (order_id, attempt, commit_sha)
);

-- Reports that were judged, and the kinds of their claims that were not so.
create table reports (
    order_id text not null,
    attempt integer not null,
    profile text not null,
    model text not null,
    mismatches text[] not null,
    judged_at timestamptz not null default now(),
    primary key (order_id, attempt)
);
