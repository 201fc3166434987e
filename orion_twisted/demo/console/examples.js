// Messages to start from. Each is what the engine takes, without the number that is added. The page
// puts in its own document, client and edit.

const edit = (number, ...changes) => ({ cmd: "apply", document: 1, client: "by-hand", edit: number, changes });

export const EXAMPLES = [
  ["Say hello", { cmd: "hello" }],
  ["List the documents", { cmd: "documents" }],
  ["New document", { cmd: "new", name: "Offer", width: 595, height: 842 }],
  ["Open a document", { cmd: "open", document: 1, client: "by-hand" }],
  [
    "Insert a text",
    edit(1, {
      op: "insert",
      page: "p1",
      object: { kind: "text", id: "hello", x: 60, y: 560, width: 300, height: 80, text: "Hello through the bridge", size: 24, weight: "bold", color: "#2f5fd0" },
    }),
  ],
  [
    "Insert a rectangle and a line",
    edit(
      2,
      { op: "insert", page: "p1", object: { kind: "rectangle", id: "box", x: 60, y: 660, width: 160, height: 60, fill: "#fff3c4", stroke: "#de911d", rotation: -4 } },
      { op: "insert", page: "p1", object: { kind: "line", id: "rule", x: 60, y: 740, width: 475, height: 0, stroke: "#9aa5b1" } },
    ),
  ],
  ["Insert a barcode", edit(3, { op: "insert", page: "p1", object: { kind: "barcode", id: "code", x: 60, y: 760, width: 200, height: 60, text: "ORION-1" } })],
  ["Move and turn an object", edit(4, { op: "set", id: "hello", set: { x: 120, y: 600, rotation: 8 } })],
  ["Change a text", edit(5, { op: "set", id: "hello", set: { text: "안녕하세요", align: "center" } })],
  ["Send an object to the back", edit(6, { op: "order", id: "hello", at: 0 })],
  ["Add a page", edit(7, { op: "insert_page", page: { id: "second", width: 595, height: 842 } })],
  ["Put in a table of data", edit(8, { op: "data", data: { columns: ["name"], rows: [["Kim"], ["이서연"]] } })],
  ["Rename the document", edit(9, { op: "rename", name: "By hand" })],
  ["Render a page", { cmd: "render", document: 1, page: "p1" }],
  ["What has happened since edit 5", { cmd: "sync", document: 1, client: "by-hand", seq: 5 }],
  ["Print", { cmd: "pdf", document: 1, rows: "all" }],
  ["Save", { cmd: "save", document: 1 }],
  ["Remove an object", edit(10, { op: "remove", id: "hello" })],
  ["A mistake: a misspelt command", { cmd: "rendr", document: 1, page: "p1" }],
  ["A mistake: a wrong value", edit(11, { op: "set", id: "box", set: { x: "far" } })],
];
