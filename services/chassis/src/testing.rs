//! Helpers for the tests of services: a signing key, tokens good and bad, a directory made by hand.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

mod rows;
mod serve;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{NaiveDate, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use proto::identity::v1::{self as pb, UnitKind, export_directory_response::Entry};
use uuid::Uuid;

use crate::{
    auth::{AUDIENCE, Claims, Keys, Kind, TOKEN_TYPE, Verifier},
    directory::{Directory, EVERYTHING, MESH_PERMISSION},
};

pub use rows::rows_read;
pub use serve::{Running, base, config, ports, run};

/// The issuer of test tokens, the default `Config.public_url`.
pub const ISSUER: &str = "http://localhost:8080";

/// The `kid` of the test key.
pub const KID: &str = "test";

fn key(seed: u8) -> EncodingKey {
    // A PKCS#8 wrapping of a 32-byte Ed25519 seed (RFC 8410).
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend([seed; 32]);
    EncodingKey::from_ed_der(&der)
}

/// The key set that test tokens are verified with.
#[must_use]
pub fn jwks() -> String {
    let mut jwk = Jwk::from_encoding_key(&key(7), Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(KID.to_owned());
    serde_json::json!({ "keys": [jwk] }).to_string()
}

/// The source of the test keys, as if identity answered.
#[must_use]
pub fn keys() -> Keys {
    Keys::new(Arc::new(|| Box::pin(async { Ok(jwks()) })))
}

/// A verifier of test tokens.
#[must_use]
pub fn verifier() -> Verifier {
    Verifier::new(ISSUER, keys())
}

/// The claims of a person's fresh session.
#[must_use]
pub fn claims(person: &str) -> Claims {
    let now = Utc::now().timestamp();
    Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: person.to_owned(),
        sid: Some(Uuid::now_v7().to_string()),
        client_id: "test".to_owned(),
        kind: Kind::Person,
        home_unit: None,
        acr: Some("pwd".to_owned()),
        auth_time: Some(now),
        iat: now,
        exp: now + 600,
    }
}

/// Signs claims with the test key.
#[must_use]
pub fn sign(claims: &Claims) -> String {
    signed(claims, TOKEN_TYPE, &key(7))
}

fn signed(claims: &Claims, kind: &str, key: &EncodingKey) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(kind.to_owned());
    header.kid = Some(KID.to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// A good token of a person.
#[must_use]
pub fn token(person: &str) -> String {
    sign(&claims(person))
}

/// A good token of a service.
#[must_use]
pub fn service_token(client: &str) -> String {
    sign(&Claims {
        sid: None,
        client_id: client.to_owned(),
        kind: Kind::Service,
        acr: None,
        auth_time: None,
        ..claims(client)
    })
}

/// A token that ended.
#[must_use]
pub fn expired_token(person: &str) -> String {
    let claims = claims(person);
    sign(&Claims {
        iat: claims.iat - 1200,
        exp: claims.exp - 1200,
        ..claims
    })
}

/// Tokens that must never be accepted: unsigned, HS256 with the public key as secret, a foreign key, an ID token,
/// another issuer, another audience, an altered body.
#[must_use]
pub fn forged_tokens(person: &str) -> Vec<String> {
    let good = token(person);
    let claims = claims(person);
    let (_, body, signature) = parts(&good);
    let none = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"alg":"none","typ":"{TOKEN_TYPE}","kid":"{KID}"}}"#
    ));
    let mut forged = vec![
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
    ];

    let set: serde_json::Value = serde_json::from_str(&jwks()).unwrap();
    let public = set["keys"][0]["x"].as_str().unwrap();
    for secret in [
        URL_SAFE_NO_PAD.decode(public).unwrap(),
        public.as_bytes().to_vec(),
    ] {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(KID.to_owned());
        let key = EncodingKey::from_secret(&secret);
        forged.push(jsonwebtoken::encode(&header, &claims, &key).unwrap());
    }
    forged.push(signed(&claims, TOKEN_TYPE, &key(8)));
    forged.push(signed(&claims, "JWT", &key(7)));
    forged.push(sign(&Claims {
        iss: "https://elsewhere".to_owned(),
        ..claims.clone()
    }));
    forged.push(sign(&Claims {
        aud: "other".to_owned(),
        ..claims.clone()
    }));
    let other = sign(&Claims {
        sub: Uuid::now_v7().to_string(),
        ..claims
    });
    let (header, body, _) = parts(&other);
    forged.push(format!("{header}.{body}.{signature}"));
    forged
}

fn parts(token: &str) -> (&str, &str, &str) {
    let mut parts = token.split('.');
    (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    )
}

/// A directory made by hand. Begins with the city itself and the role "mesh".
#[derive(Clone)]
pub struct City {
    /// The city's unit, on which a grant covers everything.
    pub root: Uuid,
    entries: Vec<Entry>,
}

impl Default for City {
    fn default() -> Self {
        Self::new()
    }
}

impl City {
    /// A city without any units below it.
    #[must_use]
    pub fn new() -> Self {
        let mut city = Self {
            root: Uuid::nil(),
            entries: Vec::new(),
        };
        city.root = city.unit("HCM", UnitKind::City, None);
        city.role(
            "mesh",
            &[
                MESH_PERMISSION,
                "events.subscribe",
                "explanations.read",
                "feedback.read",
                "forecasting.read",
                "identity.read_contacts",
                "indicators.read",
            ],
        );
        city
    }

    /// Adds a unit, which has existed since 2020.
    pub fn unit(&mut self, code: &str, kind: UnitKind, parent: Option<Uuid>) -> Uuid {
        let id = Uuid::now_v7();
        self.entries.push(Entry::Unit(pb::Unit {
            id: id.to_string(),
            key: code.to_owned(),
            code: code.to_owned(),
            kind: kind.into(),
            name_vi: format!("Đơn vị {code}"),
            name_en: format!("Unit {code}"),
            parent_id: parent.map(|id| id.to_string()).unwrap_or_default(),
            valid_from: "2020-01-01".to_owned(),
            ..Default::default()
        }));
        id
    }

    /// Adds a unit that came from shares of others, which end the day before.
    pub fn successor(
        &mut self,
        code: &str,
        kind: UnitKind,
        since: NaiveDate,
        predecessors: &[(Uuid, &str)],
    ) -> Uuid {
        let parent = Some(self.root);
        let id = self.unit(code, kind, parent);
        let last = since.pred_opt().map(|day| day.to_string());
        for entry in &mut self.entries {
            let Entry::Unit(unit) = entry else { continue };
            if unit.id == id.to_string() {
                unit.valid_from = since.to_string();
                let predecessors = predecessors.iter();
                unit.predecessors = predecessors
                    .map(|(id, weight)| pb::Predecessor {
                        unit_id: id.to_string(),
                        weight: (*weight).to_owned(),
                    })
                    .collect();
            }
            if predecessors
                .iter()
                .any(|(old, _)| unit.id == old.to_string())
            {
                unit.valid_to = last.clone().unwrap_or_default();
            }
        }
        id
    }

    /// Adds or replaces a role.
    pub fn role(&mut self, code: &str, permissions: &[&str]) {
        self.entries.push(Entry::Role(pb::Role {
            code: code.to_owned(),
            name_vi: code.to_owned(),
            name_en: code.to_owned(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
        }));
    }

    /// Adds a person; the answer is the id, for `token` and `grant`.
    pub fn person(&mut self, name: &str, home_unit: Uuid) -> String {
        let id = Uuid::now_v7().to_string();
        self.entries.push(Entry::Principal(pb::Principal {
            id: id.clone(),
            display_name: name.to_owned(),
            home_unit_id: home_unit.to_string(),
            language: "vi".to_owned(),
            disabled: false,
            service: false,
        }));
        id
    }

    /// Adds a service account with a role everywhere.
    pub fn service(&mut self, client: &str, role: &str) -> String {
        self.entries.push(Entry::Principal(pb::Principal {
            id: client.to_owned(),
            display_name: client.to_owned(),
            language: "vi".to_owned(),
            service: true,
            ..Default::default()
        }));
        self.grant(client, role, EVERYTHING, &[]);
        client.to_owned()
    }

    /// Adds a service of the mesh.
    pub fn mesh(&mut self, name: &str) -> String {
        self.service(name, "mesh")
    }

    /// Grants a role in a unit, and city-wide in some fields.
    pub fn grant(&mut self, principal: &str, role: &str, unit: Uuid, fields: &[&str]) -> Uuid {
        let id = Uuid::now_v7();
        self.entries.push(Entry::Grant(pb::Grant {
            id: id.to_string(),
            principal_id: principal.to_owned(),
            role: role.to_owned(),
            unit_id: unit.to_string(),
            field_codes: fields.iter().map(ToString::to_string).collect(),
            valid_from: Some(prost_types::Timestamp {
                seconds: Utc::now().timestamp() - 3600,
                nanos: 0,
            }),
            ..Default::default()
        }));
        id
    }

    /// The entry of a principal that was added, for changing it later.
    #[must_use]
    pub fn principal(&self, id: &str) -> pb::Principal {
        self.entries
            .iter()
            .find_map(|entry| match entry {
                Entry::Principal(principal) if principal.id == id => Some(principal.clone()),
                _ => None,
            })
            .unwrap()
    }

    /// The directory that knows all this.
    #[must_use]
    pub fn directory(&self) -> Directory {
        Directory::of(self.entries.clone()).unwrap()
    }
}
