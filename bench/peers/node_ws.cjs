// A bridge on Node and ws: node node_ws.cjs PORT BACKEND CERTIFICATE
"use strict";
const fs = require("node:fs");
const https = require("node:https");
const net = require("node:net");
const { WebSocketServer } = require("ws");

const [port, backend, certificate] = process.argv.slice(2);
const pem = fs.readFileSync(certificate);
const server = https.createServer({ key: pem, cert: pem });
const sockets = new WebSocketServer({
  server,
  path: "/ws",
  perMessageDeflate: false,
  maxPayload: 4 * 1024 * 1024,
  skipUTF8Validation: true,
});

sockets.on("connection", (browser, request) => {
  const link = net.connect({ host: "127.0.0.1", port: Number(backend), noDelay: true });
  request.socket.setNoDelay(true);

  browser.on("message", (message) => {
    const head = Buffer.allocUnsafe(4);
    head.writeUInt32BE(message.length);
    link.cork(); // one write for all that this turn brings
    link.write(head);
    if (!link.write(message) && !browser.isPaused) browser.pause();
    process.nextTick(() => link.uncork());
  });
  link.on("drain", () => browser.resume());

  let rest = null;
  link.on("data", (data) => {
    if (rest !== null) data = Buffer.concat([rest, data]);
    rest = null;
    let at = 0;
    request.socket.cork();
    while (data.length - at >= 4) {
      const end = at + 4 + data.readUInt32BE(at);
      if (data.length < end) break;
      browser.send(data.subarray(at + 4, end), { binary: true });
      at = end;
    }
    request.socket.uncork();
    if (at < data.length) rest = data.subarray(at);
    if (request.socket.writableNeedDrain) {
      link.pause();
      request.socket.once("drain", () => link.resume());
    }
  });

  browser.on("close", () => link.destroy());
  link.on("close", () => browser.close());
  link.on("error", () => browser.terminate());
  browser.on("error", () => link.destroy());
});

server.listen(Number(port), "127.0.0.1", 4096);
