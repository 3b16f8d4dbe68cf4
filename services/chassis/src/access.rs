//! Who may call a method: the contract's `(civicmesh.options.v1.access)`, read from the descriptors.

use std::collections::HashMap;

use anyhow::{Context, bail};
use prost_reflect::{DescriptorPool, MethodDescriptor, Value};

/// The rule of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anybody; a token that is sent must still be valid.
    Public,
    /// Any person or service with a valid token.
    SignedIn,
    /// A caller who holds this permission in at least one unit.
    Permission(String),
    /// Another service of the mesh.
    Service,
}

/// The rules of all methods that a process serves, by path.
#[derive(Clone, Debug, Default)]
pub struct Rules(HashMap<String, Rule>);

impl Rules {
    /// Reads the rules of these services, or of the whole contract when none is named (as the gateway does).
    /// Fails with the method's name when one has no rule, so that no method is ever served unguarded.
    pub fn read(pool: &DescriptorPool, services: &[&str]) -> anyhow::Result<Self> {
        let mut rules = HashMap::new();
        for name in services {
            if pool.get_service_by_name(name).is_none() {
                bail!("service {name} is not in the contract");
            }
        }
        for service in pool.services() {
            if !services.is_empty() && !services.contains(&service.full_name()) {
                continue;
            }
            for method in service.methods() {
                let rule = rule(pool, &method).with_context(|| {
                    format!(
                        "method {} has no (civicmesh.options.v1.access)",
                        method.full_name()
                    )
                })?;
                let path = format!("/{}/{}", service.full_name(), method.name());
                rules.insert(path, rule);
            }
        }
        Ok(Self(rules))
    }

    /// The rule of a path such as "/civicmesh.identity.v1.TokenService/GetKeys".
    #[must_use]
    pub fn of(&self, path: &str) -> Option<&Rule> {
        self.0.get(path)
    }
}

fn rule(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<Rule> {
    let extension = pool.get_extension_by_name("civicmesh.options.v1.access")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let value = options.get_extension(&extension).into_owned();
    let access = value.as_message()?;
    // The rules are a oneof: at most one field is set. `public: false` states nothing.
    let (field, value) = access.fields().next()?;
    match (field.name(), value) {
        ("public", Value::Bool(true)) => Some(Rule::Public),
        ("signed_in", Value::Bool(true)) => Some(Rule::SignedIn),
        ("service", Value::Bool(true)) => Some(Rule::Service),
        ("permission", Value::String(name)) if !name.is_empty() => {
            Some(Rule::Permission(name.clone()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = r#"
        syntax = "proto3";
        package fixture.v1;
        import "civicmesh/options/v1/options.proto";
        service OpenService {
          rpc Look(Nothing) returns (Nothing) { option (civicmesh.options.v1.access) = {public: true}; }
          rpc Change(Nothing) returns (Nothing) { option (civicmesh.options.v1.access) = {permission: "a.b"}; }
        }
        service ForgottenService {
          rpc Slip(Nothing) returns (Nothing);
        }
        service DeniedService {
          rpc Nobody(Nothing) returns (Nothing) { option (civicmesh.options.v1.access) = {public: false}; }
        }
        message Nothing {}
    "#;

    fn fixture() -> DescriptorPool {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fixture.proto"), FIXTURE).unwrap();
        let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
        let mut compiler =
            protox::Compiler::new([folder.path(), std::path::Path::new(contract)]).unwrap();
        compiler
            .include_imports(true)
            .open_file("fixture.proto")
            .unwrap();
        DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
    }

    #[test]
    fn rules_are_read_by_path() {
        let rules = Rules::read(&fixture(), &["fixture.v1.OpenService"]).unwrap();
        assert_eq!(
            rules.of("/fixture.v1.OpenService/Look"),
            Some(&Rule::Public)
        );
        assert_eq!(
            rules.of("/fixture.v1.OpenService/Change"),
            Some(&Rule::Permission("a.b".into()))
        );
        assert_eq!(rules.of("/fixture.v1.OpenService/Other"), None);
    }

    #[test]
    fn a_method_without_a_rule_is_named() {
        for (service, method) in [("ForgottenService", "Slip"), ("DeniedService", "Nobody")] {
            let error = Rules::read(&fixture(), &[&format!("fixture.v1.{service}")]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains(&format!("fixture.v1.{service}.{method}")),
                "{error}"
            );
        }
        assert!(Rules::read(&fixture(), &["fixture.v1.Unknown"]).is_err());
    }

    #[test]
    fn every_method_of_the_contract_has_a_rule() {
        Rules::read(&proto::DESCRIPTORS, &[]).unwrap();
    }
}
