//! The contract itself: what every method, field and path must have, read from the embedded descriptors.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};
use prost_types::{
    DescriptorProto, FileDescriptorProto, FileDescriptorSet, method_options::IdempotencyLevel,
};

fn methods() -> Vec<MethodDescriptor> {
    proto::DESCRIPTORS
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

fn option(method: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let extension = proto::DESCRIPTORS.get_extension_by_name(name)?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

fn is_unary(method: &MethodDescriptor) -> bool {
    !method.is_client_streaming() && !method.is_server_streaming()
}

/// Verb and path of the REST form, such as ("POST", "/v1/me:setLanguage"), with its body.
fn rest(method: &MethodDescriptor) -> Option<(String, String, String)> {
    let rule = option(method, "google.api.http")?;
    let text = |name: &str| match rule.get_field_by_name(name).as_deref() {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    ["get", "post", "put", "patch", "delete"]
        .into_iter()
        .map(|verb| (verb.to_uppercase(), text(verb), text("body")))
        .find(|(_, path, _)| !path.is_empty())
}

#[test]
fn every_method_says_who_may_call_it_what_it_changes_and_where_rest_finds_it() {
    let mut missing = Vec::new();
    for method in methods() {
        let name = method.full_name();
        if option(&method, "civicmesh.options.v1.access").is_none() {
            missing.push(format!("{name}: (civicmesh.options.v1.access)"));
        }
        let level = method
            .method_descriptor_proto()
            .options
            .as_ref()
            .map(prost_types::MethodOptions::idempotency_level);
        if level.is_none_or(|level| level == IdempotencyLevel::IdempotencyUnknown) {
            missing.push(format!("{name}: idempotency_level"));
        }
        if is_unary(&method) == rest(&method).is_none() && !name.ends_with("ExportDirectory") {
            missing.push(format!(
                "{name}: (google.api.http) belongs to unary methods, and to each"
            ));
        }
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
    eprintln!("{} methods", methods().len());
}

#[test]
fn reads_are_gets_and_writes_carry_a_request_id_or_are_repeatable_by_nature() {
    // What these do twice they have done once: the state that they set is in the request.
    let repeatable = [
        "SetMyLanguage",
        "MarkNotificationsRead",
        "AcknowledgeEvents",
        "ReplayParkedEvents",
        "GetExplanation",
        "DeleteScenario",
    ];
    // Reads whose arguments are too long or too secret for a path.
    let posted_reads = ["BatchGetContacts", "IssueServiceToken"];
    let mut wrong = Vec::new();
    for method in methods().into_iter().filter(is_unary) {
        let Some((verb, ..)) = rest(&method) else {
            continue;
        };
        let level = method
            .method_descriptor_proto()
            .options
            .as_ref()
            .map(prost_types::MethodOptions::idempotency_level);
        let reads = level == Some(IdempotencyLevel::NoSideEffects);
        let name = method.name();
        if reads && verb != "GET" && !posted_reads.contains(&name) {
            wrong.push(format!("{name} reads, yet is reached by {verb}"));
        }
        if !reads
            && !repeatable.contains(&name)
            && method.input().get_field_by_name("request_id").is_none()
        {
            wrong.push(format!("{name} writes without a request_id"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The path with its variables made equal: two paths of the same shape take each other's requests.
fn shape(path: &str) -> String {
    let (path, verb) = path.rsplit_once(':').unwrap_or((path, ""));
    let parts: Vec<_> = path
        .split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect();
    format!("{}:{verb}", parts.join("/"))
}

#[test]
fn no_two_methods_share_a_rest_path() {
    let mut taken = BTreeMap::<(String, String), String>::new();
    for method in methods() {
        let Some((verb, path, _)) = rest(&method) else {
            continue;
        };
        assert!(path.starts_with("/v1/"), "{}: {path}", method.full_name());
        let before = taken.insert((verb, shape(&path)), method.full_name().to_owned());
        assert_eq!(before, None, "{} and {path}", method.full_name());
    }
    eprintln!("{} REST paths", taken.len());
}

#[test]
fn every_variable_of_a_rest_path_is_a_field_and_every_body_is_known() {
    for method in methods() {
        let Some((verb, path, body)) = rest(&method) else {
            continue;
        };
        for variable in path.split('{').skip(1) {
            let name = variable.split(['}', '=']).next().unwrap_or_default();
            assert!(
                method.input().get_field_by_name(name).is_some(),
                "{}: {path} names {name:?}, which the request has not",
                method.full_name()
            );
        }
        let expected = if verb == "GET" { "" } else { "*" };
        assert_eq!(body, expected, "{}", method.full_name());
    }
}

#[test]
fn permissions_are_named_service_and_verb() {
    let mut permissions = BTreeSet::new();
    for method in methods() {
        let access = option(&method, "civicmesh.options.v1.access").unwrap();
        if let Some(Value::String(name)) = access
            .has_field_by_name("permission")
            .then(|| {
                access
                    .get_field_by_name("permission")
                    .map(|v| v.into_owned())
            })
            .flatten()
        {
            assert!(
                name.split_once('.').is_some_and(|(service, verb)| {
                    let word = |w: &str| {
                        !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                    };
                    word(service) && word(verb)
                }),
                "{}: {name:?}",
                method.full_name()
            );
            permissions.insert(name);
        }
    }
    eprintln!("{} permissions: {permissions:?}", permissions.len());
}

#[test]
fn everything_in_the_contract_is_explained() {
    let set = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap();
    let mut silent = Vec::new();
    let mut explained = 0;
    for file in &set.file {
        if !file.package().starts_with("civicmesh.") {
            continue;
        }
        let comments = comments(file);
        for (path, name) in named(file) {
            if comments.contains(&path) {
                explained += 1;
            } else {
                silent.push(format!("{}: {name}", file.name()));
            }
        }
    }
    assert!(silent.is_empty(), "no comment:\n{}", silent.join("\n"));
    assert!(explained > 500, "source comments are embedded: {explained}");
    eprintln!("{explained} comments");
}

fn comments(file: &FileDescriptorProto) -> BTreeSet<Vec<i32>> {
    let info = file.source_code_info.as_ref();
    info.iter()
        .flat_map(|info| &info.location)
        .filter(|location| !location.leading_comments().trim().is_empty())
        .map(|location| location.path.clone())
        .collect()
}

/// Paths (as in `SourceCodeInfo`) and names of all that a reader of the contract meets.
fn named(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut found = Vec::new();
    for (s, service) in (0..).zip(&file.service) {
        found.push((vec![6, s], service.name().to_owned()));
        for (m, method) in (0..).zip(&service.method) {
            found.push((
                vec![6, s, 2, m],
                format!("{}.{}", service.name(), method.name()),
            ));
        }
    }
    for (e, kind) in (0..).zip(&file.enum_type) {
        found.push((vec![5, e], kind.name().to_owned()));
        for (v, value) in (0..).zip(&kind.value) {
            found.push((vec![5, e, 2, v], value.name().to_owned()));
        }
    }
    for (m, message) in (0..).zip(&file.message_type) {
        named_in(vec![4, m], message, &mut found);
    }
    found
}

fn named_in(path: Vec<i32>, message: &DescriptorProto, found: &mut Vec<(Vec<i32>, String)>) {
    let below = |kind: i32, number: i32| [path.as_slice(), &[kind, number]].concat();
    found.push((path.clone(), message.name().to_owned()));
    for (f, field) in (0..).zip(&message.field) {
        found.push((below(2, f), format!("{}.{}", message.name(), field.name())));
    }
    for (n, nested) in (0..).zip(&message.nested_type) {
        if !nested.options.as_ref().is_some_and(|o| o.map_entry()) {
            named_in(below(3, n), nested, found);
        }
    }
}

#[test]
fn the_embedded_descriptors_are_whole() {
    let pool = DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap();
    for package in [
        "identity",
        "indicators",
        "forecasting",
        "explanations",
        "feedback",
        "notifications",
        "events",
        "gateway",
    ] {
        let prefix = format!("civicmesh.{package}.v1");
        assert!(
            pool.services()
                .any(|service| service.package_name() == prefix),
            "{prefix} has no service"
        );
    }
}
