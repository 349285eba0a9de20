-- When each token is checked next by a call of the broker's own, and what came of the last check. A token without a time was not scheduled
-- yet; one that can't be checked has the end of time.

ALTER TABLE token ADD COLUMN probe_at_us INTEGER;
ALTER TABLE token ADD COLUMN checked_at_us INTEGER;
ALTER TABLE token ADD COLUMN check_outcome TEXT;
CREATE INDEX token_probe ON token (network, probe_at_us) WHERE state <> 'revoked';
