-- What New API Monitor's three accounts may do, in PostgreSQL.
--
-- First make the accounts, each with a password of its own:
--   CREATE ROLE monitor_reader LOGIN PASSWORD '...';     the exporter's, in SQL_DSN
--   CREATE ROLE monitor_breaker LOGIN PASSWORD '...';    the breaker's, in BREAKER_SQL_DSN
--   CREATE ROLE monitor_grafana LOGIN PASSWORD '...';    Grafana's, in GRAFANA_SQL_DSN
-- Then, as the owner of the tables or a superuser, with the name of the gateway's database:
--   psql -U postgres -d newapi -f deploy/grants/postgresql.sql
-- and the same with the log database, if LOG_SQL_DSN names one. Run it again after an upgrade of
-- the gateway: columns and tables that are not there are left out. postgresql-remove.sql takes it
-- back.

DO $grants$
DECLARE
    wanted record;
    readable text;
    writable text;
BEGIN
    -- The table options holds secrets beside settings, and no right is given on single rows. The
    -- view reads it through a function, since PostgreSQL lets nobody change the type of a column
    -- that a view uses: the gateway may do that when it is upgraded.
    IF to_regclass('options') IS NOT NULL THEN
        EXECUTE format($view$
            CREATE OR REPLACE FUNCTION monitor_read_options()
            RETURNS TABLE ("key" text, "value" text)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = %1$I, pg_temp
            AS $body$
                SELECT "key"::text, "value"::text FROM options WHERE "key" IN (
                    'QuotaPerUnit', 'LogConsumeEnabled', 'DisplayInCurrencyEnabled',
                    'USDExchangeRate', 'general_setting.quota_display_type',
                    'general_setting.custom_currency_symbol',
                    'general_setting.custom_currency_exchange_rate', 'RetryTimes',
                    'AutomaticDisableChannelEnabled', 'AutomaticEnableChannelEnabled',
                    'DataExportEnabled', 'monitor_setting.auto_test_channel_enabled')
            $body$
        $view$, current_schema());
        CREATE OR REPLACE VIEW monitor_options AS
            SELECT "key", "value" FROM monitor_read_options();
        REVOKE ALL ON FUNCTION monitor_read_options() FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION monitor_read_options() TO monitor_reader, monitor_breaker;
    END IF;

    FOR wanted IN
        SELECT * FROM (VALUES
            ('monitor_reader', 'logs',
             'id, created_at, type, channel_id, model_name, user_id, token_id, token_name, quota, prompt_tokens, completion_tokens, use_time, elapsed_time, is_stream, request_id, other', ''),
            ('monitor_reader', 'channels',
             'id, name, type, group, tag, status, response_time, balance, balance_updated_time, used_quota, test_time', ''),
            ('monitor_reader', 'tokens',
             'id, name, user_id, group, status, remain_quota, used_quota, unlimited_quota, expired_time, accessed_time, deleted_at', ''),
            ('monitor_reader', 'users', 'id, username, group, status, quota, used_quota, deleted_at', ''),
            ('monitor_reader', 'abilities', 'group, model, channel_id, enabled', ''),
            ('monitor_reader', 'monitor_options', 'key, value', ''),
            ('monitor_breaker', 'channels',
             'id, name, status, other_info, created_time, test_time, models, group, priority, weight, tag, remark, model_mapping, auto_ban',
             'status, other_info'),
            ('monitor_breaker', 'abilities', 'channel_id, enabled, group, model', 'enabled'),
            ('monitor_breaker', 'tokens',
             'id, name, status, user_id, group, created_time, deleted_at, expired_time, unlimited_quota, model_limits_enabled, model_limits, allow_ips, models, subnet',
             'status'),
            ('monitor_breaker', 'users', 'id, group', ''),
            ('monitor_breaker', 'logs',
             'created_at, type, channel_id, token_id, token_name, use_time, elapsed_time', ''),
            ('monitor_breaker', 'monitor_options', 'key, value', ''),
            ('monitor_grafana', 'logs',
             'id, created_at, type, channel_id, user_id, username, token_id, token_name, model_name, prompt_tokens, completion_tokens, quota, content, use_time, elapsed_time, other, request_id', '')
        ) AS list (account, relation, readable, writable)
    LOOP
        SELECT string_agg(quote_ident(column_name), ', '),
               string_agg(quote_ident(column_name), ', ')
                   FILTER (WHERE column_name = ANY (string_to_array(wanted.writable, ', ')))
        INTO readable, writable
        FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = wanted.relation
            AND column_name = ANY (string_to_array(wanted.readable, ', '));
        IF readable IS NOT NULL THEN
            EXECUTE format('GRANT SELECT (%s) ON %I TO %I', readable, wanted.relation, wanted.account);
        END IF;
        IF writable IS NOT NULL THEN
            EXECUTE format('GRANT UPDATE (%s) ON %I TO %I', writable, wanted.relation, wanted.account);
        END IF;
    END LOOP;

    EXECUTE format(
        'GRANT USAGE ON SCHEMA %I TO monitor_reader, monitor_breaker, monitor_grafana', current_schema());
END
$grants$;

ALTER ROLE monitor_reader SET default_transaction_read_only = on;
ALTER ROLE monitor_grafana SET default_transaction_read_only = on;
ALTER ROLE monitor_grafana SET statement_timeout = '10s';
