"""The switch of an API key, which the gateway calls a token.

The gateway serves a key while tokens.status is 1 (New API model/token.go ValidateUserToken; One
API the same), and that column alone is written. It keeps no reason beside it.
"""

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Text,
    bindparam,
    column,
    select,
    table,
    update,
)

from newapi.database import Database, DatabaseError
from newapi.schema import Schema
from newapi.switch import (
    DISABLED_BY_HAND,
    ENABLED,
    NO_ROW,
    Kind,
    NotVerifiedError,
    Outcome,
    Result,
    State,
    fingerprint,
    groups_of,
)

_FORM = ("name", "expired_time", "unlimited_quota", "model_limits_enabled", "model_limits",
         "allow_ips", "group", "models", "subnet")  # fmt: skip
"""Columns that people change in the gateway's edit form (New API, One API)."""

_TOKENS = table(
    "tokens",
    column("id", BigInteger),
    column("status", BigInteger),
    column("user_id", BigInteger),
    column("created_time", BigInteger),
    column("deleted_at"),
    *(column(name) for name in _FORM),
)
_USERS = table("users", column("id", BigInteger), column("group", Text))

_CHOSEN = _TOKENS.c.id == bindparam("number")
_SWITCH = (
    update(_TOKENS)
    .where(_CHOSEN, _TOKENS.c.status == bindparam("found"))
    .values(status=bindparam("wanted"))
)


class ApiKeySwitch:
    """Switches API keys. Its methods are those of newapi.switch.Switch."""

    kind = Kind.API_KEY
    writes: ClassVar = {"tokens": ("status",)}

    def require(self, schema: Schema) -> None:
        """Refuse a database in which no API key can be disabled.

        Raises:
            DatabaseError: a column is missing or not granted.
        """
        schema.require("tokens", "id", "status")

    def read(self, database: Database, schema: Schema, number: int) -> State | None:
        """Look at an API key; None where there is none, or its user deleted it."""
        self.require(schema)
        names = [c.name for c in _TOKENS.c if schema.has("tokens", c.name)]
        statement = select(*(_TOKENS.c[name] for name in names)).where(_CHOSEN)
        with database.connect() as connection:
            found = connection.execute(statement, {"number": number}).mappings().first()
            if found is None or found.get("deleted_at") is not None:
                return None
            groups = groups_of(found["group"]) if "group" in found else None
            if not groups:  # a key without a group uses its user's
                told = "user_id" in found
                groups = _user_groups(connection, schema, found["user_id"]) if told else None
        return State(
            name=str(found.get("name") or ""),
            named="name" in found,
            status=int(found["status"] or 0),
            groups=groups,
            edited=fingerprint([found[name] for name in _FORM if name in found]),
            created_at=int(found.get("created_time") or 0),
        )

    def disable(
        self, database: Database, schema: Schema, number: int, reason: str, now: int
    ) -> Outcome:
        """Disable an API key whose status is 1."""
        del reason, now  # there is no column for them
        return self._change(database, schema, number, (ENABLED, DISABLED_BY_HAND))

    def set_again(
        self, database: Database, schema: Schema, number: int, seen: State, reason: str, now: int
    ) -> Outcome:
        """Disable an API key that was put back into service."""
        del reason, now
        return self._change(database, schema, number, (seen.status, DISABLED_BY_HAND))

    def release(
        self, database: Database, schema: Schema, number: int, mark: str, reason: str, now: int
    ) -> Outcome:
        """Enable an API key whose status is 2."""
        del mark, reason, now
        return self._change(database, schema, number, (DISABLED_BY_HAND, ENABLED))

    def sole(self, database: Database, schema: Schema, number: int) -> list[tuple[str, str]]:
        """Give nothing: an API key serves nobody but its user."""
        del database, schema, number
        return []

    def statements(self, schema: Schema) -> Sequence[Executable]:
        """Give the one statement that may write, as it is run."""
        del schema
        return (_SWITCH,)

    def rehearse(self, connection: Connection, schema: Schema) -> None:
        """Run the statement on a row that does not exist."""
        self.require(schema)
        connection.execute(_SWITCH, {"number": NO_ROW, "found": NO_ROW, "wanted": NO_ROW})

    def _change(
        self, database: Database, schema: Schema, number: int, change: tuple[int, int]
    ) -> Outcome:
        before = self.read(database, schema, number)
        if before is None:
            return Outcome(Result.NOT_FOUND, None)
        found, wanted = change
        written = False
        try:
            with database.begin() as connection:
                values = {"number": number, "found": found, "wanted": wanted}
                written = connection.execute(_SWITCH, values).rowcount > 0
            state = self.read(database, schema, number)
        except DatabaseError as error:
            if not written:
                raise
            raise NotVerifiedError(f"the write may have been done: {error}") from None
        if state is None:
            return Outcome(Result.NOT_FOUND, None)
        if (state.status == ENABLED) is not (wanted == ENABLED) and (
            written or state.status == found
        ):
            raise NotVerifiedError(f"the status of API key {number} is {state.status}")
        return Outcome(Result.DONE if written else Result.UNTOUCHED, state)


def _user_groups(connection: Connection, schema: Schema, user_id: object) -> tuple[str, ...] | None:
    if not (schema.has("users", "id") and schema.has("users", "group")):
        return None
    statement = select(_USERS.c.group).where(_USERS.c.id == user_id)
    return groups_of(connection.execute(statement).scalar())
