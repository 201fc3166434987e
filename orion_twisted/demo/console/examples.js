// Messages to start from. Each is what the engine takes, without the number that is added.

export const EXAMPLES = [
  ["Say hello", { cmd: "hello" }],
  ["List the documents", { cmd: "documents" }],
  ["New document", { cmd: "new", name: "Offer", pages: 2, width: 595, height: 842 }],
  ["Open a document", { cmd: "open", document: 1 }],
  [
    "Insert a text",
    {
      cmd: "insert",
      page: 1,
      object: { kind: "text", id: "hello", x: 60, y: 560, width: 300, height: 80, text: "Hello through the bridge", size: 24, weight: "bold", color: "#2f5fd0" },
    },
  ],
  [
    "Insert a rectangle",
    { cmd: "insert", page: 1, object: { kind: "rectangle", x: 60, y: 660, width: 160, height: 60, fill: "#fff3c4", stroke: "#de911d", rotation: -4 } },
  ],
  ["Insert a line", { cmd: "insert", page: 1, object: { kind: "line", x: 60, y: 740, width: 475, height: 0, stroke: "#9aa5b1" } }],
  ["Move an object", { cmd: "move", id: "hello", x: 120, y: 600 }],
  ["Resize an object", { cmd: "resize", id: "hello", width: 200, height: 80 }],
  ["Edit properties", { cmd: "edit", id: "hello", set: { text: "안녕하세요", rotation: 8, align: "center" } }],
  ["Read the objects of a page", { cmd: "objects", page: 1 }],
  ["Render a page", { cmd: "render", page: 1 }],
  ["Undo", { cmd: "undo" }],
  ["Save", { cmd: "save" }],
  ["Remove an object", { cmd: "remove", id: "hello" }],
  ["A mistake: a misspelt command", { cmd: "rendr", page: 1 }],
  ["A mistake: a wrong value", { cmd: "move", id: "hello", x: "far", y: 0 }],
];
