-- How often the snapshots were rebuilt. An append that read them before a rebuild must not write after it.
create table rebuilds (
    only_row boolean primary key default true check (only_row),
    number bigint not null default 0
);
insert into rebuilds default values;
