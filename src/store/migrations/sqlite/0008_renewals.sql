-- When the secrets of a token are renewed next (NULL: never), since when they may have been used for a renewal whose outcome is not
-- known (NULL: they were not), and how often that failed in a row.

ALTER TABLE token ADD COLUMN renew_at_us INTEGER;
ALTER TABLE token ADD COLUMN renewal_begun_at_us INTEGER;
ALTER TABLE token ADD COLUMN renewal_failures INTEGER NOT NULL DEFAULT 0;
CREATE INDEX token_by_renewal ON token (network, app, renew_at_us) WHERE renew_at_us IS NOT NULL;

-- Tokens of earlier versions are due at once: each is then given its time.
UPDATE token SET renew_at_us = 0 WHERE state <> 'revoked';
