-- The key that a token is bound to (RFC 9449), sealed like the token and with it: of a token that serves with the team's data key, of one that is to
-- be given back with a key of the broker's own.

ALTER TABLE token ADD COLUMN sealed_key BLOB;
ALTER TABLE revocation ADD COLUMN sealed_key BLOB;
