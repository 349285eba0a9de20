-- Whether a token's access token is renewed by a refresh token that is held.
ALTER TABLE token ADD COLUMN refreshed INTEGER NOT NULL DEFAULT 0;

UPDATE token SET refreshed = 1 WHERE sealed_refresh IS NOT NULL AND renew_at_us IS NOT NULL;

-- While it works, such a token ends by no access token: only where its refresh token's end is known, or with the access to data.
UPDATE token SET ends_at_us = data_access_expires_at_us
WHERE refreshed = 1 AND refresh_expires_at_us IS NULL AND state IN ('live', 'suspect', 'paused');
