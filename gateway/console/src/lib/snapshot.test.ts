import { expect, it } from "vitest";
import { isRead } from "./snapshot.svelte";

it("keeps what reads and nothing that changes", () => {
  expect(isRead("https://x/civicmesh.forecasting.v1.ForecastService/ListRiskItems")).toBe(true);
  expect(isRead("https://x/civicmesh.identity.v1.AccountService/GetMyProfile")).toBe(true);
  expect(isRead("https://x/civicmesh.forecasting.v1.ForecastService/ExplainStatus")).toBe(true);
  expect(isRead("https://x/civicmesh.feedback.v1.FeedbackService/GetFeedbackStatistics")).toBe(true);
  expect(isRead("https://x/civicmesh.feedback.v1.FeedbackService/GetFeedback")).toBe(false);
  expect(isRead("https://x/civicmesh.explanations.v1.ExplanationService/CreateExplanation")).toBe(false);
  expect(isRead("https://x/civicmesh.gateway.v1.LiveService/Watch")).toBe(false);
});
