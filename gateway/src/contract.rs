//! What the gateway reads from the descriptors: the methods, who may call them, and whose they are.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use anyhow::Context;
use chassis::access::{Rule, Rules};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

/// The service that the gateway itself is.
pub const OWN: &str = "gateway";

/// The package that every service serves; the caller says whose is meant.
const SHARED_PACKAGE: &str = "civicmesh.events.v1";

/// Who serves a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This service of the mesh.
    Service(String),
    /// The one that the caller names.
    Named,
}

/// A method of the contract.
#[derive(Debug)]
pub struct Method {
    /// Its descriptor.
    pub descriptor: MethodDescriptor,
    /// The path of its calls, such as "/civicmesh.feedback.v1.FeedbackService/GetFeedback".
    pub path: String,
    /// Who may call it.
    pub rule: Rule,
    /// Who serves it.
    pub owner: Owner,
    /// It changes nothing.
    pub reads: bool,
}

/// The contract as the gateway needs it.
pub struct Contract {
    /// The descriptors it was read from.
    pub pool: DescriptorPool,
    methods: HashMap<String, Arc<Method>>,
    services: BTreeSet<String>,
}

impl Contract {
    /// Reads the descriptors; fails when a method has no access rule.
    pub fn read(pool: DescriptorPool) -> anyhow::Result<Self> {
        let rules = Rules::read(&pool, &[])?;
        let mut methods = HashMap::new();
        let mut services = BTreeSet::new();
        for service in pool.services() {
            let owner = owner_of(service.package_name())
                .with_context(|| format!("{}: no civicmesh package", service.full_name()))?;
            if let Owner::Service(name) = &owner {
                services.insert(name.clone());
            }
            for descriptor in service.methods() {
                let path = format!("/{}/{}", service.full_name(), descriptor.name());
                let rule = rules.of(&path).context("every method has a rule")?.clone();
                let level = descriptor
                    .method_descriptor_proto()
                    .options
                    .as_ref()
                    .map(prost_types::MethodOptions::idempotency_level);
                let method = Method {
                    descriptor,
                    path: path.clone(),
                    rule,
                    owner: owner.clone(),
                    reads: level == Some(IdempotencyLevel::NoSideEffects),
                };
                methods.insert(path, Arc::new(method));
            }
        }
        Ok(Self {
            pool,
            methods,
            services,
        })
    }

    /// The method of a path.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<&Arc<Method>> {
        self.methods.get(path)
    }

    /// All methods.
    pub fn methods(&self) -> impl Iterator<Item = &Arc<Method>> {
        self.methods.values()
    }

    /// The services of the mesh, the gateway itself left out.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let others = self.services.iter().filter(|name| *name != OWN);
        others.map(String::as_str)
    }

    /// Whether calls may be sent to a service of this name.
    #[must_use]
    pub fn has_service(&self, name: &str) -> bool {
        name != OWN && self.services.contains(name)
    }
}

fn owner_of(package: &str) -> Option<Owner> {
    if package == SHARED_PACKAGE {
        return Some(Owner::Named);
    }
    let (name, version) = package.strip_prefix("civicmesh.")?.split_once('.')?;
    let is_version = version
        .strip_prefix('v')?
        .bytes()
        .all(|b| b.is_ascii_digit());
    is_version.then(|| Owner::Service(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_from_packages() {
        let contract = Contract::read(proto::DESCRIPTORS.clone()).unwrap();
        let of = |path| contract.method(path).map(|method| method.owner.clone());
        assert_eq!(
            of("/civicmesh.feedback.v1.FeedbackService/GetFeedback"),
            Some(Owner::Service("feedback".into()))
        );
        assert_eq!(
            of("/civicmesh.events.v1.EventFeedService/Subscribe"),
            Some(Owner::Named)
        );
        assert_eq!(of("/civicmesh.feedback.v1.FeedbackService/Unknown"), None);
        assert!(contract.has_service("identity") && !contract.has_service(OWN));
    }

    #[test]
    fn only_our_packages_have_owners() {
        assert_eq!(
            owner_of("civicmesh.a.v12"),
            Some(Owner::Service("a".into()))
        );
        assert_eq!(owner_of("civicmesh.a"), None);
        assert_eq!(owner_of("civicmesh.a.vx"), None);
        assert_eq!(owner_of("other.a.v1"), None);
    }
}
