//! OpenAPI 3.1 from the same descriptors that REST is served from.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chassis::access::Rule;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::{Route, RouteTable};
use crate::contract::Contract;

/// Describes all routes.
#[must_use]
pub fn describe(contract: &Contract, routes: &RouteTable, public_url: &str) -> Bytes {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut tags = BTreeMap::new();
    for route in routes.iter() {
        let service = route.method.descriptor.parent_service();
        let comment = comment(
            service.parent_file().file_descriptor_proto(),
            service.path(),
        );
        tags.insert(service.name().to_owned(), comment);
        let operation = operation(route, &mut schemas);
        paths
            .entry(route.template.display())
            .or_default()
            .insert(route.verb.as_str().to_lowercase(), operation);
    }
    let tags: Vec<_> = tags
        .into_iter()
        .map(|(name, description)| json!({"name": name, "description": description}))
        .collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "civicmesh",
            "version": "v1",
            "description": "The REST form of the mesh's gRPC contract. Ids are UUIDv7, times UTC instants, quantities decimals in strings.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.finish(contract),
            "responses": {"Error": {
                "description": "The call failed. Programs act on `code` and on the reason in ErrorInfo, never on the message.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "oidc": {
                    "type": "openIdConnect",
                    "openIdConnectUrl": format!("{public_url}/.well-known/openid-configuration"),
                },
            },
        },
    });
    document.to_string().into()
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let method = &route.method.descriptor;
    let file = method.parent_file();
    let text = comment(file.file_descriptor_proto(), method.path());
    let summary = text
        .split(". ")
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    let (security, access) = match &route.method.rule {
        Rule::Public => (json!([]), "Anybody may call it.".to_owned()),
        Rule::SignedIn => (secured(), "Any valid token.".to_owned()),
        Rule::Permission(name) => (secured(), format!("Needs the permission `{name}`.")),
        Rule::Service => (secured(), "Only services of the mesh.".to_owned()),
    };
    let mut operation = json!({
        "operationId": format!("{}.{}", method.parent_service().name(), method.name()),
        "tags": [method.parent_service().name()],
        "summary": summary,
        "description": format!("{text}\n\n{access}"),
        "security": security,
        "parameters": parameters(route, schemas),
        "responses": {
            "200": {"description": "The answer.", "content": answer(&method.output(), schemas)},
            "default": {"$ref": "#/components/responses/Error"},
        },
    });
    if !route.body.is_empty() {
        let input = method.input();
        let schema = match route.body.as_str() {
            "*" => schemas.message(&input),
            name => super::message::find(&input, name)
                .map_or_else(|| json!({}), |field| schemas.field(&field)),
        };
        operation["requestBody"] =
            json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    operation
}

fn secured() -> Value {
    json!([{"bearer": []}, {"oidc": []}])
}

fn answer(output: &MessageDescriptor, schemas: &mut Schemas) -> Value {
    if output.full_name() == "google.api.HttpBody" {
        json!({"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}})
    } else {
        json!({"application/json": {"schema": schemas.message(output)}})
    }
}

/// What the path fills, and, where there is no whole body, what the query may.
fn parameters(route: &Route, schemas: &mut Schemas) -> Vec<Value> {
    let input = route.method.descriptor.input();
    let mut list = Vec::new();
    for path in route.template.fields() {
        let field = by_path(&input, path);
        list.push(json!({
            "name": path,
            "in": "path",
            "required": true,
            "description": field.as_ref().map(described).unwrap_or_default(),
            "schema": field.map_or_else(|| json!({"type": "string"}), |field| schemas.field(&field)),
        }));
    }
    if route.body != "*" {
        let filled: BTreeSet<_> = route.template.fields().collect();
        query(&input, "", &filled, &route.body, schemas, &mut list);
    }
    list
}

fn query(
    message: &MessageDescriptor,
    prefix: &str,
    filled: &BTreeSet<&str>,
    body: &str,
    schemas: &mut Schemas,
    list: &mut Vec<Value>,
) {
    for field in message.fields() {
        let path = format!("{prefix}{}", field.name());
        if filled.contains(path.as_str()) || path == body || field.is_map() {
            continue;
        }
        if let Kind::Message(inner) = field.kind()
            && known(&inner).is_none()
        {
            // Two levels are enough for people; what is deeper still works.
            if !field.is_list() && prefix.is_empty() {
                query(&inner, &format!("{path}."), filled, body, schemas, list);
            }
            continue;
        }
        list.push(json!({
            "name": path,
            "in": "query",
            "description": described(&field),
            "schema": schemas.field(&field),
        }));
    }
}

fn by_path(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => message.get_field_by_name(path),
        Some((first, rest)) => match message.get_field_by_name(first)?.kind() {
            Kind::Message(inner) => by_path(&inner, rest),
            _ => None,
        },
    }
}

/// The schemas that are used, each once.
#[derive(Default)]
struct Schemas {
    done: BTreeMap<String, Value>,
}

impl Schemas {
    fn message(&mut self, message: &MessageDescriptor) -> Value {
        if let Some(schema) = known(message) {
            return schema;
        }
        let name = message.full_name().to_owned();
        if !self.done.contains_key(&name) {
            // Put down first: messages may contain themselves.
            self.done.insert(name.clone(), Value::Null);
            let mut properties = Map::new();
            for field in message.fields() {
                let mut schema = self.field(&field);
                schema["description"] = described(&field).into();
                properties.insert(field.json_name().to_owned(), schema);
            }
            let text = comment(message.parent_file_descriptor_proto(), message.path());
            let schema = json!({
                "type": "object",
                "description": text,
                "properties": properties,
                "additionalProperties": false,
            });
            self.done.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            let value = self.kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": value});
        }
        let schema = self.kind(&field.kind());
        if field.is_list() {
            json!({"type": "array", "items": schema})
        } else {
            schema
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "int64", "minimum": 0})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64"})
            }
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "format": "uint64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Message(message) => self.message(message),
            Kind::Enum(one) => self.one_of(one),
        }
    }

    fn one_of(&mut self, one: &EnumDescriptor) -> Value {
        let name = one.full_name().to_owned();
        let file = one.parent_file();
        let file = file.file_descriptor_proto();
        self.done.entry(name.clone()).or_insert_with(|| {
            let mut text = comment(file, one.path());
            for value in one.values() {
                text.push_str(&format!(
                    "\n- `{}`: {}",
                    value.name(),
                    comment(file, value.path())
                ));
            }
            let names: Vec<_> = one.values().map(|value| value.name().to_owned()).collect();
            json!({"type": "string", "description": text, "enum": names})
        });
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn finish(mut self, _contract: &Contract) -> BTreeMap<String, Value> {
        let status = json!({
            "type": "object",
            "description": "Why a call failed.",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer", "description": "The gRPC code."},
                "status": {"type": "string", "description": "The code's name, such as NOT_FOUND."},
                "message": {"type": "string", "description": "For people, in their language."},
                "details": {
                    "type": "array",
                    "description": "ErrorInfo with the reason that programs act on, BadRequest with the fields that are wrong, RetryInfo, ResourceInfo.",
                    "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
                },
                "traceId": {"type": "string", "description": "The trace to quote when asking for help."},
            },
        });
        self.done.insert("google.rpc.Status".to_owned(), status);
        self.done
    }
}

/// Messages whose JSON is not an object of their fields.
fn known(message: &MessageDescriptor) -> Option<Value> {
    Some(match message.full_name() {
        "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
        "google.protobuf.Duration" => {
            json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"})
        }
        "google.protobuf.FieldMask" => json!({"type": "string"}),
        "google.protobuf.Struct" => json!({"type": "object"}),
        "google.protobuf.Value" => json!({}),
        "google.protobuf.BoolValue" => json!({"type": ["boolean", "null"]}),
        "google.protobuf.StringValue" => json!({"type": ["string", "null"]}),
        _ => return None,
    })
}

fn described(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    comment(file.file_descriptor_proto(), field.path())
}

/// The comment before a declaration.
fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations
        .filter(|location| location.path == path)
        .find_map(|location| location.leading_comments.as_deref())
        .map(|text| text.lines().map(str::trim).collect::<Vec<_>>().join("\n"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}
