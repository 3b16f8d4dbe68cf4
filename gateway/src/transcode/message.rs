//! JSON to message and back, by descriptor.

use chassis::Refusal;
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value};
use tonic::Code;

/// What a REST call carries besides its path's shape.
pub struct Input<'a> {
    /// Fields of the path.
    pub path: Vec<(&'a str, String)>,
    /// The query, undecoded.
    pub query: &'a str,
    /// The field that the body is; "*" for the whole, "" for none.
    pub body_field: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Makes the request message; what is wrong with it is told by field.
pub fn request(descriptor: &MessageDescriptor, input: &Input) -> Result<DynamicMessage, Refusal> {
    let mut root = body(descriptor, input)?;
    for (path, text) in &input.path {
        insert(&mut root, descriptor, path, text, true)?;
    }
    for (path, text) in form_urlencoded::parse(input.query.as_bytes()) {
        if input.body_field == "*" {
            return Err(unknown(&path));
        }
        insert(&mut root, descriptor, &path, &text, false)?;
    }
    let mut track = serde_path_to_error::Track::new();
    let reader = serde_path_to_error::Deserializer::new(Value::Object(root), &mut track);
    DynamicMessage::deserialize(descriptor.clone(), reader)
        .map_err(|error| misfit(&track.path().to_string(), &error.to_string()))
}

/// Makes the JSON of an answer; fields without a value are told too.
pub fn response(descriptor: &MessageDescriptor, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let message = DynamicMessage::decode(descriptor.clone(), bytes)?;
    let mut json = Vec::with_capacity(bytes.len() * 2);
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut json), &options)?;
    Ok(json)
}

/// The bytes of a message as a gRPC frame.
#[must_use]
pub fn frame(message: &DynamicMessage) -> bytes::Bytes {
    let length = message.encoded_len();
    let mut frame = bytes::BytesMut::with_capacity(5 + length);
    frame.extend_from_slice(&[0]);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message.encode_to_vec());
    frame.freeze()
}

fn body(descriptor: &MessageDescriptor, input: &Input) -> Result<Map<String, Value>, Refusal> {
    if input.body.is_empty() {
        return Ok(Map::new());
    }
    if input.body_field.is_empty() {
        return Err(Refusal::new(
            Code::InvalidArgument,
            "UNEXPECTED_BODY",
            "lời gọi này không nhận nội dung",
            "this call takes no body",
        ));
    }
    let value: Value = serde_json::from_slice(input.body).map_err(|error| {
        Refusal::new(
            Code::InvalidArgument,
            "MALFORMED_JSON",
            format!(
                "nội dung không phải JSON hợp lệ: sai ở dòng {}, cột {}",
                error.line(),
                error.column()
            ),
            format!("the body is not valid JSON: {error}"),
        )
    })?;
    match (input.body_field, value) {
        ("*", Value::Object(map)) => Ok(map),
        ("*", _) => Err(Refusal::new(
            Code::InvalidArgument,
            "MALFORMED_JSON",
            "nội dung phải là một đối tượng JSON",
            "the body must be a JSON object",
        )),
        (name, value) => {
            let field = find(descriptor, name).ok_or_else(|| unknown(name))?;
            Ok(Map::from_iter([(field.json_name().to_owned(), value)]))
        }
    }
}

/// Puts a parameter's text where the JSON of the message has its field. What the path says replaces what the body says.
fn insert(
    map: &mut Map<String, Value>,
    descriptor: &MessageDescriptor,
    path: &str,
    text: &str,
    replace: bool,
) -> Result<(), Refusal> {
    let mut map = map;
    let mut descriptor = descriptor.clone();
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let field = find(&descriptor, name).ok_or_else(|| unknown(path))?;
        let key = field.json_name().to_owned();
        if let Some(value) = map.remove(field.name()) {
            map.insert(key.clone(), value);
        }
        if names.peek().is_none() {
            return set(map, key, &field, path, text, replace);
        }
        let Kind::Message(inner) = field.kind() else {
            return Err(unknown(path));
        };
        if field.is_list() || field.is_map() {
            return Err(unknown(path));
        }
        let next = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
        map = next.as_object_mut().ok_or_else(|| unknown(path))?;
        descriptor = inner;
    }
    Ok(())
}

fn set(
    map: &mut Map<String, Value>,
    key: String,
    field: &FieldDescriptor,
    path: &str,
    text: &str,
    replace: bool,
) -> Result<(), Refusal> {
    let value = scalar(&field.kind(), text).ok_or_else(|| unknown(path))?;
    if field.is_map() {
        return Err(unknown(path));
    }
    if field.is_list() {
        let list = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut()
            .ok_or_else(|| unknown(path))?
            .push(value);
    } else if map.insert(key, value).is_some() && !replace {
        return Err(Refusal::invalid(
            path,
            format!("tham số {path} được nêu hai lần"),
            format!("the parameter {path} is given twice"),
        ));
    }
    Ok(())
}

/// A parameter's text as the JSON that the field's kind expects; none if such a field cannot be a parameter.
fn scalar(kind: &Kind, text: &str) -> Option<Value> {
    let bool_or_text = || text.parse().map_or_else(|_| text.into(), Value::Bool);
    Some(match kind {
        Kind::Bool => bool_or_text(),
        Kind::Enum(_) => text
            .parse::<i32>()
            .map_or_else(|_| text.into(), Value::from),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.BoolValue" => bool_or_text(),
            "google.protobuf.Timestamp"
            | "google.protobuf.Duration"
            | "google.protobuf.FieldMask" => text.into(),
            name if name.starts_with("google.protobuf.") && name.ends_with("Value") => text.into(),
            _ => return None,
        },
        _ => text.into(),
    })
}

/// Finds a field by its JSON name or its name in the contract.
pub fn find(descriptor: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    descriptor
        .get_field_by_json_name(name)
        .or_else(|| descriptor.get_field_by_name(name))
}

fn unknown(path: &str) -> Refusal {
    Refusal::invalid(
        path,
        format!("không có trường {path}"),
        format!("there is no field {path}"),
    )
}

/// Tells a problem found while reading JSON.
fn misfit(path: &str, problem: &str) -> Refusal {
    let path = if path == "." { "" } else { path };
    let unrecognized = problem
        .strip_prefix("unrecognized field name '")
        .and_then(|rest| rest.split('\'').next());
    if let Some(name) = unrecognized {
        let is_told = path == name || path.ends_with(&format!(".{name}"));
        return match path {
            "" => unknown(name),
            path if is_told => unknown(path),
            path => unknown(&format!("{path}.{name}")),
        };
    }
    Refusal::invalid(
        path,
        format!("giá trị của {path} sai kiểu hoặc sai định dạng"),
        format!("the value of {path} is not valid: {problem}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, query: &str, body: &str) -> Result<String, (String, Code)> {
        let descriptor = proto::DESCRIPTORS.get_message_by_name(name).unwrap();
        let input = Input {
            path: Vec::new(),
            query,
            body_field: if body.is_empty() { "" } else { "*" },
            body: body.as_bytes(),
        };
        match request(&descriptor, &input) {
            Ok(message) => Ok(serde_json::to_string(&message).unwrap()),
            Err(refusal) => {
                let code = refusal.code();
                let status = tonic::Status::from(refusal);
                let details = tonic_types::StatusExt::get_error_details(&status);
                let violations = details.bad_request().unwrap().field_violations.clone();
                Err((violations[0].field.clone(), code))
            }
        }
    }

    const GRANT: &str = "civicmesh.identity.v1.CreateGrantRequest";
    const EVENT: &str = "civicmesh.events.v1.ParkedEvent";
    const UNITS: &str = "civicmesh.identity.v1.ListUnitsRequest";

    #[test]
    fn both_spellings_are_read() {
        for body in [
            r#"{"event":{"fieldCode":"T06"}}"#,
            r#"{"event":{"field_code":"T06"}}"#,
        ] {
            assert_eq!(
                read(EVENT, "", body).unwrap(),
                r#"{"event":{"fieldCode":"T06"}}"#
            );
        }
    }

    #[test]
    fn parameters_fill_nested_and_repeated_fields() {
        assert_eq!(
            read(
                UNITS,
                "kinds=UNIT_KIND_WARD&kinds=6&page_size=3&query=b%E1%BA%BFn",
                ""
            )
            .unwrap(),
            r#"{"kinds":["UNIT_KIND_WARD","UNIT_KIND_COMMUNE"],"query":"bến","pageSize":3}"#
        );
        assert_eq!(
            read(
                EVENT,
                "event.field_code=T06&park_time=2026-01-02T03:04:05Z",
                ""
            )
            .unwrap(),
            r#"{"event":{"fieldCode":"T06"},"parkTime":"2026-01-02T03:04:05Z"}"#
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |name, query, body| {
            let (field, code) = read(name, query, body).unwrap_err();
            assert_eq!(code, Code::InvalidArgument);
            field
        };
        assert_eq!(field(GRANT, "", r#"{"nobody":1}"#), "nobody");
        assert_eq!(field(EVENT, "", r#"{"event":{"x":1}}"#), "event.x");
        assert_eq!(
            field(EVENT, "", r#"{"event":{"unitIds":["a",7]}}"#),
            "event.unitIds[1]"
        );
        assert_eq!(field(EVENT, "event.nothing=1", ""), "event.nothing");
        assert_eq!(field(EVENT, "event=1", ""), "event");
        assert_eq!(field(UNITS, "page_size=many", ""), "pageSize");
        assert_eq!(field(UNITS, "page_size=1&pageSize=2", ""), "pageSize");
        assert_eq!(field(UNITS, "kinds=UNIT_KIND_MOON", ""), "kinds[0]");
    }
}
