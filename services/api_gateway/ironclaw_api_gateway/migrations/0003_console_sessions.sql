-- Sessions of the console. The browser's cookie holds the secret, this table its digest; a session ends with its key.
create table console_sessions (
    digest bytea primary key,
    key_id text not null references api_keys (key_id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index console_sessions_expires_at on console_sessions (expires_at);
