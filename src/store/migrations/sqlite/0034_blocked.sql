-- Since when a network blocks the account of a token. What is blocked, or lacks a permission, is at risk as what does not work.

ALTER TABLE token ADD COLUMN blocked_since_us INTEGER;
DROP INDEX token_at_risk;
ALTER TABLE token DROP COLUMN risk_us;
ALTER TABLE token ADD COLUMN risk_us INTEGER GENERATED ALWAYS AS (CASE
    WHEN state = 'revoked' THEN NULL
    WHEN state = 'invalid' OR closed <> '{}' OR blocked_since_us IS NOT NULL THEN 0
    ELSE NULLIF(MIN(COALESCE(access_expires_at_us, 9223372036854775807), COALESCE(refresh_expires_at_us, 9223372036854775807),
        COALESCE(data_access_expires_at_us, 9223372036854775807)), 9223372036854775807) END) VIRTUAL;
CREATE INDEX token_at_risk ON token (team, grantor, risk_us, id) WHERE risk_us IS NOT NULL;

-- Destinations that hear of dead tokens hear of blocked ones, too.
UPDATE destination SET events = json_insert(events, '$[#]', 'token_blocked') WHERE events LIKE '%"token_invalid"%';
