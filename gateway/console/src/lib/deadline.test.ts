import { expect, it } from "vitest";
import { en } from "../messages/en";
import { vi } from "../messages/vi";
import { remaining } from "./deadline";

const now = Date.UTC(2026, 10, 21);
const at = (hours: number) => new Date(now + hours * 3_600_000);

it("counts down and then up", () => {
  expect(remaining(at(28), vi, now)).toBe("còn 1 ngày 4 giờ");
  expect(remaining(at(-5 * 24), vi, now)).toBe("trễ 5 ngày");
  expect(remaining(at(0.5), vi, now)).toBe("còn 30 phút");
  expect(remaining(at(24), en, now)).toBe("1 day left");
});
