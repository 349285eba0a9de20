-- What hindered the renewal of a token of a job, for pages in any language.
ALTER TABLE job_result ADD COLUMN hindrance TEXT;
