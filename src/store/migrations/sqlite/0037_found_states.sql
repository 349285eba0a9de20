-- Whether a token's state was found out by using it; else somebody decided it. An incident takes in, and undoes, only what was found out.
ALTER TABLE token ADD COLUMN state_found INTEGER NOT NULL DEFAULT 0;
-- Of tokens that are invalid by now nobody knows any more which of both it was: no incident that is open shall undo a decision.
UPDATE token SET incident = NULL WHERE state = 'invalid' AND incident IN (SELECT id FROM incident WHERE closed_at_us IS NULL);
