"""Chinese for every text that the dashboards show."""

from grafana.chinese import database, health, inventory, overview

CHINESE = overview.TEXTS | inventory.TEXTS | health.TEXTS | database.TEXTS
