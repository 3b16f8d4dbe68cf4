//! Tokens that must never be accepted, straight to every port: the network is not trusted.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use e2e::{City, call};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use super::{Ports, is_unknown, table};

/// An Ed25519 key of a 32-byte seed (RFC 8410).
fn key(seed: &[u8]) -> EncodingKey {
    let head = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    EncodingKey::from_ed_der(&[&head[..], seed].concat())
}

/// The city's real key, which no attacker has; with it a token can be wrong in one thing only.
async fn real_key(city: &City) -> (String, EncodingKey) {
    let mut identity = PgConnection::connect(&city.database("identity"))
        .await
        .unwrap();
    let row = sqlx::query("SELECT kid, seed FROM signing_key ORDER BY create_time DESC LIMIT 1")
        .fetch_one(&mut identity)
        .await
        .unwrap();
    (row.get("kid"), key(row.get::<&[u8], _>("seed")))
}

fn sign(algorithm: Algorithm, kind: &str, kid: &str, claims: &Value, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.typ = Some(kind.to_owned());
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// Bad tokens by what is wrong with them, made from a good one.
#[expect(clippy::too_many_lines, reason = "one list of attacks")]
async fn bad_tokens(city: &City, good: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<_> = good.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claims) = (read(parts[0]), read(parts[1]));
    let (kid, real) = real_key(city).await;
    assert_eq!(header["kid"], kid, "the newest key signs");
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let expired = {
        let mut claims = with("exp", json!(claims["iat"].as_i64().unwrap() - 60));
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() - 660);
        claims
    };
    let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","typ":"at+jwt","kid":"{kid}"}}"#));
    let keys = city.stranger().get("/v1/keys").await.ok();
    let keys: Value = serde_json::from_str(keys["jwks"].as_str().unwrap()).unwrap();
    let public = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == kid.as_str());
    let public = public.unwrap()["x"].as_str().unwrap().to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&public).unwrap();
    let hs = |secret: &[u8]| {
        sign(
            Algorithm::HS256,
            "at+jwt",
            &kid,
            &claims,
            &EncodingKey::from_secret(secret),
        )
    };
    let ed = |kind: &str, kid: &str, claims: &Value, key: &EncodingKey| {
        sign(Algorithm::EdDSA, kind, kid, claims, key)
    };
    vec![
        ("not a token", "rubbish".to_owned()),
        ("a foreign key", ed("at+jwt", &kid, &claims, &key(&[8; 32]))),
        (
            "an unknown key",
            ed("at+jwt", "unknown", &claims, &key(&[8; 32])),
        ),
        ("expired", ed("at+jwt", &kid, &expired, &real)),
        ("alg none", format!("{none}.{}.", parts[1])),
        (
            "alg none, signed",
            format!("{none}.{}.{}", parts[1], parts[2]),
        ),
        ("HS256 with the public key's bytes", hs(&raw)),
        ("HS256 with the public key's text", hs(public.as_bytes())),
        (
            "another issuer",
            ed(
                "at+jwt",
                &kid,
                &with("iss", json!("https://elsewhere")),
                &real,
            ),
        ),
        (
            "another audience",
            ed("at+jwt", &kid, &with("aud", json!("other")), &real),
        ),
        ("an ID token", ed("JWT", &kid, &claims, &real)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("an altered body", {
            let body = with("sub", json!(uuid::Uuid::now_v7().to_string()));
            format!(
                "{}.{}.{}",
                parts[0],
                URL_SAFE_NO_PAD.encode(body.to_string()),
                parts[2]
            )
        }),
    ]
}

/// Every method of every service, the gateway's own too; and again all through the gateway.
pub async fn attacks_are_refused(city: &City, ports: &Ports) {
    let good = city.token("chairman").await;
    let bad = bad_tokens(city, &good).await;
    let empty = json!({});
    let mut tried = 0;
    for method in call::methods() {
        let port = ports.serving(&method);
        let is_public = table::rule(&method) == table::Rule::Public;
        let anonymous = call::call(port.clone(), &method, None, &[], &empty).await;
        let unknown = anonymous.as_ref().err().is_some_and(is_unknown);
        assert_eq!(
            unknown,
            !is_public,
            "{} without a token: {anonymous:?}",
            method.full_name()
        );
        for (what, token) in &bad {
            tried += 1;
            let answer = call::call(port.clone(), &method, Some(token), &[], &empty).await;
            let refused = answer.as_ref().err().is_some_and(is_unknown);
            assert!(refused, "{} with {what}: {answer:?}", method.full_name());
        }
    }
    // The door refuses them itself, and a good token is let in everywhere.
    let profile = call::method("AccountService/GetMyProfile");
    for (name, port) in ports.all() {
        if name == "gateway" || name == "identity" {
            for (what, token) in &bad {
                let answer = call::call(port.clone(), &profile, Some(token), &[], &empty).await;
                assert!(
                    answer.as_ref().err().is_some_and(is_unknown),
                    "{name}, {what}: {answer:?}"
                );
            }
            let answer = call::call(port.clone(), &profile, Some(&good), &[], &empty).await;
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }
    // Who one is cannot be claimed in a header.
    let claimed = [("x-civicmesh-subject", "civicmesh"), ("x-user", "chairman")];
    let export = call::method("DirectoryService/ExportDirectory");
    let answer = call::call(ports.serving(&export), &export, None, &claimed, &empty).await;
    assert!(answer.as_ref().err().is_some_and(is_unknown), "{answer:?}");
    eprintln!(
        "{tried} calls with {} bad tokens, straight to the services' ports",
        bad.len()
    );
}
