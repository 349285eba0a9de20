-- What went wrong, and what hinders a profile, is kept by name; what is there was told in the words of the version that kept it.
UPDATE connection SET problem = json_object('earlier', json(problem)) WHERE problem IS NOT NULL;
UPDATE connection SET found = json_set(found, '$.profiles', json((
    SELECT json_group_array(json(CASE WHEN json_extract(value, '$.obstacle') IS NULL THEN value
        ELSE json_set(value, '$.obstacle', json_object('earlier', json_extract(value, '$.obstacle'))) END))
    FROM json_each(connection.found, '$.profiles')
))) WHERE found IS NOT NULL;
