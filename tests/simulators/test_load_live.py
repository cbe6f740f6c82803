"""The load through a real broker: everything arrives, in order, and nothing is left in the air."""

import asyncio

import aiomqtt
import numpy as np
import pytest

from monitor.broker import Broker
from monitor.exceptions import WardbeatError
from monitor.messages import decode, topic
from simulators.load import load_of, publish_load
from simulators.numbered import check, in_units
from simulators.player import Bed
from simulators.scenario import find_scenario


async def test_every_bed_arrives_whole_and_numbered():
    story = find_scenario("sinus")
    beds = load_of([Bed("bed-01", story.patient(seed=1), story.alias)], 5, rate=10.0, numbered=True)
    stamped = []
    async with Broker() as broker, aiomqtt.Client(broker.host, broker.port, identifier="listener") as listener:
        await listener.subscribe("wardbeat/v1/+/ecg", qos=1)
        unsent = await publish_load(
            beds,
            broker.host,
            broker.port,
            connections=2,
            seconds=1.5,
            sent=lambda bed, number: stamped.append((bed, number)),
        )
        heard = {bed.id: [] for bed in beds}
        async with asyncio.timeout(30):
            while sum(map(len, heard.values())) < 75:
                message = await anext(listener.messages)
                bed = str(message.topic).split("/")[2]
                heard[bed].append(decode(bed, message.payload))
        await listener.subscribe(topic("+", "meta"), qos=1)
        async with asyncio.timeout(30):
            metas = [await anext(listener.messages) for _ in beds]
    assert unsent == 0
    assert sorted(stamped) == [(bed, number) for bed in range(5) for number in range(15)]
    for chunks in heard.values():
        assert [chunk.seq for chunk in chunks] == list(range(15))
        lead = np.concatenate([in_units(chunk.samples[:, 2]) for chunk in chunks])
        assert check(lead, 0) == []
    assert all(b'"NUMBER"' in meta.payload for meta in metas)


async def test_a_broker_that_is_not_there_is_named():
    beds = load_of([Bed("bed-01", find_scenario("sinus").patient(seed=1))], 1, rate=10.0)
    with pytest.raises(WardbeatError, match=r"127\.0\.0\.1:9"):
        await publish_load(beds, "127.0.0.1", 9, connections=1)
