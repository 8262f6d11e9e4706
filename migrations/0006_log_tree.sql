-- Owner: internal/audit. The log's tree. Its tables come with the sequencer; until then the number is kept free.
SELECT 1;
