-- Keys of people and programs. Only a digest is kept: the secret is shown once, when it is made.
create table api_keys (
    key_id text primary key,
    name text not null,
    role text not null check (role in ('user', 'operator')),
    digest bytea not null,
    rate_per_minute integer not null,
    burst integer not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz
);
