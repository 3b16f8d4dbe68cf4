import { expect, it } from "vitest";
import { match, type Route, withQuery } from "./router";

const load = () => Promise.reject(new Error("not loaded here"));
const routes: Route[] = ["/", "/feedback", "/feedback/:id"].map((pattern) => ({ pattern, load }));

it("matches paths to routes", () => {
  expect(match(routes, "/")?.route.pattern).toBe("/");
  expect(match(routes, "/feedback/")?.route.pattern).toBe("/feedback");
  expect(match(routes, "/feedback/a%20b")?.params).toEqual({ id: "a b" });
  expect(match(routes, "/feedback/a/b")).toBeUndefined();
});

it("keeps the rest of the query", () => {
  const query = new URLSearchParams("unit=1&field=T04");
  expect(withQuery(query, { unit: "", sort: "gap" }).toString()).toBe("field=T04&sort=gap");
});
