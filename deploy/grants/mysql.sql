-- What New API Monitor's three accounts may do, in MySQL 5.7.8 or newer and in MariaDB.
--
-- First make the accounts, each with a password of its own:
--   CREATE USER monitor_reader IDENTIFIED BY '...';     the exporter's, in SQL_DSN
--   CREATE USER monitor_breaker IDENTIFIED BY '...';    the breaker's, in BREAKER_SQL_DSN
--   CREATE USER monitor_grafana IDENTIFIED BY '...';    Grafana's, in GRAFANA_SQL_DSN
-- Then, with the name of the gateway's database:
--   mysql -u root -p newapi < deploy/grants/mysql.sql
-- and the same with the log database, if LOG_SQL_DSN names one. Run it again after an upgrade of
-- the gateway: columns and tables that are not there are left out. mysql-remove.sql takes it back.

SET @monitor_host = '%';  -- the host in the names of the accounts

DROP PROCEDURE IF EXISTS monitor_grant;
DROP PROCEDURE IF EXISTS monitor_view;
DROP PROCEDURE IF EXISTS monitor_limit;

DELIMITER //

CREATE PROCEDURE monitor_grant(account TEXT, relation TEXT, readable TEXT, writable TEXT)
BEGIN
    SET SESSION group_concat_max_len = 65535;
    -- With a collation of their own: the database's may be none that names can be compared by.
    SET @monitor_relation = CONVERT(relation USING utf8mb4) COLLATE utf8mb4_bin,
        @monitor_readable = CONVERT(REPLACE(readable, ' ', '') USING utf8mb4) COLLATE utf8mb4_bin,
        @monitor_writable = CONVERT(REPLACE(writable, ' ', '') USING utf8mb4) COLLATE utf8mb4_bin;
    SELECT CONCAT(
        'GRANT SELECT (', GROUP_CONCAT('`', column_name, '`'), ')',
        COALESCE(CONCAT(', UPDATE (', GROUP_CONCAT(
            IF(FIND_IN_SET(column_name, @monitor_writable), CONCAT('`', column_name, '`'), NULL)
        ), ')'), ''),
        ' ON `', relation, '` TO ''', account, '''@''', @monitor_host, ''''
    )
    INTO @monitor_grant
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = @monitor_relation
        AND FIND_IN_SET(column_name, @monitor_readable);
    IF @monitor_grant IS NOT NULL THEN
        PREPARE monitor_grant FROM @monitor_grant;
        EXECUTE monitor_grant;
        DEALLOCATE PREPARE monitor_grant;
    END IF;
END //

-- The table options holds secrets beside settings, and no right is given on single rows.
CREATE PROCEDURE monitor_view()
BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.tables
               WHERE table_schema = DATABASE() AND table_name = 'options') THEN
        SET @monitor_view = 'CREATE OR REPLACE SQL SECURITY DEFINER VIEW monitor_options AS
            SELECT `key`, `value` FROM options WHERE `key` IN (
                ''QuotaPerUnit'', ''LogConsumeEnabled'', ''DisplayInCurrencyEnabled'',
                ''USDExchangeRate'', ''general_setting.quota_display_type'',
                ''general_setting.custom_currency_symbol'',
                ''general_setting.custom_currency_exchange_rate'', ''RetryTimes'',
                ''AutomaticDisableChannelEnabled'', ''AutomaticEnableChannelEnabled'',
                ''DataExportEnabled'', ''monitor_setting.auto_test_channel_enabled'')';
        PREPARE monitor_view FROM @monitor_view;
        EXECUTE monitor_view;
        DEALLOCATE PREPARE monitor_view;
    END IF;
END //

-- Ends Grafana's statements after 10 seconds. MySQL has no such limit for an account: there each
-- statement of the dashboards brings its own.
CREATE PROCEDURE monitor_limit()
BEGIN
    IF VERSION() LIKE '%MariaDB%' THEN
        SET @monitor_limit = CONCAT(
            'GRANT USAGE ON *.* TO ''monitor_grafana''@''', @monitor_host, ''' WITH MAX_STATEMENT_TIME 10');
        PREPARE monitor_limit FROM @monitor_limit;
        EXECUTE monitor_limit;
        DEALLOCATE PREPARE monitor_limit;
    END IF;
END //

DELIMITER ;

CALL monitor_view();

CALL monitor_grant('monitor_reader', 'logs',
    'id, created_at, type, channel_id, model_name, user_id, token_id, token_name, quota, prompt_tokens, completion_tokens, use_time, elapsed_time, is_stream, request_id, other', '');
CALL monitor_grant('monitor_reader', 'channels',
    'id, name, type, group, tag, status, response_time, balance, balance_updated_time, used_quota, test_time', '');
CALL monitor_grant('monitor_reader', 'tokens',
    'id, name, user_id, group, status, remain_quota, used_quota, unlimited_quota, expired_time, accessed_time, deleted_at', '');
CALL monitor_grant('monitor_reader', 'users',
    'id, username, group, status, quota, used_quota, deleted_at', '');
CALL monitor_grant('monitor_reader', 'abilities', 'group, model, channel_id, enabled', '');
CALL monitor_grant('monitor_reader', 'monitor_options', 'key, value', '');

CALL monitor_grant('monitor_breaker', 'channels',
    'id, name, status, other_info, created_time, test_time, models, group, priority, weight, tag, remark, model_mapping, auto_ban',
    'status, other_info');
CALL monitor_grant('monitor_breaker', 'abilities', 'channel_id, enabled, group, model', 'enabled');
CALL monitor_grant('monitor_breaker', 'tokens',
    'id, name, status, user_id, group, created_time, deleted_at, expired_time, unlimited_quota, model_limits_enabled, model_limits, allow_ips, models, subnet',
    'status');
CALL monitor_grant('monitor_breaker', 'users', 'id, group', '');
CALL monitor_grant('monitor_breaker', 'logs',
    'created_at, type, channel_id, token_id, token_name, use_time, elapsed_time', '');
CALL monitor_grant('monitor_breaker', 'monitor_options', 'key, value', '');

CALL monitor_grant('monitor_grafana', 'logs',
    'id, created_at, type, channel_id, user_id, username, token_id, token_name, model_name, prompt_tokens, completion_tokens, quota, content, use_time, elapsed_time, other, request_id', '');
CALL monitor_limit();

DROP PROCEDURE monitor_grant;
DROP PROCEDURE monitor_view;
DROP PROCEDURE monitor_limit;
