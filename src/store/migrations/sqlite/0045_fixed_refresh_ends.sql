-- Whether the network told the end of a refresh token that stays: using the token does not move that end.
ALTER TABLE token ADD COLUMN refresh_end_fixed INTEGER NOT NULL DEFAULT 0;
