//! Every method of the contract × every role × own and other unit, against a table that is written here by hand; and
//! tokens that must never be accepted, straight to every service's port.

mod table;
mod things;
mod token;

use std::collections::{BTreeMap, BTreeSet};

use e2e::{City, Http, Options, call};
use prost_reflect::MethodDescriptor;
use serde_json::{Value, json};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use crate::journey::{World, request};
use table::{METHODS, ROLES, Reach, Rule};
use things::{SIDES, Side, Things};

/// Somebody who calls.
struct Who {
    name: String,
    token: Option<String>,
    permissions: BTreeSet<&'static str>,
    service: bool,
    /// The key of the unit that the grant covers with all below; none for no grant, "79" for everything.
    unit: Option<String>,
    fields: Vec<String>,
}

impl Who {
    /// Whether a thing of these units and this field is the caller's own.
    fn covers(&self, units: &[&str], field: &str) -> bool {
        self.unit
            .as_deref()
            .is_some_and(|own| own == "79" || units.contains(&own))
            || self.fields.iter().any(|own| own == field)
    }
}

/// The demonstration accounts, one per line as they are loaded.
fn accounts() -> Vec<BTreeMap<String, String>> {
    let file = include_str!("../../services/civicmesh/demo/accounts.csv");
    let mut lines = file.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let cells = line.split(',').map(ToOwned::to_owned);
            names.iter().map(ToString::to_string).zip(cells).collect()
        })
        .collect()
}

fn permissions(role: &str) -> BTreeSet<&'static str> {
    let found = ROLES.iter().find(|(name, _)| *name == role);
    let (_, permissions) = found.unwrap_or_else(|| panic!("the table lacks the role {role}"));
    permissions.iter().copied().collect()
}

async fn everybody(city: &City) -> Vec<Who> {
    let mut all = vec![Who {
        name: "nobody".to_owned(),
        token: None,
        permissions: BTreeSet::new(),
        service: false,
        unit: None,
        fields: Vec::new(),
    }];
    for account in accounts() {
        let unit = account.get("grant_unit_key").filter(|key| !key.is_empty());
        all.push(Who {
            token: Some(city.token(&account["login"]).await),
            name: account["login"].clone(),
            permissions: account["roles"].split('|').flat_map(permissions).collect(),
            service: false,
            unit: Some(unit.unwrap_or(&account["unit_key"]).clone()),
            fields: account["fields"]
                .split('|')
                .filter(|field| !field.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
        });
    }
    for role in ["statistician", "platform_admin"] {
        all.push(local(city, role).await);
    }
    for (name, role) in [("feedback", "mesh"), ("civicmesh", "installer")] {
        all.push(Who {
            name: name.to_owned(),
            token: Some(city.service_token(name).await),
            permissions: permissions(role),
            service: true,
            unit: Some("79".to_owned()),
            fields: Vec::new(),
        });
    }
    all
}

/// Somebody whose role, otherwise one of the whole city, holds in the ward Sài Gòn only.
async fn local(city: &City, role: &str) -> Who {
    let installer = Http::with_token(&city.url, &city.service_token("civicmesh").await);
    let world = World::of(&city.rest("chairman").await).await;
    let name = format!("saigon.{}", role.replace('_', "."));
    let account = json!({
        "login": name, "displayName": name, "homeUnitId": world.saigon(), "password": e2e::PASSWORD,
    });
    let account = installer.post("/v1/accounts", &request(account)).await.ok();
    let grant = json!({"principalId": account["id"], "role": role, "unitId": world.saigon()});
    installer.post("/v1/grants", &request(grant)).await.ok();
    Who {
        token: Some(city.token(&name).await),
        name,
        permissions: permissions(role),
        service: false,
        unit: Some("26740".to_owned()),
        fields: Vec::new(),
    }
}

/// Connections to every service's own port, and to the gateway.
struct Ports(BTreeMap<String, Channel>);

impl Ports {
    fn of(city: &City) -> Self {
        let channel = |address: String| Endpoint::from_shared(address).unwrap().connect_lazy();
        let ports = city.ports.iter();
        Self(
            ports
                .map(|(name, address)| ((*name).to_owned(), channel(format!("http://{address}"))))
                .collect(),
        )
    }

    fn serving(&self, method: &MethodDescriptor) -> Channel {
        let owner = call::owner(method).unwrap_or_else(|| "indicators".to_owned());
        self.0[&owner].clone()
    }

    fn all(&self) -> impl Iterator<Item = (&String, &Channel)> {
        self.0.iter()
    }
}

#[test]
fn the_table_says_what_the_contract_says() {
    let declared: BTreeMap<_, _> = call::methods()
        .iter()
        .map(|method| (call::short_name(method), table::rule(method)))
        .collect();
    let written: BTreeMap<_, _> = METHODS
        .iter()
        .map(|line| (line.name.to_owned(), line.rule))
        .collect();
    assert_eq!(
        written.len(),
        METHODS.len(),
        "a method is in the table twice"
    );
    for (name, rule) in &declared {
        let line = written.get(name);
        let line =
            line.unwrap_or_else(|| panic!("{name} is new: say in the table who may call it"));
        assert_eq!(line, rule, "{name}");
    }
    let gone: Vec<_> = written
        .keys()
        .filter(|name| !declared.contains_key(*name))
        .collect();
    assert!(gone.is_empty(), "no longer in the contract: {gone:?}");
    let held: BTreeSet<_> = ROLES
        .iter()
        .flat_map(|(_, permissions)| *permissions)
        .collect();
    for line in METHODS {
        if let Rule::May(permission) = line.rule {
            assert!(held.contains(&permission), "no role holds {permission}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_lets_in_whom_it_says_and_shows_them_what_is_theirs() {
    let mut city = City::serve(Options::default()).await;
    let ports = Ports::of(&city);
    token::attacks_are_refused(&city, &ports).await;

    let everybody = everybody(&city).await;
    roles_are_as_written(&city).await;
    let things = Things::make(&city).await;
    let mut wrong = Vec::new();
    let mut calls = 0;
    for line in METHODS {
        let method = call::method(line.name);
        for who in &everybody {
            for side in SIDES {
                let Some(request) = line.reach.request(&things, side) else {
                    continue;
                };
                calls += 1;
                let answer = call::call(
                    ports.serving(&method),
                    &method,
                    who.token.as_deref(),
                    &[],
                    &request,
                )
                .await;
                if let Err(problem) = line.judge(who, side, &things, &answer) {
                    let shown = match &answer {
                        Ok(_) => "OK".to_owned(),
                        Err(status) => format!("{:?} {}", call::reason(status), status.message()),
                    };
                    wrong.push(format!(
                        "{} by {} ({side:?}): {problem}; {shown}",
                        line.name, who.name
                    ));
                }
            }
        }
    }
    eprintln!(
        "{calls} calls: {} methods, {} callers",
        METHODS.len(),
        everybody.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {calls} calls:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    city.stop().await;
}

/// The roles in force are those of the table, no more and no less.
async fn roles_are_as_written(city: &City) {
    let rest = city.rest("chairman").await;
    let roles = rest.get("/v1/roles").await.ok();
    for role in roles["roles"].as_array().unwrap() {
        let code = role["code"].as_str().unwrap();
        let told: BTreeSet<_> = role["permissions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|permission| permission.as_str().unwrap())
            .collect();
        assert_eq!(told, permissions(code), "{code}");
    }
}

/// Refused before anything was looked at, for want of a good token.
fn is_unknown(status: &Status) -> bool {
    let (code, reason) = call::reason(status);
    code == Code::Unauthenticated && reason.starts_with("TOKEN_")
}

fn is_denied(status: &Status) -> bool {
    status.code() == Code::PermissionDenied
}

impl table::Line {
    /// Whether an answer is what the rule wants.
    fn judge(
        &self,
        who: &Who,
        side: Side,
        things: &Things,
        answer: &Result<Value, Status>,
    ) -> Result<(), String> {
        let refused = answer.as_ref().err();
        let let_in = match self.rule {
            Rule::Public => true,
            Rule::SignedIn => who.token.is_some(),
            Rule::Service => who.service,
            Rule::May(permission) => who.permissions.contains(permission),
        };
        if !let_in && who.token.is_none() {
            return expect(refused.is_some_and(is_unknown), "must ask for a token");
        }
        if !let_in {
            return expect(refused.is_some_and(is_denied), "must be denied");
        }
        if refused.is_some_and(is_unknown) {
            return Err("has a good token".to_owned());
        }
        if refused.is_some_and(|status| {
            matches!(
                status.code(),
                Code::Internal | Code::Unknown | Code::Unavailable | Code::Unimplemented
            )
        }) {
            return Err("must be served".to_owned());
        }
        // Asking, answering and deciding are for people, whatever rights a program has.
        if who.service && refused.is_some_and(|status| call::reason(status).1 == "NOT_A_PERSON") {
            return Ok(());
        }
        self.reach.judge(who, side, things, answer)
    }
}

impl Reach {
    /// Whether an answer to somebody whom the rule lets in is cut to what is theirs.
    fn judge(
        &self,
        who: &Who,
        side: Side,
        things: &Things,
        answer: &Result<Value, Status>,
    ) -> Result<(), String> {
        let refused = answer.as_ref().err();
        let wrong_password =
            refused.is_some_and(|status| call::reason(status).1 == "WRONG_PASSWORD");
        let denied = refused.is_some_and(is_denied);
        match self {
            Reach::Whole(_) => expect(!denied || wrong_password, "holds the permission"),
            Reach::Also(second, _) => expect(
                who.permissions.contains(second) != denied,
                "what a feed carries wants its own permission",
            ),
            Reach::Citywide(_) => {
                let everywhere = who.unit.as_deref() == Some("79");
                expect(
                    everywhere != denied,
                    if everywhere {
                        "holds the permission in the whole city"
                    } else {
                        "holds the permission in one unit only"
                    },
                )
            }
            Reach::Thing(kind, _) => {
                let hidden =
                    denied || refused.is_some_and(|status| status.code() == Code::NotFound);
                let own = kind.covered_by(who, side);
                expect(
                    own != hidden,
                    if own { "is its own" } else { "is not its own" },
                )
            }
            Reach::Listed(kind, _, id) => match answer {
                Err(status) => Err(format!("a list is cut, not refused: {status:?}")),
                Ok(list) => {
                    let own = kind.covered_by(who, side);
                    let shown = list.to_string().contains(id(things, side));
                    expect(
                        own == shown,
                        if own {
                            "must show its own"
                        } else {
                            "must not show others'"
                        },
                    )
                }
            },
            Reach::Counted(kind, _, count) => match answer {
                Err(status) => Err(format!("a count is cut, not refused: {status:?}")),
                Ok(counted) => {
                    let own = kind.covered_by(who, side);
                    let sum = count(things, side, counted);
                    expect(own == (sum > 0), &format!("counts {sum}, own: {own}"))
                }
            },
        }
    }
}

fn expect(holds: bool, problem: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(problem.to_owned())
    }
}
