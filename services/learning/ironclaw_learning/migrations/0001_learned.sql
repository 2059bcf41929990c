-- What was learned and the cursor that it stands on, in one row: both move in one statement. It is derived from
-- the ledger alone and can be dropped at any time.
create table learned (
    form integer primary key,
    seq bigint not null,
    state text not null
);
