"""The rows that the demo makes are those that real gateways write."""

import json
import random
from collections import defaultdict
from functools import cache
from typing import Any

import pytest

from demo import catalog, rhythm, world
from demo.exchange import Usage, quota
from demo.history import stretch
from demo.log import CONSUME, ERROR, LOGIN, MANAGE, REFUND, SYSTEM, TEST, TOPUP, Entry
from demo.rows import NewApiRow, OneApiRow
from demo.world import Sizes
from newapi.errors import Category, category
from newapi.schema import Flavour

END = 1_790_000_000.0
START = END - 7 * world.DAY
ROWS = 12_000


@cache
def entries(flavour: Flavour = Flavour.NEW_API, seed: int = 1) -> list[Entry]:
    place = world.build(flavour, 1, END)
    moment = rhythm.spread(START, END)
    return list(stretch(place, random.Random(seed), ROWS, lambda done: moment(done / ROWS)))


def rows(*types: int) -> list[NewApiRow]:
    found = [e.row for e in entries() if isinstance(e.row, NewApiRow)]
    return [row for row in found if not types or row.type in types]


def other(row: NewApiRow) -> dict[str, Any]:
    value = json.loads(row.other)
    assert isinstance(value, dict)
    return value


def by_request() -> dict[str, list[NewApiRow]]:
    found: dict[str, list[NewApiRow]] = defaultdict(list)
    for row in rows(CONSUME, ERROR):
        found[row.request_id].append(row)
    return found


def test_as_many_rows_as_asked_for_in_order_of_time() -> None:
    times = [entry.at for entry in entries()]
    assert len(times) == ROWS
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] <= END
    assert all(entry.row.created_at == int(entry.at) for entry in entries())


def test_the_same_seed_gives_the_same_rows() -> None:
    first = entries()
    entries.cache_clear()
    assert entries() == first
    assert entries(seed=2) != first


def test_every_type_appears() -> None:
    assert {row.type for row in rows()} == {TOPUP, CONSUME, MANAGE, ERROR, REFUND, LOGIN}
    for row in rows(TOPUP, MANAGE, LOGIN):
        assert row.channel_id == row.token_id == row.quota == 0
        assert not row.model_name


def test_every_category_of_error_appears() -> None:
    found = {category(other(row)["status_code"], other(row)["error_code"]) for row in rows(ERROR)}
    assert found == set(Category)


def test_a_failed_attempt_costs_nothing_and_names_its_channel() -> None:
    for row in rows(ERROR):
        said = other(row)
        assert row.quota == row.prompt_tokens == row.completion_tokens == 0
        assert said["channel_id"] == row.channel_id
        assert said["admin_info"]["use_channel"][-1] == str(row.channel_id)
        assert row.content.startswith(f"status_code={said['status_code']}, ")


def test_attempts_of_a_request_share_its_id_and_come_before_the_success() -> None:
    retried = [found for found in by_request().values() if len(found) > 1]
    assert len(retried) > 50
    for found in retried:
        last = found[-1]
        assert all(row.type == ERROR for row in found[:-1])
        assert [row.created_at for row in found] == sorted(row.created_at for row in found)
        if not other(last).get("is_task"):
            tried = other(last)["admin_info"]["use_channel"]
            assert tried == [str(row.channel_id) for row in found]
        assert last.use_time >= found[0].use_time  # the start is never reset
    assert any(row[-1].type == CONSUME for row in retried)


def test_some_requests_fail_altogether() -> None:
    failed = [found for found in by_request().values() if found[-1].type == ERROR]
    assert any(len(found) == 1 for found in failed)
    assert any(len(found) > 1 for found in failed)


def test_request_id_is_of_the_start() -> None:
    ids = [row.request_id for row in rows(CONSUME) if not other(row).get("is_task")]
    assert all(len(one) == 39 and one[:23].isdecimal() for one in ids)
    assert len({row.request_id for row in rows(CONSUME)}) == len(rows(CONSUME))


def test_quota_is_the_gateways_formula() -> None:
    for row in rows(CONSUME):
        said = other(row)
        if said["model_price"] > 0:
            expected = int(said["model_price"] * catalog.QUOTA_PER_USD * said["group_ratio"])
            assert row.quota == expected
            continue
        if not row.prompt_tokens:
            assert row.quota == 0
            assert "可能是上游超时" in row.content
            continue
        fresh = row.prompt_tokens - (0 if said.get("claude") else said["cache_tokens"])
        tokens = (
            fresh
            + said["cache_tokens"] * said["cache_ratio"]
            + said.get("cache_creation_tokens", 0) * said.get("cache_creation_ratio", 0)
            + row.completion_tokens * said["completion_ratio"]
        )
        expected = tokens * said["model_ratio"] * said["group_ratio"]
        assert row.quota == pytest.approx(max(1, expected), abs=1)


def test_cached_tokens_are_part_of_the_prompt_except_anthropics() -> None:
    cached = [(row, other(row)) for row in rows(CONSUME) if other(row).get("cache_tokens")]
    assert len(cached) > 1000
    assert all(s["cache_tokens"] <= r.prompt_tokens for r, s in cached if "claude" not in s)
    assert any(s["cache_tokens"] > r.prompt_tokens for r, s in cached if "claude" in s)


def test_first_token_time_is_told_by_streams_alone() -> None:
    told = [(row, other(row)["frt"]) for row in rows(CONSUME) if "frt" in other(row)]
    assert all(frt == -1000 for row, frt in told if not row.is_stream)
    streams = [frt for row, frt in told if row.is_stream]
    assert 0 < streams.count(-1000) < len(streams) / 20
    assert all(frt <= (row.use_time + 2) * 1000 for row, frt in told)


def test_streams_end_in_every_way() -> None:
    ends = [other(row)["stream_status"] for row in rows(CONSUME) if row.is_stream]
    assert {end["end_reason"] for end in ends if end["status"] == "error"} == {
        "timeout", "client_gone", "scanner_error", "panic", "ping_fail", "done",
    }  # fmt: skip
    assert {end["end_reason"] for end in ends if end["status"] == "ok"} == {
        "done", "eof", "handler_stop",
    }  # fmt: skip
    chunks = [end for end in ends if end["status"] == "error" and end["end_reason"] == "done"]
    assert all(end["error_count"] == len(end["errors"]) for end in chunks)
    assert not any("stream_status" in other(row) for row in rows(CONSUME) if not row.is_stream)


def test_refunds_are_positive_and_name_their_task() -> None:
    submitted = [row for row in rows(CONSUME) if other(row).get("is_task")]
    refunds = rows(REFUND)
    assert 0 < len(refunds) < len(submitted)
    for row in refunds:
        assert row.quota > 0
        assert other(row)["task_id"]
        assert not row.content
    assert all(row.use_time == row.prompt_tokens == 0 for row in submitted)


def test_channel_tests_and_the_playground_have_no_key() -> None:
    without = [row for row in rows(CONSUME) if not row.token_id]
    names = {row.token_name for row in without}
    assert names == {TEST, "playground-default", "playground-vip"}
    tests = [row for row in without if row.token_name == TEST]
    assert all(row.content == TEST and row.username == "root" for row in tests)
    assert {row.token_id for row in rows(CONSUME)} >= {0, 1, 2, 40}


def test_other_is_as_long_as_the_gateways_and_in_order() -> None:
    texts = [row.other for row in rows(CONSUME)]
    assert 500 < sum(len(text.encode()) for text in texts) / len(texts) < 900
    assert all(list(json.loads(text)) == sorted(json.loads(text)) for text in texts)


def test_charges_add_up_to_the_rows() -> None:
    charged = sum(entry.charge.quota for entry in entries() if entry.charge)
    paid = sum(row.quota for row in rows(CONSUME) if row.token_name != TEST)
    assert charged == paid - sum(row.quota for row in rows(REFUND))


def test_one_api_writes_milliseconds_and_no_failures() -> None:
    found = [e.row for e in entries(Flavour.ONE_API) if isinstance(e.row, OneApiRow)]
    assert len(found) == ROWS
    assert {row.type for row in found} == {TOPUP, CONSUME, MANAGE, SYSTEM, ERROR}
    tests = [row for row in found if row.type == ERROR]
    assert {row.user_id for row in tests} == {0}
    assert {"测试成功" in row.content for row in tests} == {True, False}
    consumed = [row for row in found if row.type == CONSUME]
    assert sum(row.elapsed_time > 1000 for row in consumed) > len(consumed) * 0.8
    assert all(row.quota > 0 for row in consumed if row.prompt_tokens)
    assert any(row.quota > 0 for row in found if row.type == TOPUP)


def test_quota_of_a_cheap_request_is_one_and_of_an_empty_one_nothing() -> None:
    model = catalog.model("gpt-4o-mini")
    assert quota(model, "vip", Usage(1, 0)) == 1
    assert quota(model, "default", Usage(0, 0)) == 0


def test_an_inventory_has_every_kind_of_key() -> None:
    place = world.build(Flavour.NEW_API, 1, END)
    assert {key.status for key in place.keys} == {1, 2, 3, 4}
    assert {key.unlimited for key in place.keys} == {True, False}
    assert place.user[place.keys[0].user_id].role == world.ADMIN_ROLE
    assert place == world.build(Flavour.NEW_API, 1, END)
    assert place != world.build(Flavour.NEW_API, 2, END)
    assert world.build(Flavour.ONE_API, 1, END).channels[7].type == 36  # DeepSeek


def test_an_inventory_grows_to_any_size() -> None:
    place = world.build(Flavour.NEW_API, 1, END, Sizes(200, 5000, 300, every_model=True))
    assert (len(place.channels), len(place.keys), len(place.users)) == (200, 5000, 300)
    assert all(len(channel.models) == 10 for channel in place.channels)
    assert len({channel.name for channel in place.channels}) == 200
    assert len({user.username for user in place.users}) == 300


def test_the_rhythm_follows_the_day() -> None:
    night, noon = 1_789_930_800.0, 1_789_959_600.0  # Monday 03:00 and 11:00 in China
    assert rhythm.activity(noon) > 5 * rhythm.activity(night)
    week = [rhythm.activity(START + hour * 3600) for hour in range(7 * 24)]
    assert 0.7 < sum(week) / len(week) < 1
    moment = rhythm.spread(START, END)
    assert moment(0) == START
    assert moment(1) == pytest.approx(END)
    with pytest.raises(ValueError, match="not later"):
        rhythm.spread(END, START)


def test_nothing_comes_of_a_world_without_channels() -> None:
    place = world.build(Flavour.NEW_API, 1, END)
    empty = world.World(place.flavour, (), place.users, place.keys)
    with pytest.raises(ValueError, match="no channel"):
        next(stretch(empty, random.Random(1), 10, lambda done: START + done))
