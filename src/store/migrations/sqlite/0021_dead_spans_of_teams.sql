-- Collectors ask for the dead spans of their team, the first to end first.
ALTER TABLE token_dead_span ADD COLUMN team TEXT NOT NULL DEFAULT '';
UPDATE token_dead_span SET team = (SELECT team FROM token WHERE id = token_dead_span.token);
CREATE INDEX token_dead_span_by_team ON token_dead_span (team, until_us, token);
