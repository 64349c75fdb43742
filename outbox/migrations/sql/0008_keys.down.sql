DROP TABLE duly.idempotency_keys, duly.api_keys;
