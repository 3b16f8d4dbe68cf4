//! The table: who may call each method, and what a call is about. Written by hand, so that a rule cannot be widened in
//! the contract alone; a method that is missing here fails a test.

use prost_reflect::{MethodDescriptor, Value as Option_};
use serde_json::{Value, json};

use super::{
    Who,
    things::{self, Kind, Side, Things},
};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anybody.
    Public,
    /// Whoever has a good token.
    SignedIn,
    /// Services of the mesh.
    Service,
    /// Who holds this permission somewhere.
    May(&'static str),
}

/// What a call is about.
pub enum Reach {
    /// The same for all who may call, or about the caller alone.
    Whole(fn() -> Value),
    /// What belongs to no single unit: for those who hold the permission in the whole city.
    Citywide(fn() -> Value),
    /// The same for all who also hold a second permission somewhere.
    Also(&'static str, fn() -> Value),
    /// One thing, hidden from those it is not for.
    Thing(Kind, fn(&Things, Side) -> Value),
    /// A list that shows a thing, known by the last function, to those it is for.
    Listed(Kind, fn(&Things, Side) -> Value, fn(&Things, Side) -> &str),
    /// A count, read from the answer by the last function, of things of one side only.
    Counted(
        Kind,
        fn(&Things, Side) -> Value,
        fn(&Things, Side, &Value) -> i64,
    ),
}

impl Reach {
    /// The request; what is about nobody's thing is called once.
    pub fn request(&self, things: &Things, side: Side) -> Option<Value> {
        match self {
            Self::Whole(request) | Self::Citywide(request) | Self::Also(_, request) => {
                (side == Side::Department).then(request)
            }
            Self::Thing(_, request)
            | Self::Listed(_, request, _)
            | Self::Counted(_, request, _) => Some(request(things, side)),
        }
    }
}

/// One method.
pub struct Line {
    pub name: &'static str,
    pub rule: Rule,
    pub reach: Reach,
}

/// What each role permits.
pub const ROLES: &[(&str, &[&str])] = &[
    (
        "city_leader",
        &[
            "indicators.read",
            "forecasting.read",
            "explanations.read",
            "explanations.request",
            "explanations.review",
            "feedback.read",
            "feedback.direct",
        ],
    ),
    (
        "unit_head",
        &[
            "indicators.read",
            "indicators.approve",
            "forecasting.read",
            "explanations.read",
            "explanations.answer",
            "feedback.read",
            "feedback.answer",
        ],
    ),
    (
        "reporting_officer",
        &[
            "indicators.read",
            "indicators.submit",
            "forecasting.read",
            "explanations.read",
        ],
    ),
    (
        "approver",
        &[
            "indicators.read",
            "indicators.approve",
            "forecasting.read",
            "explanations.read",
        ],
    ),
    (
        "statistician",
        &[
            "indicators.read",
            "indicators.accept",
            "indicators.define",
            "indicators.plan",
            "indicators.publish",
            "forecasting.read",
            "explanations.read",
        ],
    ),
    (
        "operator_1022",
        &[
            "feedback.read",
            "feedback.dispatch",
            "feedback.read_contacts",
        ],
    ),
    ("dispatcher", &["feedback.read", "feedback.dispatch"]),
    (
        "case_officer",
        &["feedback.read", "feedback.answer", "feedback.read_contacts"],
    ),
    (
        "inspector",
        &[
            "indicators.read",
            "forecasting.read",
            "explanations.read",
            "feedback.read",
            "audit.read",
        ],
    ),
    (
        "security_officer",
        &["audit.read", "identity.manage_accounts"],
    ),
    (
        "unit_admin",
        &["identity.manage_accounts", "identity.manage_grants"],
    ),
    (
        "platform_admin",
        &[
            "identity.manage_units",
            "identity.manage_accounts",
            "identity.manage_grants",
            "indicators.define",
            "indicators.publish",
            "forecasting.configure",
            "feedback.configure",
            "notifications.operate",
            "platform.operate",
            "events.subscribe",
        ],
    ),
    (
        "integrator",
        &["indicators.read", "indicators.submit", "events.subscribe"],
    ),
    ("citizen", &[]),
    (
        "mesh",
        &[
            "mesh.call",
            "events.subscribe",
            "indicators.read",
            "forecasting.read",
            "explanations.read",
            "feedback.read",
            "identity.read_contacts",
        ],
    ),
    (
        "installer",
        &[
            "mesh.call",
            "identity.manage_units",
            "identity.manage_accounts",
            "identity.manage_grants",
            "identity.read_contacts",
            "audit.read",
            "indicators.read",
            "indicators.submit",
            "indicators.approve",
            "indicators.accept",
            "indicators.define",
            "indicators.plan",
            "indicators.publish",
            "forecasting.read",
            "forecasting.configure",
            "explanations.read",
            "explanations.request",
            "explanations.answer",
            "explanations.review",
            "feedback.read",
            "feedback.dispatch",
            "feedback.answer",
            "feedback.direct",
            "feedback.read_contacts",
            "feedback.configure",
            "notifications.operate",
            "platform.operate",
            "events.subscribe",
        ],
    ),
];

const fn line(name: &'static str, rule: Rule, reach: Reach) -> Line {
    Line { name, rule, reach }
}

const fn whole(name: &'static str, rule: Rule) -> Line {
    line(name, rule, Reach::Whole(|| json!({})))
}

const fn citywide(name: &'static str, rule: Rule) -> Line {
    line(
        name,
        rule,
        Reach::Citywide(|| json!({"requestId": e2e::request_id()})),
    )
}

use Kind::{Account, Answer, Case, Figure, Item, Report, Request, Review};
use Reach::{Also, Citywide, Counted, Listed, Thing, Whole};
use Rule::{May, Public, Service, SignedIn};

/// Every method of the contract.
pub const METHODS: &[Line] = &[
    // identity
    whole("AccountService/GetMyProfile", SignedIn),
    line(
        "AccountService/SetMyLanguage",
        SignedIn,
        Whole(|| json!({"language": "xx"})),
    ),
    whole("AccountService/ChangeMyPassword", SignedIn),
    whole("AccountService/ListRoles", SignedIn),
    line(
        "AccountService/CreateAccount",
        May("identity.manage_accounts"),
        Thing(Account, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "login": format!("t{}", &uuid::Uuid::now_v7().simple().to_string()[20..]),
                "displayName": "Người mới",
                "homeUnitId": things.home(side),
                "password": "correct horse battery",
            })
        }),
    ),
    line(
        "AccountService/GetAccount",
        May("identity.manage_accounts"),
        Thing(Account, |things, side| json!({"id": things.officer(side)})),
    ),
    line(
        "AccountService/ListAccounts",
        May("identity.manage_accounts"),
        Listed(
            Account,
            |things, side| json!({"unitId": things.home(side), "pageSize": 200}),
            Things::officer,
        ),
    ),
    line(
        "AccountService/SetAccountDisabled",
        May("identity.manage_accounts"),
        Thing(Account, |things, side| {
            json!({
                "requestId": e2e::request_id(), "id": things.officer(side), "disabled": true, "etag": e2e::STALE,
            })
        }),
    ),
    line(
        "AccountService/CreateGrant",
        May("identity.manage_grants"),
        Thing(Account, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "principalId": things.officer(side),
                "role": "reporting_officer",
                "unitId": things.home(side),
            })
        }),
    ),
    line(
        "AccountService/RevokeGrant",
        May("identity.manage_grants"),
        Thing(
            Account,
            |things, side| json!({"requestId": e2e::request_id(), "id": things.grant(side)}),
        ),
    ),
    line(
        "AccountService/ListGrants",
        May("identity.manage_grants"),
        Listed(
            Account,
            |things, side| json!({"principalId": things.officer(side), "includeEnded": true, "pageSize": 200}),
            Things::grant,
        ),
    ),
    line(
        "AccountService/BatchGetContacts",
        May("identity.read_contacts"),
        Whole(|| json!({"personIds": [uuid::Uuid::now_v7().to_string()]})),
    ),
    whole("TokenService/IssueServiceToken", Public),
    whole("TokenService/GetKeys", Public),
    whole("AuditService/ListAuditEntries", May("audit.read")),
    line(
        "DirectoryService/GetUnit",
        SignedIn,
        Whole(|| json!({"id": uuid::Uuid::now_v7().to_string()})),
    ),
    whole("DirectoryService/ListUnits", SignedIn),
    line(
        "DirectoryService/ListUnitChanges",
        SignedIn,
        Whole(|| json!({"unitId": uuid::Uuid::now_v7().to_string()})),
    ),
    citywide("DirectoryService/ImportUnits", May("identity.manage_units")),
    whole("DirectoryService/ExportDirectory", Service),
    // indicators
    line(
        "IndicatorService/GetIndicator",
        SignedIn,
        Whole(|| json!({"id": "HCM.04.04"})),
    ),
    whole("IndicatorService/ListIndicators", SignedIn),
    citywide(
        "IndicatorService/ImportIndicators",
        May("indicators.define"),
    ),
    line(
        "TargetService/ListTargets",
        May("indicators.read"),
        Listed(Figure, Things::series_of, Things::indicator),
    ),
    line(
        "TargetService/SetTarget",
        May("indicators.plan"),
        Thing(Figure, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "target": {
                    "indicatorId": things.indicator(side),
                    "unitId": things.subject(side),
                    "period": {"code": "2027"},
                    "author": "TARGET_AUTHOR_CITY",
                    "kind": "TARGET_KIND_BASE",
                    "comparator": "COMPARATOR_AT_LEAST",
                    "value": "90",
                    "source": "test",
                },
            })
        }),
    ),
    whole("TargetService/ImportTargets", May("indicators.plan")),
    line(
        "ObservationService/ListObservations",
        May("indicators.read"),
        Listed(Figure, Things::series_of, Things::indicator),
    ),
    whole(
        "ObservationService/ImportObservations",
        May("indicators.publish"),
    ),
    line(
        "SubmissionService/CreateSubmission",
        May("indicators.submit"),
        Thing(Report, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "indicatorId": things.indicator(side),
                "unitId": things.subject(side),
                "period": {"code": e2e::month(1)},
                "value": "91,5",
            })
        }),
    ),
    line(
        "SubmissionService/GetSubmission",
        May("indicators.read"),
        Thing(
            Figure,
            |things, side| json!({"id": things.submission(side)}),
        ),
    ),
    line(
        "SubmissionService/ListSubmissions",
        May("indicators.read"),
        Listed(
            Figure,
            |things, side| json!({"indicatorId": things.indicator(side)}),
            Things::submission,
        ),
    ),
    line(
        "SubmissionService/ApproveSubmission",
        May("indicators.approve"),
        Thing(
            Report,
            |things, side| json!({"requestId": e2e::request_id(), "id": things.submission(side), "etag": e2e::STALE}),
        ),
    ),
    line(
        "SubmissionService/ReturnSubmission",
        May("indicators.approve"),
        Thing(Report, |things, side| {
            json!({
                "requestId": e2e::request_id(), "id": things.submission(side), "etag": e2e::STALE, "reason": "Sai số",
            })
        }),
    ),
    line(
        "SubmissionService/ListDueReports",
        May("indicators.submit"),
        Listed(
            Report,
            |things, side| json!({"unitId": things.subject(side), "pageSize": 200}),
            Things::indicator,
        ),
    ),
    // forecasting
    line(
        "ForecastService/ListRiskItems",
        May("forecasting.read"),
        Listed(Figure, Things::series_of, Things::indicator),
    ),
    line(
        "ForecastService/GetRiskSummary",
        May("forecasting.read"),
        Counted(
            Figure,
            |things, side| match side {
                Side::Department => json!({"fieldCode": "T04"}),
                // Others answer for fields in which the ward has figures, too.
                Side::Ward => json!({"unitId": things.subject(side), "fieldCode": "X2"}),
            },
            |_, _, answer| sum(&answer["counts"], "count", |_| true),
        ),
    ),
    line(
        "ForecastService/GetForecast",
        May("forecasting.read"),
        Thing(Figure, Things::series_of),
    ),
    line(
        "ForecastService/ExplainStatus",
        May("forecasting.read"),
        Thing(Figure, Things::series_of),
    ),
    line(
        "ForecastService/TryScenario",
        May("forecasting.read"),
        Thing(Figure, |things, side| {
            let mut request = things.series_of(side);
            request["periods"] = json!([e2e::month(0)]);
            request["values"] = json!(["91.5"]);
            request
        }),
    ),
    line(
        "ForecastService/SaveScenario",
        May("forecasting.read"),
        Thing(Figure, |things, side| {
            let mut request = things.series_of(side);
            request["requestId"] = json!(e2e::request_id());
            request["name"] = json!("a good month");
            request["periods"] = json!([e2e::month(0)]);
            request["values"] = json!(["91.5"]);
            request
        }),
    ),
    line(
        "ForecastService/ListScenarios",
        May("forecasting.read"),
        Thing(Figure, Things::series_of),
    ),
    line(
        "ForecastService/DeleteScenario",
        May("forecasting.read"),
        Whole(|| json!({"id": e2e::request_id()})),
    ),
    line(
        "ForecastService/GetOutlook",
        May("forecasting.read"),
        Thing(Figure, Things::series_of),
    ),
    whole("ForecastService/WatchRisk", May("forecasting.read")),
    line(
        "ForecastService/GetAccuracy",
        May("forecasting.read"),
        Counted(Figure, Things::series_of, |_, _, answer| {
            answer["seriesCount"].as_i64().unwrap_or_default()
        }),
    ),
    line(
        "ForecastService/CheckValue",
        May("forecasting.read"),
        Thing(Figure, |things, side| {
            let mut request = things.series_of(side);
            request["value"] = json!("91.5");
            request["period"] = json!({"code": e2e::month(1)});
            request
        }),
    ),
    whole("ForecastService/GetThresholds", SignedIn),
    citywide(
        "ForecastService/SetThresholds",
        May("forecasting.configure"),
    ),
    // explanations
    line(
        "ExplanationService/CreateExplanation",
        May("explanations.request"),
        Thing(Review, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "indicatorId": things.indicator(side),
                "subjectUnitId": things.subject(side),
                "deadline": things.deadline,
                "message": "Why?",
            })
        }),
    ),
    line(
        "ExplanationService/GetExplanation",
        May("explanations.read"),
        Thing(
            Request,
            |things, side| json!({"id": things.explanation(side)}),
        ),
    ),
    line(
        "ExplanationService/ListExplanations",
        May("explanations.read"),
        Listed(
            Request,
            |things, side| json!({"indicatorId": things.indicator(side), "pageSize": 200}),
            Things::explanation,
        ),
    ),
    whole("ExplanationService/ListDeadlines", SignedIn),
    line(
        "ExplanationService/AnswerExplanation",
        May("explanations.answer"),
        Thing(Answer, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "id": things.explanation(side),
                "etag": e2e::STALE,
                "cause": "Chậm",
                "action": "Nhanh",
                "remedyDate": "2099-12-15",
            })
        }),
    ),
    line(
        "ExplanationService/ReturnExplanation",
        May("explanations.review"),
        Thing(Review, |things, side| things.step(side, "reason")),
    ),
    line(
        "ExplanationService/AcceptExplanation",
        May("explanations.review"),
        Thing(Review, |things, side| things.step(side, "note")),
    ),
    line(
        "ExplanationService/WithdrawExplanation",
        May("explanations.request"),
        Thing(Review, |things, side| things.step(side, "reason")),
    ),
    line(
        "ExplanationService/RequestExtension",
        May("explanations.answer"),
        Thing(Answer, |things, side| {
            let mut request = things.step(side, "reason");
            request["deadline"] = things.deadline.clone();
            request
        }),
    ),
    line(
        "ExplanationService/DecideExtension",
        May("explanations.review"),
        Thing(Review, |things, side| things.step(side, "note")),
    ),
    line(
        "ExplanationService/UploadAttachment",
        May("explanations.answer"),
        Thing(Answer, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "explanationId": things.explanation(side),
                "name": "a.pdf",
                "contentType": "application/pdf",
                "content": things::PDF,
            })
        }),
    ),
    line(
        "ExplanationService/DownloadAttachment",
        May("explanations.read"),
        Thing(
            Request,
            |things, side| json!({"explanationId": things.explanation(side), "id": things.attachment(side)}),
        ),
    ),
    // feedback
    whole("PublicFeedbackService/FileFeedback", Public),
    whole("PublicFeedbackService/UploadPhoto", Public),
    line(
        "PublicFeedbackService/TrackFeedback",
        Public,
        Whole(|| json!({"trackingCode": "none"})),
    ),
    line(
        "PublicFeedbackService/RateFeedback",
        Public,
        Whole(|| json!({"requestId": e2e::request_id(), "trackingCode": "none", "rating": 5})),
    ),
    whole("PublicFeedbackService/ListCategories", Public),
    whole("PublicFeedbackService/LocatePoint", Public),
    line(
        "FeedbackService/GetFeedback",
        May("feedback.read"),
        Thing(Item, |things, side| json!({"id": things.item(side)})),
    ),
    line(
        "FeedbackService/ListFeedback",
        May("feedback.read"),
        Listed(
            Item,
            |things, side| json!({"query": things.code(side), "pageSize": 200}),
            Things::item,
        ),
    ),
    line(
        "FeedbackService/GetFeedbackStatistics",
        May("feedback.read"),
        Counted(
            Item,
            |things, side| match side {
                Side::Department => json!({"unitId": things.construction, "fieldCode": "T12"}),
                Side::Ward => json!({"unitId": things.subject(side)}),
            },
            // Of its place alone: a ward also sees what lies in it and is a department's.
            |things, side, answer| {
                let place = things.place(side);
                sum(&answer["byPlace"], "received", |row| row["key"] == place)
            },
        ),
    ),
    line(
        "FeedbackService/GetFeedbackHeatMap",
        May("feedback.read"),
        Counted(
            Item,
            |_, side| match side {
                Side::Department => json!({"resolution": 8, "categoryCode": "bus"}),
                Side::Ward => json!({"resolution": 8, "categoryCode": "waste"}),
            },
            |_, _, answer| sum(&answer["cells"], "count", |_| true),
        ),
    ),
    line(
        "FeedbackService/RouteFeedback",
        May("feedback.dispatch"),
        Thing(Item, |things, side| {
            json!({
                "requestId": e2e::request_id(),
                "id": things.item(side),
                "etag": e2e::STALE,
                "unitId": things.subject(Side::Ward),
                "reason": "Đúng thẩm quyền",
            })
        }),
    ),
    line(
        "FeedbackService/RejectFeedback",
        May("feedback.dispatch"),
        Thing(Item, |things, side| things.work(side, "reason")),
    ),
    line(
        "FeedbackService/ReportProgress",
        May("feedback.answer"),
        Thing(Case, |things, side| {
            let mut request = things.work(side, "text");
            request["promiseDate"] = json!("2099-12-15");
            request
        }),
    ),
    line(
        "FeedbackService/AnswerFeedback",
        May("feedback.answer"),
        Thing(Case, |things, side| things.work(side, "text")),
    ),
    line(
        "FeedbackService/DownloadPhoto",
        May("feedback.read"),
        Thing(
            Item,
            |things, side| json!({"feedbackId": things.item(side), "id": things.photo(side)}),
        ),
    ),
    citywide("FeedbackService/ImportFeedback", May("feedback.configure")),
    // notifications
    whole("NotificationService/ListMyNotifications", SignedIn),
    whole("NotificationService/MarkNotificationsRead", SignedIn),
    whole(
        "NotificationService/ListDeliveries",
        May("notifications.operate"),
    ),
    whole(
        "NotificationService/RetryDelivery",
        May("notifications.operate"),
    ),
    // every service's feed
    line(
        "EventFeedService/Subscribe",
        May("events.subscribe"),
        Also(
            "indicators.read",
            || json!({"types": ["civicmesh.indicators.v1.IndicatorChanged"]}),
        ),
    ),
    line(
        "EventFeedService/AcknowledgeEvents",
        May("events.subscribe"),
        Also(
            "indicators.read",
            || json!({"service": "indicators", "consumer": "test.none", "cursor": "none"}),
        ),
    ),
    line(
        "EventFeedService/ListParkedEvents",
        May("platform.operate"),
        Citywide(|| json!({"service": "indicators"})),
    ),
    line(
        "EventFeedService/ReplayParkedEvents",
        May("platform.operate"),
        Citywide(|| json!({"service": "indicators", "consumer": "test.none", "subject": "none"})),
    ),
    // the gateway
    whole("LiveService/Watch", SignedIn),
];

/// The rule that the contract itself declares.
pub fn rule(method: &MethodDescriptor) -> Rule {
    let name = "civicmesh.options.v1.access";
    let extension = proto::DESCRIPTORS.get_extension_by_name(name).unwrap();
    let options = method.options();
    let access = options.get_extension(&extension);
    let (field, value) = access.as_message().unwrap().fields().next().unwrap();
    match (field.name(), value) {
        ("public", _) => Public,
        ("signed_in", _) => SignedIn,
        ("service", _) => Service,
        (_, Option_::String(permission)) => {
            let written = METHODS.iter().find_map(|line| match line.rule {
                May(name) if name == permission => Some(name),
                _ => None,
            });
            May(written
                .unwrap_or_else(|| panic!("{permission} is new: say in the table who holds it")))
        }
        other => panic!("{}: {other:?}", method.full_name()),
    }
}

/// The sum of a field over the rows that count.
fn sum(rows: &Value, field: &str, counts: impl Fn(&Value) -> bool) -> i64 {
    let rows = rows.as_array().into_iter().flatten();
    rows.filter(|row| counts(row))
        .map(|row| match &row[field] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_i64().unwrap_or_default(),
        })
        .sum()
}

impl Kind {
    /// Whether a thing of this kind and side is within a caller's rights.
    pub fn covered_by(self, who: &Who, side: Side) -> bool {
        let (units, field): (&[&str], &str) = match (self, side) {
            (Figure | Request | Review, Side::Department) => (&["D-FIN"], "T04"),
            (Figure | Request | Review, Side::Ward) => (&["26740"], "X2"),
            (Report | Answer | Account, Side::Department) => (&["D-FIN"], ""),
            (Report | Answer | Account, Side::Ward) => (&["26740"], ""),
            (Item | Case, Side::Department) => (&["D-CON"], "T12"),
            (Item | Case, Side::Ward) => (&["26740"], "T20"),
        };
        who.covers(units, field)
    }
}
