-- Which of a person's tokens do not work, or end soonest. `grantor` is who granted it, as it is looked up (`domain::member::grantor`); of
-- addresses beyond ASCII it is right from the next change of the token on.

ALTER TABLE token ADD COLUMN grantor TEXT NOT NULL DEFAULT '';
UPDATE token SET grantor = CASE granted_by WHEN '' THEN network || char(10) || person ELSE lower(granted_by) END;
ALTER TABLE token ADD COLUMN risk_us INTEGER GENERATED ALWAYS AS (CASE state
    WHEN 'revoked' THEN NULL
    WHEN 'invalid' THEN 0
    ELSE NULLIF(MIN(COALESCE(access_expires_at_us, 9223372036854775807), COALESCE(refresh_expires_at_us, 9223372036854775807),
        COALESCE(data_access_expires_at_us, 9223372036854775807)), 9223372036854775807) END) VIRTUAL;
CREATE INDEX token_at_risk ON token (team, grantor, risk_us, id) WHERE risk_us IS NOT NULL;
