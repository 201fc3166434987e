import { act, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { Grid } from "../../src/panels/Grid";
import { Properties } from "../../src/panels/Properties";
import { Toasts } from "../../src/panels/Toasts";
import { Ribbon } from "../../src/ribbon/Ribbon";
import { TitleBar } from "../../src/ribbon/TitleBar";
import { insert, template } from "../../src/workspace/objects";
import { shown } from "../fake/window";

const data = {
  columns: ["name", "city"],
  rows: [
    ["Kim", "Seoul"],
    ["Lee", "Busan"],
  ],
};

describe("the data grid", () => {
  it("is gone about in with the arrows, and takes the row to the page", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Grid />, { data });
    await user.click(screen.getByRole("gridcell", { name: "Kim" }));
    await user.keyboard("{ArrowDown}{ArrowRight}");
    expect(document.activeElement?.textContent).toBe("Busan");
    expect(workspace.state.row).toBe(1);
  });

  it("takes what is typed into a cell, and nothing after Escape", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Grid />, { data });
    await user.dblClick(screen.getByRole("gridcell", { name: "Seoul" }));
    await user.keyboard("Jeju{Enter}");
    expect(workspace.state.report!.data!.rows[0]).toEqual(["Kim", "Jeju"]);
    await user.dblClick(screen.getByRole("gridcell", { name: "Jeju" }));
    await user.keyboard("nothing{Escape}");
    expect(workspace.state.report!.data!.rows[0]).toEqual(["Kim", "Jeju"]);
  });

  it("adds and deletes rows and columns", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Grid />, { data });
    await user.click(screen.getByRole("button", { name: "Add row" }));
    expect(workspace.state.report!.data!.rows).toHaveLength(3);
    expect(workspace.state.row).toBe(2);
    await user.click(screen.getByRole("button", { name: "Delete row" }));
    await user.click(screen.getByRole("columnheader", { name: "name" }));
    await user.click(screen.getByRole("button", { name: "Delete column" }));
    expect(workspace.state.report!.data).toEqual({
      columns: ["city"],
      rows: [["Seoul"], ["Busan"]],
    });
    await user.click(screen.getByRole("button", { name: "Column" }));
    expect(workspace.state.report!.data!.columns).toEqual(["city", "Column 2"]);
  });
});

describe("the property panel", () => {
  it("shows what several objects have in common, and sets it for all", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Properties />);
    let ids: string[] = [];
    act(() => {
      ids = [0, 1].map(() => insert(workspace, template("text", "hello"))!);
      workspace.select(ids);
    });
    expect(screen.getByRole("heading", { name: "2 objects" })).toBeTruthy();
    expect((screen.getByLabelText("X") as HTMLInputElement).value).toBe("");
    await user.click(screen.getByRole("button", { name: "Bold" }));
    act(() => workspace.commit());
    expect(workspace.settled!.pages[0]!.objects).toMatchObject([
      { weight: "bold" },
      { weight: "bold" },
    ]);
  });

  it("takes no number out of range, and says so", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Properties />);
    act(() => void insert(workspace, template("rectangle", "")));
    const width = screen.getByLabelText("Width") as HTMLInputElement;
    await user.clear(width);
    await user.type(width, "-5");
    expect(width.getAttribute("aria-invalid")).toBe("true");
    await user.tab();
    expect(width.value).toBe("140");
  });
});

describe("the ribbon", () => {
  it("has one stop for its tabs and one for its tools", async () => {
    const user = userEvent.setup();
    await shown(<Ribbon />);
    await user.tab();
    expect(document.activeElement).toBe(screen.getByRole("tab", { name: "Insert" }));
    await user.keyboard("{Home}");
    expect(screen.getByRole("tab", { name: "File" }).getAttribute("aria-selected")).toBe("true");
    await user.tab();
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "New" }));
    await user.keyboard("{ArrowRight}{ArrowRight}");
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Save" }));
  });

  it("inserts a field into the text that is selected", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Ribbon />, { data });
    act(() => void insert(workspace, template("text", "Dear")));
    await user.click(screen.getByRole("button", { name: "Field" }));
    await user.keyboard("{ArrowDown}{Enter}");
    expect(workspace.state.report!.pages[0]!.objects).toMatchObject([{ text: "Dear {{city}}" }]);
  });
});

describe("the title bar", () => {
  it("counts what waits without a link, and lets one try by hand", async () => {
    const user = userEvent.setup();
    const { workspace, link } = await shown(<TitleBar />);
    act(() => link.cut());
    act(() => void insert(workspace, template("line", "")));
    expect(screen.getByTestId("connection").textContent).toBe(
      "Reconnecting in 0 s · 1 change waits",
    );
    await user.click(screen.getByRole("button", { name: "Now" }));
    expect(workspace.state.link.phase).toBe("online");
  });

  it("says what is not saved", async () => {
    const { workspace } = await shown(<TitleBar />);
    act(() => void insert(workspace, template("line", "")));
    expect(screen.getByTestId("saved-state").textContent).toBe("Not saved");
  });
});

describe("messages", () => {
  it("offer to undo, and do", async () => {
    const user = userEvent.setup();
    const { workspace } = await shown(<Toasts />);
    act(() => {
      workspace.edit("renameDocument", [{ op: "rename", name: "Other" }]);
      workspace.toasts.show({ key: "deleted", values: { count: 1 } }, "info", true);
    });
    const status = within(screen.getByRole("status"));
    await user.click(status.getByRole("button", { name: "Undo" }));
    expect(workspace.state.report!.name).toBe("Invoice");
    expect(status.queryByRole("button", { name: "Undo" })).toBeNull();
  });
});
