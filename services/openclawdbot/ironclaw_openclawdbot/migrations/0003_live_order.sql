-- The live channel follows `seq` alone. Whoever inserts holds a lock until its commit, so a row never appears
-- behind one that was read. Transaction ids, which ordered it before, do not survive a dump and restore, and a
-- long transaction anywhere in the database held every follower up.
drop index milestones_live;
alter table milestones drop column xid;
create unique index milestones_live on milestones (seq);
