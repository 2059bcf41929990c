-- How far other files were read into the ledger.
create table cursors (
    name text primary key,
    position bigint not null
);
