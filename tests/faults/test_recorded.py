"""A session of orion.v1 on a link of its own passes byte for byte, whatever JSON it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from tests.faults.orders import Order
from tests.faults.speech import Heard
from tests.faults.stage import Shape
from tests.faults.table import TableTestCase

REQUESTS = (
    '{"@MSGID":1,"cmd":"open","id":"r.1-1","do":"say","arg":0}',
    '  {  "id" : "r.1-2" ,\t"@MSGID" : 2,\r\n "do":"say", "arg":1 }\n',
    '{"id":"r.1-3","do":"say","arg":2,"text":"안녕 \U0001f310 \\ud83c\\udf10 \\u00e9","@MSGID":3}',
    '{"@MSGID":9007199254740991,"id":"r.1-4","do":"say","arg":3,"big":123456789012345678901234567890}',
    '{"id":"r.1-5","do":"say","arg":4,"deep":{"@MSGID":77,"a":[1.50,-0,1e400,{"msgID":8}]},"@MSGID":5}',
    '{"@SESSION":"of-another","id":"r.1-6","do":"say","arg":5,"dup":1,"dup":2,"@MSGID":6}',
    '{"id":"r.1-7","do":"say","arg":6,"\\u0040other":"","": null,"@MSGID":0}',
)
"""What the browser says."""

ANSWERS = (
    b'{"msgID":1,"success":true,"message":"","page":1}',
    b' { "success" : true , "msgID" : 2 , "message" : "\\u0000 \\/ \xed\x95\x9c" }\n',
    '{"msgID":3,"success":false,"message":"없음","code":"NOT_OURS"}'.encode(),
    b'{"success":true,"message":"","n":1E+2,"msgID":9007199254740991}',
    b'{"msgID":5,"success":true,"message":"","nested":{"msgID":1}}',
    b'{"msgID":6,"success":true,"message":"","@SESSION":"of-another"}',
    b'{"success":true,"message":"","msgID":0}',
)
"""What the engine answers, in the same order."""

PUSHES = (
    b'{"event":"saved"}',
    b' {"event" : "odd",\n "@SESSION":"x", "v": 1.0000000000000001} ',
    '{"event":"알림","list":[]}'.encode(),
)
"""What it says on its own in between."""


class RecordedTests(TableTestCase):
    tenants: ClassVar[Mapping[str, Shape]] = {
        "int32": Shape("orion.v1"),
        "netstring": Shape("orion.v1", framing="netstring"),
        "nul": Shape("orion.v1", framing="nul"),
    }

    async def test_byte_for_byte(self) -> None:
        """The engine gets the browser's bytes, the browser the engine's; with and without name."""

        def answer(heard: Heard, order: Order) -> bytes:
            return ANSWERS[order.arg]

        for tenant, engine in self.engines.items():
            engine.sayings = [answer] * len(ANSWERS)
            for subprotocol in ("orion.v1", None):
                socket = await self.socket(tenant, subprotocol)
                self.assertEqual(socket.subprotocol, subprotocol)
                heard: list[str | bytes] = []
                sent: list[str | bytes] = []
                for number, request in enumerate(REQUESTS):
                    await socket.send(request)
                    heard.append(await asyncio.wait_for(socket.recv(), 10))
                    sent.append(ANSWERS[number].decode())
                    if number < len(PUSHES):
                        engine.links[-1].wire.send(PUSHES[number])
                        heard.append(await asyncio.wait_for(socket.recv(), 10))
                        sent.append(PUSHES[number].decode())
                self.assertEqual(heard, sent)
                frames = engine.ever[-1].frames
                self.assertEqual(frames, [request.encode() for request in REQUESTS])
                await socket.close()
