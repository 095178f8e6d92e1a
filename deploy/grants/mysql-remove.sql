-- Takes back what mysql.sql made in the gateway's database, in MySQL and in MariaDB:
--   mysql -u root -p newapi < deploy/grants/mysql-remove.sql
-- Accounts take their rights with them, so that after it, once:
--   DROP USER monitor_reader, monitor_breaker, monitor_grafana;

DROP VIEW IF EXISTS monitor_options;
DROP PROCEDURE IF EXISTS monitor_grant;
DROP PROCEDURE IF EXISTS monitor_view;
DROP PROCEDURE IF EXISTS monitor_limit;
