import { create } from "@bufbuild/protobuf";
import { expect, it, vi } from "vitest";
import { ProfileSchema } from "../gen/civicmesh/identity/v1/account_pb";
import { UnitKind } from "../gen/civicmesh/identity/v1/directory_pb";
import { session } from "./session.svelte";
import { units } from "./units.svelte";

const unit = (id: string, kind: UnitKind, parentId = "city") => ({ id, kind, parentId, nameVi: id });
vi.mock("./api", () => ({
  client: () => ({
    listUnits: async () => ({
      units: [
        unit("country", UnitKind.COUNTRY, ""),
        unit("city", UnitKind.CITY, "country"),
        unit("health", UnitKind.DEPARTMENT),
        unit("schools", UnitKind.DEPARTMENT),
        unit("ward 2", UnitKind.WARD),
        unit("ward 1", UnitKind.WARD),
      ],
      nextPageToken: "",
    }),
    getUnit: async ({ id }: { id: string }) => ({ ...unit(id, UnitKind.DISTRICT), validTo: "2025-06-30" }),
  }),
}));
await units.load();

/** What three filters offer to somebody with these grants: of what is visible, who deals with it, where it lies. */
function offered(...grants: { unitId: string; fieldCodes?: string[] }[]) {
  session.enter(create(ProfileSchema, { grants }));
  return (["visible", "dealing", "placed"] as const).map((which) =>
    units.choices((unit) => units[which](unit)).map((one) => one.name),
  );
}
const all = ["city", "health", "schools", "ward 1", "ward 2"];
const wards = ["ward 1", "ward 2"];

it("offers every unit to whom the city or a field across it is granted", () => {
  expect(offered({ unitId: "city" })).toEqual([all, all, wards]);
  expect(offered({ unitId: "health", fieldCodes: ["T16"] })).toEqual([all, all, wards]);
});

it("offers a department its own, which may lie anywhere", () => {
  expect(offered({ unitId: "health" })).toEqual([["health"], ["health"], wards]);
});

it("offers a ward its own, which departments may deal with", () => {
  expect(offered({ unitId: "ward 1" })).toEqual([["ward 1"], ["city", "health", "schools", "ward 1"], ["ward 1"]]);
});

it("offers the chosen one as well, though it has ended", async () => {
  offered({ unitId: "city" });
  const wanted = () => units.choices((unit) => units.visible(unit), "district");
  wanted();
  await vi.waitFor(() => expect(wanted()[0]).toMatchObject({ id: "district", more: expect.stringContaining("2025") }));
  expect(wanted().slice(1)).toEqual(units.choices((unit) => units.visible(unit)));
});
