-- Owner: internal/family. Search keys. Its tables come with the search; until then the number is kept free.
SELECT 1;
