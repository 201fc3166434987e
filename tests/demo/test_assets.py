"""Images: what may be uploaded, what is kept, and what room there is."""

import hashlib
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo import assets
from orion_twisted.demo.assets import ASSET_GRACE, MAX_ASSET, MAX_PIXELS
from orion_twisted.demo.documents import CommandRefused
from orion_twisted.demo.libraries import LibraryMissing
from tests.demo.pictures import noise, picture
from tests.demo.visit import Engine, VisitV2, insert

TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}


class UploadTests(SynchronousTestCase):
    """Uploading to a document."""

    def setUp(self) -> None:
        self.engine = Engine(self)
        self.visit = VisitV2(self, self.engine, "s")
        self.visit.done("new")

    def upload(self, content: bytes, kind: str = "image/png", document: int = 1) -> dict[str, Any]:
        return self.visit.done("upload", document=document, type=kind, body=content)

    def refused(self, content: bytes, kind: str = "image/png") -> str:
        return self.visit.refused("upload", document=1, type=kind, body=content)

    def test_every_type(self) -> None:
        """An image comes back byte for byte, under its digest, with its size in pixels."""
        for kind, name in TYPES.items():
            content = picture(name, 40, 20)
            uploaded = self.upload(content, kind)
            self.assertEqual((uploaded["width"], uploaded["height"]), (40, 20))
            self.assertEqual(uploaded["asset"], hashlib.sha256(content).hexdigest())
            found = self.visit.done("asset", document=1, asset=uploaded["asset"])
            self.assertEqual((found["type"], found["body"]), (kind, content))

    def test_twice_the_same(self) -> None:
        """The same bytes again are the same image, and take no more room."""
        first = self.upload(picture())
        self.assertEqual(self.upload(picture()), first)
        self.assertEqual(len(assets.assets(self.engine.store, 1)), 1)

    def test_images_belong_to_a_document(self) -> None:
        """Another document does not have them, and they go with their own."""
        asset = self.upload(picture())["asset"]
        self.visit.done("new")
        self.assertIn("no image", self.visit.refused("asset", document=2, asset=asset))
        self.visit.done("delete", document=1)
        self.assertEqual(self.engine.store.execute("SELECT count(*) FROM assets"), [(0,)])

    def test_what_is_no_image(self) -> None:
        """Other bytes, half an image and an image of another type are refused."""
        for content in (
            b"", b"\x00", b"<svg/>", picture("GIF"), picture()[:40],
            picture()[:-20], b"\x89PNG\r\n\x1a\n" + bytes(100),
        ):  # fmt: skip
            with self.subTest(content=content[:10]):
                self.assertEqual(self.refused(content), "this is no image/png that can be read")
        self.assertIn("invalid enum value", self.refused(picture(), "image/svg+xml"))

    def test_bytes_are_bounded(self) -> None:
        """An image has MAX_ASSET bytes at most."""
        self.upload(noise(MAX_ASSET))
        self.assertIn(str(MAX_ASSET), self.refused(noise(MAX_ASSET + 1)))

    def test_pixels_are_bounded(self) -> None:
        """A small file that would become a huge picture is refused by its head."""
        self.patch(assets, "MAX_PIXELS", 800)
        self.upload(picture(width=40, height=20))
        self.assertIn("800 are the most", self.refused(picture(width=41, height=20)))
        head = bytearray(picture())
        head[16:24] = (60_000).to_bytes(4, "big") * 2  # a PNG says its size here
        self.assertTrue(self.refused(bytes(head)))
        self.assertLess(MAX_PIXELS, 60_000**2)

    def test_a_document_s_images_are_bounded(self) -> None:
        """Beyond MAX_ASSETS no more is taken, but for what old images nobody shows make room."""
        self.patch(assets, "MAX_ASSETS", 2_000)
        shown = self.upload(noise(1_000))["asset"]
        place = {"x": 0, "y": 0, "width": 9, "height": 9}
        self.visit.apply(insert({"kind": "image", "id": "i1", "asset": shown, **place}))
        unused = self.upload(noise(999))["asset"]
        self.upload(noise(1_000))
        self.assertIn("at most", self.refused(noise(998)))
        self.engine.time += ASSET_GRACE + 1
        fresh = self.upload(noise(998))["asset"]
        self.assertEqual(set(assets.assets(self.engine.store, 1)), {shown, fresh})
        self.assertNotIn(unused, assets.assets(self.engine.store, 1))

    def test_all_images_are_bounded(self) -> None:
        """All documents together have MAX_STORE bytes of images at most."""
        self.patch(assets, "MAX_STORE", 2_000)
        self.visit.done("new")
        self.upload(noise(1_000))
        self.upload(noise(1_000), document=2)
        self.assertIn("all images", self.refused(picture()))
        self.visit.done("delete", document=2)
        self.upload(picture())

    def test_without_the_library(self) -> None:
        """An engine without Pillow says what to install, and goes on."""
        content = picture()
        with mock.patch.dict("sys.modules", {"PIL.Image": None, "PIL": None}):
            with self.assertRaises(LibraryMissing):
                assets.measure("image/png", content)
            self.assertIn('pip install "orion-twisted[demo]"', self.refused(b"x"))
        self.visit.done("hello")

    def test_measure_says_what_is_wrong(self) -> None:
        """Whatever Pillow stumbles over is a refusal."""
        for cut in range(0, len(picture()), 3):
            try:
                assets.measure("image/png", picture()[:cut])
            except CommandRefused:
                continue
            self.assertGreater(cut, len(picture()) - 20)  # all but the end mark is there
