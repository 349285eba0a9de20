-- Tokens whose secrets came after an incident had begun are renewed meanwhile, and not found behind all those that rest.
CREATE INDEX token_by_secrets ON token (network, app, secrets_since_us) WHERE incident IS NULL;
