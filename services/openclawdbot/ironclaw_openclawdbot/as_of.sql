-- Forget what came after a point, in a restored copy. Reputations and labels of nodes stay as they are now.
delete from milestones where received_at > current_setting('ironclaw.moment')::timestamptz;
delete from demand_keys where received_at > current_setting('ironclaw.moment')::timestamptz;
delete from demand_latest where at > current_setting('ironclaw.moment')::timestamptz;
delete from dead_letters where at > current_setting('ironclaw.moment')::timestamptz;
delete from audit where at > current_setting('ironclaw.moment')::timestamptz;
delete from heartbeats where received_at > current_setting('ironclaw.moment')::timestamptz;
delete from node_keys where registered_at > current_setting('ironclaw.moment')::timestamptz;
delete from reputation_changes where node_id in (
    select node_id from nodes where registered_at > current_setting('ironclaw.moment')::timestamptz
);
update proof_cursors set seq = least(seq, current_setting('ironclaw.seq')::bigint);
delete from nodes where registered_at > current_setting('ironclaw.moment')::timestamptz;
update node_keys set retired_at = null where retired_at > current_setting('ironclaw.moment')::timestamptz;
-- What a person decided later is undecided again: an intent stands as its newest remaining answer says.
delete from intents i where not exists (
    select from audit a
    where a.intent_id = i.intent_id and (a.message->'intent'->>'intent_version')::integer = i.version
);
update intents i set status = a.status, ack_id = a.ack_id
from (
    select distinct on (intent_id, version) intent_id, version, status, ack_id
    from (
        select id, intent_id, status, ack_id, (message->'intent'->>'intent_version')::integer as version
        from audit where kind = 'announce' and status <> 'rejected'
    ) answers
    order by intent_id, version, id desc
) a
where a.intent_id = i.intent_id and a.version = i.version and a.ack_id <> i.ack_id;
update audit a set superseded = false
where a.superseded and exists (select from intents i where i.ack_id = a.ack_id);
