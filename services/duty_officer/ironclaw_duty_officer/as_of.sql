-- Forget what came after a point, in a restored copy. What was answered later is announced again.
delete from intents where created_at > current_setting('ironclaw.moment')::timestamptz;
update intents set status = 'waiting', receipt = null, due_at = now()
where (receipt::jsonb->'ack'->>'received_at')::timestamptz > current_setting('ironclaw.moment')::timestamptz;
