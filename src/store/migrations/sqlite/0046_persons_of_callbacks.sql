-- Whose consent a callback ended, as a keyed hash that outlives the person's id: a consent that was given before must not be kept after it.
ALTER TABLE callback ADD COLUMN person_hash BLOB;
CREATE INDEX callback_by_person ON callback (person_hash, received_at_us) WHERE person_hash IS NOT NULL;
-- Consents that wait for a choice.
CREATE INDEX connection_choosing ON connection (network, app, id) WHERE stage = 'choosing';
