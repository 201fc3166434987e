"""The client without a page: in a worker of the browser, where nobody builds anything."""

from __future__ import annotations

import json

from tests.chromium.case import ChromiumTestCase
from tests.harness import REPOSITORY, needs_pages

CLIENT = REPOSITORY / "frontend" / "client" / "dist" / "orion-client.umd.cjs"
WORK = """
const client = OrionBridge.connect(TELL.url, { getToken: () => TELL.token, tokenIn: "hello" });
const phases = [];
client.on("state", ({ phase }) => phases.at(-1) !== phase && phases.push(phase));
client.request({ cmd: "hello" }).then(
  async (answer) => {
    await client.close();
    postMessage({ ...answer.json(), phases, page: typeof document });
  },
  (error) => postMessage({ failed: `${error}, ${phases}` }),
);
"""
START = """
(script) => new Promise((done, fail) => {
  const worker = new Worker(URL.createObjectURL(new Blob([script])));
  worker.onmessage = ({ data }) => done(data);
  worker.onerror = ({ message }) => fail(new Error(message));
})
"""


class WorkerTests(ChromiumTestCase):
    def test_worker(self) -> None:
        """The file for <script> works in a worker, and asks the engine through the gateway."""
        if not CLIENT.exists():
            needs_pages(self)
        # The editor's own page has no use for workers of blobs, and its policy allows none.
        page = self.context(bypass_csp=True).new_page()
        page.goto(self.parts.editor)
        tell = json.dumps({"url": f"{self.parts.editor}/ws", "token": self.parts.token()})
        script = f"{CLIENT.read_text(encoding='utf-8')}\nconst TELL = {tell};{WORK}"
        answer = page.evaluate(START, script)
        self.assertNotIn("failed", answer)
        self.assertIn("documents", answer["commands"])
        self.assertEqual(answer["phases"], ["connecting", "online", "closed"])
        self.assertEqual(answer["page"], "undefined")
