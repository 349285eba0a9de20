-- A refresh token that is replaced by its use is for one token only: whose it is is looked for before it is kept.
CREATE INDEX given_refresh_by_hash ON given_refresh (hash);
