-- Takes back what postgresql.sql made and granted in a database, as a superuser:
--   psql -U postgres -d newapi -f deploy/grants/postgresql-remove.sql
-- and the same with the log database, if LOG_SQL_DSN names one. After it, once:
--   DROP ROLE monitor_reader, monitor_breaker, monitor_grafana;

DROP VIEW IF EXISTS monitor_options;
DROP FUNCTION IF EXISTS monitor_read_options();
DROP OWNED BY monitor_reader, monitor_breaker, monitor_grafana;
